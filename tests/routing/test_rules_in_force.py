"""From what people save to what decisions say: nothing in between is lost or understood otherwise."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import sleep
from typing import Any

import pytest

from budgets.models import QuotaCounter
from budgets.services.operations import Answer
from budgets.services.plan_catalogue import CATALOGUE
from budgets.services.policies import NewPolicy, PolicyKind
from kernel.tenancy import in_tenant
from routing.services.catalogue_prices import ensure_catalogue_prices
from routing.services.plan_changes import change_plan
from routing.services.policy_saving import put_policy
from routing.tasks import follow_dates
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.plans import a_plan, tenant_on


@pytest.fixture
def prices(empty_book: None) -> None:
    ensure_catalogue_prices(actor=TEST_ACTOR, now=datetime.now(UTC))


def on(code: str) -> Iterator[Books]:
    defaults = next(plan.defaults for plan in CATALOGUE if plan.code == code)
    with tenant_on(a_plan(**defaults)) as tenant:
        yield Books(tenant)


@pytest.fixture
def trial(prices: None) -> Iterator[Books]:
    yield from on("trial")


@pytest.fixture
def pro(prices: None) -> Iterator[Books]:
    yield from on("pro")


def put(tenant: Tenant, kind: PolicyKind, document: dict[str, Any]) -> None:
    new = NewPolicy(kind=kind, document=document, reason="because")
    put_policy(tag=tenant.tag, slug=tenant.slug, new=new, actor=TEST_ACTOR)


def admit(books: Books, **request: Any) -> Answer:
    return books.ask("reserve", endpoint="admit", facts={"input_tokens": 1_000} | request)


def call_tool(books: Books, name: str) -> Answer:
    return books.ask("reserve", amount=1, action={"kind": "tool.call", "name": name})


def act(books: Books, kind: str, *below: str, **fields: Any) -> Answer:
    paths = ["", *("/" + "/".join(below[: length + 1]) for length in range(len(below)))]
    return books.ask("reserve", amount=1, suffixes=paths, action={"kind": kind, "name": "x"}, **fields)


class TestPlans:
    def test_a_trial_goes_to_the_small_tier_and_holds_what_answers_need(self, trial: Books) -> None:
        answer = admit(trial)

        assert answer.status == "OK", answer
        assert answer.admission is not None
        assert answer.admission["route"]["model"] == "gpt-4o-mini"
        # 1,000 in at $0.15 and 1.25 × 900 out at $0.60 a million.
        assert answer.amount == 1_000 * 15 + 1_125 * 60

    def test_a_model_of_a_dearer_plan_is_refused_as_such_and_a_stranger_as_a_stranger(self, trial: Books) -> None:
        a_plan(**CATALOGUE[-1].defaults)
        change_plan(tag=trial.tenant.tag, code=a_plan(**CATALOGUE[0].defaults).code, actor=TEST_ACTOR)

        assert admit(trial, model="openai:o3").status == "MODEL_NOT_ALLOWED"
        assert admit(trial, model="nobody:nothing").status == "MODEL_UNKNOWN"
        assert admit(trial, model="openai:gpt-4o").status == "OK"

    def test_a_class_names_its_tier(self, pro: Books) -> None:
        answer = admit(pro, class_hint={"class": "deep", "confidence": 0.9})

        assert answer.admission is not None
        assert answer.admission["route"]["model"] == "claude-opus-4-5"

    @pytest.mark.parametrize(("tokens", "status"), [(32_000, "OK"), (32_001, "TOKENS_PER_REQUEST_EXCEEDED")])
    def test_a_request_is_as_large_as_its_class_allows(self, trial: Books, tokens: int, status: str) -> None:
        assert admit(trial, input_tokens=tokens).status == status

    def test_a_trial_only_reads(self, trial: Books) -> None:
        assert call_tool(trial, "zendesk.tickets.read").status == "OK"
        assert call_tool(trial, "zendesk.tickets.update").status == "TOOL_DENIED"

    def test_another_plan_counts_from_the_next_decision_on(self, trial: Books) -> None:
        change_plan(tag=trial.tenant.tag, code=a_plan(**CATALOGUE[-1].defaults).code, actor=TEST_ACTOR)

        assert call_tool(trial, "zendesk.tickets.update").status == "OK"
        assert admit(trial, model="openai:o3").status == "OK"


class TestPolicies:
    def test_runs_a_day_end_at_the_limit(self, trial: Books) -> None:
        put(trial.tenant, PolicyKind.LIMITS, {"limits": {"runs_per_day_max": 2}})

        statuses = [trial.ask("reserve", amount=1, run=f"run-{number}").status for number in range(3)]

        assert statuses == ["OK", "OK", "RUNS_PER_DAY_EXCEEDED"]

    def test_a_run_ends_at_its_last_iteration(self, trial: Books) -> None:
        put(trial.tenant, PolicyKind.LIMITS, {"run": {"iterations_max": 2}})

        statuses = [trial.ask("reserve", amount=1, run="run").status for _ in range(3)]

        assert statuses == ["OK", "OK", "MAX_ITERATIONS_REACHED"]

    def test_a_denied_kind_is_denied_where_the_policy_says(self, trial: Books) -> None:
        policy = {
            "id": "mail",
            "scope_pattern": "tenant:umbrella/workspace:prod",
            "denied_action_kinds": ["email.send"],
        }
        put(trial.tenant, PolicyKind.ACTIONS, {"policies": [policy]})

        assert act(trial, "email.send", "workspace:prod", "agent:a").status == "ACTION_KIND_DENIED"
        assert act(trial, "email.send", "workspace:dev", "agent:a").status == "OK"
        assert act(trial, "db.read", "workspace:prod").status == "OK"

    def test_a_quota_counts_for_the_scope_that_it_names_whoever_in_it_acts(self, trial: Books) -> None:
        policy = {
            "id": "mail",
            "scope_pattern": "tenant:umbrella/workspace:prod",
            "action_quotas": [{"action_kind": "email.send", "max_calls": 2, "window": "per_day_tumbling"}],
        }
        put(trial.tenant, PolicyKind.ACTIONS, {"policies": [policy]})

        statuses = [act(trial, "email.send", "workspace:prod", f"agent:{name}").status for name in "abc"]

        assert statuses == ["OK", "OK", "ACTION_QUOTA_EXCEEDED"]
        assert act(trial, "email.send", "workspace:dev").status == "OK"
        with in_tenant(trial.tenant.tag):
            assert [counter.used for counter in QuotaCounter.objects.filter(key__startswith="mail/")] == [2]

    def test_a_quota_of_each_agent_counts_each_by_itself(self, trial: Books) -> None:
        policy = {
            "id": "mail",
            "scope_pattern": "agent:*",
            "action_quotas": [{"action_kind": "email.send", "max_calls": 1, "window": "per_day_tumbling"}],
        }
        put(trial.tenant, PolicyKind.ACTIONS, {"policies": [policy]})

        statuses = [act(trial, "email.send", "workspace:prod", f"agent:{name}").status for name in "aab"]

        assert statuses == ["OK", "ACTION_QUOTA_EXCEEDED", "OK"]

    def test_a_quota_of_a_risk_class_counts_all_its_kinds(self, trial: Books) -> None:
        document = {
            "policies": [
                {
                    "id": "out",
                    "risk_class_quotas": [
                        {"risk_class": "external_side_effect", "max_calls": 2, "window": "per_tenant_per_day"}
                    ],
                }
            ],
            "risk_classes": {"email.send": "external_side_effect", "sms.send": "external_side_effect"},
        }
        put(trial.tenant, PolicyKind.ACTIONS, document)

        statuses = [act(trial, kind).status for kind in ("email.send", "sms.send", "db.read", "email.send")]

        assert statuses == ["OK", "OK", "OK", "ACTION_QUOTA_EXCEEDED"]

    def test_shadow_logs_what_it_would_refuse_and_lets_it_pass(self, trial: Books) -> None:
        put(trial.tenant, PolicyKind.SHADOW, {"checks": ["tools"]})

        assert call_tool(trial, "zendesk.tickets.update").status == "OK"

    def test_shadow_that_is_over_lets_nothing_pass(self, trial: Books) -> None:
        ended = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        put(trial.tenant, PolicyKind.SHADOW, {"checks": ["tools"], "enforce_from": ended})

        assert call_tool(trial, "zendesk.tickets.update").status == "TOOL_DENIED"

    def test_shadow_ends_with_the_first_tick_after_its_end(self, trial: Books) -> None:
        soon = datetime.now(UTC) + timedelta(seconds=1)
        put(trial.tenant, PolicyKind.SHADOW, {"checks": ["tools"], "enforce_from": soon.isoformat()})
        assert call_tool(trial, "zendesk.tickets.update").status == "OK"

        sleep(1.1)
        follow_dates()

        assert call_tool(trial, "zendesk.tickets.update").status == "TOOL_DENIED"

    def test_the_router_switch_sends_all_to_one_tier(self, trial: Books) -> None:
        put(trial.tenant, PolicyKind.ROUTER_SWITCH, {"is_on": True})

        answer = admit(trial)

        assert answer.admission is not None
        assert answer.admission["route"]["tier"] == "medium"
