"""The line of one tenant: bounded, in order of arrival, and never stuck whoever dies in it."""

import ctypes
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from budgets.services import combiner as module
from budgets.services.combiner import BATCH_MAX, CALLS_MAX, Combiner, OutcomeUnknown, TooBusy
from budgets.services.operations import Answer, Operation
from kernel.ids import uuid7
from tests.support.bursts import Running, burst, until


def _operation(name: str = "") -> Operation:
    return Operation(op="reserve", id=uuid7(), idem=name)


@dataclass
class _Books:
    """Stands where the database stands: notes its calls, and answers when it is let."""

    calls: list[list[str]] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None
    entered: int = 0

    def call(self, operations: Sequence[Operation]) -> list[Answer]:
        self.entered += 1
        self.threads.append(threading.get_ident())
        self.calls.append([operation.idem or "" for operation in operations])
        assert self.gate.wait(20)
        error, self.error = self.error, None
        if error is not None:
            raise error
        return [Answer(status="OK", id=operation.id, replayed=False, slug="") for operation in operations]


@pytest.fixture
def books() -> _Books:
    return _Books()


@pytest.fixture
def line(books: _Books) -> Combiner:
    return Combiner(books.call)


def _occupy(books: _Books, line: Combiner) -> list[Running[Answer]]:
    """As many calls under way as there may be at once."""
    leaders = [Running(lambda: line.submit(_operation("leader"))) for _ in range(CALLS_MAX)]
    until(lambda: books.entered == CALLS_MAX)
    return leaders


def _line_up(line: Combiner, names: Sequence[str]) -> list[Running[Answer]]:
    """One after the other, each after the one before stands in line."""
    waiting = []
    for name in names:
        length = len(line._waiting)
        waiting.append(Running(_submit(line, name)))
        until(lambda length=length: len(line._waiting) == length + 1)  # type: ignore[misc]
    return waiting


def _submit(line: Combiner, name: str) -> Callable[[], Answer]:
    return lambda: line.submit(_operation(name))


class TestLine:
    def test_calls_a_lone_operation_at_once_on_its_own_thread(self, books: _Books, line: Combiner) -> None:
        books.gate.set()
        operation = _operation()

        answer = line.submit(operation)

        assert answer.id == operation.id
        assert books.threads == [threading.get_ident()]
        assert line.is_idle

    def test_joins_those_who_wait_in_the_order_of_arrival(self, books: _Books, line: Combiner) -> None:
        leaders = _occupy(books, line)
        names = [str(number) for number in range(BATCH_MAX + 10)]
        waiting = _line_up(line, names)

        books.gate.set()

        assert all(running.result().status == "OK" for running in [*leaders, *waiting])
        assert books.calls[CALLS_MAX:] == [names[:BATCH_MAX], names[BATCH_MAX:]]
        assert line.is_idle

    def test_gives_everyone_the_answer_to_his_own_question(self, line: Combiner, books: _Books) -> None:
        books.gate.set()
        operations = [_operation() for _ in range(200)]

        answers = burst([lambda operation=operation: line.submit(operation) for operation in operations])  # type: ignore[misc]

        assert [answer.id for answer in answers if isinstance(answer, Answer)] == [one.id for one in operations]

    def test_turns_away_who_finds_it_full(self, books: _Books, line: Combiner, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "WAITING_MAX", 3)
        _occupy(books, line)
        waiting = _line_up(line, ["1", "2", "3"])

        begun = time.monotonic()
        with pytest.raises(TooBusy):
            line.submit(_operation("4"))
        assert time.monotonic() - begun < 0.5

        books.gate.set()
        assert [running.result().status for running in waiting] == ["OK"] * 3
        assert ["1", "2", "3"] in books.calls

    def test_lets_nobody_wait_for_ever(self, books: _Books, line: Combiner, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "WAIT_SECONDS_MAX", 0.05)
        leaders = _occupy(books, line)

        with pytest.raises(TooBusy):
            line.submit(_operation("late"))

        books.gate.set()
        assert [running.result().status for running in leaders] == ["OK"] * CALLS_MAX
        assert "late" not in [name for call in books.calls for name in call]
        assert line.is_idle

    def test_does_not_say_of_a_call_under_way_that_nothing_was_done(
        self, books: _Books, line: Combiner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        leaders = _occupy(books, line)
        monkeypatch.setattr(module, "WAIT_SECONDS_MAX", 0.3)
        first, second = _line_up(line, ["first", "second"])
        slow = threading.Event()
        books.gate, fast = slow, books.gate
        fast.set()
        assert [running.result().status for running in leaders] == ["OK"] * CALLS_MAX
        until(lambda: ["first", "second"] in books.calls)

        # `first` leads and waits for the database; `second` only waits for `first`.
        with pytest.raises(OutcomeUnknown):
            second.result()
        slow.set()
        assert first.result().status == "OK"
        assert line.is_idle


class TestCrowd:
    """A line is shorter while many of other tenants stand in lines."""

    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {"CROWD": 2, "WAITING_IN_CROWD_MAX": 1, "WAITING_MAX": 3, "BATCH_MAX": 4}.items():
            monkeypatch.setattr(module, name, value)

    def test_of_others_shortens_a_line(self, books: _Books, line: Combiner) -> None:
        others = _Books()
        line_of_others = Combiner(others.call)
        leaders = _occupy(others, line_of_others) + _occupy(books, line)
        waiting = _line_up(line_of_others, ["1", "2"]) + _line_up(line, ["1"])

        with pytest.raises(TooBusy):
            line.submit(_operation("2"))

        others.gate.set()
        assert [running.result().status for running in [leaders[0], *waiting[:2]]] == ["OK"] * 3
        waiting += _line_up(line, ["2", "3"])
        books.gate.set()
        assert [running.result().status for running in [*leaders, *waiting]] == ["OK"] * (len(leaders) + 5)

    def test_of_its_own_does_not(self, books: _Books, line: Combiner) -> None:
        """Those whose call is under way stand there too, and are no others."""
        leaders = _occupy(books, line)
        waiting = _line_up(line, ["1", "2", "3"])
        slow = threading.Event()
        books.gate, fast = slow, books.gate
        fast.set()
        assert [running.result().status for running in leaders] == ["OK"] * CALLS_MAX
        until(lambda: ["1", "2", "3"] in books.calls)

        waiting += _line_up(line, ["4", "5", "6"])

        with pytest.raises(TooBusy):
            line.submit(_operation("7"))
        slow.set()
        assert [running.result().status for running in waiting] == ["OK"] * 6

    def test_is_gone_when_nobody_stands_in_line(self) -> None:
        until(lambda: module._crowd._count == 0)


class TestFailure:
    def test_reaches_all_of_the_call_and_nobody_else(self, books: _Books, line: Combiner) -> None:
        leaders = _occupy(books, line)
        waiting = _line_up(line, [str(number) for number in range(BATCH_MAX + 1)])
        books.error = ValueError("poison")

        books.gate.set()

        results = burst([running.result for running in [*leaders, *waiting]])
        failed = [result for result in results if isinstance(result, ValueError)]
        # The first call that came back had the error: it was one of the two leaders'.
        assert len(failed) == 1
        assert line.is_idle

    def test_of_a_batch_reaches_the_whole_batch(self, books: _Books, line: Combiner) -> None:
        leaders = _occupy(books, line)
        waiting = _line_up(line, ["1", "2", "3"])
        slow = threading.Event()
        books.gate, fast = slow, books.gate
        fast.set()
        assert [running.result().status for running in leaders] == ["OK"] * CALLS_MAX
        until(lambda: ["1", "2", "3"] in books.calls)
        books.error = ValueError("poison")
        slow.set()

        assert [type(result) for result in burst([running.result for running in waiting])] == [ValueError] * 3
        assert line.submit(_operation()).status == "OK"

    def test_that_ends_the_leader_alone_does_not_end_the_others(self, books: _Books, line: Combiner) -> None:
        leaders = _occupy(books, line)
        waiting = _line_up(line, ["1", "2", "3"])
        slow = threading.Event()
        books.gate, fast = slow, books.gate
        fast.set()
        assert [running.result().status for running in leaders] == ["OK"] * CALLS_MAX
        until(lambda: ["1", "2", "3"] in books.calls)
        books.error = SystemExit()
        slow.set()

        outcomes = [type(result) for result in burst([running.result for running in waiting])]
        assert outcomes == [SystemExit, OutcomeUnknown, OutcomeUnknown]
        assert line.submit(_operation()).status == "OK"
        assert line.is_idle

    @pytest.mark.parametrize("victim", [0, 1])
    def test_of_one_who_waits_does_not_stop_the_line(self, books: _Books, line: Combiner, victim: int) -> None:
        leaders = _occupy(books, line)
        waiting = _line_up(line, ["1", "2"])
        ident = waiting[victim]._thread.ident
        assert ident is not None
        # Comes when the wait is over: for the first in line, in the moment in which it is made the leader.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(SystemExit))

        books.gate.set()

        outcomes = burst([running.result for running in waiting])
        assert isinstance(outcomes[victim], SystemExit)
        assert isinstance(outcomes[1 - victim], Answer | TooBusy)
        assert [running.result().status for running in leaders] == ["OK"] * CALLS_MAX
        until(lambda: line.is_idle)
        assert line.submit(_operation()).status == "OK"

    def test_that_dooms_the_others_is_told_to_all_who_wait(self, books: _Books) -> None:
        line = Combiner(books.call, dooms=(ConnectionError,))
        leaders = _occupy(books, line)
        waiting = _line_up(line, ["1", "2", "3"])
        books.error = ConnectionError("away")

        books.gate.set()

        outcomes = burst([running.result for running in [*leaders, *waiting]])
        assert [type(outcome) for outcome in outcomes[CALLS_MAX:]] == [ConnectionError] * 3
        assert [type(outcome) for outcome in outcomes[:CALLS_MAX]].count(ConnectionError) == 1
        assert line.is_idle
        assert line.submit(_operation()).status == "OK"


class TestStress:
    def test_nothing_is_lost_or_done_twice_when_waits_run_out_all_the_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Waits end about when turns come, so that many run out in the moment of becoming the leader."""
        monkeypatch.setattr(module, "WAIT_SECONDS_MAX", 0.004)
        monkeypatch.setattr(module, "BATCH_MAX", 4)
        done: dict[str, int] = {}
        guard = threading.Lock()

        def call(operations: Sequence[Operation]) -> list[Answer]:
            time.sleep(random.choice([0, 0.001, 0.002, 0.005]))
            with guard:
                for operation in operations:
                    done[operation.idem or ""] = done.get(operation.idem or "", 0) + 1
            if random.random() < 0.05:
                raise ValueError("poison")
            return [Answer(status="OK", id=operation.id, replayed=False, slug="") for operation in operations]

        line = Combiner(call)
        heard: dict[str, type] = {}

        def ask(number: int) -> None:
            for turn in range(60):
                name = f"{number}-{turn}"
                try:
                    outcome: type = type(line.submit(_operation(name)))
                except (TooBusy, OutcomeUnknown, ValueError) as error:
                    outcome = type(error)
                with guard:
                    heard[name] = outcome

        assert burst([lambda number=number: ask(number) for number in range(24)]) == [None] * 24  # type: ignore[misc]

        until(lambda: line.is_idle)
        assert len(heard) == 24 * 60
        assert {name: done.get(name, 0) for name, outcome in heard.items() if outcome is TooBusy and name in done} == {}
        for name, outcome in heard.items():
            assert done.get(name, 0) == (0 if outcome is TooBusy else 1), (name, outcome)
        assert {Answer, TooBusy} <= set(heard.values())
