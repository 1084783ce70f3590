"""Suspend, close, freeze: when they return, nothing that they forbid is under way any more or comes later."""

import time
from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from budgets.models import LedgerEntry, Reservation
from budgets.selectors.audit import audit
from budgets.services import editing, engine, lifecycle
from budgets.services.operations import Answer, Op
from kernel.ids import uuid7
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.bursts import Running, burst, head_held, in_line_behind, until, waiting_for_locks, watcher

_PROD = "/workspace:prod"


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=1000)
    books.add_budget(_PROD, allocated=1000)
    return books


def _stops(books: Books) -> dict[str, tuple[Callable[[], object], str]]:
    """What stops a tenant or a budget, and how a reservation is refused afterwards."""
    tag, prod = books.tenant.tag, books.budget(_PROD).id

    def edit(change: Callable[..., object], **options: bool) -> Callable[[], object]:
        def run() -> object:
            with in_tenant(tag):
                return change(budget_id=prod, actor=TEST_ACTOR, **options)

        return run

    return {
        "suspend": (lambda: lifecycle.suspend_tenant(tag=tag, actor=TEST_ACTOR), "TENANT_SUSPENDED"),
        "freeze": (edit(editing.freeze_budget), "BUDGET_FROZEN"),
        "freeze and cancel": (edit(editing.freeze_budget, cancel_holds=True), "BUDGET_FROZEN"),
        "close budget": (edit(editing.close_budget, cancel_holds=True), "BUDGET_CLOSED"),
        # The close revokes the keys, and a key is judged first.
        "close": (lambda: lifecycle.close_tenant(tag=tag, actor=TEST_ACTOR), "UNAUTHORIZED"),
    }


_STOPS = ["suspend", "freeze", "freeze and cancel", "close budget", "close"]


def _apply(books: Books, op: Op, **fields: object) -> Answer:
    return engine.apply(books.tenant.tag, [books.operation(op, idem=uuid7().hex, **fields)])[0]


def _reserve(books: Books) -> Callable[[], Answer]:
    return lambda: _apply(books, "reserve", amount=1, suffixes=["", _PROD])


class TestBarrier:
    @pytest.mark.parametrize("name", _STOPS)
    def test_waits_for_what_is_under_way(self, books: Books, name: str) -> None:
        stop, _ = _stops(books)[name]
        operation = books.operation("reserve", amount=5, suffixes=["", _PROD])

        with watcher() as seen, head_held(books.tenant.tag) as first:
            first.execute("SELECT door_v1('apply', %s)", [msgspec.json.encode([operation]).decode()])
            stopping = Running(stop)
            until(lambda: waiting_for_locks(seen) >= 1)
            assert not stopping.has_ended

        assert stopping.result() is not None
        with in_tenant(books.tenant.tag):
            kinds = list(LedgerEntry.objects.order_by("seq").values_list("kind", flat=True))
        # The reservation is in the books before the stop, which saw it: a close has given it back.
        assert kinds.index("RESERVE") < len(kinds) - (name != "suspend")
        assert books.budget().reserved == (5 if name in {"suspend", "freeze"} else 0)
        assert audit(books.tenant.tag) == []

    @pytest.mark.parametrize("name", _STOPS)
    def test_refuses_what_waited_behind_it(self, books: Books, name: str) -> None:
        stop, refusal = _stops(books)[name]

        with in_line_behind(books.tenant.tag, [stop, _reserve(books), _reserve(books)]) as (running, _):
            pass

        assert running[0].result() is not None
        assert [answer.status for answer in _answers(running[1:])] == [refusal, refusal]
        assert books.budget().reserved == 0

    @pytest.mark.parametrize("name", _STOPS)
    def test_refuses_what_begins_when_it_has_returned(self, books: Books, name: str) -> None:
        stop, refusal = _stops(books)[name]
        _reserve(books)()

        stop()

        assert _reserve(books)().status == refusal
        assert audit(books.tenant.tag) == []

    @pytest.mark.parametrize("name", _STOPS)
    def test_in_the_midst_of_traffic_leaves_sound_books(self, books: Books, name: str) -> None:
        stop, refusal = _stops(books)[name]

        def live() -> str:
            while True:
                hold = _reserve(books)()
                if hold.status != "OK":
                    return hold.status
                _apply(books, "commit", target=hold.id, amount=1)

        lives = [Running(live) for _ in range(4)]
        until(lambda: books.budget().spent > 10)
        stop()

        assert [one.result() for one in lives] == [refusal] * 4
        assert audit(books.tenant.tag) == []

    def test_a_close_and_a_sweep_give_each_hold_back_once(self, books: Books) -> None:
        holds = [_apply(books, "reserve", amount=5, ttl_ms=-1, grace_ms=0).id for _ in range(10)]
        close, _ = _stops(books)["close"]

        sweeps = [partial(_apply, books, "expire", target=hold, is_trusted=True) for hold in holds]
        works: list[Callable[[], object]] = [close, *sweeps]
        outcomes = burst(works)

        expired = {outcome.status for outcome in outcomes if isinstance(outcome, Answer)}
        assert expired <= {"OK", "RESERVATION_FINALIZED"}
        with in_tenant(books.tenant.tag):
            assert not Reservation.objects.filter(status="ACTIVE").exists()
        assert books.budget().reserved == 0
        assert audit(books.tenant.tag) == []


class TestWhatIsInFlight:
    @pytest.mark.parametrize("name", ["suspend", "freeze"])
    def test_settles_behind_the_barrier(self, books: Books, name: str) -> None:
        stop, _ = _stops(books)[name]
        first, second = (_reserve(books)() for _ in range(2))
        works: list[Callable[[], object]] = [
            stop,
            lambda: _apply(books, "commit", target=first.id, amount=3),
            lambda: _apply(books, "release", target=second.id),
        ]

        with in_line_behind(books.tenant.tag, works) as (running, _):
            pass

        assert running[0].result() is not None
        assert [answer.status for answer in _answers(running[1:])] == ["OK", "OK"]
        assert (books.budget().spent, books.budget().reserved) == (3, 0)
        assert audit(books.tenant.tag) == []

    def test_is_given_back_by_a_close_and_cannot_be_settled_behind_it(self, books: Books) -> None:
        hold = _reserve(books)()
        close, _ = _stops(books)["close"]
        commit = books.operation("commit", target=hold.id, amount=1, is_trusted=True)
        works = [close, lambda: engine.apply(books.tenant.tag, [commit])[0]]

        with in_line_behind(books.tenant.tag, works) as (running, _):
            pass

        assert running[0].result() is not None
        assert [answer.status for answer in _answers(running[1:])] == ["TENANT_CLOSED"]
        assert (books.budget().spent, books.budget().reserved) == (0, 0)
        assert audit(books.tenant.tag) == []


class TestOtherTenants:
    def test_do_not_wait_for_a_tenant_that_is_held_up(self, books: Books, initech: Tenant) -> None:
        others = Books(initech)
        others.add_budget(allocated=1000)
        with head_held(books.tenant.tag):
            stuck = [Running(lambda: books.ask("reserve", amount=1, idem=uuid7().hex)) for _ in range(30)]
            slowest = 0.0
            for _ in range(30):
                begun = time.monotonic()
                assert others.ask("reserve", amount=1).status == "OK"
                slowest = max(slowest, time.monotonic() - begun)

        # Far less than the lock timeout (1.5 s) that a tenant's own requests are held to.
        assert slowest < 0.7
        for one in stuck:
            one._thread.join(10)
            assert one.has_ended


def _answers(running: list[Running[object]]) -> list[Answer]:
    answers = [one.result() for one in running]
    assert all(isinstance(answer, Answer) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Answer)]
