"""The published client's low-level classes, sync and async, and its streaming reservations.

Its models of a listed and of a finished reservation are older than the contract: they refuse `committed`,
`finalized_at_ms` and `committed_metadata`, which the contract wants shown. The client hands those answers on as plain
dictionaries, and so they are read here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from runcycles import (
    Action,
    Amount,
    AsyncCyclesClient,
    BudgetExceededError,
    CommitRequest,
    CyclesClient,
    CyclesConfig,
    CyclesMetrics,
    DecisionRequest,
    EventCreateRequest,
    ReleaseRequest,
    ReservationCreateRequest,
    ReservationExtendRequest,
    Subject,
    Unit,
)
from runcycles.models import (
    BalanceResponse,
    CommitResponse,
    DecisionResponse,
    EventCreateResponse,
    ReleaseResponse,
    ReservationCreateResponse,
    ReservationDetail,
    ReservationExtendResponse,
    ReservationListResponse,
)
from runcycles.response import CyclesResponse

from tests.support.books import Books

SUBJECT = Subject(tenant="globex", workspace="prod", agent="Triage", dimensions={"run": "r-1", "team": "A"})
ACTION = Action(kind="llm.completion", name="openai:gpt-4o-mini", tags=["prod"])


@pytest.fixture
def config(standing_books: Books, api_url: str, tmp_path: Path) -> CyclesConfig:
    return CyclesConfig(base_url=api_url, api_key=standing_books.key.token, tenant="globex", journal_dir=str(tmp_path))


@pytest.fixture
def client(config: CyclesConfig) -> Iterator[CyclesClient]:
    with CyclesClient(config) as client:
        yield client


def microcents(number: int) -> Amount:
    return Amount(unit=Unit.USD_MICROCENTS, amount=number)


def reservation(number: int = 500, **fields: Any) -> ReservationCreateRequest:
    usual = {"subject": SUBJECT, "action": ACTION, "estimate": microcents(number), "ttl_ms": 30_000}
    return ReservationCreateRequest(idempotency_key=uuid4().hex, **(usual | fields))


def key() -> str:
    return uuid4().hex


def strictly(model: Any, response: CyclesResponse) -> Any:
    """The body as the client's own model, which knows no other fields."""
    assert response.is_success, response.body
    return model.model_validate(response.body)


def plainly(response: CyclesResponse) -> dict[str, Any]:
    assert response.is_success, response.body
    body: dict[str, Any] = response.body
    return body


class TestSync:
    def test_a_whole_life(self, client: CyclesClient) -> None:
        created = strictly(ReservationCreateResponse, client.create_reservation(reservation()))
        assert created.decision.value == "ALLOW"
        assert created.affected_scopes[-1] == "tenant:globex/workspace:prod/agent:triage"

        extended = strictly(
            ReservationExtendResponse,
            client.extend_reservation(
                created.reservation_id, ReservationExtendRequest(idempotency_key=key(), extend_by_ms=1_000)
            ),
        )
        assert extended.expires_at_ms == created.expires_at_ms + 1_000

        committed = strictly(
            CommitResponse,
            client.commit_reservation(
                created.reservation_id,
                CommitRequest(
                    idempotency_key=key(),
                    actual=microcents(420),
                    metrics=CyclesMetrics(tokens_input=10, tokens_output=20, latency_ms=3, custom={"a": [1.5]}),
                    metadata={"ticket": "T-1"},
                ),
            ),
        )
        assert (committed.charged, committed.released) == (microcents(420), microcents(80))

        detail = plainly(client.get_reservation(created.reservation_id))
        assert detail["status"] == "COMMITTED"
        assert (detail["subject"], detail["action"]) == (SUBJECT.model_dump(exclude_none=True), ACTION.model_dump())
        assert detail["committed_metadata"] == {"ticket": "T-1"}

    def test_a_release(self, client: CyclesClient) -> None:
        created = strictly(ReservationCreateResponse, client.create_reservation(reservation()))

        released = strictly(
            ReleaseResponse,
            client.release_reservation(
                created.reservation_id, ReleaseRequest(idempotency_key=key(), reason="not needed")
            ),
        )

        assert released.released == microcents(500)

    def test_a_question_a_cost_and_two_lists(self, client: CyclesClient) -> None:
        request = DecisionRequest(idempotency_key=key(), subject=SUBJECT, action=ACTION, estimate=microcents(1))
        assert strictly(DecisionResponse, client.decide(request)).is_allowed()

        event = EventCreateRequest(idempotency_key=key(), subject=SUBJECT, action=ACTION, actual=microcents(3))
        assert strictly(EventCreateResponse, client.create_event(event)).event_id.startswith("evt_")

        client.create_reservation(reservation())
        listed = strictly(ReservationListResponse, client.list_reservations(status="ACTIVE", limit="5"))
        assert {row.status.value for row in listed.reservations} == {"ACTIVE"}

        balances = strictly(BalanceResponse, client.get_balances(tenant="globex"))
        assert balances.balances[0].scope_path == "tenant:globex"

    def test_a_refusal_keeps_its_details(self, client: CyclesClient) -> None:
        response = client.create_reservation(reservation(10**12))

        error = response.get_error_response()
        assert response.status == 409
        assert error is not None
        assert error.error_code is not None
        assert error.error_code.value == "BUDGET_EXCEEDED"
        assert error.details is not None
        assert error.details["requested"] == 10**12
        assert error.details["explain_url"].endswith(f"/explain/{error.details['decision_id']}/")
        assert response.request_id == error.request_id


class TestAsync:
    @staticmethod
    def run(config: CyclesConfig, flow: Callable[[AsyncCyclesClient], Awaitable[None]]) -> None:
        async def main() -> None:
            async with AsyncCyclesClient(config) as client:
                await flow(client)

        asyncio.run(main())

    def test_a_whole_life(self, config: CyclesConfig) -> None:
        async def flow(client: AsyncCyclesClient) -> None:
            created = strictly(ReservationCreateResponse, await client.create_reservation(reservation()))
            await client.extend_reservation(created.reservation_id, {"idempotency_key": key(), "extend_by_ms": 1_000})
            committed = await client.commit_reservation(
                created.reservation_id, CommitRequest(idempotency_key=key(), actual=microcents(500))
            )
            assert strictly(CommitResponse, committed).charged == microcents(500)
            detail = plainly(await client.get_reservation(created.reservation_id))
            assert detail["status"] == "COMMITTED"

        self.run(config, flow)

    def test_many_at_once(self, config: CyclesConfig, standing_books: Books) -> None:
        standing_books.add_budget("/workspace:crowd", allocated=1_000)
        subject = Subject(workspace="crowd")

        async def flow(client: AsyncCyclesClient) -> None:
            asked = [client.create_reservation(reservation(100, subject=subject)) for _ in range(40)]
            answers = await asyncio.gather(*asked)
            assert sorted(answer.status for answer in answers) == [200] * 10 + [409] * 30

        self.run(config, flow)
        assert standing_books.budget("/workspace:crowd").remaining == 0

    def test_the_other_operations(self, config: CyclesConfig) -> None:
        async def flow(client: AsyncCyclesClient) -> None:
            request = DecisionRequest(idempotency_key=key(), subject=SUBJECT, action=ACTION, estimate=microcents(1))
            strictly(DecisionResponse, await client.decide(request))
            event = EventCreateRequest(idempotency_key=key(), subject=SUBJECT, action=ACTION, actual=microcents(3))
            strictly(EventCreateResponse, await client.create_event(event))
            assert plainly(await client.list_reservations(workspace="prod"))["reservations"]
            strictly(BalanceResponse, await client.get_balances(tenant="globex", include_children="true"))
            created = strictly(ReservationCreateResponse, await client.create_reservation(reservation()))
            strictly(ReservationDetail, await client.get_reservation(created.reservation_id))
            released = await client.release_reservation(created.reservation_id, ReleaseRequest(idempotency_key=key()))
            strictly(ReleaseResponse, released)

        self.run(config, flow)


class TestStreams:
    def test_commits_what_the_stream_used(self, client: CyclesClient, standing_books: Books) -> None:
        standing_books.add_budget("/workspace:stream", allocated=1_000)
        with client.stream_reservation(
            subject=Subject(tenant="globex", workspace="stream"),
            action=ACTION,
            estimate=microcents(500),
            cost_fn=lambda usage: usage.tokens_input * 2 + usage.tokens_output * 3,
        ) as stream:
            for _ in range(10):
                stream.usage.add_input_tokens(1)
                stream.usage.add_output_tokens(10)

        assert stream.settlement_error is None
        budget = standing_books.budget("/workspace:stream")
        assert (budget.spent, budget.reserved) == (320, 0)

    def test_gives_everything_back_when_the_stream_breaks(self, client: CyclesClient, standing_books: Books) -> None:
        standing_books.add_budget("/workspace:broken", allocated=1_000)
        with (
            pytest.raises(ZeroDivisionError),
            client.stream_reservation(
                subject=Subject(workspace="broken"), action=ACTION, estimate=microcents(500)
            ) as stream,
        ):
            raise ZeroDivisionError

        assert stream.release_error is None
        budget = standing_books.budget("/workspace:broken")
        assert (budget.spent, budget.reserved) == (0, 0)

    def test_does_not_begin_without_budget(self, client: CyclesClient) -> None:
        stream = client.stream_reservation(subject=SUBJECT, action=ACTION, estimate=microcents(10**12))

        with pytest.raises(BudgetExceededError) as caught:
            stream.__enter__()

        assert caught.value.details is not None
        assert caught.value.details["scope"] == "tenant:globex"

    def test_works_for_async_too(self, config: CyclesConfig, standing_books: Books) -> None:
        standing_books.add_budget("/workspace:async", allocated=1_000)

        async def main() -> None:
            async with (
                AsyncCyclesClient(config) as client,
                client.stream_reservation(
                    subject=Subject(workspace="async"), action=ACTION, estimate=microcents(500)
                ) as stream,
            ):
                stream.usage.actual_cost = 77

        asyncio.run(main())
        assert standing_books.budget("/workspace:async").spent == 77
