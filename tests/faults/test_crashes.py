"""What was acknowledged is there after a crash, what was not is found or made by its key, and the books add up."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connections

from budgets.selectors.audit import audit
from budgets.services import engine
from budgets.services.operations import Answer, Op, Operation
from kernel.ids import uuid7
from tests.support.books import Books
from tests.support.bursts import burst, statuses
from tests.support.own_server import OwnServer

pytestmark = pytest.mark.slow


@dataclass
class _Load:
    """Clients that reserve, commit and book events without pause, and remember what they asked and what they heard."""

    books: Books
    heard: list[tuple[Op, dict[str, Any], Answer]] = field(default_factory=list)
    unheard: list[tuple[Op, dict[str, Any]]] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, clients: int) -> None:
        self._threads = [threading.Thread(target=self._live, daemon=True) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    def _live(self) -> None:
        try:
            while not self._ended.is_set():
                hold = self._ask("reserve", amount=5)
                if hold is not None:
                    self._ask("commit", target=hold.id, amount=4)
                self._ask("event", amount=1)
                # A refusal is an answer too; it leaves nothing but its record.
                self._ask("reserve", amount=10**9)
        except BaseException as error:  # noqa: BLE001  the test looks at it
            self.errors.append(error)
        finally:
            connections.close_all()

    def _ask(self, op: Op, **fields: Any) -> Answer | None:
        fields["idem"] = uuid7().hex
        try:
            answer = engine.submit(self.books.tenant.tag, self.books.operation(op, **fields))
        except engine.EngineUnavailable:
            self.unheard.append((op, fields))
            time.sleep(0.02)
            return None
        self.heard.append((op, fields, answer))
        return answer

    def check(self) -> None:
        """Everything that was heard is heard again, everything else now; then the sums are what was said."""
        assert self.errors == []
        tag = self.books.tenant.tag
        reserved = spent = 0
        for op, fields, heard in self.heard:
            again = engine.apply(tag, [self.books.operation(op, **fields)])[0]
            if heard.status == "OK":
                assert (again.status, again.replayed, again.charged) == ("OK", True, heard.charged), (op, heard, again)
                assert op == "commit" or again.id == heard.id
            else:
                assert (heard.status, again.status) == ("BUDGET_EXCEEDED", "BUDGET_EXCEEDED")
        for op, fields in self.unheard:
            assert engine.apply(tag, [self.books.operation(op, **fields)])[0].status in {"OK", "BUDGET_EXCEEDED"}
        for op, fields in [(op, fields) for op, fields, _ in self.heard] + self.unheard:
            if fields["amount"] < 10**9:
                reserved += {"reserve": 5, "commit": -5}.get(op, 0)
                spent += {"commit": 4, "event": 1}.get(op, 0)
        budget = self.books.budget()
        assert (budget.reserved, budget.spent) == (reserved, spent)
        assert audit(tag) == []


class TestCrash:
    @pytest.mark.parametrize("crash", ["all at once", "one backend"])
    def test_loses_nothing_that_was_acknowledged(self, server: OwnServer, books: Books, crash: str) -> None:
        load = _Load(books)
        load.start(6)
        try:
            for _ in range(3):
                before = len(load.heard)
                _wait(lambda before=before: len(load.heard) > before + 60)  # type: ignore[misc]
                if crash == "all at once":
                    server.kill()
                    server.start()
                else:
                    server.kill_a_backend()
                    server.wait_until_it_answers()
            before = len(load.heard)
            _wait(lambda: len(load.heard) > before + 60)
        finally:
            load.end()

        load.check()

    def test_one_after_the_other_of_cut_connections_changes_no_answer(self, server: OwnServer, books: Books) -> None:
        load = _Load(books)
        load.start(6)
        try:
            _wait(lambda: len(load.heard) > 20)
            cut = 0
            for _ in range(40):
                cut += server.terminate_backends()
                server.cancel_statements()
                time.sleep(0.02)
            before = len(load.heard)
            _wait(lambda: len(load.heard) > before + 60)
        finally:
            load.end()

        assert cut > 20
        load.check()

    def test_a_backend_that_was_lost_while_idle_is_not_noticed(self, server: OwnServer, books: Books) -> None:
        for _ in range(5):
            assert books.ask("reserve", amount=1).status == "OK"
            assert server.terminate_backends() > 0

        assert books.ask("reserve", amount=1).status == "OK"

    def test_all_backends_lost_while_idle_are_not_noticed_by_many_at_once(
        self, server: OwnServer, books: Books
    ) -> None:
        for _ in range(3):
            works = [
                lambda: engine.apply(books.tenant.tag, [books.operation("event", idem=uuid7().hex, amount=1)])[0]
            ] * 8
            assert statuses(burst(works)) == {"OK": 8}
            server.terminate_backends()


def _event(books: Books) -> Operation:
    return books.operation("event", idem=uuid7().hex, amount=1)


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "the load stands still"
        time.sleep(0.01)
