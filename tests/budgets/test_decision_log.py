"""Lines about decisions."""

from typing import Any

import pytest
from pytest_django import Settings
from structlog.testing import capture_logs

from budgets.services import decision_notes
from budgets.services.decision_log import LINES_A_SECOND, _gate, log_decision
from budgets.services.decision_notes import drain
from kernel.ids import mint_wire_id
from kernel.metrics import process
from kernel.metrics.tally import Tally
from tenants.models import Tenant
from tests.support.books import Books


@pytest.fixture
def books(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> Books:
    monkeypatch.setattr(process.current, "drains", [])
    drain(Tally())
    monkeypatch.setattr(decision_notes, "sinks", [log_decision])
    monkeypatch.setattr(_gate, "_second", -1)
    books = Books(acme)
    books.add_budget(allocated=100)
    return books


def lines() -> list[Any]:
    with capture_logs() as found:
        drain(Tally())
    return [line for line in found if line["event"] == "decision"]


def test_name_the_tenant_the_decision_the_request_and_the_trace(books: Books) -> None:
    answer = books.ask("reserve", amount=101, request_id="req_1", trace_id="a" * 32)

    (line,) = lines()

    assert line["tenant"] == books.tenant.tag
    assert line["decision"] == mint_wire_id("dec", books.tenant.tag, answer.id)
    assert (line["operation"], line["reason"]) == ("reserve", "BUDGET_EXCEEDED")
    assert (line["request_id"], line["trace_id"]) == ("req_1", "a" * 32)
    assert line["took_ms"] > 0


@pytest.mark.parametrize(("wanted", "number"), [("off", 0), ("refused", 1), ("all", 2)])
def test_are_written_for_what_was_asked_for(books: Books, settings: Settings, wanted: str, number: int) -> None:
    settings.LOG_DECISIONS = wanted
    books.ask("reserve", amount=1)
    books.ask("reserve", amount=101)

    assert len(lines()) == number


def test_of_a_flood_some_are_written(books: Books, settings: Settings) -> None:
    settings.LOG_DECISIONS = "all"
    for _ in range(LINES_A_SECOND + 5):
        books.ask("decide", amount=1)

    # Should a second begin in between, there are as many again.
    assert LINES_A_SECOND <= len(lines()) <= 2 * LINES_A_SECOND
