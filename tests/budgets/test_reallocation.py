"""Moving money between siblings: the sum never changes, nothing moves that is not free, and a move can be undone."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from budgets.models import LedgerEntry
from budgets.models.choices import BudgetStatus, Period, Rollover
from budgets.scopes import read_scope_path
from budgets.services import lifecycle
from budgets.services.funding import Funding, FundingOperation, NotEnoughLeft, UnitDiffers, fund
from budgets.services.guards import BudgetIsClosed, BudgetIsFrozen, TenantIsSuspended
from budgets.services.opening import NewBudget, open_budget
from budgets.services.payloads import PayloadDiffers
from budgets.services.reallocation import (
    BegunAnew,
    NotSiblings,
    Reallocated,
    ReallocationNotFound,
    reallocate,
    undo_reallocation,
)
from kernel.actor import Actor
from kernel.ids import uuid7
from kernel.money import AMOUNT_MAX, Unit
from kernel.tenancy import in_tenant
from telemetry.models import OutboxEvent
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.owner import let_time_pass

ADA = Actor(name="ada", actor_type="api_key")
MARKETING, ENGINEERING = "/workspace:marketing", "/workspace:engineering"


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


@pytest.fixture
def siblings(books: Books) -> Books:
    books.add_budget(MARKETING, allocated=100)
    books.add_budget(ENGINEERING, allocated=10)
    return books


def move(
    books: Books, amount: int, *, key: str | None = None, giver: str = MARKETING, receiver: str = ENGINEERING, **of: Any
) -> Reallocated:
    giver_id, receiver_id = books.budget(giver).id, books.budget(receiver, **of).id
    with in_tenant(books.tenant.tag):
        return reallocate(
            giver_id=giver_id,
            receiver_id=receiver_id,
            unit=Unit.USD_MICROCENTS,
            amount=amount,
            idempotency_key=key or f"key-{uuid7()}",
            actor=ADA,
        )


def undo(books: Books, seq: int) -> Reallocated:
    with in_tenant(books.tenant.tag):
        return undo_reallocation(seq=seq, actor=ADA)


def allocated(books: Books, suffixes: Sequence[str] = (MARKETING, ENGINEERING)) -> list[int]:
    return [books.budget(suffix).allocated for suffix in suffixes]


class TestReallocate:
    def test_moves_the_last_unit_that_is_free(self, siblings: Books) -> None:
        siblings.ask("reserve", amount=30, suffixes=[MARKETING])
        siblings.ask("event", amount=20, suffixes=[MARKETING])

        answer = move(siblings, 50)

        assert allocated(siblings) == [50, 60]
        assert (answer.giver_remaining, answer.receiver_remaining) == (0, 60)

    def test_refuses_one_more(self, siblings: Books) -> None:
        siblings.ask("reserve", amount=30, suffixes=[MARKETING])

        with pytest.raises(NotEnoughLeft) as refusal:
            move(siblings, 71)

        assert refusal.value.remaining == 70
        assert allocated(siblings) == [100, 10]

    def test_is_one_entry_with_two_changes_whose_sum_is_nothing(self, siblings: Books) -> None:
        answer = move(siblings, 40)

        with in_tenant(siblings.tenant.tag):
            entry = LedgerEntry.objects.get(seq=answer.seq)
        assert entry.budget_ids == [siblings.budget(MARKETING).id, siblings.budget(ENGINEERING).id]
        assert entry.deltas == [-40, 0, 0, 0, 0, 40, 0, 0, 0, 0]

    def test_tells_others_of_both_budgets(self, siblings: Books) -> None:
        move(siblings, 40)

        with in_tenant(siblings.tenant.tag):
            told = set(OutboxEvent.objects.exclude(event_type="tenant.created").values_list("event_type", "scope_path"))
        assert told == {("budget.debited", f"tenant:acme{MARKETING}"), ("budget.funded", f"tenant:acme{ENGINEERING}")}

    def test_repays_the_receivers_debt_first(self, books: Books) -> None:
        books.add_budget(MARKETING, allocated=100)
        books.add_budget(ENGINEERING, allocated=10, overdraft_limit=50)
        books.ask("event", amount=25, suffixes=[ENGINEERING], policy="ALLOW_WITH_OVERDRAFT")

        move(books, 40)

        receiver = books.budget(ENGINEERING)
        assert (receiver.allocated, receiver.debt, receiver.spent, receiver.remaining) == (50, 0, 25, 25)

    def test_opens_the_capped_budget_that_gets_money_and_not_the_one_that_gives_it(self, books: Books) -> None:
        for suffix in (MARKETING, ENGINEERING):
            books.add_budget(suffix, allocated=100)
            hold = books.ask("reserve", amount=40, suffixes=[suffix])
            books.ask("event", amount=80, suffixes=[suffix])
            books.ask("release", target=hold.id)

        move(books, 1)

        assert [books.budget(suffix).is_capped for suffix in (MARKETING, ENGINEERING)] == [True, False]

    def test_refuses_what_the_receiver_cannot_hold(self, books: Books) -> None:
        books.add_budget(MARKETING, allocated=100)
        books.add_budget(ENGINEERING, allocated=AMOUNT_MAX)

        with pytest.raises(Exception, match="allocated"):
            move(books, 1)
        assert allocated(books) == [100, AMOUNT_MAX]


class TestSiblings:
    @pytest.mark.parametrize(
        ("giver", "receiver"),
        [
            (MARKETING, ""),
            ("", MARKETING),
            (MARKETING, f"{MARKETING}/agent:a"),
            (f"{MARKETING}/agent:a", f"{ENGINEERING}/agent:a"),
            (MARKETING, MARKETING),
        ],
    )
    def test_only_budgets_right_below_the_same_scope_trade(self, books: Books, giver: str, receiver: str) -> None:
        for suffix in {giver, receiver}:
            books.add_budget(suffix, allocated=100)

        with pytest.raises(NotSiblings):
            move(books, 1, giver=giver, receiver=receiver)

    def test_deep_siblings_trade(self, books: Books) -> None:
        for suffix in (f"{MARKETING}/agent:a", f"{MARKETING}/agent:b"):
            books.add_budget(suffix, allocated=100)

        move(books, 1, giver=f"{MARKETING}/agent:a", receiver=f"{MARKETING}/agent:b")

        assert allocated(books, [f"{MARKETING}/agent:a", f"{MARKETING}/agent:b"]) == [99, 101]

    def test_two_units_do_not_trade(self, books: Books) -> None:
        books.add_budget(MARKETING, allocated=100)
        books.add_budget(ENGINEERING, allocated=100, unit=Unit.TOKENS)

        with pytest.raises(UnitDiffers):
            move(books, 1, unit=Unit.TOKENS)


class TestRefusals:
    @pytest.mark.parametrize("stopped", [MARKETING, ENGINEERING])
    @pytest.mark.parametrize(
        ("status", "refusal"), [(BudgetStatus.FROZEN, BudgetIsFrozen), (BudgetStatus.CLOSED, BudgetIsClosed)]
    )
    def test_neither_side_may_be_stopped(
        self, books: Books, stopped: str, status: BudgetStatus, refusal: type[Exception]
    ) -> None:
        for suffix in (MARKETING, ENGINEERING):
            books.add_budget(suffix, allocated=100, status=status if suffix == stopped else BudgetStatus.ACTIVE)

        with pytest.raises(refusal):
            move(books, 1)
        assert allocated(books) == [100, 100]

    def test_a_suspended_tenant_moves_nothing(self, siblings: Books) -> None:
        lifecycle.suspend_tenant(tag=siblings.tenant.tag, actor=ADA)

        with pytest.raises(TenantIsSuspended):
            move(siblings, 1)


class TestIdempotency:
    def test_a_repeated_key_moves_once(self, siblings: Books) -> None:
        first = move(siblings, 40, key="one")
        again = move(siblings, 40, key="one")

        assert (again.seq, again.at, again.giver_remaining) == (first.seq, first.at, first.giver_remaining)
        assert again.is_replay
        assert allocated(siblings) == [60, 50]

    def test_a_repeated_key_with_another_amount_is_refused(self, siblings: Books) -> None:
        move(siblings, 40, key="one")

        with pytest.raises(PayloadDiffers):
            move(siblings, 41, key="one")

    def test_a_repeated_key_the_other_way_round_is_refused(self, siblings: Books) -> None:
        move(siblings, 40, key="one")

        with pytest.raises(PayloadDiffers):
            move(siblings, 40, key="one", giver=ENGINEERING, receiver=MARKETING)


class TestUndo:
    def test_gives_the_money_back(self, siblings: Books) -> None:
        moved = move(siblings, 40)

        answer = undo(siblings, moved.seq)

        assert allocated(siblings) == [100, 10]
        assert answer.undoes == moved.seq
        assert (answer.giver_id, answer.receiver_id) == (moved.receiver_id, moved.giver_id)

    def test_works_while_the_last_unit_of_it_is_free(self, siblings: Books) -> None:
        moved = move(siblings, 40)
        siblings.ask("reserve", amount=10, suffixes=[ENGINEERING])

        undo(siblings, moved.seq)

        assert allocated(siblings) == [100, 10]
        assert siblings.budget(ENGINEERING).remaining == 0

    def test_is_refused_once_a_unit_of_it_is_used(self, siblings: Books) -> None:
        moved = move(siblings, 40)
        siblings.ask("reserve", amount=11, suffixes=[ENGINEERING])

        with pytest.raises(NotEnoughLeft):
            undo(siblings, moved.seq)
        assert allocated(siblings) == [60, 50]

    def test_happens_once(self, siblings: Books) -> None:
        moved = move(siblings, 40)
        first = undo(siblings, moved.seq)

        again = undo(siblings, moved.seq)

        assert again.is_replay
        assert again.seq == first.seq
        assert allocated(siblings) == [100, 10]

    def test_cannot_be_undone_itself(self, siblings: Books) -> None:
        undone = undo(siblings, move(siblings, 40).seq)

        with pytest.raises(ReallocationNotFound):
            undo(siblings, undone.seq)

    @pytest.mark.parametrize("seq", [1, 999])
    def test_knows_reallocations_alone(self, siblings: Books, seq: int) -> None:
        with pytest.raises(ReallocationNotFound):
            undo(siblings, seq)

    def test_undoes_one_of_two_equal_moves(self, siblings: Books) -> None:
        move(siblings, 40)
        second = move(siblings, 40)

        undo(siblings, second.seq)

        assert allocated(siblings) == [60, 50]


class TestUndoOfAnotherPeriod:
    @pytest.fixture
    def daily(self, books: Books) -> Books:
        """The siblings with 100 a day each, what is not spent being lost at midnight."""
        for suffix in (MARKETING, ENGINEERING):
            scope = read_scope_path(f"tenant:acme{suffix}", slug="acme")
            new = NewBudget(
                scope=scope, unit=Unit.USD_MICROCENTS, allocated=100, period=Period.DAY, rollover=Rollover.NONE
            )
            with in_tenant(books.tenant.tag):
                open_budget(new, actor=ADA)
        return books

    def test_before_midnight_the_money_goes_back(self, daily: Books) -> None:
        moved = move(daily, 50)

        undo(daily, moved.seq)

        assert allocated(daily) == [100, 100]

    def test_after_midnight_nothing_moves(self, daily: Books) -> None:
        moved = move(daily, 50)
        let_time_pass(daily.tenant.tag, timedelta(days=1))

        with pytest.raises(BegunAnew):
            undo(daily, moved.seq)

        for suffix in (MARKETING, ENGINEERING):
            assert daily.ask("reserve", amount=101, suffixes=[suffix]).status == "BUDGET_EXCEEDED"
            assert daily.ask("reserve", amount=100, suffixes=[suffix]).status == "OK"

    def test_a_midnight_before_the_move_is_no_hindrance(self, daily: Books) -> None:
        let_time_pass(daily.tenant.tag, timedelta(days=1))
        moved = move(daily, 50)

        undo(daily, moved.seq)

        assert allocated(daily) == [100, 100]

    @pytest.mark.parametrize("suffix", [MARKETING, ENGINEERING])
    def test_a_midnight_of_one_of_the_two_is_enough(self, books: Books, suffix: str) -> None:
        for name in (MARKETING, ENGINEERING):
            scope = read_scope_path(f"tenant:acme{name}", slug="acme")
            period = Period.DAY if name == suffix else Period.ONE_OFF
            with in_tenant(books.tenant.tag):
                open_budget(NewBudget(scope=scope, unit=Unit.USD_MICROCENTS, allocated=100, period=period), actor=ADA)
        moved = move(books, 50)
        let_time_pass(books.tenant.tag, timedelta(days=1))

        with pytest.raises(BegunAnew):
            undo(books, moved.seq)

    def test_asked_for_again_after_midnight_it_is_what_it_was(self, daily: Books) -> None:
        moved = move(daily, 50)
        first = undo(daily, moved.seq)
        let_time_pass(daily.tenant.tag, timedelta(days=1))

        assert undo(daily, moved.seq).seq == first.seq

    @pytest.mark.parametrize("suffix", [MARKETING, ENGINEERING])
    @pytest.mark.parametrize("operation", [FundingOperation.RESET, FundingOperation.RESET_SPENT])
    def test_a_reset_since_the_move_hinders_and_one_before_does_not(
        self, siblings: Books, suffix: str, operation: FundingOperation
    ) -> None:
        def reset() -> None:
            funding = Funding(
                operation=operation, unit=Unit.USD_MICROCENTS, amount=100, idempotency_key=f"key-{uuid7()}"
            )
            budget_id = siblings.budget(suffix).id
            with in_tenant(siblings.tenant.tag):
                fund(budget_id=budget_id, funding=funding, actor=ADA)

        reset()
        undo(siblings, move(siblings, 10).seq)
        moved = move(siblings, 10)
        reset()

        with pytest.raises(BegunAnew):
            undo(siblings, moved.seq)

    def test_other_money_since_the_move_is_no_hindrance(self, siblings: Books) -> None:
        moved = move(siblings, 10)
        funding = Funding(
            operation=FundingOperation.CREDIT, unit=Unit.USD_MICROCENTS, amount=5, idempotency_key="credit"
        )
        budget_id = siblings.budget(MARKETING).id
        with in_tenant(siblings.tenant.tag):
            fund(budget_id=budget_id, funding=funding, actor=ADA)

        undo(siblings, moved.seq)

        assert allocated(siblings) == [105, 10]


NAMES = ["/workspace:a", "/workspace:b", "/workspace:c"]
moves = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.integers(0, 150), st.booleans())


class TestAnyOrder:
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps=st.lists(moves, max_size=10))
    def test_the_sum_never_changes_and_nobody_goes_below_nothing(
        self, books: Books, steps: list[tuple[str, str, int, bool]]
    ) -> None:
        root = f"/workspace:{uuid7().hex}"
        names = {name: f"{root}{name.replace('workspace', 'agent')}" for name in NAMES}
        for suffix in names.values():
            books.add_budget(suffix, allocated=100)
        for giver, receiver, amount, is_undone in steps:
            try:
                moved = move(books, amount, giver=names[giver], receiver=names[receiver])
                if is_undone:
                    undo(books, moved.seq)
            except NotEnoughLeft:
                assert amount > books.budget(names[giver]).remaining
            except NotSiblings:
                assert giver == receiver
            left = [books.budget(suffix) for suffix in names.values()]
            assert sum(budget.allocated for budget in left) == 300
            assert all(budget.remaining >= 0 for budget in left)
