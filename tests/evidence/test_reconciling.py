"""Evidence spans against the ledger."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from budgets.reconciling.calls import Finding, Source
from kernel.tenancy import in_tenant
from routing.services.reconciling import Reconciled, Wanted, reconcile
from telemetry.evidence.kinds import SpanKind
from telemetry.evidence.models import Span
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10**9)
    return books


def saw(books: Books, span_id: str, response_id: str, *, is_counted: bool = True, provider: str = "openai") -> None:
    """A span as it was kept, counted once."""
    with in_tenant(books.tenant.tag):
        texts = {field.name: "" for field in Span._meta.get_fields() if field.get_internal_type() == "TextField"}
        Span.objects.create(
            **texts
            | {
                "trace_id": "a" * 32,
                "span_id": span_id,
                "received_at": datetime.now(UTC),
                "started_at": datetime.now(UTC) - timedelta(minutes=1),
                "duration_us": 5,
                "kind": SpanKind.INFERENCE,
                "is_error": False,
                "tenant": "acme",
                "prompt_source_tenant": None,
                "namespace_tenant": None,
                "provider": provider,
                "model": "gpt-4o",
                "response_id": response_id,
                "tokens_input": 10,
                "tokens_output": 2,
                "tokens_cached": 0,
                "tokens_cache_write": 0,
                "tokens_reasoning": 0,
                "is_counted": is_counted,
                "same_as": None,
                "cost": 1_000,
            }
        )


def compare(books: Books) -> Reconciled:
    now, hour = datetime.now(UTC), timedelta(hours=1)
    wanted = Wanted(source=Source.SPANS, since=now - hour, until=now + hour, zone=ZoneInfo("UTC"))
    return reconcile(tag=books.tenant.tag, wanted=wanted, actor=TEST_ACTOR, now=now)


def test_each_answer_that_was_seen_is_held_against_the_ledger_once(books: Books) -> None:
    price = {"provider": "openai", "model": "gpt-4o", "provider_cost": 1_000, "response_id": "resp_1", "lines": []}
    metrics = {"tokens_input": 10, "tokens_output": 2}
    books.ask("event", amount=1_000, metrics=metrics, price=price)
    saw(books, "1" * 16, "resp_1")
    saw(books, "2" * 16, "resp_1", is_counted=False)
    saw(books, "3" * 16, "resp_2")

    done = compare(books)

    assert done.found.matched == 1
    assert [(each.finding, each.reference) for each in done.found.differences] == [(Finding.MISSING, "resp_2")]


def test_a_provider_by_the_name_of_the_conventions_hides_no_call_of_the_ledger(books: Books) -> None:
    price = {"provider": "azure", "model": "gpt-4o", "provider_cost": 1_000, "lines": []}
    for named in ({"response_id": "resp_1"}, {}):
        books.ask("event", amount=1_000, metrics={"tokens_input": 10, "tokens_output": 2}, price=price | named)
    saw(books, "1" * 16, "resp_1", provider="azure.ai.openai")
    saw(books, "2" * 16, "", provider="azure.ai.openai")

    done = compare(books)

    assert done.found.is_clean
    assert (done.found.matched, done.kept.provider) == (2, "")
