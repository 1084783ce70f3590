"""The hot path's connections: handed out to one at a time, bounded in number, in waiting and in life."""

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from kernel import lanes as module
from kernel.ids import Tag
from kernel.lanes import Lane, Lanes, NoLane
from tests.support.bursts import Running, burst

pytestmark = pytest.mark.usefixtures("database")

_ACME = Tag("acmeacmeacmeacmeacme")
_INITECH = Tag("initechinitechiniteh")


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    lanes = Lanes(size=2)
    yield lanes
    lanes.close()


def _pid(lane: Lane) -> int:
    assert lane.connection is not None
    row = lane.connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


def _run(lanes: Lanes, statement: str) -> None:
    with lanes.lane(_ACME) as lane:
        assert lane.connection is not None
        lane.connection.execute(statement.encode())


class TestLanes:
    def test_a_tenant_keeps_its_lane_while_it_is_free(self, lanes: Lanes) -> None:
        pids = set()
        for _ in range(5):
            with lanes.lane(_ACME) as lane:
                pids.add(_pid(lane))

        assert len(pids) == 1

    def test_a_tenant_takes_another_one_when_its_own_is_busy(self, lanes: Lanes) -> None:
        with lanes.lane(_ACME) as first, lanes.lane(_ACME) as second:
            assert first.number != second.number
            assert _pid(first) != _pid(second)

    def test_who_finds_all_busy_waits_so_long_and_no_longer(
        self, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "WAIT_SECONDS_MAX", 0.2)
        with lanes.lane(_ACME), lanes.lane(_INITECH):
            begun = time.monotonic()
            with pytest.raises(NoLane), lanes.lane(_ACME):
                pass
            assert 0.2 <= time.monotonic() - begun < 1.0

        with lanes.lane(_ACME) as lane:
            assert _pid(lane)

    def test_who_waits_gets_the_one_that_comes_free(self, lanes: Lanes) -> None:
        def ask() -> int:
            with lanes.lane(_INITECH) as lane:
                return _pid(lane)

        with lanes.lane(_ACME), lanes.lane(_ACME) as second:
            waiting = [Running(ask) for _ in range(4)]
            pid = _pid(second)

        assert all(one.result() for one in waiting)
        assert pid

    def test_are_never_given_to_two_at_once(self, lanes: Lanes) -> None:
        in_use: set[int] = set()
        guard = threading.Lock()

        def work() -> None:
            for _ in range(50):
                with lanes.lane(_ACME) as lane:
                    with guard:
                        assert lane.number not in in_use
                        in_use.add(lane.number)
                    _pid(lane)
                    with guard:
                        in_use.remove(lane.number)

        assert burst([work] * 6) == [None] * 6

    def test_are_renewed_after_their_time(self, lanes: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
        with lanes.lane(_ACME) as lane:
            first = _pid(lane)
        monkeypatch.setattr(module, "LIFETIME_SECONDS", 0)
        with lanes.lane(_ACME) as lane:
            assert _pid(lane) == first
        with lanes.lane(_ACME) as lane:
            assert _pid(lane) != first

    def test_are_connected_anew_when_that_is_asked_for(self, lanes: Lanes) -> None:
        with lanes.lane(_ACME) as lane:
            first = _pid(lane)
        with lanes.lane(_ACME, is_fresh=True) as lane:
            assert _pid(lane) != first

    def test_survive_an_error_of_the_statement(self, lanes: Lanes) -> None:
        with lanes.lane(_ACME) as lane:
            first = _pid(lane)
        with pytest.raises(psycopg.errors.DivisionByZero):
            _run(lanes, "SELECT 1 / 0")
        with lanes.lane(_ACME) as lane:
            assert _pid(lane) == first

    def test_are_cut_when_a_call_takes_too_long(self, lanes: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "CALL_SECONDS_MAX", 0.2)
        begun = time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            _run(lanes, "SELECT pg_sleep(1.5)")

        assert time.monotonic() - begun < 1.0
        with lanes.lane(_ACME) as lane:
            assert _pid(lane)
            assert not lane.was_cut

    def test_have_the_limits_of_the_hot_path(self, lanes: Lanes) -> None:
        limits = {
            "lock_timeout": "1500ms",
            "statement_timeout": "1700ms",
            "role": "watermaster_app",
            "jit": "off",
            "plan_cache_mode": "force_generic_plan",
            "default_transaction_isolation": "read committed",
        }
        with lanes.lane(_ACME) as lane:
            assert lane.connection is not None
            for name, limit in limits.items():
                row = lane.connection.execute("SELECT current_setting(%s)", [name]).fetchone()
                assert [str(value) for value in row or ()] == [limit]
