"""The give-up rule under parallel calls: limits are exact, and each run's end is told once."""

import time
from typing import Any

import pytest

from budgets.models import Run, RunTemplate
from budgets.services.operations import Answer
from kernel.tenancy import in_tenant
from telemetry.models import OutboxEvent
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.bursts import asking, burst
from tests.support.rules import quota, rule


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10**9)
    return books


def statuses(books: Books, *calls: dict[str, Any]) -> list[str]:
    """What each of the calls was told, all being made at once."""
    answers = burst([asking(books, "reserve", amount=1, **fields) for fields in calls])
    return [answer.status for answer in answers if isinstance(answer, Answer)]


@pytest.mark.parametrize(
    ("limit", "facts", "code"),
    [
        ({"iterations_max": 4}, {}, "MAX_ITERATIONS_REACHED"),
        ({"tokens_max": 400}, {"input_tokens": 60, "max_output_tokens": 40}, "MAX_TOKENS_REACHED"),
    ],
)
def test_the_call_after_the_last_is_refused_and_told_once(
    books: Books, limit: dict[str, int], facts: dict[str, int], code: str
) -> None:
    rule(books, run=limit | {"fallback": "escalate"})

    got = [status for _ in range(3) for status in statuses(books, *[{"run": "r1", "facts": facts}] * 10)]

    assert got.count("OK") == 4
    assert got.count(code) == 26
    with in_tenant(books.tenant.tag):
        events = list(OutboxEvent.objects.filter(event_type=f"run.{code.lower()}").values_list("payload", flat=True))
        assert Run.objects.get().iterations == 4
    assert [event["fallback"] for event in events] == ["escalate"]


def test_a_run_s_money_is_one_of_its_limits(books: Books) -> None:
    rule(books)
    with in_tenant(books.tenant.tag):
        RunTemplate.objects.create(name="chat", unit="USD_MICROCENTS", amount=5, is_default=True)

    got = statuses(books, *[{"run": "r1"}] * 10)

    assert got.count("OK") == 5
    with in_tenant(books.tenant.tag):
        assert OutboxEvent.objects.filter(event_type="run.max_cost_reached").count() == 1


def test_slots_for_runs_are_never_given_twice(books: Books) -> None:
    rule(books, limits={"concurrent_runs_max": 3})

    got = statuses(books, *({"run": f"r{n}"} for n in range(12)))

    assert sorted(got) == ["CONCURRENT_RUNS_EXCEEDED"] * 9 + ["OK"] * 3


def test_a_quota_is_used_to_its_last_unit_and_no_further(books: Books) -> None:
    rule(books, actions=quota(7, threshold=6))

    got = statuses(books, *[{}] * 20)

    assert got.count("OK") == 7
    with in_tenant(books.tenant.tag):
        assert OutboxEvent.objects.filter(event_type="quota.threshold_approaching").count() == 1


class TestLeases:
    """A place among the runs that run is held by the clock: none leaks, and none is had twice."""

    @pytest.fixture(autouse=True)
    def one_place(self, books: Books) -> None:
        rule(books, limits={"concurrent_runs_max": 1})

    def hold(self, books: Books, run: str, **fields: Any) -> Answer:
        return books.ask("reserve", amount=1, run=run, **{"ttl_ms": 1_000, "grace_ms": 0} | fields)

    def test_a_run_that_went_quiet_makes_room(self, books: Books) -> None:
        assert self.hold(books, "a").status == "OK"
        time.sleep(1.1)

        assert self.hold(books, "b").status == "OK"

    def test_a_run_that_comes_back_needs_a_place(self, books: Books) -> None:
        self.hold(books, "a")
        time.sleep(1.1)
        self.hold(books, "b", ttl_ms=60_000)

        assert self.hold(books, "a").status == "CONCURRENT_RUNS_EXCEEDED"

    def test_a_run_keeps_its_place_while_its_hold_is_prolonged(self, books: Books) -> None:
        held = self.hold(books, "a")
        books.ask("extend", target=held.id, extend_ms=60_000)
        time.sleep(1.1)

        assert self.hold(books, "b").status == "CONCURRENT_RUNS_EXCEEDED"


def test_tokens_that_were_used_without_a_hold_count_too(books: Books) -> None:
    rule(books, run={"tokens_max": 1_000})
    books.ask("reserve", amount=1, run="r1")

    books.ask("event", amount=1, run="r1", metrics={"tokens_input": 600, "tokens_output": 401})

    assert books.ask("reserve", amount=1, run="r1").status == "MAX_TOKENS_REACHED"


def test_a_run_whose_counter_is_full_is_refused_and_not_broken(books: Books) -> None:
    rule(books, run={"tokens_max": 1_000})
    books.ask("reserve", amount=1, run="r1", facts={"max_output_tokens": 5})

    books.ask("event", amount=1, run="r1", metrics={"tokens_input": 2**63 - 1, "tokens_output": 2**63 - 1})

    assert books.ask("reserve", amount=1, run="r1", facts={"input_tokens": 5}).status == "MAX_TOKENS_REACHED"


def test_full_shadow_asks_for_no_run(books: Books) -> None:
    rule(books, shadow={"is_on": True}, actions=quota(5, window="per_run"))

    assert books.ask("reserve", amount=1).status == "OK"
