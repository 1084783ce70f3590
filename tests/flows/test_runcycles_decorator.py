"""The `@cycles` decorator: reserve, run, commit; with its heartbeat, sync and async."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from runcycles import (
    AsyncCyclesClient,
    BudgetExceededError,
    CyclesClient,
    CyclesConfig,
    CyclesMetrics,
    CyclesProtocolError,
    DryRunResult,
    OverdraftLimitExceededError,
    get_cycles_context,
)
from runcycles import cycles as untyped_cycles

from budgets.models import Reservation
from kernel.tenancy import in_tenant
from tests.support.books import Books

type Function = Callable[..., Any]

cycles: Callable[..., Callable[[Function], Function]] = untyped_cycles


@pytest.fixture
def config(standing_books: Books, api_url: str, tmp_path: Path) -> CyclesConfig:
    return CyclesConfig(
        base_url=api_url,
        api_key=standing_books.key.token,
        tenant="globex",
        workspace="work",
        # Short, so that the heartbeat's safety margin (two whole attempts and a second) is 13 s.
        connect_timeout=0.5,
        read_timeout=0.5,
        journal_dir=str(tmp_path),
    )


@pytest.fixture
def client(config: CyclesConfig) -> Iterator[CyclesClient]:
    with CyclesClient(config) as client:
        yield client


@pytest.fixture
def agent(request: pytest.FixtureRequest, standing_books: Books) -> str:
    """An agent with a budget of its own."""
    name = request.node.name.removeprefix("test_").replace("[", "-").replace("]", "")
    standing_books.add_budget(f"/workspace:work/agent:{name}", allocated=1_000)
    return str(name)


def only_reservation(books: Books, agent: str) -> Reservation:
    with in_tenant(books.tenant.tag):
        return Reservation.objects.get(scope_path=f"tenant:globex/workspace:work/agent:{agent}")


class TestLifecycle:
    def test_commits_what_the_call_cost(self, client: CyclesClient, standing_books: Books, agent: str) -> None:
        @cycles(
            estimate=lambda prompt, tokens: tokens * 10,
            actual=len,
            action_kind="llm.completion",
            action_name="openai:gpt-4o-mini",
            action_tags=["Prod"],
            agent=agent,
            dimensions={"run": "R-1"},
            client=client,
        )
        def ask(prompt: str, tokens: int) -> str:
            context = get_cycles_context()
            assert context is not None
            assert context.reserved is not None
            assert context.reserved.amount == 500
            context.metrics = CyclesMetrics(tokens_input=3, model_version="2026-01")
            context.commit_metadata = {"ticket": "T-7"}
            return prompt * 2

        assert ask("hello", tokens=50) == "hellohello"

        reservation = only_reservation(standing_books, agent)
        assert (reservation.status, reservation.actual, reservation.charged) == ("COMMITTED", 10, 10)
        assert reservation.committed_metadata == {"ticket": "T-7"}
        assert reservation.metrics is not None
        assert reservation.metrics["model_version"] == "2026-01"
        budget = standing_books.budget(f"/workspace:work/agent:{agent}")
        assert (budget.spent, budget.reserved) == (10, 0)

    def test_releases_when_the_call_fails(self, client: CyclesClient, standing_books: Books, agent: str) -> None:
        @cycles(estimate=500, agent=agent, client=client)
        def fail() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()

        assert only_reservation(standing_books, agent).status == "RELEASED"
        assert standing_books.budget(f"/workspace:work/agent:{agent}").remaining == 1_000

    def test_does_not_run_what_there_is_no_budget_for(self, client: CyclesClient, agent: str) -> None:
        calls = []

        @cycles(estimate=1_001, agent=agent, client=client)
        def never() -> None:
            calls.append(1)

        with pytest.raises(BudgetExceededError) as caught:
            never()

        assert calls == []
        assert caught.value.details is not None
        assert (caught.value.details["remaining"], caught.value.details["requested"]) == (1_000, 1_001)
        assert caught.value.details["scope"] == f"tenant:globex/workspace:work/agent:{agent}"
        assert not caught.value.is_retryable()

    def test_runs_until_the_budget_is_used_up(self, client: CyclesClient, agent: str) -> None:
        @cycles(estimate=300, agent=agent, client=client)
        def step() -> None:
            pass

        for _ in range(3):
            step()
        with pytest.raises(BudgetExceededError):
            step()

    def test_books_what_was_spent_above_the_estimate(
        self, client: CyclesClient, standing_books: Books, agent: str
    ) -> None:
        @cycles(estimate=500, actual=1_200, agent=agent, client=client)
        def dear() -> None:
            pass

        dear()

        budget = standing_books.budget(f"/workspace:work/agent:{agent}")
        assert (budget.spent, budget.uncovered) == (1_000, 200)
        with pytest.raises(OverdraftLimitExceededError):
            dear()

    def test_a_dry_run_runs_nothing(self, client: CyclesClient, standing_books: Books, agent: str) -> None:
        @cycles(estimate=500, agent=agent, dry_run=True, client=client)
        def never() -> None:
            raise AssertionError

        result: Any = never()

        assert isinstance(result, DryRunResult)
        assert result.decision.value == "ALLOW"
        assert standing_books.budget(f"/workspace:work/agent:{agent}").remaining == 1_000

    def test_a_dry_run_says_why_not(self, client: CyclesClient, agent: str) -> None:
        @cycles(estimate=1_001, agent=agent, dry_run=True, client=client)
        def never() -> None:
            raise AssertionError

        with pytest.raises(CyclesProtocolError) as caught:
            never()

        assert caught.value.reason_code == "BUDGET_EXCEEDED"

    def test_works_for_async_functions(self, config: CyclesConfig, standing_books: Books, agent: str) -> None:
        async def main() -> list[str]:
            async with AsyncCyclesClient(config) as client:

                @cycles(estimate=100, actual=len, agent=agent, client=client)
                async def ask(prompt: str) -> str:
                    await asyncio.sleep(0.01)
                    return prompt

                return list(await asyncio.gather(*(ask("x" * number) for number in range(1, 6))))

        assert [len(text) for text in asyncio.run(main())] == [1, 2, 3, 4, 5]
        assert standing_books.budget(f"/workspace:work/agent:{agent}").spent == 15


class TestHeartbeat:
    """With `remaining_ttl_ms` the client waits until it must; without it each reservation is extended at once."""

    def test_a_long_lease_is_left_alone(self, client: CyclesClient, standing_books: Books, agent: str) -> None:
        @cycles(estimate=1, agent=agent, ttl_ms=60_000, client=client)
        def work() -> None:
            time.sleep(0.6)

        work()

        assert only_reservation(standing_books, agent).extensions == 0

    def test_a_lease_is_extended_once_when_its_margin_is_reached(
        self, client: CyclesClient, standing_books: Books, agent: str
    ) -> None:
        counts = []

        @cycles(estimate=1, agent=agent, ttl_ms=14_000, client=client)
        def work() -> None:
            for _ in range(2):
                time.sleep(0.8)
                counts.append(only_reservation(standing_books, agent).extensions)

        work()

        # 14 s are one second more than the margin, and then 28 s are plenty.
        assert counts == [0, 1]
        assert only_reservation(standing_books, agent).status == "COMMITTED"

    def test_a_very_short_lease_outlives_its_first_end(
        self, client: CyclesClient, standing_books: Books, agent: str
    ) -> None:
        @cycles(estimate=1, agent=agent, ttl_ms=1_000, grace_period_ms=0, client=client)
        def work() -> None:
            time.sleep(1.3)

        work()

        reservation = only_reservation(standing_books, agent)
        assert (reservation.status, reservation.extensions) == ("COMMITTED", 1)

    def test_it_beats_for_async_functions_too(self, config: CyclesConfig, standing_books: Books, agent: str) -> None:
        async def main() -> None:
            async with AsyncCyclesClient(config) as client:

                @cycles(estimate=1, agent=agent, ttl_ms=1_000, grace_period_ms=0, client=client)
                async def work() -> None:
                    await asyncio.sleep(1.3)

                await work()

        asyncio.run(main())

        reservation = only_reservation(standing_books, agent)
        assert (reservation.status, reservation.extensions) == ("COMMITTED", 1)
