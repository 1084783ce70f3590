"""Every status that the engine can answer, the largest numbers that it can be given, and replays to the letter."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from accounts.keys.models import ApiKey, Permission
from budgets.models import Budget, Decision, LedgerEntry, LedgerHead, Reservation, RunTemplate
from budgets.models.choices import EntryKind
from budgets.selectors.audit import audit
from budgets.services import engine
from budgets.services.journal import AmountOutOfRange, Change, open_journal
from budgets.services.operations import Answer, Op
from kernel.ids import uuid7
from kernel.money import AMOUNT_MAX, Unit
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.owner import let_time_pass

_HALF = 2**62
_PROD = "/workspace:prod"


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


def _set_status(books: Books, status: str) -> None:
    with in_tenant(books.tenant.tag), open_journal(actor=TEST_ACTOR) as journal:
        journal.head.status = status
        journal.head.save(update_fields=["status"])


def _edit(books: Books, suffix: str = "", **columns: Any) -> None:
    path = f"tenant:{books.tenant.slug}{suffix}"
    with in_tenant(books.tenant.tag), open_journal(actor=TEST_ACTOR) as journal:
        budget = journal.budget(scope_path=path, unit=Unit.USD_MICROCENTS)
        for name, value in columns.items():
            setattr(budget, name, value)
        journal.post(EntryKind.UPDATE, [Change(budget=budget)])


def _credit(books: Books, amount: int) -> None:
    with in_tenant(books.tenant.tag), open_journal(actor=TEST_ACTOR) as journal:
        budget = journal.budget(scope_path="tenant:acme", unit=Unit.USD_MICROCENTS)
        journal.post(EntryKind.CREDIT, [Change(budget=budget, allocated=amount)])


def _trace(books: Books) -> tuple[int, list[tuple[Any, ...]]]:
    """All that a refusal must leave as it was."""
    with in_tenant(books.tenant.tag):
        rows = list(Budget.objects.order_by("id").values_list()) + list(
            Reservation.objects.order_by("id").values_list()
        )
        return LedgerEntry.objects.count(), rows


class TestWhoAsks:
    """A key is judged in the transaction of the money."""

    @pytest.mark.parametrize(
        "change",
        [
            {"status": "REVOKED"},
            {"expires_at": datetime(2026, 1, 1, tzinfo=UTC)},
            {"digest": b"\x00" * 32},
            {"digest": b"\x00" * 32, "previous_digest": b"\x01" * 32},
        ],
    )
    def test_an_invalid_key_is_unauthorized(self, books: Books, change: dict[str, Any]) -> None:
        books.add_budget(allocated=100)
        with in_tenant(books.tenant.tag):
            ApiKey.objects.filter(key_id=books.key.key_id).update(**change)

        assert books.ask("reserve", amount=1).status == "UNAUTHORIZED"

    @pytest.mark.parametrize(("overlap", "status"), [(timedelta(hours=1), "OK"), (timedelta(hours=-1), "UNAUTHORIZED")])
    def test_a_rotated_key_counts_until_the_overlap_ends(self, books: Books, overlap: timedelta, status: str) -> None:
        books.add_budget(allocated=100)
        with in_tenant(books.tenant.tag):
            ApiKey.objects.filter(key_id=books.key.key_id).update(
                digest=b"\x00" * 32, previous_digest=books.key.digest, previous_expires_at=datetime.now(UTC) + overlap
            )

        assert books.ask("reserve", amount=1).status == status

    def test_an_unknown_key_is_unauthorized(self, books: Books) -> None:
        assert books.ask("reserve", amount=1, key_id="0" * 16).status == "UNAUTHORIZED"

    def test_no_key_is_unauthorized(self, books: Books) -> None:
        assert books.ask("reserve", amount=1, key_id=None, digest=None).status == "UNAUTHORIZED"

    @pytest.mark.parametrize("op", ["reserve", "decide", "event", "commit", "release", "extend"])
    def test_each_operation_needs_its_permission(self, books: Books, op: Op) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=1)
        own = Permission.RESERVATIONS_CREATE if op in {"reserve", "decide", "event"} else f"reservations:{op}"
        others = [permission for permission in Permission if permission != own]
        books.key = books.add_key(permissions=others)
        fields = {"target": hold.id} if op in {"commit", "release", "extend"} else {}

        answer = books.ask(op, amount=1, extend_ms=1, **fields)

        assert (answer.status, answer.numbers) == ("FORBIDDEN", {"reason": "PERMISSION_MISSING", "permission": own})

    def test_another_tenants_name_is_forbidden(self, books: Books) -> None:
        assert books.ask("reserve", amount=1, tenant="initech").status == "FORBIDDEN"
        assert books.ask("reserve", amount=1, tenant="ACME").status == "BUDGET_NOT_FOUND"

    @pytest.mark.parametrize(
        ("suffix", "status"), [(_PROD, "OK"), (f"{_PROD}/agent:a", "OK"), (f"{_PROD}2", "FORBIDDEN"), ("", "FORBIDDEN")]
    )
    def test_a_key_stays_within_its_scopes(self, books: Books, suffix: str, status: str) -> None:
        books.add_budget(allocated=100)
        whole = books.key
        books.key = books.add_key(scope_filter=[f"tenant:acme{_PROD}"])

        answer = books.ask("reserve", amount=1, suffixes=["", suffix] if suffix else [""])
        assert answer.status == status

        # The same holds for what it did not make itself.
        mine, books.key = books.key, whole
        hold = books.ask("reserve", amount=1, suffixes=["", suffix] if suffix else [""])
        books.key = mine
        assert books.ask("commit", target=hold.id, amount=1).status == status

    def test_leaves_nothing_behind(self, books: Books) -> None:
        books.ask("reserve", amount=1, digest="\\x00")

        with in_tenant(books.tenant.tag):
            assert not Decision.objects.exists()


class TestTenantStatus:
    @pytest.mark.parametrize("op", ["reserve", "extend"])
    def test_a_suspended_tenant_starts_nothing(self, books: Books, op: Op) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=1)
        _set_status(books, "SUSPENDED")

        answer = books.ask(op, amount=1, **({"target": hold.id, "extend_ms": 1} if op == "extend" else {}))

        assert answer.status == "TENANT_SUSPENDED"

    @pytest.mark.parametrize("op", ["commit", "release", "event"])
    def test_a_suspended_tenant_settles_what_is_in_flight(self, books: Books, op: Op) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=1)
        _set_status(books, "SUSPENDED")

        assert books.ask(op, amount=1, **({"target": hold.id} if op != "event" else {})).status == "OK"

    @pytest.mark.parametrize("op", ["reserve", "commit", "release", "extend", "event"])
    def test_a_closed_tenant_changes_nothing(self, books: Books, op: Op) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=1)
        _set_status(books, "CLOSED")
        before = _trace(books)

        fields = {"target": hold.id} if op in {"commit", "release", "extend"} else {}
        answer = books.ask(op, amount=1, extend_ms=1, **fields)

        assert answer.status == "TENANT_CLOSED"
        assert _trace(books) == before

    def test_a_closed_tenant_comes_before_the_state_of_the_reservation(self, books: Books) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=1)
        books.ask("release", target=hold.id)
        _set_status(books, "CLOSED")

        assert books.ask("commit", target=hold.id, amount=1).status == "TENANT_CLOSED"

    def test_a_closed_tenant_still_gets_its_old_answers(self, books: Books) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=1, idem="before")
        _set_status(books, "CLOSED")

        again = books.ask("reserve", amount=1, idem="before")

        assert (again.status, again.replayed, again.id) == ("OK", True, hold.id)

    @pytest.mark.parametrize(("status", "reason"), [("SUSPENDED", "TENANT_SUSPENDED"), ("CLOSED", "TENANT_CLOSED")])
    def test_questions_are_answered_as_if_live(self, books: Books, status: str, reason: str) -> None:
        books.add_budget(allocated=100)
        _set_status(books, status)

        for answer in (books.ask("decide", amount=1), books.ask("reserve", amount=1, is_dry=True)):
            assert (answer.status, answer.verdict, answer.reason) == ("OK", "DENY", reason)

    def test_a_closed_tenants_holds_still_expire(self, books: Books) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=1, ttl_ms=-1, grace_ms=0)
        _set_status(books, "CLOSED")

        assert books.ask("expire", target=hold.id, is_trusted=True).status == "OK"


class TestBudgetStatus:
    @pytest.mark.parametrize("status", ["FROZEN", "CLOSED"])
    def test_stops_reservations_and_extensions(self, books: Books, status: str) -> None:
        books.add_budget(allocated=100)
        books.add_budget(_PROD, allocated=100)
        hold = books.ask("reserve", amount=1, suffixes=["", _PROD])
        _edit(books, _PROD, status=status)

        for answer in (
            books.ask("reserve", amount=1, suffixes=["", _PROD]),
            books.ask("extend", target=hold.id, extend_ms=1),
        ):
            assert (answer.status, answer.scope) == (f"BUDGET_{status}", f"tenant:acme{_PROD}")
        assert books.ask("decide", amount=1, suffixes=["", _PROD]).reason == f"BUDGET_{status}"

    @pytest.mark.parametrize("status", ["FROZEN", "CLOSED"])
    def test_lets_what_is_in_flight_settle(self, books: Books, status: str) -> None:
        books.add_budget(allocated=100)
        first, second = books.ask("reserve", amount=5), books.ask("reserve", amount=5)
        _edit(books, status=status)

        assert books.ask("commit", target=first.id, amount=7).status == "OK"
        assert books.ask("release", target=second.id).status == "OK"

    @pytest.mark.parametrize(("status", "answer"), [("FROZEN", "OK"), ("CLOSED", "BUDGET_CLOSED")])
    def test_decides_on_events(self, books: Books, status: str, answer: str) -> None:
        books.add_budget(allocated=100)
        _edit(books, status=status)

        assert books.ask("event", amount=1).status == answer

    def test_is_judged_root_to_leaf(self, books: Books) -> None:
        books.add_budget(allocated=5)
        books.add_budget(_PROD, allocated=100)
        _edit(books, _PROD, status="FROZEN")

        assert books.ask("reserve", amount=6, suffixes=["", _PROD]).status == "BUDGET_EXCEEDED"
        assert books.ask("reserve", amount=5, suffixes=["", _PROD]).status == "BUDGET_FROZEN"


class TestSettling:
    @pytest.mark.parametrize("settled_by", ["commit", "release"])
    @pytest.mark.parametrize("op", ["commit", "release", "extend", "expire"])
    def test_a_settled_reservation_is_final(self, books: Books, settled_by: Op, op: Op) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=5)
        books.ask(settled_by, target=hold.id, amount=5)
        before = _trace(books)

        answer = books.ask(op, target=hold.id, amount=5, extend_ms=1, is_trusted=op == "expire", idem="another")

        state = "COMMITTED" if settled_by == "commit" else "RELEASED"
        assert (answer.status, answer.numbers) == ("RESERVATION_FINALIZED", {"state": state})
        assert _trace(books) == before

    @pytest.mark.parametrize("op", ["commit", "release", "extend"])
    def test_nothing_settles_what_is_overdue_or_expired(self, books: Books, op: Op) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=5, ttl_ms=-1, grace_ms=0)

        assert books.ask(op, target=hold.id, amount=5, extend_ms=1).status == "RESERVATION_EXPIRED"
        assert books.ask("expire", target=hold.id, is_trusted=True).status == "OK"
        assert books.ask(op, target=hold.id, amount=5, extend_ms=1).status == "RESERVATION_EXPIRED"
        assert books.ask("expire", target=hold.id, is_trusted=True).status == "RESERVATION_EXPIRED"
        assert books.budget().reserved == 0

    def test_the_grace_period_is_for_settling_only(self, books: Books) -> None:
        books.add_budget(allocated=100)
        first = books.ask("reserve", amount=5, ttl_ms=-1, grace_ms=60_000)
        second = books.ask("reserve", amount=5, ttl_ms=-1, grace_ms=60_000)

        assert books.ask("extend", target=first.id, extend_ms=1).status == "RESERVATION_EXPIRED"
        assert books.ask("expire", target=first.id, is_trusted=True).status == "NOT_DUE"
        assert books.ask("commit", target=first.id, amount=5).status == "OK"
        assert books.ask("release", target=second.id).status == "OK"

    def test_an_operator_may_release_what_is_overdue(self, books: Books) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=5, ttl_ms=-1, grace_ms=0)

        assert books.ask("release", target=hold.id, is_trusted=True).status == "OK"

    def test_a_trusted_caller_does_not_know_more_reservations(self, books: Books) -> None:
        assert books.ask("expire", target=uuid7(), is_trusted=True).status == "NOT_FOUND"

    def test_extends_so_often_and_no_more(self, books: Books) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=5)
        with in_tenant(books.tenant.tag):
            LedgerHead.objects.update(extensions_max=2)

        answers = [books.ask("extend", target=hold.id, extend_ms=1000) for _ in range(3)]

        assert [answer.status for answer in answers] == ["OK", "OK", "MAX_EXTENSIONS_EXCEEDED"]
        assert hold.expires_ms is not None
        assert [answer.expires_ms for answer in answers[:2]] == [hold.expires_ms + 1000, hold.expires_ms + 2000]

    def test_a_commit_in_another_unit_is_refused_before_its_time_is_looked_at(self, books: Books) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=5, ttl_ms=-1, grace_ms=0)

        answer = books.ask("commit", target=hold.id, amount=5, unit="TOKENS")

        assert (answer.status, answer.numbers) == (
            "UNIT_MISMATCH",
            {"requested_unit": "TOKENS", "expected_units": ["USD_MICROCENTS"]},
        )


class TestOverage:
    def test_reject_leaves_the_reservation_active(self, books: Books) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=5, policy="REJECT")

        assert books.ask("commit", target=hold.id, amount=6).status == "BUDGET_EXCEEDED"
        assert books.ask("commit", target=hold.id, amount=5).status == "OK"

    @pytest.mark.parametrize(("amount", "status"), [(95, "OK"), (96, "BUDGET_EXCEEDED")])
    def test_reject_refuses_an_event_that_does_not_fit(self, books: Books, amount: int, status: str) -> None:
        books.add_budget(allocated=100)
        books.ask("reserve", amount=5)

        assert books.ask("event", amount=amount, policy="REJECT").status == status

    def test_what_is_available_is_charged_and_the_rest_is_uncovered(self, books: Books) -> None:
        books.add_budget(allocated=100)
        books.add_budget(_PROD, allocated=50)
        hold = books.ask("reserve", amount=40, suffixes=["", _PROD])

        answer = books.ask("commit", target=hold.id, amount=70)

        assert (answer.status, answer.charged) == ("OK", 50)
        for budget in (books.budget(), books.budget(_PROD)):
            assert (budget.spent, budget.uncovered, budget.reserved, budget.debt) == (50, 20, 0, 0)
        # Only the scope that could not pay is over its limit.
        assert (books.budget().is_over_limit, books.budget(_PROD).is_over_limit) == (False, True)
        assert books.ask("reserve", amount=0, suffixes=["", _PROD]).status == "OVERDRAFT_LIMIT_EXCEEDED"
        assert books.ask("reserve", amount=50).status == "OK"

    @pytest.mark.parametrize(("actual", "status"), [(110, "OK"), (111, "OVERDRAFT_LIMIT_EXCEEDED")])
    def test_debt_goes_up_to_the_overdraft_limit(self, books: Books, actual: int, status: str) -> None:
        books.add_budget(allocated=100, overdraft_limit=10)
        hold = books.ask("reserve", amount=100, policy="ALLOW_WITH_OVERDRAFT")

        answer = books.ask("commit", target=hold.id, amount=actual)

        assert answer.status == status
        assert books.budget().debt == (10 if status == "OK" else 0)

    def test_debt_stops_reservations_until_it_is_repaid(self, books: Books) -> None:
        books.add_budget(allocated=100, overdraft_limit=50)
        hold = books.ask("reserve", amount=90, policy="ALLOW_WITH_OVERDRAFT")
        other = books.ask("reserve", amount=10)
        books.ask("commit", target=hold.id, amount=110)
        books.ask("release", target=other.id)
        _edit(books, allocated=200)

        answer = books.ask("reserve", amount=1)

        assert (answer.status, answer.numbers and answer.numbers["debt"]) == ("DEBT_OUTSTANDING", 20)
        assert books.ask("decide", amount=1).reason == "DEBT_OUTSTANDING"

    def test_debt_above_a_lowered_limit_is_over_the_limit(self, books: Books) -> None:
        books.add_budget(allocated=100, overdraft_limit=50)
        hold = books.ask("reserve", amount=100, policy="ALLOW_WITH_OVERDRAFT")
        books.ask("commit", target=hold.id, amount=120)
        _edit(books, overdraft_limit=19)

        assert books.ask("reserve", amount=1).status == "OVERDRAFT_LIMIT_EXCEEDED"

    def test_a_scope_that_lends_nothing_pays_what_it_has(self, books: Books) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=90, policy="ALLOW_WITH_OVERDRAFT")

        answer = books.ask("commit", target=hold.id, amount=150)

        assert (answer.status, answer.charged) == ("OK", 100)
        assert (books.budget().uncovered, books.budget().debt, books.budget().is_capped) == (50, 0, True)

    def test_scopes_that_lend_owe_no_more_than_is_charged(self, books: Books) -> None:
        books.add_budget(allocated=100)
        books.add_budget(_PROD, allocated=90, overdraft_limit=10)
        hold = books.ask("reserve", amount=90, suffixes=["", _PROD], policy="ALLOW_WITH_OVERDRAFT")

        answer = books.ask("commit", target=hold.id, amount=150)

        assert (answer.status, answer.charged) == ("OK", 100)
        assert (books.budget().spent, books.budget().debt, books.budget().is_capped) == (100, 0, True)
        prod = books.budget(_PROD)
        assert (prod.spent, prod.debt, prod.uncovered, prod.is_capped) == (90, 10, 50, False)
        assert audit(books.tenant.tag) == []


class TestLargestNumbers:
    """Every sum stays within 64 bits, or is refused by name; nothing wraps, nothing is thrown."""

    def test_nothing_costs_nothing(self, books: Books) -> None:
        books.add_budget(allocated=0)

        hold = books.ask("reserve", amount=0)

        assert hold.status == "OK"
        assert books.ask("commit", target=hold.id, amount=0).status == "OK"
        assert books.ask("event", amount=0).status == "OK"
        assert books.ask("event", amount=0, policy="REJECT").status == "OK"
        assert books.ask("decide", amount=0).verdict == "ALLOW"
        assert audit(books.tenant.tag) == []

    def test_a_budget_of_all_there_is_may_be_held_and_spent_at_once(self, books: Books) -> None:
        books.add_budget(allocated=AMOUNT_MAX)

        hold = books.ask("reserve", amount=AMOUNT_MAX)

        assert hold.balances == [AMOUNT_MAX, AMOUNT_MAX, 0, 0, 0, 0, 0]
        assert books.ask("reserve", amount=1).status == "BUDGET_EXCEEDED"
        assert books.ask("commit", target=hold.id, amount=AMOUNT_MAX).charged == AMOUNT_MAX
        assert books.ask("event", amount=1, policy="REJECT").status == "BUDGET_EXCEEDED"
        assert audit(books.tenant.tag) == []

    @pytest.mark.parametrize(
        ("policy", "status"),
        [
            ("REJECT", "BUDGET_EXCEEDED"),
            ("ALLOW_IF_AVAILABLE", "BUDGET_EXCEEDED"),
            ("ALLOW_WITH_OVERDRAFT", "OVERDRAFT_LIMIT_EXCEEDED"),
        ],
    )
    @pytest.mark.parametrize("op", ["commit", "event"])
    def test_a_sum_that_would_overflow_is_refused_by_name(self, books: Books, op: Op, policy: str, status: str) -> None:
        books.add_budget(allocated=AMOUNT_MAX, overdraft_limit=AMOUNT_MAX)
        assert books.ask("event", amount=_HALF, policy=policy).status == "OK"
        hold = books.ask("reserve", amount=1, policy=policy)
        before = _trace(books)

        answer = books.ask(op, amount=_HALF + 1, policy=policy, target=hold.id if op == "commit" else None)

        assert (answer.status, answer.scope) == (status, "tenant:acme")
        assert _trace(books) == before

    @pytest.mark.parametrize("policy", ["ALLOW_IF_AVAILABLE", "ALLOW_WITH_OVERDRAFT"])
    @pytest.mark.parametrize("lends", [0, 5, AMOUNT_MAX])
    def test_a_commit_of_all_there_is(self, books: Books, policy: str, lends: int) -> None:
        books.add_budget(allocated=10, overdraft_limit=lends)
        hold = books.ask("reserve", amount=3, policy=policy)

        answer = books.ask("commit", target=hold.id, amount=AMOUNT_MAX)

        if policy == "ALLOW_WITH_OVERDRAFT" and lends == 5:
            assert answer.status == "OVERDRAFT_LIMIT_EXCEEDED"
        elif policy == "ALLOW_WITH_OVERDRAFT" and lends:
            assert (answer.status, answer.charged) == ("OK", AMOUNT_MAX)
            assert (books.budget().spent, books.budget().debt) == (3, AMOUNT_MAX - 3)
        else:
            assert (answer.status, answer.charged) == ("OK", 10)
            assert books.budget().uncovered == AMOUNT_MAX - 10
        assert books.ask("event", amount=AMOUNT_MAX, policy=policy).status in {
            "BUDGET_EXCEEDED",
            "OVERDRAFT_LIMIT_EXCEEDED",
        }
        assert audit(books.tenant.tag) == []

    @pytest.mark.parametrize("policy", ["ALLOW_IF_AVAILABLE", "ALLOW_WITH_OVERDRAFT"])
    def test_two_events_of_half_of_it(self, books: Books, policy: str) -> None:
        books.add_budget(allocated=10, overdraft_limit=AMOUNT_MAX)

        first, second = (books.ask("event", amount=_HALF, policy=policy) for _ in range(2))

        assert first.status == "OK"
        assert second.status == ("BUDGET_EXCEEDED" if policy == "ALLOW_IF_AVAILABLE" else "OVERDRAFT_LIMIT_EXCEEDED")
        assert audit(books.tenant.tag) == []

    def test_what_is_uncovered_takes_no_room_from_a_reservation_that_fits(self, books: Books) -> None:
        books.add_budget(allocated=10)
        books.ask("event", amount=AMOUNT_MAX)
        _edit(books, is_capped=False, allocated=20)

        # The sum of all amounts is at its largest: a hold would have nowhere to be written down.
        assert books.ask("reserve", amount=1).status == "BUDGET_EXCEEDED"

    def test_a_run_may_have_all_there_is(self, books: Books) -> None:
        books.add_budget(allocated=AMOUNT_MAX)
        with in_tenant(books.tenant.tag):
            RunTemplate.objects.create(name="all", unit="USD_MICROCENTS", amount=AMOUNT_MAX, is_default=True)

        assert books.ask("reserve", amount=AMOUNT_MAX, run="r").paths == ["tenant:acme", "tenant:acme/run:r"]
        assert books.ask("event", amount=1, run="r").status == "BUDGET_EXCEEDED"

    def test_a_carried_period_stops_at_the_largest_amount(self, books: Books) -> None:
        today = datetime.now(UTC)
        books.add_budget(
            allocated=AMOUNT_MAX,
            period="DAY",
            rollover="CARRY_FORWARD",
            period_allocation=AMOUNT_MAX,
            period_starts_at=today - timedelta(hours=1),
            period_ends_at=today + timedelta(hours=1),
        )
        books.ask("event", amount=5)
        let_time_pass(books.tenant.tag, timedelta(hours=2))

        answer = books.ask("reserve", amount=AMOUNT_MAX)

        assert (answer.status, answer.balances) == ("OK", [AMOUNT_MAX, AMOUNT_MAX, 0, 0, 0, 0, 0])
        assert audit(books.tenant.tag) == []

    def test_a_credit_beyond_it_is_refused_whole(self, books: Books) -> None:
        books.add_budget(allocated=AMOUNT_MAX)
        before = _trace(books)

        with pytest.raises(AmountOutOfRange):
            _credit(books, 1)

        assert _trace(books) == before


class TestReplay:
    """The same answer again, field by field; only the time that is left is reckoned anew."""

    @staticmethod
    def _same(answer: Answer) -> dict[str, Any]:
        return {**msgspec.to_builtins(answer), "left_ms": None, "replayed": None}

    @pytest.mark.parametrize(
        ("op", "fields"),
        [
            ("reserve", {"amount": 5, "suffixes": ["", _PROD]}),
            ("reserve", {"amount": 5, "suffixes": ["", _PROD], "run": "r1"}),
            ("reserve", {"amount": 5, "is_dry": True}),
            ("reserve", {"amount": 5, "is_dry": True, "run": "r1"}),
            ("reserve", {"amount": 500, "is_dry": True}),
            ("decide", {"amount": 5}),
            ("decide", {"amount": 500}),
            ("decide", {"amount": 5, "run": "r1"}),
            ("event", {"amount": 5}),
            ("event", {"amount": 500}),
        ],
    )
    def test_repeats_what_was_said_of_a_scope(self, books: Books, op: Op, fields: dict[str, Any]) -> None:
        books.add_budget(allocated=100)
        books.add_budget(_PROD, allocated=50)
        with in_tenant(books.tenant.tag):
            RunTemplate.objects.create(name="chat", unit="USD_MICROCENTS", amount=20, is_default=True)
        first = books.ask(op, idem="one", **fields)
        books.ask("event", amount=7, suffixes=["", _PROD])
        before = _trace(books)

        again = books.ask(op, idem="one", **fields)

        assert (first.status, first.replayed, again.replayed) == ("OK", False, True)
        assert self._same(again) == self._same(first)
        assert _trace(books) == before

    @pytest.mark.parametrize(
        ("op", "fields"), [("commit", {"amount": 9}), ("release", {}), ("extend", {"extend_ms": 5000})]
    )
    def test_repeats_what_was_said_of_a_reservation(self, books: Books, op: Op, fields: dict[str, Any]) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=5)
        first = books.ask(op, target=hold.id, idem="one", **fields)
        books.ask("event", amount=7)
        if op == "extend":
            books.ask("extend", target=hold.id, extend_ms=777)
        before = _trace(books)

        again = books.ask(op, target=hold.id, idem="one", **fields)

        assert (first.status, first.replayed, again.replayed) == ("OK", False, True)
        assert {**self._same(again), "id": None} == {**self._same(first), "id": None}
        assert _trace(books) == before

    def test_says_that_no_time_is_left_once_it_is_settled(self, books: Books) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=5, idem="one")
        books.ask("extend", target=hold.id, extend_ms=1000, idem="two")
        assert 0 < (books.ask("reserve", amount=5, idem="one").left_ms or 0) <= (hold.left_ms or 0)
        books.ask("release", target=hold.id)

        assert books.ask("reserve", amount=5, idem="one").left_ms == 0
        assert books.ask("extend", target=hold.id, extend_ms=1000, idem="two").left_ms == 0

    def test_knows_a_key_by_its_endpoint_and_its_reservation(self, books: Books) -> None:
        books.add_budget(allocated=100)
        first, second = (books.ask("reserve", amount=5) for _ in range(2))

        answers = [
            books.ask("reserve", amount=5, idem="one"),
            books.ask("decide", amount=5, idem="one"),
            books.ask("event", amount=5, idem="one"),
            books.ask("commit", target=first.id, amount=5, idem="one"),
            books.ask("commit", target=second.id, amount=5, idem="one"),
        ]

        assert [(answer.status, answer.replayed) for answer in answers] == [("OK", False)] * 5

    @pytest.mark.parametrize("op", ["reserve", "decide", "event", "commit", "release", "extend"])
    def test_takes_no_other_payload_for_a_used_key(self, books: Books, op: Op) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=5)
        fields: dict[str, Any] = {"target": hold.id} if op in {"commit", "release", "extend"} else {}
        fields |= {"idem": "one", "amount": 5, "extend_ms": 1000}
        books.ask(op, **fields)
        before = _trace(books)

        assert books.ask(op, hash="\\x01", **fields).status == "IDEMPOTENCY_MISMATCH"
        assert _trace(books) == before

    def test_a_dry_run_and_a_live_call_share_their_keys(self, books: Books) -> None:
        books.add_budget(allocated=100)
        books.ask("reserve", amount=5, is_dry=True, idem="one")

        assert books.ask("reserve", amount=5, idem="one", hash="\\x01").status == "IDEMPOTENCY_MISMATCH"


class TestApply:
    def test_of_nothing_is_nothing(self, books: Books) -> None:
        assert books.ask_all() == []

    def test_does_not_know_a_tenant_that_is_not_there(self, books: Books) -> None:
        with pytest.raises(engine.UnknownTenant):
            engine.apply(type(books.tenant.tag)("a" * 20), [books.operation("reserve", amount=1)])

    def test_one_that_the_database_cannot_stomach_fails_alone(self, books: Books) -> None:
        books.add_budget(allocated=100)
        poison = books.operation("reserve", amount=1, ttl_ms=None)

        answers = engine._apply_fairly(
            books.tenant.tag, [books.operation("reserve", amount=1), poison, books.operation("reserve", amount=2)]
        )

        assert [answer.status for answer in answers] == ["OK", "INTERNAL_ERROR", "OK"]
        assert engine.submit(books.tenant.tag, poison).status == "INTERNAL_ERROR"
