"""What becomes of a decision for those who watch."""

import time

import pytest
from pytest_django import Settings

from budgets.services import decision_notes, engine
from budgets.services.decision_notes import drain
from budgets.services.noted import Noted
from kernel.ids import Tag
from kernel.lanes import NoLane
from kernel.metrics import process
from kernel.metrics.catalogue import DECISION_SECONDS, DECISIONS, RATE_LIMITED, TENANT_DECISIONS, Metric
from kernel.metrics.recent import recent_decisions
from kernel.metrics.tally import Tally
from tenants.models import Tenant
from tests.support.books import Books


@pytest.fixture(autouse=True)
def thread_keeps_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process's own thread would bring in what these tests wait for."""
    monkeypatch.setattr(process.current, "drains", [])
    drain(Tally())


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=100)
    return books


def counted(metric: Metric) -> dict[tuple[str, ...], list[float]]:
    tally = Tally()
    drain(tally)
    return {labels: numbers for (name, labels), numbers in tally.read().items() if name == metric.name}


def test_every_answer_is_counted_by_what_it_was(books: Books) -> None:
    reserve = books.operation("reserve", amount=60)
    first = engine.submit(books.tenant.tag, reserve)
    assert first.status == "OK"
    again = books.operation("reserve", amount=60)
    again.idem, again.hash = reserve.idem, reserve.hash
    engine.submit(books.tenant.tag, again)
    more = books.operation("reserve", amount=60)
    assert engine.submit(books.tenant.tag, more).status == "BUDGET_EXCEEDED"

    numbers = counted(DECISIONS)

    assert numbers[("reserve", "allow", "")] == [1]
    assert numbers[("reserve", "replayed", "")] == [1]
    assert [labels for labels in numbers if labels[2] == "BUDGET_EXCEEDED"] in (
        [("reserve", "deny", "BUDGET_EXCEEDED")],
        [("reserve", "refused", "BUDGET_EXCEEDED")],
    )


def test_time_is_measured_for_each_operation(books: Books) -> None:
    engine.submit(books.tenant.tag, books.operation("decide", amount=1))

    numbers = counted(DECISION_SECONDS)

    assert sum(numbers[("decide",)][:-1]) == 1
    assert numbers[("decide",)][-1] > 0


def test_books_that_cannot_be_asked_are_counted_too(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise NoLane

    monkeypatch.setattr("budgets.services.engine.shared_lanes", nobody)
    with pytest.raises(engine.EngineUnavailable):
        engine.submit(books.tenant.tag, books.operation("decide", amount=1))

    assert counted(DECISIONS) == {("decide", "unavailable", ""): [1]}


def test_tenants_are_no_label_unless_asked_for(books: Books, settings: Settings) -> None:
    decide = books.operation("decide", amount=1)
    engine.submit(books.tenant.tag, decide)
    assert counted(TENANT_DECISIONS) == {}

    settings.METRICS_TENANTS = True
    decide = books.operation("decide", amount=1)
    engine.submit(books.tenant.tag, decide)
    assert counted(TENANT_DECISIONS) == {(books.tenant.tag, "allow"): [1]}


def test_rate_limits_are_counted_without_the_books() -> None:
    decision_notes.note_rate_limited()

    assert counted(RATE_LIMITED) == {(): [1]}


def test_the_last_minutes_are_there_for_every_process(books: Books) -> None:
    before = recent_decisions(now_s=time.time())
    assert before is not None
    more = books.operation("reserve", amount=101)
    engine.submit(books.tenant.tag, more)
    drain(Tally())

    after = recent_decisions(now_s=time.time())

    assert after is not None
    assert after.decisions > 0
    assert after.p50_s is not None
    assert dict(after.refused)["BUDGET_EXCEEDED"] > 0


def test_a_sink_sees_the_operation_and_its_answer(
    books: Books, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    seen: list[Noted] = []
    settings.LOG_DECISIONS = "all"
    monkeypatch.setattr(decision_notes, "sinks", [seen.append])
    decide = books.operation("decide", amount=1)
    engine.submit(books.tenant.tag, decide)

    drain(Tally())

    (noted,) = seen
    assert noted.operation is decide
    assert noted.tag == Tag(books.tenant.tag)
    assert noted.ended_ns > noted.began_ns
