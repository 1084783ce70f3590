"""Policies in versions: what is saved, what is refused and why, and who was first."""

import json
import re
import threading
from typing import Any

import pytest
from django.db import connection, connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from budgets.models import PolicyVersion
from budgets.models.choices import PolicyKind
from budgets.selectors.policies import PolicyVersionNotFound, newest_policies, newest_policy, policy_versions
from budgets.selectors.tool_verdicts import tool_verdicts
from budgets.services import lifecycle
from budgets.services.action_policy import read_action_policy
from budgets.services.action_rules import action_rules
from budgets.services.guards import TenantIsClosed
from budgets.services.patterns import covers, fits
from budgets.services.policies import (
    InvalidPolicy,
    NewPolicy,
    PolicyChanged,
    read_policy,
    restore_policy,
    save_policy,
)
from budgets.services.policy_refusal import read_part
from budgets.services.scope_patterns import ScopeNeverMatches, scope_regex
from budgets.services.tool_policy import ToolPolicy, read_tool_policy
from kernel.actor import Actor
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry, OutboxEvent
from tenants.models import Tenant

OLIVE = Actor(name="olive", actor_type="admin", reason="tightened")
TOOLS = {"default": "deny", "rules": [{"pattern": "slack.*", "verdict": "allow"}]}


def save(document: dict[str, Any], *, kind: PolicyKind = PolicyKind.TOOLS, **fields: Any) -> PolicyVersion:
    return save_policy(NewPolicy(kind=kind, document=document, reason="because", **fields), actor=OLIVE)


class TestVersions:
    def test_are_numbered_by_kind_and_the_newest_is_in_force(self, acme: Tenant) -> None:
        with in_tenant(acme.tag):
            saved = [save(TOOLS), save({"default": "allow"}), save({"is_on": True}, kind=PolicyKind.SHADOW)]

            assert [(one.kind, one.version) for one in saved] == [("tools", 1), ("tools", 2), ("shadow", 1)]
            newest = newest_policies()
            assert newest[PolicyKind.TOOLS].document == {"default": "allow"}
            assert [one.version for one in policy_versions(PolicyKind.TOOLS)] == [2, 1]

    def test_of_one_tenant_are_not_anothers(self, acme: Tenant, initech: Tenant) -> None:
        with in_tenant(acme.tag):
            save(TOOLS)
        with in_tenant(initech.tag):
            assert newest_policies() == {}

    def test_leave_an_audit_row_and_an_event(self, acme: Tenant) -> None:
        with in_tenant(acme.tag):
            save(TOOLS)
            save({})
            first, second = AuditEntry.objects.filter(target__startswith="tools v").order_by("pk")
            events = OutboxEvent.objects.filter(event_type__startswith="policy.").order_by("pk")

            assert (first.action, first.before, first.after, first.actor) == ("policy.created", None, TOOLS, "olive")
            assert (second.action, second.before, second.after) == ("policy.updated", TOOLS, {})
            assert [event.payload["data"]["version"] for event in events] == [1, 2]

    def test_that_say_the_same_are_one(self, acme: Tenant) -> None:
        with in_tenant(acme.tag):
            assert save(TOOLS).version == save(dict(TOOLS)).version == 1

    def test_go_back_by_going_on(self, acme: Tenant) -> None:
        with in_tenant(acme.tag):
            save(TOOLS)
            save({})
            restored = restore_policy(kind=PolicyKind.TOOLS, version=1, reason="too much", actor=OLIVE)

            assert (restored.version, restored.document, restored.reason) == (3, TOOLS, "too much")
            with pytest.raises(PolicyVersionNotFound):
                restore_policy(kind=PolicyKind.TOOLS, version=4, reason="", actor=OLIVE)

    def test_based_on_what_is_no_longer_newest_are_refused(self, acme: Tenant) -> None:
        with in_tenant(acme.tag):
            save(TOOLS, based_on=0)
            with pytest.raises(PolicyChanged):
                save({}, based_on=0)

            assert save({}, based_on=1).version == 2

    def test_saved_at_once_follow_each_other(self, acme: Tenant) -> None:
        barrier = threading.Barrier(4)

        def work(number: int) -> None:
            try:
                with in_tenant(acme.tag):
                    barrier.wait()
                    save({"rules": [{"pattern": f"tool-{number}", "verdict": "deny"}]})
            finally:
                connections.close_all()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        with in_tenant(acme.tag):
            versions = policy_versions(PolicyKind.TOOLS)
            assert [one.version for one in versions] == [4, 3, 2, 1]
            assert len({json.dumps(one.document) for one in versions}) == 4

    def test_of_a_closed_tenant_are_not_saved(self, acme: Tenant) -> None:
        lifecycle.close_tenant(tag=acme.tag, actor=OLIVE)
        with in_tenant(acme.tag), pytest.raises(TenantIsClosed):
            save(TOOLS)

    def test_that_are_refused_leave_nothing(self, acme: Tenant) -> None:
        with in_tenant(acme.tag):
            with pytest.raises(InvalidPolicy):
                save({"default": "maybe"})

            assert newest_policy(PolicyKind.TOOLS) is None
            assert not OutboxEvent.objects.filter(event_type__startswith="policy.").exists()


QUOTA = {"action_kind": "email.send", "max_calls": 5, "window": "per_day_tumbling"}


def actions(**fields: Any) -> dict[str, Any]:
    return {"policies": [{"id": "mail"} | fields]}


class TestBadInput:
    @pytest.mark.parametrize(
        ("kind", "document", "field", "words"),
        [
            ("limits", {"limits": {"input_tokens_max": 0}}, "limits.input_tokens_max", "at least 1"),
            ("limits", {"limits": {"input_tokens_max": 1.5}}, "limits.input_tokens_max", "must be an integer"),
            ("limits", {"limits": {"tokens": 1}}, "limits.tokens", "remove it"),
            ("limits", {"run": {"wall_seconds_max": 10**9}}, "run.wall_seconds_max", "at most"),
            ("limits", {"priority": "top"}, "priority", "one of low, normal, high"),
            ("limits", {"on_exhaustion": {"month": ["beg"]}}, "on_exhaustion.month[...]", "must be one of shorter"),
            (
                "limits",
                {
                    "rate": [
                        {"name": "a", "level": "tenant", "counts": "tokens", "capacity": 1, "per_minute": 1},
                        {"name": "a", "level": "key", "counts": "tokens", "capacity": 1, "per_minute": 1},
                    ]
                },
                "rate",
                "two buckets of one name",
            ),
            ("tools", {"rules": [{"pattern": "a b", "verdict": "deny"}]}, "rules[...].pattern", "without spaces"),
            (
                "tools",
                {"rules": [{"pattern": "slack.*", "verdict": "deny"}, {"pattern": "Slack.post", "verdict": "allow"}]},
                "rules[1]",
                "never decides, because rules[0]",
            ),
            ("actions", actions(), "policies[0]", "decides nothing"),
            (
                "actions",
                actions(allowed_action_kinds=["a"], denied_action_kinds=["a"]),
                "policies[0].denied_action_kinds[0]",
                "allowed by the same policy",
            ),
            (
                "actions",
                actions(denied_action_kinds=["email.send"], action_quotas=[QUOTA]),
                "policies[0].action_quotas[0].action_kind",
                "the same policy refuses",
            ),
            (
                "actions",
                actions(allowed_action_kinds=["db.read"], action_quotas=[QUOTA]),
                "policies[0].action_quotas[0].action_kind",
                "the same policy refuses",
            ),
            (
                "actions",
                actions(action_quotas=[QUOTA, QUOTA | {"max_calls": 6}]),
                "policies[0].action_quotas[1]",
                "counts the same",
            ),
            (
                "actions",
                actions(risk_class_quotas=[{"risk_class": "high_risk", "max_calls": 1, "window": "per_run"}]),
                "policies[0].risk_class_quotas[0].risk_class",
                "class of no kind",
            ),
            (
                "actions",
                actions(action_quotas=[QUOTA | {"per_run_counter_ttl_ms": 60_000}]),
                "policies[0].action_quotas[0].per_run_counter_ttl_ms",
                "per_run only",
            ),
            (
                "actions",
                actions(scope_pattern="tenant:initech/*", denied_action_kinds=["a"]),
                "policies[0].scope_pattern",
                "another tenant's",
            ),
            (
                "actions",
                {"policies": [{"id": "a", "denied_action_kinds": ["x"]}] * 2},
                "policies[1].id",
                "another policy",
            ),
            (
                "actions",
                actions(action_quotas=[QUOTA | {"max_calls": 0}]),
                "policies[...].action_quotas[...].max_calls",
                "",
            ),
            ("shadow", {"scopes": ["tenant:initech"]}, "scopes[0]", "must begin with tenant:acme"),
            ("shadow", {"checks": ["all"]}, "checks[...]", "must be one of limits, run"),
            ("routing", {"tiers": {"huge": []}}, "tiers", ""),
            ("routing", {"tiers": {"small": ["gpt-4o"]}}, "tiers[...][...]", ""),
            ("router_switch", {"is_on": 1}, "is_on", "true or false"),
        ],
    )
    def test_is_refused_with_the_field_and_what_to_mend(
        self, kind: str, document: dict[str, Any], field: str, words: str
    ) -> None:
        with pytest.raises(InvalidPolicy) as caught:
            read_policy(PolicyKind(kind), document, slug="acme")

        assert words in str(caught.value)
        assert str(caught.value).endswith(".")
        assert caught.value.field is not None
        assert re.sub(r"\[\d+\]|\[\.\.\.\]", "[]", caught.value.field) == re.sub(r"\[\d+\]|\[\.\.\.\]", "[]", field)

    @pytest.mark.parametrize("kind", list(PolicyKind))
    def test_an_empty_document_decides_nothing(self, kind: PolicyKind) -> None:
        read_policy(kind, {}, slug="acme")


NAMES = st.text(alphabet="ab.*", min_size=0, max_size=6)


class TestPatterns:
    @given(pattern=NAMES, other=NAMES, filling=st.lists(st.text("ab.", max_size=3), min_size=6, max_size=6))
    def test_what_is_covered_fits_whatever_its_stars_are(self, pattern: str, other: str, filling: list[str]) -> None:
        name = "".join(filling.pop() if letter == "*" else letter for letter in other)
        if covers(pattern, other):
            assert fits(pattern, name)

    def test_more_than_another_is_not_covered(self) -> None:
        assert not covers("slack.post", "slack.*")
        assert not covers("a*b", "a*")
        assert covers("*", "")
        assert covers("a*", "a**")

    def test_many_stars_are_quick(self) -> None:
        assert not fits("*a" * 20, "a" * 19 + "b")


class TestTools:
    def test_the_first_that_fits_decides_in_whatever_case(self) -> None:
        policy = read_tool_policy(
            {"rules": [{"pattern": "Web.fetch", "verdict": "gated"}, {"pattern": "Web.*", "verdict": "deny"}]}
        )

        assert [policy.deciding_rule(tool) for tool in ("web.FETCH", "web.search", "bash")] == [0, 1, None]

    @given(
        rules=st.lists(st.tuples(NAMES.filter(bool), st.sampled_from(["allow", "deny", "gated"])), max_size=6),
        tools=st.lists(st.text("abAB.%_\\*", max_size=6), min_size=1, max_size=6),
    )
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_the_database_decides_by_the_same_rule(
        self, database: None, rules: list[tuple[str, str]], tools: list[str]
    ) -> None:
        document = {"default": "gated", "rules": [{"pattern": name, "verdict": verdict} for name, verdict in rules]}
        policy = read_part(document, ToolPolicy)

        deciding = [policy.deciding_rule(tool) for tool in tools]
        expected = ["gated" if number is None else rules[number][1] for number in deciding]
        assert tool_verdicts(policy.as_rules(version=1), tools) == expected


class TestScopes:
    @pytest.mark.parametrize(
        ("pattern", "fitting", "others"),
        [
            ("*", ["tenant:acme"], ["tenant:acme2", "tenant:acme/workspace:a"]),
            ("tenant:acme", ["tenant:acme"], ["tenant:acmex", "tenant:acme/agent:x"]),
            ("tenant:acme/*", ["tenant:acme/agent:x", "tenant:acme/workspace:a/agent:x"], ["tenant:acme"]),
            (
                "tenant:acme/workspace:prod",
                ["tenant:acme/workspace:prod"],
                ["tenant:acme/workspace:prod2", "tenant:acme/workspace:prod/agent:x", "tenant:acme"],
            ),
            ("agent:*", ["tenant:acme/agent:x", "tenant:acme/workspace:a/agent:y"], ["tenant:acme/workspace:agent"]),
            ("tenant:acme/workspace:p-*", ["tenant:acme/workspace:p-1"], ["tenant:acme/workspace:p/agent:p-1"]),
            ("tenant:acme/agent:v1.2", ["tenant:acme/agent:v1.2"], ["tenant:acme/agent:v1x2"]),
            ("Tenant:ACME/Agent:X", ["tenant:acme/agent:x"], ["tenant:acme/agent:y"]),
        ],
    )
    def test_fit_their_scopes_in_the_database_too(
        self, database: None, pattern: str, fitting: list[str], others: list[str]
    ) -> None:
        expression = scope_regex(pattern, slug="acme")
        with connection.cursor() as cursor:
            for path in fitting + others:
                cursor.execute("SELECT %s ~ %s", [path, expression])
                assert cursor.fetchone()[0] == (re.search(expression, path) is not None) == (path in fitting), path

    @pytest.mark.parametrize(
        "pattern",
        [
            "tenant:initech",
            "tenant:acme/agent:x/workspace:y",
            "tenant:acme/run:1",
            "tenant:acme/toolset:a/*",
            "",
            "a",
            "tenant:acme//agent:x",
        ],
    )
    def test_that_no_scope_fits_are_refused(self, pattern: str) -> None:
        with pytest.raises(ScopeNeverMatches):
            scope_regex(pattern, slug="acme")


class TestActionRules:
    def test_are_the_policies_with_their_quotas_apart(self) -> None:
        document = {
            "policies": [
                {
                    "id": "support",
                    "scope_pattern": "tenant:acme/workspace:prod",
                    "denied_action_kinds": ["payment.charge"],
                    "action_quotas": [QUOTA | {"threshold_pct": 0.5, "host_allowlist": ["API.example.com"]}],
                    "risk_class_quotas": [{"risk_class": "side_effect", "max_calls": 10, "window": "per_run"}],
                }
            ]
        }
        scope = r"^tenant:acme/workspace:prod$"

        assert action_rules(read_action_policy(document, slug="acme"), slug="acme") == {
            "risk_classes": {"llm.completion": "side_effect"},
            "policies": [{"id": "support", "scope": scope, "allowed": [], "denied": ["payment.charge"]}],
            "quotas": [
                {
                    "id": "support/email.send/per_day_tumbling/hosts=api.example.com",
                    "policy_id": "support",
                    "kind": "email.send",
                    "window": "per_day_tumbling",
                    "limit": 5,
                    "threshold": 3,
                    "scope": scope,
                    "hosts": ["api.example.com"],
                },
                {
                    "id": "support/risk:side_effect/per_run",
                    "policy_id": "support",
                    "risk_class": "side_effect",
                    "window": "per_run",
                    "limit": 10,
                    "threshold": 8,
                    "scope": scope,
                },
            ],
        }
