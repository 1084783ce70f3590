"""The published Python client, unmodified, against the api process."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from runcycles import Action, Amount, CyclesClient, CyclesConfig, ReservationCreateRequest, Subject, Unit

from tenants.models import Tenant
from tests.support.books import Books


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=1_000_000)
    return books


@pytest.fixture
def client(books: Books, api_url: str) -> Iterator[CyclesClient]:
    with CyclesClient(CyclesConfig(base_url=api_url, api_key=books.key.token, tenant="acme")) as client:
        yield client


class TestLowLevelClient:
    def test_reserves_and_commits(self, client: CyclesClient, books: Books) -> None:
        response = client.create_reservation(
            ReservationCreateRequest(
                idempotency_key=str(uuid4()),
                subject=Subject(tenant="acme", workspace="prod", agent="triage"),
                action=Action(kind="llm.completion", name="openai:gpt-4o-mini"),
                estimate=Amount(unit=Unit.USD_MICROCENTS, amount=500),
            )
        )
        assert response.is_success, response.body

        committed = client.commit_reservation(
            response.body["reservation_id"],
            {"idempotency_key": str(uuid4()), "actual": {"unit": "USD_MICROCENTS", "amount": 400}},
        )

        assert committed.body["charged"] == {"unit": "USD_MICROCENTS", "amount": 400}
        assert books.budget().spent == 400
