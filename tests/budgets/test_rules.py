"""The rules in the engine: every refusal that is not about money, and what a refused call leaves behind: nothing."""

from typing import Any

import pytest

from budgets.models import KillSwitch, QuotaCounter, Reservation, Run, RunTemplate
from budgets.services.journal import open_journal
from budgets.services.operations import Answer
from kernel.tenancy import in_tenant
from telemetry.models import OutboxEvent
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.rules import SMALL, allowing, denying, quota, rule


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=100_000_000)
    return books


def admit(books: Books, request: dict[str, Any] | None = None, **fields: Any) -> Answer:
    return books.ask("reserve", endpoint="admit", facts=request or {"input_tokens": 1_000}, **fields)


def footprint(books: Books) -> tuple[int, int, int, int]:
    with in_tenant(books.tenant.tag):
        return (
            books.budget().reserved,
            Reservation.objects.count(),
            sum(Run.objects.values_list("iterations", flat=True)),
            sum(QuotaCounter.objects.values_list("used", flat=True)),
        )


class TestRoutes:
    def test_prices_the_class_s_model_and_holds_that(self, books: Books) -> None:
        rule(books)

        answer = admit(books)

        assert answer.status == "OK", answer
        # 1,000 tokens in at 15 cents and 1,000 out at 60 cents a million: 75,000 micro-cents.
        assert answer.amount == 75_000
        assert answer.admission is not None
        assert answer.admission["route"]["model"] == "gpt-4o-mini"
        assert books.budget().reserved == 75_000

    def test_refuses_a_model_without_a_price(self, books: Books) -> None:
        rule(books)

        assert admit(books, {"model": "nobody:nothing"}).status == "MODEL_UNKNOWN"

    def test_takes_the_first_candidate_that_fits(self, books: Books) -> None:
        rule(books, classes={"chat": {"tier": "large", "pattern": "cascade", "output_tokens_max": 1_000}})
        books.ask("reserve", amount=100_000_000 - 80_000)

        answer = admit(books)

        assert (answer.status, answer.amount) == ("OK", 75_000)

    def test_replays_the_route_that_it_chose(self, books: Books) -> None:
        rule(books)
        first = admit(books, idem="one")
        rule(books, tiers={"small": ["openai:gpt-4o"]})

        second = admit(books, idem="one")

        assert second.replayed
        assert second.admission == first.admission


class TestRunLimits:
    def test_stops_at_the_iteration_after_the_last_and_says_so_once(self, books: Books) -> None:
        rule(books, run={"iterations_max": 3, "fallback": "partial_result"})

        answers = [books.ask("reserve", amount=1, run="r1") for _ in range(6)]

        assert [answer.status for answer in answers] == ["OK"] * 3 + ["MAX_ITERATIONS_REACHED"] * 3
        with in_tenant(books.tenant.tag):
            assert OutboxEvent.objects.filter(event_type="run.max_iterations_reached").count() == 1

    def test_counts_down_the_steps_that_remain(self, books: Books) -> None:
        rule(books, run={"iterations_max": 3})

        answer = books.ask("reserve", amount=1, run="r1")

        assert answer.verdict == "ALLOW_WITH_CAPS"
        assert answer.admission is not None
        assert answer.admission["caps"]["max_steps_remaining"] == 2

    def test_counts_the_tokens_that_are_held(self, books: Books) -> None:
        rule(books, run={"tokens_max": 4_000})
        request = {"input_tokens": 1_000, "max_output_tokens": 1_000}

        answers = [admit(books, request, run="r1") for _ in range(3)]

        assert [answer.status for answer in answers] == ["OK", "OK", "MAX_TOKENS_REACHED"]

    def test_a_commit_books_the_tokens_that_were_used(self, books: Books) -> None:
        rule(books, run={"tokens_max": 4_000})
        hold = admit(books, {"input_tokens": 1_000, "max_output_tokens": 1_000}, run="r1")

        books.ask("commit", target=hold.id, amount=1, metrics={"tokens_input": 1_000, "tokens_output": 10})

        with in_tenant(books.tenant.tag):
            run = Run.objects.get()
        assert (run.tokens, run.tokens_held) == (1_010, 0)


class TestPolicy:
    def test_refuses_a_denied_tool_at_dispatch_and_leaves_it_out_before(self, books: Books) -> None:
        rule(books, tools={"default": "allow", "rules": [{"pattern": "slack.*", "verdict": "deny"}]})

        dispatch = books.ask("reserve", amount=1, action={"kind": "tool.call", "name": "slack.post"})
        call = admit(books, {"input_tokens": 10, "tools": ["slack.post", "zendesk.read"]})

        assert dispatch.status == "TOOL_DENIED"
        assert call.admission is not None
        assert call.admission["caps"]["tool_denylist"] == ["slack.post"]

    @pytest.mark.parametrize("name", ["wire_money", "Wire_Money", "WIRE_MONEY"])
    @pytest.mark.parametrize("pattern", ["wire_*", "Wire_*"])
    def test_a_denied_tool_is_denied_however_it_is_written(self, books: Books, name: str, pattern: str) -> None:
        rule(books, tools={"default": "allow", "rules": [{"pattern": pattern, "verdict": "deny"}]})

        dispatch = books.ask("reserve", amount=1, action={"kind": "tool.call", "name": name})
        call = admit(books, {"tools": [name]})

        assert dispatch.status == "TOOL_DENIED"
        assert call.admission is not None
        assert call.admission["caps"]["tool_denylist"] == [name]

    def test_a_pattern_s_underscore_is_an_underscore(self, books: Books) -> None:
        rule(books, tools={"default": "allow", "rules": [{"pattern": "a_b", "verdict": "deny"}]})

        assert books.ask("reserve", amount=1, action={"kind": "tool.call", "name": "axb"}).status == "OK"

    def test_refuses_an_action_kind_that_is_not_allowed(self, books: Books) -> None:
        rule(books, actions=allowing("llm.completion"))

        assert (
            books.ask("reserve", amount=1, action={"kind": "db.write", "name": "x"}).status == "ACTION_KIND_NOT_ALLOWED"
        )

    def test_counts_an_action_s_quota_to_its_last_unit(self, books: Books) -> None:
        rule(books, actions=quota(2, kind="message.email"))
        mail = {"kind": "message.email", "name": "smtp"}

        answers = [books.ask("reserve", amount=1, action=mail) for _ in range(3)]

        assert [answer.status for answer in answers] == ["OK", "OK", "ACTION_QUOTA_EXCEEDED"]

    def test_counts_runs_a_day(self, books: Books) -> None:
        rule(books, limits={"runs_per_day_max": 1})

        answers = [books.ask("reserve", amount=1, run=run) for run in ("r1", "r1", "r2")]

        assert [answer.status for answer in answers] == ["OK", "OK", "RUNS_PER_DAY_EXCEEDED"]

    def test_counts_runs_that_run(self, books: Books) -> None:
        rule(books, limits={"concurrent_runs_max": 1})

        answers = [books.ask("reserve", amount=1, run=run) for run in ("r1", "r2", "r1")]

        assert [answer.status for answer in answers] == ["OK", "CONCURRENT_RUNS_EXCEEDED", "OK"]


class TestSwitches:
    @pytest.mark.parametrize(
        ("level", "name"),
        [
            ("tenant", ""),
            ("workspace", "prod"),
            ("agent", "triage"),
            ("model", "openai:gpt-4o"),
            ("provider", "openai"),
        ],
    )
    def test_stops_what_it_names(self, books: Books, level: str, name: str) -> None:
        with in_tenant(books.tenant.tag), open_journal(actor=TEST_ACTOR) as journal:
            KillSwitch.objects.create(level=level, name=name, reason="leak", actor="olive", thrown_at=journal.now)

        answer = books.ask(
            "reserve",
            amount=1,
            subject={"tenant": "acme", "workspace": "Prod", "agent": "triage"},
            action={"kind": "llm.completion", "name": "openai:gpt-4o"},
        )

        assert answer.status == "KILL_SWITCH"
        assert answer.numbers is not None
        assert answer.numbers["reason"] == "leak"

    @pytest.mark.parametrize(
        ("level", "name"), [("model", "gpt-4o"), ("model", "openai:gpt-4o"), ("provider", "openai")]
    )
    @pytest.mark.parametrize("called", ["gpt-4o", "openai:gpt-4o", "openai:gpt-4o@eu", "OpenAI:GPT-4o"])
    def test_stops_a_model_by_whatever_name_it_is_called(
        self, books: Books, level: str, name: str, called: str
    ) -> None:
        rule(books)
        with in_tenant(books.tenant.tag), open_journal(actor=TEST_ACTOR) as journal:
            KillSwitch.objects.create(level=level, name=name, reason="leak", actor="olive", thrown_at=journal.now)

        plain = books.ask("reserve", amount=1, action={"kind": "llm.completion", "name": called})
        chosen = admit(books, {"class_hint": {"class": "deep", "confidence": 1.0}})

        assert plain.status == "KILL_SWITCH"
        assert chosen.status == "NO_ROUTE"

    @pytest.mark.parametrize("called", ["gpt-4o-mini", "chat", "4o", "gpt-4o:x"])
    def test_stops_no_model_of_another_name(self, books: Books, called: str) -> None:
        rule(books)
        with in_tenant(books.tenant.tag), open_journal(actor=TEST_ACTOR) as journal:
            KillSwitch.objects.create(
                level="model", name="openai:gpt-4o", reason="x", actor="olive", thrown_at=journal.now
            )

        assert books.ask("reserve", amount=1, action={"kind": "llm.completion", "name": called}).status == "OK"

    def test_leaves_others_alone(self, books: Books) -> None:
        with in_tenant(books.tenant.tag), open_journal(actor=TEST_ACTOR) as journal:
            KillSwitch.objects.create(level="agent", name="other", reason="leak", actor="olive", thrown_at=journal.now)

        assert books.ask("reserve", amount=1, subject={"tenant": "acme", "agent": "triage"}).status == "OK"


class TestLowWater:
    def test_enters_once_and_leaves_once(self, books: Books) -> None:
        rule(books, low_water={"enter_ppm": 200_000, "leave_ppm": 250_000})
        states = []
        # 20.1, 19.9, 24 and 26 % are left when somebody asks.
        for held in (79_900_000, 80_100_000, 76_000_000, 74_000_000):
            rule(books)
            hold = books.ask("reserve", amount=held)
            rule(books, low_water={"enter_ppm": 200_000, "leave_ppm": 250_000})
            books.ask("reserve", amount=0)
            states.append(books.budget().is_low)
            books.ask("release", target=hold.id)
        with in_tenant(books.tenant.tag):
            events = list(
                OutboxEvent.objects.filter(event_type__startswith="budget.low")
                .order_by("at")
                .values_list("event_type", flat=True)
            )

        assert states == [False, True, True, False]
        assert events == ["budget.low_water_entered", "budget.low_water_left"]

    def test_low_priority_goes_first(self, books: Books) -> None:
        rule(books, low_water={})
        books.ask("reserve", amount=93_000_000)

        answers = [books.ask("reserve", amount=1, priority=priority) for priority in ("low", "normal", "high")]

        assert [answer.status for answer in answers] == ["BELOW_FLOOR", "OK", "OK"]


class TestShadow:
    def test_writes_down_what_would_have_been_refused_and_holds_what_was_asked(self, books: Books) -> None:
        rule(books, shadow={"is_on": True}, actions=denying("db.write"))

        answer = books.ask("reserve", amount=5, action={"kind": "db.write", "name": "x"})

        assert (answer.status, answer.amount) == ("OK", 5)
        assert answer.admission is not None
        assert answer.admission["would_deny"] == "ACTION_KIND_DENIED"

    @pytest.mark.parametrize("shadow", [{"is_on": True}, {"checks": ["money"]}, {"scopes": ["tenant:acme"]}])
    def test_lets_a_budget_in_shadow_block_nothing_and_settle(self, books: Books, shadow: dict[str, Any]) -> None:
        rule(books, shadow=shadow)

        hold = books.ask("reserve", amount=100_000_001, policy="REJECT")
        settled = books.ask("commit", target=hold.id, amount=7)

        assert hold.admission is not None
        assert (hold.status, hold.amount, hold.admission["would_deny"]) == ("OK", 0, "BUDGET_EXCEEDED")
        assert (settled.status, settled.charged) == ("OK", 7)

    @pytest.mark.parametrize("shadow", [{"is_on": False}, {"checks": ["tools"]}, {"scopes": ["tenant:other"]}])
    def test_blocks_what_is_not_in_shadow(self, books: Books, shadow: dict[str, Any]) -> None:
        rule(books, shadow=shadow)

        assert books.ask("reserve", amount=100_000_001).status == "BUDGET_EXCEEDED"

    def test_never_lets_a_stop_or_an_unknown_scope_pass(self, books: Books) -> None:
        rule(books, shadow={"is_on": True})
        with in_tenant(books.tenant.tag), open_journal(actor=TEST_ACTOR) as journal:
            KillSwitch.objects.create(level="agent", name="triage", reason="leak", actor="olive", thrown_at=journal.now)

        assert books.ask("reserve", amount=1, subject={"tenant": "acme", "agent": "triage"}).status == "KILL_SWITCH"
        assert books.ask("reserve", amount=1, unit="TOKENS").status == "UNIT_MISMATCH"


class TestQuotas:
    def test_needs_a_run_for_a_quota_of_a_run(self, books: Books) -> None:
        rule(books, actions=quota(1, window="per_run"))

        answers = [books.ask("reserve", amount=1, run=run) for run in (None, "r1", "r1", "r2")]

        assert [answer.status for answer in answers] == ["RUN_REQUIRED", "OK", "ACTION_QUOTA_EXCEEDED", "OK"]

    def test_counts_each_scope_that_fits_by_itself(self, books: Books) -> None:
        rule(books, actions=quota(1, scope=r"\Atenant:acme/agent:[^/]+\Z"))
        suffixes = [["", "/agent:one"], ["", "/agent:two"], ["", "/agent:one"], [""], [""]]

        answers = [books.ask("reserve", amount=1, suffixes=each) for each in suffixes]

        assert [answer.status for answer in answers] == ["OK", "OK", "ACTION_QUOTA_EXCEEDED", "OK", "OK"]
        assert answers[2].scope == "tenant:acme/agent:one"

    def test_counts_kinds_of_a_risk_class_together(self, books: Books) -> None:
        kinds = {
            "message.email": "external_side_effect",
            "message.slack": "external_side_effect",
            "db.read": "read_only",
        }
        rule(books, actions=quota(2, risk_class="external_side_effect") | {"risk_classes": kinds})

        answers = [books.ask("reserve", amount=1, action={"kind": kind, "name": "x"}) for kind in [*kinds, *kinds]]

        assert [answer.status for answer in answers] == ["OK"] * 3 + ["ACTION_QUOTA_EXCEEDED"] * 2 + ["OK"]

    def test_counts_only_the_hosts_that_it_names(self, books: Books) -> None:
        rule(books, actions=quota(0, hosts=["api.sendgrid.com"]))

        def ask(**policy_keys: str) -> str:
            return books.ask("reserve", amount=1, action={"kind": "x", "name": "y", "policy_keys": policy_keys}).status

        assert ask(host="api.sendgrid.com") == "ACTION_QUOTA_EXCEEDED"
        assert ask(host="elsewhere.com") == ask() == "OK"

    def test_announces_the_threshold_once(self, books: Books) -> None:
        rule(books, actions=quota(4, threshold=3))

        for _ in range(6):
            books.ask("reserve", amount=1)

        with in_tenant(books.tenant.tag):
            assert OutboxEvent.objects.filter(event_type="quota.threshold_approaching").count() == 1


class TestChoice:
    """Which model: the class, a hint and how sure it is, what is full, and what the plan has not."""

    def model(self, answer: Answer) -> str:
        assert answer.admission is not None, answer
        return str(answer.admission["route"]["model"])

    def test_takes_the_class_that_is_hinted_and_the_middle_for_an_unsure_hint(self, books: Books) -> None:
        tiers = {"small": ["openai:gpt-4o-mini"], "medium": ["openai:gpt-4o"], "large": []}
        classes = {"chat": {"tier": "small"}, "easy": {"tier": "small"}}
        rule(books, tiers=tiers, classes=classes, hint_confidence_min_ppm=700_000)

        chosen = [
            self.model(admit(books, {"class_hint": {"class": "easy", "confidence": confidence}}))
            for confidence in (0.7, 0.69)
        ]

        assert chosen == ["gpt-4o-mini", "gpt-4o"]

    def test_a_class_that_nobody_made_is_the_default(self, books: Books) -> None:
        rule(books)

        answer = admit(books, {"class_hint": {"class": "made-up", "confidence": 1.0}})

        assert answer.admission is not None
        assert answer.admission["class"] == "chat"

    def test_sends_all_to_one_tier_when_the_router_is_not_trusted(self, books: Books) -> None:
        rule(books, force_tier="large")

        assert self.model(admit(books)) == "gpt-4o"

    def test_starts_small_and_promotes_by_a_new_reservation(self, books: Books) -> None:
        rule(books, classes={"chat": {"tier": "large", "pattern": "soft"}})

        first = admit(books)
        promoted = admit(books, {"attempt": {"n": 2, "of_decision": "dec_1", "reason": "low_confidence"}})

        assert (self.model(first), self.model(promoted)) == ("gpt-4o-mini", "gpt-4o")

    def test_falls_to_the_tier_below_when_a_deployment_is_full(self, books: Books) -> None:
        rule(books, classes={"chat": {"tier": "large"}})

        assert self.model(admit(books, {"unavailable": ["openai:gpt-4o"]})) == "gpt-4o-mini"
        assert admit(books, {"unavailable": ["openai:gpt-4o", "openai:gpt-4o-mini"]}).status == "NO_ROUTE"

    def test_says_of_a_known_model_that_the_plan_has_it_not(self, books: Books) -> None:
        rule(books, models_refused=["openai:o3"])

        assert admit(books, {"model": "openai:o3"}).status == "MODEL_NOT_ALLOWED"
        assert admit(books, {"model": "openai:o4"}).status == "MODEL_UNKNOWN"

    def test_leaves_out_a_model_that_lacks_a_capability_or_the_room(self, books: Books) -> None:
        rule(books)

        assert admit(books, {"capabilities": ["vision"]}).status == "NO_ROUTE"
        # 128,000 tokens of context, 1,000 of them for the answer.
        assert admit(books, {"input_tokens": 127_000}).status == "OK"
        assert admit(books, {"input_tokens": 127_001}).status == "NO_ROUTE"

    def test_holds_what_calls_of_the_class_need_and_all_when_nothing_may_be_exceeded(self, books: Books) -> None:
        rule(books, classes={"chat": {"tier": "small", "output_tokens_max": 1_000, "output_tokens_hold": 250}})

        amounts = [admit(books, policy=policy).amount for policy in ("ALLOW_IF_AVAILABLE", "REJECT")]

        assert amounts == [15_000 + 15_000, 15_000 + 60_000]

    def test_prices_a_long_request_by_the_long_prices_from_the_first_token_over(self, books: Books) -> None:
        price = {"input": 10**6, "output": 0, "long_context_from": 1_000, "long_input": 3 * 10**6, "long_output": 0}
        rule(books, models={"openai:gpt-4o-mini": SMALL | {"price": price}})

        assert [admit(books, {"input_tokens": tokens}).amount for tokens in (1_000, 1_001)] == [1_000, 3_003]

    def test_charges_a_tool_what_it_costs(self, books: Books) -> None:
        rule(books, tool_prices={"search": 700})

        answers = [admit(books, action={"kind": "tool.call", "name": name}) for name in ("search", "free")]

        assert [answer.amount for answer in answers] == [700, 0]


class TestExhaustion:
    @pytest.mark.parametrize(("amount", "expected"), [(11, ["shorter"]), (10**8 + 1, ["upgrade_prompt"])])
    def test_says_what_the_plan_offers_when_a_session_or_a_month_is_used_up(
        self, books: Books, amount: int, expected: list[str]
    ) -> None:
        rule(books, on_exhaustion={"session": ["shorter"], "month": ["upgrade_prompt"]})
        with in_tenant(books.tenant.tag):
            RunTemplate.objects.create(name="chat", unit="USD_MICROCENTS", amount=10, is_default=True)

        answer = books.ask("reserve", amount=amount, run="r1")

        assert answer.status == "BUDGET_EXCEEDED"
        assert answer.admission is not None
        assert answer.admission["on_exhaustion"] == expected


class TestRefusals:
    @pytest.mark.parametrize(
        ("parts", "request_", "fields"),
        [
            ({"run": {"iterations_max": 0}}, None, {}),
            ({"run": {"tokens_max": 10}}, None, {}),
            ({"limits": {"input_tokens_max": 10}}, None, {}),
            ({"limits": {"runs_per_day_max": 0}}, None, {}),
            ({"limits": {"concurrent_runs_max": 0}}, None, {}),
            ({"actions": denying("llm.completion")}, None, {}),
            ({"actions": quota(0)}, None, {}),
            ({}, {"model": "x:y"}, {}),
            ({"tiers": {}}, None, {}),
            ({"low_water": {"normal_floor_ppm": 1_000_001}}, None, {}),
            ({}, {"rate_limited": {"limit": 1}}, {}),
            ({"models_refused": ["openai:o3"]}, {"model": "openai:o3"}, {}),
            ({"actions": quota(1, window="per_run")}, None, {"run": None}),
        ],
    )
    def test_consume_nothing(
        self, books: Books, parts: dict[str, Any], request_: dict[str, Any] | None, fields: dict[str, Any]
    ) -> None:
        rule(books, **parts)

        answer = admit(books, request_, **{"run": "r1"} | fields)

        assert answer.status != "OK"
        assert footprint(books) == (0, 0, 0, 0)


CLAUDE = SMALL | {"provider": "anthropic", "model": "claude-haiku"}
TWO_PROVIDERS: dict[str, Any] = {
    "models": {"openai:gpt-4o-mini": SMALL, "anthropic:claude-haiku": CLAUDE},
    "tiers": {"small": ["openai:gpt-4o-mini", "anthropic:claude-haiku"]},
}


class TestStickiness:
    def provider(self, answer: Answer) -> str:
        assert answer.admission is not None, answer
        return str(answer.admission["route"]["provider"])

    def test_a_run_stays_with_the_provider_that_it_began_with(self, books: Books) -> None:
        rule(books, **TWO_PROVIDERS)
        full = {"unavailable": ["openai:gpt-4o-mini"]}

        # It began while the first was full, and stays when there is room again; another run begins with the first.
        chosen = [admit(books, full, run="r1"), admit(books, run="r1"), admit(books, run="r2"), admit(books)]

        assert [self.provider(answer) for answer in chosen] == ["anthropic", "anthropic", "openai", "openai"]

    def test_leaves_it_when_it_must_unless_the_conversation_is_bound(self, books: Books) -> None:
        rule(books, **TWO_PROVIDERS)
        admit(books, run="r1")
        full = {"unavailable": ["openai:gpt-4o-mini"]}

        bound = admit(books, full | {"is_provider_bound": True}, run="r1")
        free = admit(books, full, run="r1")

        assert bound.status == "NO_ROUTE"
        assert self.provider(free) == "anthropic"

    def test_is_each_tenant_s_own(self, books: Books, initech: Tenant) -> None:
        other = Books(initech)
        other.add_budget(allocated=100_000_000)
        for each in (books, other):
            rule(each, **TWO_PROVIDERS)
        admit(books, {"unavailable": ["openai:gpt-4o-mini"]}, run="r1")

        assert self.provider(admit(other, run="r1")) == "openai"


class TestShadowOfOneCheck:
    """What is in shadow hides nothing else."""

    def test_still_counts_quotas_and_runs(self, books: Books) -> None:
        shadow = {"shadow": {"checks": ["run"]}, "run": {"iterations_max": 0}}
        rule(books, **shadow, actions=quota(1), limits={"concurrent_runs_max": 1})

        answers = [books.ask("reserve", amount=1, run=run) for run in ("r1", "r1", "r2")]

        assert [answer.status for answer in answers] == ["OK", "ACTION_QUOTA_EXCEEDED", "ACTION_QUOTA_EXCEEDED"]
        rule(books, **shadow, limits={"concurrent_runs_max": 1})
        assert books.ask("reserve", amount=1, run="r2").status == "CONCURRENT_RUNS_EXCEEDED"

    def test_a_quota_in_shadow_hides_no_other(self, books: Books) -> None:
        rule(books, shadow={"checks": ["actions"]}, actions=quota(0), limits={"runs_per_day_max": 0})

        assert books.ask("reserve", amount=1, run="r1").status == "RUNS_PER_DAY_EXCEEDED"

    def test_keeps_the_numbers_of_what_it_did_not_refuse(self, books: Books) -> None:
        rule(books, shadow={"checks": ["actions"]}, actions=quota(0))

        answer = books.ask("reserve", amount=1)

        assert answer.admission is not None
        assert answer.admission["would_deny"] == "ACTION_QUOTA_EXCEEDED"
        assert answer.admission["would_deny_numbers"]["limit"] == 0

    def test_ends_at_its_moment(self, books: Books) -> None:
        shadow = {"is_on": True, "enforce_from": "2026-01-01T00:00:00+00:00"}
        rule(books, shadow=shadow, actions=denying("llm.completion"))
        assert books.ask("reserve", amount=1).status == "ACTION_KIND_DENIED"

        rule(books, shadow=shadow | {"enforce_from": "2126-01-01T00:00:00+00:00"}, actions=denying("llm.completion"))
        assert books.ask("reserve", amount=1).status == "OK"


def test_a_day_that_is_used_up_is_told_before_a_route_that_is_not_there(books: Books) -> None:
    rule(books, tiers={}, limits={"runs_per_day_max": 0})

    assert admit(books, run="r1").status == "RUNS_PER_DAY_EXCEEDED"
    assert admit(books).status == "NO_ROUTE"
