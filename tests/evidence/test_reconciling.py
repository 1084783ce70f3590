"""Evidence spans against the ledger."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from budgets.reconciling.calls import Finding, Source
from kernel.tenancy import in_tenant
from routing.services.reconciling import Wanted, reconcile
from telemetry.evidence.kinds import SpanKind
from telemetry.evidence.models import Span
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10**9)
    return books


def saw(books: Books, span_id: str, response_id: str, *, is_counted: bool = True) -> None:
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
                "provider": "openai",
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


def test_each_answer_that_was_seen_is_held_against_the_ledger_once(books: Books) -> None:
    price = {"provider": "openai", "model": "gpt-4o", "provider_cost": 1_000, "response_id": "resp_1", "lines": []}
    metrics = {"tokens_input": 10, "tokens_output": 2}
    books.ask("event", amount=1_000, metrics=metrics, price=price)
    saw(books, "1" * 16, "resp_1")
    saw(books, "2" * 16, "resp_1", is_counted=False)
    saw(books, "3" * 16, "resp_2")
    now, hour = datetime.now(UTC), timedelta(hours=1)

    wanted = Wanted(source=Source.SPANS, since=now - hour, until=now + hour, zone=ZoneInfo("UTC"))
    done = reconcile(tag=books.tenant.tag, wanted=wanted, actor=TEST_ACTOR, now=now)

    assert done.found.matched == 1
    assert [(each.finding, each.reference) for each in done.found.differences] == [(Finding.MISSING, "resp_2")]
