"""Funding: what each operation does to each number, what it refuses, and that a key has one effect."""

import threading
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from budgets.models import Budget, LedgerEntry
from budgets.models.choices import BudgetStatus
from budgets.services import editing, lifecycle
from budgets.services.funding import Funded, Funding, FundingOperation, NotEnoughLeft, UnitDiffers, fund
from budgets.services.guards import BudgetIsClosed, BudgetIsFrozen, TenantIsClosed, TenantIsSuspended
from budgets.services.journal import AmountOutOfRange, BudgetNotFound
from budgets.services.payloads import PayloadDiffers
from kernel.actor import Actor
from kernel.ids import uuid7
from kernel.money import AMOUNT_MAX, Unit
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry, OutboxEvent
from tenants.models import Tenant
from tests.support.books import Books

ADA = Actor(name="ada", actor_type="api_key", reason="top-up", request_id="req_1")
OVERDRAFT = "ALLOW_WITH_OVERDRAFT"


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


def ask(books: Books, operation: str, amount: int, **fields: Any) -> Funded:
    budget = books.budget()
    known: dict[str, Any] = {"unit": Unit.USD_MICROCENTS, "idempotency_key": f"key-{uuid7()}"}
    funding = Funding(operation=FundingOperation(operation), amount=amount, **known | fields)
    with in_tenant(books.tenant.tag):
        return fund(budget_id=budget.id, funding=funding, actor=ADA)


def numbers(budget: Budget) -> tuple[int, int, int, int, int]:
    return budget.allocated, budget.reserved, budget.spent, budget.debt, budget.uncovered


def in_debt(books: Books, *, debt: int, limit: int = 1_000) -> None:
    """A budget of 100 of which 60 are spent and which owes `debt`."""
    books.add_budget(allocated=100, overdraft_limit=limit)
    assert books.ask("event", amount=60).status == "OK"
    assert books.ask("event", amount=debt, policy=OVERDRAFT).status == "OK"
    assert numbers(books.budget()) == (100, 0, 60, debt, 0)


def capped_with_some_left(books: Books) -> None:
    """A budget of 100 that could not cover a charge while 40 were held, which then were given back."""
    books.add_budget(allocated=100)
    hold = books.ask("reserve", amount=40)
    books.ask("event", amount=80)
    books.ask("release", target=hold.id)
    assert numbers(books.budget()) == (100, 0, 60, 0, 20)
    assert books.budget().is_capped


class TestCredit:
    def test_adds_to_what_is_left(self, books: Books) -> None:
        books.add_budget(allocated=100)

        answer = ask(books, "CREDIT", 50)

        assert (answer.previous["allocated"], answer.new["allocated"]) == (100, 150)
        assert (answer.previous["remaining"], answer.new["remaining"]) == (100, 150)
        assert numbers(books.budget()) == (150, 0, 0, 0, 0)

    @pytest.mark.parametrize(
        ("amount", "after"),
        [(0, (100, 0, 60, 80, 0)), (79, (179, 0, 139, 1, 0)), (80, (180, 0, 140, 0, 0)), (81, (181, 0, 140, 0, 0))],
    )
    def test_repays_debt_first_and_leaves_consumption_as_it_was(
        self, books: Books, amount: int, after: tuple[int, ...]
    ) -> None:
        in_debt(books, debt=80)
        before = books.budget()

        ask(books, "CREDIT", amount)

        budget = books.budget()
        assert numbers(budget) == after
        assert budget.spent + budget.debt == before.spent + before.debt
        assert budget.remaining == before.remaining + amount

    def test_leaves_holds_alone(self, books: Books) -> None:
        books.add_budget(allocated=100)
        books.ask("reserve", amount=70)

        ask(books, "CREDIT", 5)

        assert numbers(books.budget()) == (105, 70, 0, 0, 0)

    def test_opens_a_capped_budget_again(self, books: Books) -> None:
        books.add_budget(allocated=100)
        books.ask("event", amount=130)
        assert books.budget().is_capped
        assert books.ask("reserve", amount=0).status == "OVERDRAFT_LIMIT_EXCEEDED"

        ask(books, "CREDIT", 1)

        assert not books.budget().is_capped
        assert books.ask("reserve", amount=1).status == "OK"
        with in_tenant(books.tenant.tag):
            assert OutboxEvent.objects.filter(event_type="budget.over_limit_exited").count() == 1

    def test_of_nothing_leaves_a_capped_budget_capped(self, books: Books) -> None:
        books.add_budget(allocated=100)
        books.ask("event", amount=130)

        ask(books, "CREDIT", 0)

        assert books.budget().is_capped

    def test_fills_a_budget_up_to_the_last_unit_of_64_bits(self, books: Books) -> None:
        books.add_budget(allocated=100)
        ask(books, "CREDIT", AMOUNT_MAX - 100)
        assert books.budget().allocated == AMOUNT_MAX

        with pytest.raises(AmountOutOfRange):
            ask(books, "CREDIT", 1)
        assert books.budget().allocated == AMOUNT_MAX


class TestOverLimit:
    @pytest.mark.parametrize("operation", ["CREDIT", "REPAY_DEBT", "RESET", "RESET_SPENT"])
    def test_ends_with_the_first_unit_of_new_money(self, books: Books, operation: str) -> None:
        capped_with_some_left(books)

        ask(books, operation, 1 if operation in {"CREDIT", "REPAY_DEBT"} else 100)

        assert not books.budget().is_capped

    @pytest.mark.parametrize(("operation", "amount"), [("CREDIT", 0), ("REPAY_DEBT", 0), ("DEBIT", 0), ("DEBIT", 1)])
    def test_goes_on_where_no_money_comes(self, books: Books, operation: str, amount: int) -> None:
        capped_with_some_left(books)

        ask(books, operation, amount)

        assert books.budget().is_capped
        with in_tenant(books.tenant.tag):
            assert not OutboxEvent.objects.filter(event_type="budget.over_limit_exited").exists()


class TestDebit:
    def test_takes_the_last_unit_that_is_free(self, books: Books) -> None:
        books.add_budget(allocated=100)
        books.ask("reserve", amount=30)
        books.ask("event", amount=20)

        ask(books, "DEBIT", 50)

        assert numbers(books.budget()) == (50, 30, 20, 0, 0)
        assert books.budget().remaining == 0

    def test_refuses_one_more(self, books: Books) -> None:
        books.add_budget(allocated=100)
        books.ask("reserve", amount=30)

        with pytest.raises(NotEnoughLeft) as refusal:
            ask(books, "DEBIT", 71)

        assert (refusal.value.remaining, refusal.value.requested) == (70, 71)
        assert numbers(books.budget()) == (100, 30, 0, 0, 0)

    def test_takes_nothing_from_a_budget_that_is_overdrawn(self, books: Books) -> None:
        in_debt(books, debt=80)

        with pytest.raises(NotEnoughLeft):
            ask(books, "DEBIT", 0)


class TestReset:
    @pytest.mark.parametrize("amount", [0, 59, 100, 500])
    def test_sets_the_allocation_and_nothing_else(self, books: Books, amount: int) -> None:
        in_debt(books, debt=80)

        ask(books, "RESET", amount)

        assert numbers(books.budget()) == (amount, 0, 60, 80, 0)


class TestResetSpent:
    def test_begins_a_period_anew_and_keeps_holds_and_debt(self, books: Books) -> None:
        in_debt(books, debt=80)

        ask(books, "RESET_SPENT", 300)

        assert numbers(books.budget()) == (300, 0, 0, 80, 0)

    def test_forgets_what_was_not_covered_in_the_period_before(self, books: Books) -> None:
        books.add_budget(allocated=100)
        books.ask("event", amount=130)
        books.ask("reserve", amount=0)

        ask(books, "RESET_SPENT", 100)

        assert numbers(books.budget()) == (100, 0, 0, 0, 0)
        assert not books.budget().is_capped

    def test_takes_what_was_spent_elsewhere_even_beyond_the_allocation(self, books: Books) -> None:
        books.add_budget(allocated=100)

        answer = ask(books, "RESET_SPENT", 10, spent=25)

        assert numbers(books.budget()) == (10, 0, 25, 0, 0)
        assert answer.new["remaining"] == -15
        with in_tenant(books.tenant.tag):
            event = OutboxEvent.objects.get(event_type="budget.reset_spent")
        assert event.payload["data"]["spent_override_provided"] is True


class TestRepayDebt:
    @pytest.mark.parametrize(("amount", "after"), [(80, (180, 0, 140, 0, 0)), (95, (195, 0, 140, 0, 0))])
    def test_pays_debt_and_adds_what_is_left_over(self, books: Books, amount: int, after: tuple[int, ...]) -> None:
        in_debt(books, debt=80)

        ask(books, "REPAY_DEBT", amount)

        assert numbers(books.budget()) == after

    def test_lets_a_budget_without_overdraft_limit_work_again(self, books: Books) -> None:
        in_debt(books, debt=80, limit=80)
        with in_tenant(books.tenant.tag):
            editing.update_budget(budget_id=books.budget().id, edit=editing.BudgetEdit(overdraft_limit=0), actor=ADA)
        assert books.ask("reserve", amount=0).status == "OVERDRAFT_LIMIT_EXCEEDED"

        ask(books, "REPAY_DEBT", 80)

        assert books.ask("reserve", amount=40).status == "OK"


class TestRefusals:
    def test_another_unit(self, books: Books) -> None:
        books.add_budget(allocated=100)

        with pytest.raises(UnitDiffers):
            ask(books, "CREDIT", 1, unit=Unit.TOKENS)

    def test_an_unknown_budget(self, books: Books) -> None:
        funding = Funding(operation=FundingOperation.CREDIT, unit=Unit.TOKENS, amount=1, idempotency_key="k")

        with in_tenant(books.tenant.tag), pytest.raises(BudgetNotFound):
            fund(budget_id=uuid7(), funding=funding, actor=ADA)

    @pytest.mark.parametrize("operation", list(FundingOperation))
    @pytest.mark.parametrize(
        ("status", "refusal"), [(BudgetStatus.FROZEN, BudgetIsFrozen), (BudgetStatus.CLOSED, BudgetIsClosed)]
    )
    def test_a_budget_that_is_not_active(
        self, books: Books, operation: str, status: BudgetStatus, refusal: type[Exception]
    ) -> None:
        books.add_budget(allocated=100, status=status)

        with pytest.raises(refusal):
            ask(books, operation, 1)
        assert books.budget().allocated == 100

    def test_a_suspended_tenant_until_it_is_resumed(self, books: Books) -> None:
        books.add_budget(allocated=100)
        lifecycle.suspend_tenant(tag=books.tenant.tag, actor=ADA)
        with pytest.raises(TenantIsSuspended):
            ask(books, "CREDIT", 1)

        lifecycle.resume_tenant(tag=books.tenant.tag, actor=ADA)
        ask(books, "CREDIT", 1)

        assert books.budget().allocated == 101

    def test_a_closed_tenant(self, books: Books) -> None:
        books.add_budget(allocated=100)
        lifecycle.close_tenant(tag=books.tenant.tag, actor=ADA)

        with pytest.raises(TenantIsClosed):
            ask(books, "CREDIT", 1)


class TestIdempotency:
    def test_a_repeated_key_gets_the_first_answer_again(self, books: Books) -> None:
        books.add_budget(allocated=100)
        first = ask(books, "CREDIT", 50, idempotency_key="one")
        ask(books, "CREDIT", 7)

        again = ask(books, "CREDIT", 50, idempotency_key="one")

        assert again.is_replay
        assert not first.is_replay
        assert (again.previous, again.new, again.at, again.seq) == (first.previous, first.new, first.at, first.seq)
        assert books.budget().allocated == 157

    @pytest.mark.parametrize(
        "other", [{"amount": 51}, {"operation": "REPAY_DEBT"}, {"metadata": {"a": 1}}, {"spent": 1}], ids=str
    )
    def test_a_repeated_key_with_another_payload_is_refused(self, books: Books, other: dict[str, Any]) -> None:
        books.add_budget(allocated=100)
        ask(books, "CREDIT", 50, idempotency_key="one")

        fields: dict[str, Any] = {"operation": "CREDIT", "amount": 50, "idempotency_key": "one"} | other
        with pytest.raises(PayloadDiffers):
            ask(books, fields.pop("operation"), fields.pop("amount"), **fields)
        assert books.budget().allocated == 150

    def test_a_key_belongs_to_the_tenant_and_not_to_the_budget(self, books: Books) -> None:
        books.add_budget(allocated=100)
        other = books.add_budget("/workspace:prod", allocated=100)
        ask(books, "CREDIT", 50, idempotency_key="one")

        funding = Funding(operation=FundingOperation.CREDIT, unit=Unit.USD_MICROCENTS, amount=50, idempotency_key="one")
        with in_tenant(books.tenant.tag), pytest.raises(PayloadDiffers):
            fund(budget_id=other, funding=funding, actor=ADA)

    def test_two_tenants_may_use_one_key(self, books: Books, initech: Tenant) -> None:
        theirs = Books(initech)
        for each in (books, theirs):
            each.add_budget(allocated=100)
            ask(each, "CREDIT", 50, idempotency_key="one")

        assert (books.budget().allocated, theirs.budget().allocated) == (150, 150)

    def test_a_refused_key_is_judged_anew(self, books: Books) -> None:
        books.add_budget(allocated=100)
        with pytest.raises(NotEnoughLeft):
            ask(books, "DEBIT", 101, idempotency_key="one")

        ask(books, "CREDIT", 1, idempotency_key="one")

        assert books.budget().allocated == 101

    def test_an_answer_can_be_had_again_when_the_tenant_is_closed(self, books: Books) -> None:
        books.add_budget(allocated=100)
        ask(books, "CREDIT", 50, idempotency_key="one")
        lifecycle.close_tenant(tag=books.tenant.tag, actor=ADA)

        assert ask(books, "CREDIT", 50, idempotency_key="one").is_replay

    def test_eight_at_once_have_one_effect(self, books: Books) -> None:
        books.add_budget(allocated=100)
        start, answers = threading.Barrier(8), []

        def repeat() -> None:
            start.wait()
            try:
                answers.append(ask(books, "CREDIT", 50, idempotency_key="one"))
            finally:
                connections.close_all()

        threads = [threading.Thread(target=repeat) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(answer.is_replay for answer in answers) == [False] + [True] * 7
        assert len({answer.seq for answer in answers}) == 1
        assert books.budget().allocated == 150


class TestTraces:
    def test_one_entry_one_audit_row_and_one_event(self, books: Books) -> None:
        books.add_budget(allocated=100)

        answer = ask(books, "CREDIT", 50, metadata={"ticket": "T-1"})

        with in_tenant(books.tenant.tag):
            entry = LedgerEntry.objects.get(kind="CREDIT")
            audited = AuditEntry.objects.get(action="budget.funded")
            event = OutboxEvent.objects.get(event_type="budget.funded")
        assert (entry.seq, entry.amount, entry.metadata, entry.reason) == (answer.seq, 50, {"ticket": "T-1"}, "top-up")
        assert (audited.actor, audited.actor_type, audited.reason, audited.request_id) == (
            "ada",
            "api_key",
            "top-up",
            "req_1",
        )
        assert event.payload["data"]["previous_state"]["allocated"] == 100
        assert event.payload["data"]["new_state"]["allocated"] == 150
        assert event.scope_path == "tenant:acme"

    def test_a_replay_and_a_refusal_leave_none(self, books: Books) -> None:
        books.add_budget(allocated=100)
        ask(books, "CREDIT", 50, idempotency_key="one")
        ask(books, "CREDIT", 50, idempotency_key="one")
        with pytest.raises(NotEnoughLeft):
            ask(books, "DEBIT", 1_000)

        with in_tenant(books.tenant.tag):
            assert OutboxEvent.objects.exclude(event_type="tenant.created").count() == 1
            assert AuditEntry.objects.exclude(action="tenant.created").count() == 1


operations = st.tuples(
    st.sampled_from(["CREDIT", "DEBIT", "RESET", "REPAY_DEBT", "EVENT", "OVERDRAFT"]), st.integers(0, 300)
)


class TestAnyOrder:
    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps=st.lists(operations, max_size=12))
    def test_funding_never_changes_consumption_and_the_entries_add_up(
        self, books: Books, steps: list[tuple[str, int]]
    ) -> None:
        suffix = f"/workspace:{uuid7().hex}"
        budget_id = books.add_budget(suffix, allocated=200, overdraft_limit=150)
        for operation, amount in steps:
            before = books.budget(suffix)
            if operation in {"EVENT", "OVERDRAFT"}:
                policy = OVERDRAFT if operation == "OVERDRAFT" else "ALLOW_IF_AVAILABLE"
                books.ask("event", amount=amount, policy=policy, suffixes=["", suffix])
                continue
            try:
                _fund(books, budget_id, operation, amount)
            except NotEnoughLeft:
                assert operation == "DEBIT"
                assert amount > before.remaining
            after = books.budget(suffix)
            assert after.spent + after.debt + after.uncovered == before.spent + before.debt + before.uncovered
            assert operation != "DEBIT" or after.remaining == before.remaining or after.remaining >= 0

        assert _folded(books, budget_id) == numbers(books.budget(suffix))


def _fund(books: Books, budget_id: UUID, operation: str, amount: int) -> None:
    funding = Funding(
        operation=FundingOperation(operation),
        unit=Unit.USD_MICROCENTS,
        amount=amount,
        idempotency_key=f"key-{uuid7()}",
    )
    with in_tenant(books.tenant.tag):
        fund(budget_id=budget_id, funding=funding, actor=ADA)


def _folded(books: Books, budget_id: UUID) -> tuple[int, ...]:
    """The sum of every delta that the entries hold for the budget."""
    with in_tenant(books.tenant.tag):
        entries = LedgerEntry.objects.filter(budget_ids__contains=[budget_id])
        sums = [0] * 5
        for entry in entries:
            start = entry.budget_ids.index(budget_id) * 5
            sums = [total + delta for total, delta in zip(sums, entry.deltas[start : start + 5], strict=True)]
    return tuple(sums)
