"""The rules in the engine: every refusal that is not about money, and what a refused call leaves behind: nothing."""

from typing import Any

import pytest

from budgets.models import KillSwitch, QuotaCounter, Reservation, Run
from budgets.services.journal import open_journal
from budgets.services.operations import Answer
from kernel.tenancy import in_tenant
from telemetry.models import OutboxEvent
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.rules import LARGE, rule


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
        rule(books, tiers={"small": [LARGE]})

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

    def test_a_pattern_s_underscore_is_an_underscore(self, books: Books) -> None:
        rule(books, tools={"default": "allow", "rules": [{"pattern": "a_b", "verdict": "deny"}]})

        assert books.ask("reserve", amount=1, action={"kind": "tool.call", "name": "axb"}).status == "OK"

    def test_refuses_an_action_kind_that_is_not_allowed(self, books: Books) -> None:
        rule(books, actions={"allowed": ["llm.completion"]})

        assert (
            books.ask("reserve", amount=1, action={"kind": "db.write", "name": "x"}).status == "ACTION_KIND_NOT_ALLOWED"
        )

    def test_counts_an_action_s_quota_to_its_last_unit(self, books: Books) -> None:
        rule(books, actions={"quotas": [{"id": "mails", "kind": "message.email", "window": "day", "limit": 2}]})
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
    def test_writes_down_what_would_have_been_refused_and_holds_nothing(self, books: Books) -> None:
        rule(books, shadow={"is_on": True}, actions={"denied": ["db.write"]})

        answer = books.ask("reserve", amount=5, action={"kind": "db.write", "name": "x"})

        assert (answer.status, answer.amount) == ("OK", 0)
        assert answer.admission is not None
        assert answer.admission["would_deny"] == "ACTION_KIND_DENIED"


class TestRefusals:
    @pytest.mark.parametrize(
        ("parts", "request_", "fields"),
        [
            ({"run": {"iterations_max": 0}}, None, {}),
            ({"run": {"tokens_max": 10}}, None, {}),
            ({"limits": {"input_tokens_max": 10}}, None, {}),
            ({"limits": {"runs_per_day_max": 0}}, None, {}),
            ({"limits": {"concurrent_runs_max": 0}}, None, {}),
            ({"actions": {"denied": ["llm.completion"]}}, None, {}),
            ({"actions": {"quotas": [{"id": "q", "window": "day", "limit": 0}]}}, None, {}),
            ({}, {"model": "x:y"}, {}),
            ({"tiers": {}}, None, {}),
        ],
    )
    def test_consume_nothing(
        self, books: Books, parts: dict[str, Any], request_: dict[str, Any] | None, fields: dict[str, Any]
    ) -> None:
        rule(books, **parts)

        answer = admit(books, request_, run="r1", **fields)

        assert answer.status != "OK"
        assert footprint(books) == (0, 0, 0, 0)
