"""A reservation is settled once, whichever of two comes first, and the other one is told so."""

import threading
from datetime import UTC, datetime
from functools import partial

import pytest

from budgets.models import Budget, Reservation
from budgets.selectors.audit import audit
from budgets.services import engine
from budgets.services.operations import Answer, Op
from kernel.ids import uuid7
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.bursts import burst, in_line_behind, statuses, until

_ROUNDS = 100


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


def _apply(books: Books, op: Op, **fields: object) -> Answer:
    """Not joined with the others by the combiner: each its own transaction."""
    return engine.apply(books.tenant.tag, [books.operation(op, idem=uuid7().hex, **fields)])[0]


class TestTwoAtOnce:
    @pytest.mark.parametrize("rival", ["release", "commit"])
    def test_exactly_one_settles(self, books: Books, rival: Op) -> None:
        books.add_budget(allocated=1000)
        for number in range(_ROUNDS):
            hold = books.ask("reserve", amount=10)
            ops: list[Op] = ["commit", rival]
            if number % 2:
                ops.reverse()
            answers = burst([partial(_apply, books, op, target=hold.id, amount=4) for op in ops])
            assert statuses(answers) == {"OK": 1, "RESERVATION_FINALIZED": 1}
        assert books.budget().reserved == 0
        assert audit(books.tenant.tag) == []

    def test_commit_and_expiry_exclude_each_other_at_every_instant(self, books: Books) -> None:
        """Both come again and again while the time of the reservation runs out under them."""
        books.add_budget(allocated=1000)
        for number in range(_ROUNDS // 3):
            hold = books.ask("reserve", amount=10, ttl_ms=2 + number % 9, grace_ms=number % 3)

            def expire(hold: Answer = hold) -> str:
                while True:
                    status = _apply(books, "expire", target=hold.id, is_trusted=True).status
                    if status != "NOT_DUE":
                        return status

            def commit(hold: Answer = hold, at_ms: int = (hold.expires_ms or 0) + number % 5 - 1) -> str:
                until(lambda: _now_ms() >= at_ms)
                return _apply(books, "commit", target=hold.id, amount=4).status

            outcomes = burst([expire, commit])
            assert outcomes in (
                ["OK", "RESERVATION_EXPIRED"],
                ["RESERVATION_FINALIZED", "OK"],
            )
        assert books.budget().reserved == 0
        assert audit(books.tenant.tag) == []

    def test_of_many_settlements_of_many_reservations_each_has_one(self, books: Books) -> None:
        books.add_budget(allocated=1000)
        holds = [books.ask("reserve", amount=3).id for _ in range(20)]
        ops: list[Op] = ["commit", "release", "extend", "commit", "release"]
        outcomes = burst(
            [
                lambda op=op, hold=hold: (
                    engine.submit(  # type: ignore[misc]
                        books.tenant.tag, books.operation(op, target=hold, amount=2, extend_ms=5, idem=uuid7().hex)
                    ).status
                )
                for hold in holds
                for op in ops
            ]
        )

        for number in range(len(holds)):
            settled = [
                outcome
                for op, outcome in zip(ops, outcomes[number * len(ops) : (number + 1) * len(ops)], strict=True)
                if op != "extend"
            ]
            assert sorted(map(str, settled)) == ["OK", *["RESERVATION_FINALIZED"] * 3]
        assert audit(books.tenant.tag) == []


class TestTheClockIsReadAfterTheLock:
    @pytest.mark.parametrize(("op", "grace_ms"), [("commit", 0), ("release", 0), ("extend", 60_000)])
    def test_who_waited_past_the_end_is_late(self, books: Books, op: Op, grace_ms: int) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=10, ttl_ms=150, grace_ms=grace_ms)

        with in_line_behind(
            books.tenant.tag, [lambda: _apply(books, op, target=hold.id, amount=1, extend_ms=1000)]
        ) as (running, _):
            until(lambda: _now_ms() > (hold.expires_ms or 0) + 1)

        answer = running[0].result()
        assert isinstance(answer, Answer)
        assert answer.status == "RESERVATION_EXPIRED"

    def test_who_waited_and_came_in_time_is_not(self, books: Books) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=10, ttl_ms=60_000)

        with in_line_behind(books.tenant.tag, [lambda: _apply(books, "commit", target=hold.id, amount=1)]) as (
            running,
            _,
        ):
            pass

        answer = running[0].result()
        assert isinstance(answer, Answer)
        assert answer.status == "OK"


class TestReorderedCalls:
    """What the network may do to the order in which calls arrive."""

    def test_a_commit_before_its_reservation_is_not_known(self, books: Books) -> None:
        books.add_budget(allocated=100)
        unmade = uuid7()

        assert _apply(books, "commit", target=unmade, amount=1).status == "NOT_FOUND"
        assert _apply(books, "reserve", id=unmade, amount=1).status == "OK"
        assert _apply(books, "commit", target=unmade, amount=1).status == "OK"

    def test_a_release_and_an_extension_after_the_commit_are_told(self, books: Books) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=1)
        _apply(books, "commit", target=hold.id, amount=1)

        for op in ("release", "extend"):
            assert _apply(books, op, target=hold.id, extend_ms=1).status == "RESERVATION_FINALIZED"

    def test_an_event_and_a_commit_with_one_key_both_count(self, books: Books) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=1)

        for op in ("event", "commit"):
            answer = books.ask(op, target=hold.id if op == "commit" else None, amount=3, idem="one")
            assert (answer.status, answer.replayed) == ("OK", False)
        assert books.budget().spent == 6


class TestBalancesSeenByReaders:
    def test_all_scopes_of_a_reservation_change_at_once(self, books: Books) -> None:
        """Read while others write: every reader sees whole operations only."""
        prod = "/workspace:prod"
        books.add_budget(allocated=10_000)
        books.add_budget(prod, allocated=10_000)
        ended = threading.Event()
        torn: list[list[int]] = []

        def read() -> int:
            seen = 0
            while not ended.is_set():
                with in_tenant(books.tenant.tag):
                    held = list(Budget.objects.order_by("depth").values_list("reserved", flat=True))
                if held[0] != held[1]:
                    torn.append(held)
                seen += 1
            return seen

        def write() -> int:
            try:
                for _ in range(40):
                    hold = _apply(books, "reserve", amount=7, suffixes=["", prod])
                    _apply(books, "commit", target=hold.id, amount=3)
            finally:
                ended.set()
            return 0

        outcomes = burst([read, write, write])

        assert all(isinstance(outcome, int) for outcome in outcomes), outcomes
        assert torn == []
        with in_tenant(books.tenant.tag):
            assert set(Reservation.objects.values_list("status", flat=True)) == {"COMMITTED"}


def _now_ms() -> float:
    return datetime.now(UTC).timestamp() * 1000
