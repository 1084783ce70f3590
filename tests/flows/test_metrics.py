"""`/metrics` of a running api process."""

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.books import Books


@pytest.fixture
def client(api_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api_url) as client:
        yield client


def value(client: httpx.Client, name: str, **labels: str) -> float:
    answer = client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    return sum(
        sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_a_decision_is_counted_with_its_time(standing_books: Books, client: httpx.Client) -> None:
    denied = {"operation": "reserve", "reason": "BUDGET_EXCEEDED"}
    before = value(client, "watermaster_decisions_total", **denied)
    timed = value(client, "watermaster_decision_seconds_count", operation="reserve")

    answer = client.post(
        "/v1/reservations",
        headers={"X-Cycles-API-Key": standing_books.key.token},
        json={
            "idempotency_key": "metrics-1",
            "subject": {"tenant": "globex"},
            "action": {"kind": "llm.completion", "name": "chat"},
            "estimate": {"unit": "USD_MICROCENTS", "amount": 10**12},
        },
    )

    assert answer.status_code == 409
    assert value(client, "watermaster_decisions_total", **denied) == before + 1
    assert value(client, "watermaster_decision_seconds_count", operation="reserve") == timed + 1
    assert value(client, "watermaster_responses_total", plane="api", status="409") >= 1


def test_no_tenant_is_named(standing_books: Books, client: httpx.Client) -> None:
    text = client.get("/metrics").text

    assert standing_books.tenant.slug not in text
    assert standing_books.tenant.tag not in text


def test_is_not_there_for_who_comes_through_a_proxy(client: httpx.Client) -> None:
    assert client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.7"}).status_code == 404
    assert client.post("/metrics").status_code == 405
