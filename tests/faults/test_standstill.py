"""When the database stands still or a tenant's books are held, everyone has an answer in time."""

import time
from collections.abc import Callable

import psycopg
import pytest

from budgets.selectors.audit import audit
from budgets.services import engine
from budgets.services.operations import Answer
from kernel import lanes
from kernel.ids import uuid7
from tests.support.books import Books
from tests.support.bursts import Running, burst, head_held, statuses, until, waiting_for_locks, watcher
from tests.support.own_server import OwnServer

#: What the engine promises, and what a busy machine may add to it.
_SECONDS_MAX = 2.0
_SLACK = 0.6


def _timed(work: Callable[[], Answer]) -> tuple[float, Answer | BaseException]:
    begun = time.monotonic()
    try:
        outcome: Answer | BaseException = work()
    except engine.EngineUnavailable as error:
        outcome = error
    return time.monotonic() - begun, outcome


class TestFrozenServer:
    def test_is_noticed_in_time_by_everyone_and_forgotten_afterwards(self, server: OwnServer, books: Books) -> None:
        keys = [uuid7().hex for _ in range(24)]
        assert books.ask("reserve", amount=1).status == "OK"

        with server.frozen():
            # The first round has connections that were good, the second one has to make new ones.
            for _ in range(2):
                outcomes = burst(
                    [lambda key=key: _timed(lambda: books.ask("reserve", amount=1, idem=key)) for key in keys]  # type: ignore[misc]
                )
                for outcome in outcomes:
                    assert not isinstance(outcome, BaseException)
                    seconds, answer = outcome
                    assert isinstance(answer, engine.EngineUnavailable)
                    assert seconds < _SECONDS_MAX + _SLACK

        begun = time.monotonic()
        until(lambda: isinstance(_timed(lambda: books.ask("reserve", amount=1, idem="after"))[1], Answer))
        assert time.monotonic() - begun < _SECONDS_MAX
        # Whether each had its effect is not known; its key finds it or makes it, once.
        assert all(books.ask("reserve", amount=1, idem=key).status == "OK" for key in keys)
        assert books.budget().reserved == len(keys) + 2
        assert audit(books.tenant.tag) == []


class TestHeldBooks:
    def test_are_not_waited_for_longer_than_promised(self, books: Books) -> None:
        with head_held(books.tenant.tag):
            seconds, outcome = _timed(lambda: books.ask("reserve", amount=1, idem="one"))

        assert isinstance(outcome, engine.EngineUnavailable)
        assert seconds < _SECONDS_MAX + _SLACK
        again = books.ask("reserve", amount=1, idem="one")
        assert (again.status, again.replayed) == ("OK", False)

    def test_cost_a_line_no_more_than_they_cost_one(self, books: Books) -> None:
        with head_held(books.tenant.tag):
            outcomes = burst([lambda: _timed(lambda: books.ask("reserve", amount=1, idem=uuid7().hex))] * 40)

        for outcome in outcomes:
            assert not isinstance(outcome, BaseException)
            seconds, answer = outcome
            assert isinstance(answer, engine.EngineUnavailable)
            assert seconds < _SECONDS_MAX + _SLACK
        assert books.budget().reserved == 0
        assert books.ask("reserve", amount=1).status == "OK"

    def test_that_come_free_in_time_are_no_trouble(self, books: Books) -> None:
        with watcher() as seen, head_held(books.tenant.tag):
            works = [lambda: books.ask("reserve", amount=1, idem=uuid7().hex)] * 8
            running = [Running(work) for work in works]
            until(lambda: waiting_for_locks(seen) >= 1)

        assert statuses([one.result() for one in running]) == {"OK": 8}

    def test_leave_the_connection_as_it_is(
        self, server: OwnServer, books: Books, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A lock that was not to be had is no fault of the connection: the next call finds it open."""
        # On a busy machine the answer of PostgreSQL is read so late that the call would be cut.
        monkeypatch.setattr(lanes, "CALL_SECONDS_MAX", 60)
        assert books.ask("reserve", amount=1).status == "OK"
        with watcher() as seen:
            before = _backends(seen)
            with head_held(books.tenant.tag):
                _timed(lambda: books.ask("reserve", amount=1))
            assert books.ask("reserve", amount=1).status == "OK"
            assert _backends(seen) == before

    def test_a_cancelled_statement_is_unknown_and_not_an_error(self, server: OwnServer, books: Books) -> None:
        with watcher() as seen, head_held(books.tenant.tag):
            running = Running(lambda: books.ask("reserve", amount=1, idem="one"))
            until(lambda: waiting_for_locks(seen) >= 1)
            assert server.cancel_statements() == 1
            with pytest.raises(engine.EngineUnavailable):
                running.result()

        assert not books.ask("reserve", amount=1, idem="one").replayed


def _backends(seen: psycopg.Connection) -> set[int]:
    rows = seen.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'watermaster_runtime'").fetchall()
    return {int(row[0]) for row in rows}
