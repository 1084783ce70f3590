"""Corrections: a settled charge comes to another amount by an entry of its own, and the books still add up."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from budgets.models import Budget, LedgerEntry, LedgerHead, Reservation
from budgets.models.choices import EntryKind, Period
from budgets.selectors.audit import audit
from budgets.selectors.charges import charge_record
from budgets.services import lifecycle
from budgets.services.corrections import (
    CannotGiveBack,
    ChargeNotFound,
    ChargeUnitDiffers,
    Corrected,
    Correction,
    NothingToCorrect,
    ReasonMissing,
    correct_charge,
)
from budgets.services.editing import freeze_budget
from budgets.services.guards import TenantIsClosed
from budgets.services.journal import AmountOutOfRange
from budgets.services.payloads import PayloadDiffers
from kernel.actor import Actor
from kernel.ids import uuid7
from kernel.money import AMOUNT_MAX, Unit
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry, OutboxEvent
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.bursts import burst
from tests.support.owner import as_owner, let_time_pass

OLIVE = Actor(name="olive", actor_type="admin_on_behalf_of", reason="the price list was wrong")
PROD = ["", "/workspace:prod"]


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=1000)
    books.add_budget("/workspace:prod", allocated=100)
    return books


def last_seq(books: Books) -> int:
    with in_tenant(books.tenant.tag):
        return LedgerHead.objects.get().last_seq


def charge(books: Books, amount: int, **fields: Any) -> int:
    """The entry of an event of that amount."""
    answer = books.ask("event", **{"amount": amount, "suffixes": PROD, "idem": uuid7().hex} | fields)
    assert answer.status == "OK", answer
    return last_seq(books)


def correct(books: Books, seq: int, amount: int, *, key: str = "", actor: Actor = OLIVE, **fields: Any) -> Corrected:
    correction = Correction(
        seq=seq, amount=amount, idempotency_key=key or uuid7().hex, **{"unit": Unit.USD_MICROCENTS} | fields
    )
    with in_tenant(books.tenant.tag):
        return correct_charge(correction=correction, actor=actor)


def amounts(books: Books, suffix: str = "/workspace:prod") -> tuple[int, int, int]:
    budget = books.budget(suffix)
    return budget.spent, budget.debt, budget.uncovered


class TestDownwards:
    def test_gives_back_on_every_budget_alike(self, books: Books) -> None:
        seq = charge(books, 40)

        corrected = correct(books, seq, 15)

        assert (corrected.amount_before, corrected.charged_before) == (40, 40)
        assert (corrected.amount, corrected.charged, corrected.corrects) == (15, 15, seq)
        assert (amounts(books), amounts(books, "")) == ((15, 0, 0), (15, 0, 0))
        assert audit(books.tenant.tag) == []

    def test_to_nothing_and_not_below(self, books: Books) -> None:
        seq = charge(books, 40)

        correct(books, seq, 0)

        assert amounts(books) == (0, 0, 0)
        with pytest.raises(NothingToCorrect):
            correct(books, seq, 0)

    def test_takes_back_what_was_uncovered_first_then_debt(self, books: Books) -> None:
        uncovered = charge(books, 130)
        assert amounts(books) == (100, 0, 30)
        assert books.budget("/workspace:prod").is_over_limit

        correct(books, uncovered, 110)
        assert amounts(books) == (100, 0, 10)
        assert books.budget("/workspace:prod").is_over_limit
        correct(books, uncovered, 90)

        assert amounts(books) == (90, 0, 0)
        # Something is left again, so it is open again.
        assert not books.budget("/workspace:prod").is_over_limit
        assert audit(books.tenant.tag) == []

    def test_repays_debt_before_it_gives_back_money(self, acme: Tenant) -> None:
        books = Books(acme)
        books.add_budget(allocated=100, overdraft_limit=100)
        charge(books, 90, suffixes=[""], policy="ALLOW_WITH_OVERDRAFT")
        seq = charge(books, 30, suffixes=[""], policy="ALLOW_WITH_OVERDRAFT")
        assert amounts(books, "") == (90, 30, 0)

        correct(books, seq, 10)

        assert amounts(books, "") == (90, 10, 0)
        assert audit(acme.tag) == []


class TestUpwards:
    def test_is_paid_from_what_is_left(self, books: Books) -> None:
        seq = charge(books, 40)

        assert correct(books, seq, 100).charged == 100

        assert (amounts(books), amounts(books, "")) == ((100, 0, 0), (100, 0, 0))
        assert not books.budget("/workspace:prod").is_over_limit
        assert audit(books.tenant.tag) == []

    def test_leaves_uncovered_what_the_tightest_budget_lacks(self, books: Books) -> None:
        seq = charge(books, 40)

        corrected = correct(books, seq, 101)

        assert (corrected.amount, corrected.charged) == (101, 100)
        assert (amounts(books), amounts(books, "")) == ((100, 0, 1), (100, 0, 1))
        assert books.budget("/workspace:prod").is_over_limit
        assert not books.budget("").is_over_limit
        assert books.ask("reserve", amount=1, suffixes=PROD).status == "OVERDRAFT_LIMIT_EXCEEDED"
        assert audit(books.tenant.tag) == []

    def test_leaves_what_others_hold_to_them(self, books: Books) -> None:
        seq = charge(books, 40)
        assert books.ask("reserve", amount=50, suffixes=PROD).status == "OK"

        assert correct(books, seq, 60).charged == 50

        assert amounts(books) == (50, 0, 10)
        assert audit(books.tenant.tag) == []

    def test_beyond_what_an_amount_can_be_is_refused(self, books: Books) -> None:
        first, second = charge(books, 1), charge(books, 1)
        correct(books, first, AMOUNT_MAX - 1000)

        with pytest.raises(AmountOutOfRange):
            correct(books, second, AMOUNT_MAX)

        assert audit(books.tenant.tag) == []


class TestOfACommit:
    def test_names_its_reservation_and_leaves_it_as_it_is(self, books: Books) -> None:
        hold = books.ask("reserve", amount=50, suffixes=PROD)
        assert books.ask("commit", target=hold.id, amount=45).status == "OK"
        seq = last_seq(books)

        corrected = correct(books, seq, 20)

        with in_tenant(books.tenant.tag):
            entry, reservation = LedgerEntry.objects.get(pk=corrected.seq), Reservation.objects.get(pk=hold.id)
        assert entry.reservation_id == hold.id
        assert (entry.kind, entry.reason) == (EntryKind.CORRECTION, "the price list was wrong")
        assert entry.metadata == {"corrects": seq, "amount_before": 45, "charged_before": 45}
        assert (reservation.actual, reservation.charged, reservation.status) == (45, 45, "COMMITTED")
        assert audit(books.tenant.tag) == []

    def test_twice_goes_on_from_the_first(self, books: Books) -> None:
        seq = charge(books, 40)

        first, second = correct(books, seq, 10), correct(books, seq, 60)

        assert (second.amount_before, second.charged_before) == (first.amount, first.charged)
        with in_tenant(books.tenant.tag):
            record = charge_record(seq)
        assert record is not None
        assert (record.amount, record.charged, record.corrections) == (60, 60, 2)
        assert amounts(books) == (60, 0, 0)
        assert audit(books.tenant.tag) == []


class TestRepeated:
    def test_has_one_effect_and_the_same_answer(self, books: Books) -> None:
        seq = charge(books, 40)

        first = correct(books, seq, 10, key="k")
        again = correct(books, seq, 10, key="k")

        assert (first.is_replay, again.is_replay, again.seq) == (False, True, first.seq)
        assert amounts(books) == (10, 0, 0)
        with pytest.raises(PayloadDiffers):
            correct(books, seq, 11, key="k")

    def test_at_once_from_many_places_has_one_effect(self, books: Books) -> None:
        seq = charge(books, 40)

        outcomes = burst([lambda: correct(books, seq, 10, key="k").is_replay] * 5)

        assert sorted(map(str, outcomes)) == ["False"] + ["True"] * 4
        assert audit(books.tenant.tag) == []

    def test_is_told_once(self, books: Books) -> None:
        seq = charge(books, 40)
        for _ in range(2):
            correct(books, seq, 10, key="k")

        with in_tenant(books.tenant.tag):
            event = OutboxEvent.objects.get(event_type="charge.corrected")
            audited = AuditEntry.objects.get(action="charge.corrected")
        assert event.payload["data"]["corrects"] == seq
        assert (audited.before, audited.reason) == ({"amount": 40, "charged": 40}, "the price list was wrong")


class TestPeriods:
    @pytest.fixture
    def daily(self, acme: Tenant) -> Books:
        books = Books(acme)
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        books.add_budget(
            allocated=100,
            period=Period.DAY,
            period_allocation=100,
            period_starts_at=today,
            period_ends_at=today + timedelta(days=1),
        )
        return books

    def test_a_correction_lands_in_the_period_in_which_it_is_made(self, daily: Books) -> None:
        seq = charge(daily, 40, suffixes=[""])
        let_time_pass(daily.tenant.tag, timedelta(days=1))

        correct(daily, seq, 70)

        assert amounts(daily, "") == (30, 0, 0)
        assert audit(daily.tenant.tag) == []

    def test_what_a_new_period_has_not_spent_is_not_given_back(self, daily: Books) -> None:
        seq = charge(daily, 40, suffixes=[""])
        let_time_pass(daily.tenant.tag, timedelta(days=1))
        charge(daily, 5, suffixes=[""])

        with pytest.raises(CannotGiveBack) as refused:
            correct(daily, seq, 34)
        assert (refused.value.scope_path, refused.value.spent, refused.value.wanted) == ("tenant:acme", 5, 6)
        correct(daily, seq, 35)

        assert amounts(daily, "") == (0, 0, 0)
        assert audit(daily.tenant.tag) == []

    def test_what_was_uncovered_before_is_not_taken_from_the_new_period(self, daily: Books) -> None:
        seq = charge(daily, 130, suffixes=[""])
        let_time_pass(daily.tenant.tag, timedelta(days=1))
        charge(daily, 50, suffixes=[""])

        correct(daily, seq, 120)

        # The old period's uncovered 30 are gone with it, so what is given back is money of this one.
        assert amounts(daily, "") == (40, 0, 0)
        assert audit(daily.tenant.tag) == []


class TestRefusals:
    def test_of_what_is_no_charge(self, books: Books) -> None:
        seq = charge(books, 40)
        corrected = correct(books, seq, 10)

        for other in (1, corrected.seq, 999_999, -1):
            with pytest.raises(ChargeNotFound):
                correct(books, other, 1)

    def test_of_another_unit(self, books: Books) -> None:
        with pytest.raises(ChargeUnitDiffers):
            correct(books, charge(books, 40), 10, unit=Unit.TOKENS)

    @pytest.mark.parametrize("reason", ["", "  "])
    def test_without_a_reason(self, books: Books, reason: str) -> None:
        with pytest.raises(ReasonMissing):
            correct(books, charge(books, 40), 10, actor=Actor(name="olive", actor_type="admin", reason=reason))

    def test_of_a_closed_tenant(self, books: Books) -> None:
        seq = charge(books, 40)
        lifecycle.close_tenant(tag=books.tenant.tag, actor=OLIVE)

        with pytest.raises(TenantIsClosed):
            correct(books, seq, 10)

    def test_none_of_a_frozen_budget(self, books: Books) -> None:
        seq = charge(books, 40)
        with in_tenant(books.tenant.tag):
            freeze_budget(budget_id=books.budget("/workspace:prod").id, actor=OLIVE)

        correct(books, seq, 10)

        assert amounts(books) == (10, 0, 0)

    def test_none_because_of_what_a_customer_wrote_beside_an_event(self, books: Books) -> None:
        seq = charge(books, 40, metadata={"corrects": "not a number", "amount_before": "x"})

        correct(books, seq, 10)

        assert audit(books.tenant.tag) == []


class TestDamage:
    _LAST = "WHERE kind = 'CORRECTION' AND seq = (SELECT last_seq FROM ledger_head)"

    @pytest.mark.parametrize(
        ("invariant", "change"),
        [
            ("L4", "amount = amount - 1"),
            ("L4", "charged = charged + 1"),
            ("I8", "charged = charged - 1, amount = amount - 1"),
            ("I8", "deltas[8] = deltas[8] - 1, deltas[10] = deltas[10] + 1"),
            ("L4", "metadata = jsonb_set(metadata, '{amount_before}', '41')"),
            ("I2", "metadata = jsonb_set(metadata, '{corrects}', '1')"),
            ("I2", "metadata = jsonb_set(metadata, '{corrects}', '999')"),
            ("I2", "metadata = NULL"),
            ("L4", "deltas[1] = 1"),
            ("L12", "unit = 'TOKENS'"),
            ("L10", "budget_ids = budget_ids[2:2] || budget_ids[1:1]"),
        ],
    )
    def test_is_found(self, books: Books, invariant: str, change: str) -> None:
        correct(books, charge(books, 40), 10)
        assert audit(books.tenant.tag) == []

        as_owner(books.tenant.tag, f"UPDATE ledger_entry SET {change} {self._LAST}")

        found = audit(books.tenant.tag)
        assert invariant in {difference.invariant for difference in found}, found


_ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("charge"), st.integers(0, 120), st.sampled_from(["ALLOW_IF_AVAILABLE", "REJECT"])),
        st.tuples(st.just("overdraft"), st.integers(0, 120), st.just("ALLOW_WITH_OVERDRAFT")),
        st.tuples(st.just("hold"), st.integers(0, 60), st.just("")),
        st.tuples(st.just("correct"), st.integers(0, 200), st.integers(0, 20)),
    ),
    min_size=3,
    max_size=14,
)


class TestProperty:
    def test_whatever_is_corrected_the_books_add_up(self, acme: Tenant) -> None:
        books = Books(acme)
        books.add_budget(allocated=10**6, overdraft_limit=10**6)
        numbers = count()
        corrections = refused = 0

        @settings(
            max_examples=40, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
        )
        @given(acts=_ACTS)
        def play(acts: list[Any]) -> None:
            nonlocal corrections, refused
            scope = f"/workspace:w{next(numbers)}"
            budget_id: UUID = books.add_budget(scope, allocated=200, overdraft_limit=100)
            real: dict[int, int] = {}
            for act, amount, more in acts:
                if act in {"charge", "overdraft"}:
                    answer = books.ask(
                        "event", amount=amount, suffixes=["", scope], policy=more, idem=uuid7().hex, id=uuid7()
                    )
                    if answer.status == "OK":
                        real[last_seq(books)] = amount
                elif act == "hold":
                    books.ask("reserve", amount=amount, suffixes=["", scope], idem=uuid7().hex, id=uuid7())
                elif real:
                    seq = sorted(real)[more % len(real)]
                    try:
                        correct(books, seq, amount)
                    except NothingToCorrect:
                        assert amount == real[seq]
                        refused += 1
                    else:
                        corrections += 1
                        real[seq] = amount
            with in_tenant(acme.tag):
                budget = Budget.objects.get(pk=budget_id)
                records = [charge_record(seq) for seq in real]
            # Nothing that was really spent is forgotten, and nothing is counted twice.
            assert budget.spent + budget.debt + budget.uncovered == sum(real.values())
            assert budget.uncovered == sum(record.uncovered for record in records if record is not None)
            assert min(budget.spent, budget.debt, budget.uncovered) >= 0

        play()

        assert corrections > 20, (corrections, refused)
        assert audit(acme.tag) == []
