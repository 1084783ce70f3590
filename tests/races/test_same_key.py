"""One key has one effect, whoever asks with it at once, and everyone hears the same answer."""

from typing import Any

import msgspec
import pytest

from budgets.models import Decision, LedgerEntry
from budgets.selectors.audit import audit
from budgets.services import engine
from budgets.services.operations import Answer, Op
from kernel.ids import uuid7
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.bursts import asking, burst, head_held, in_line_behind, statuses

_THREADS = 16


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


def _said(answer: Answer | BaseException, *, op: Op) -> dict[str, Any]:
    assert isinstance(answer, Answer)
    said = {**msgspec.to_builtins(answer), "replayed": None, "left_ms": None}
    # The id of a settlement is the request's own.
    return said if op in {"reserve", "decide", "event"} else {**said, "id": None}


def _lines(books: Books) -> tuple[int, int]:
    with in_tenant(books.tenant.tag):
        return LedgerEntry.objects.count(), Decision.objects.count()


class TestSameKey:
    @pytest.mark.parametrize("op", ["reserve", "decide", "event", "commit", "release", "extend"])
    def test_of_16_one_does_it_and_15_hear_of_it(self, books: Books, op: Op) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=7)
        fields: dict[str, Any] = {"target": hold.id} if op in {"commit", "release", "extend"} else {}
        before = _lines(books)

        answers = burst([asking(books, op, idem="one", amount=7, extend_ms=1000, **fields) for _ in range(_THREADS)])

        assert statuses(answers) == {"OK": _THREADS}
        assert sum(isinstance(answer, Answer) and answer.replayed for answer in answers) == _THREADS - 1
        assert all(_said(answer, op=op) == _said(answers[0], op=op) for answer in answers)
        entries, decisions = _lines(books)
        assert entries - before[0] == (op != "decide")
        assert decisions - before[1] == (op in {"reserve", "decide"})
        assert audit(books.tenant.tag) == []

    @pytest.mark.parametrize("op", ["reserve", "event", "commit"])
    def test_of_16_payloads_one_has_it_and_15_are_told(self, books: Books, op: Op) -> None:
        books.add_budget(allocated=1000)
        hold = books.ask("reserve", amount=20)
        target = hold.id if op == "commit" else None

        answers = burst(
            [
                asking(books, op, idem="one", amount=number, hash=f"\\x{number:02x}", target=target)
                for number in range(1, _THREADS + 1)
            ]
        )

        assert statuses(answers) == {"OK": 1, "IDEMPOTENCY_MISMATCH": _THREADS - 1}
        assert audit(books.tenant.tag) == []

    def test_across_processes_the_second_waits_for_the_first_and_hears_its_answer(self, books: Books) -> None:
        """Not joined by a combiner: two transactions in the database, one behind the other."""
        books.add_budget(allocated=100)
        tag = books.tenant.tag
        works = [lambda: engine.apply(tag, [books.operation("reserve", idem="one", amount=60)])[0] for _ in range(3)]

        with in_line_behind(tag, works) as (running, _):
            assert not any(one.has_ended for one in running)

        answers = [one.result() for one in running]
        assert [answer.replayed for answer in answers if isinstance(answer, Answer)] == [False, True, True]
        assert books.budget().reserved == 60

    def test_a_first_that_fails_leaves_the_key_to_the_second(self, books: Books) -> None:
        books.add_budget(allocated=100)
        tag = books.tenant.tag
        operation = books.operation("reserve", idem="one", amount=60)

        with pytest.raises(RuntimeError), head_held(tag) as first:  # noqa: PT012  the transaction is what ends
            first.execute("SELECT door_v1('apply', %s)", [msgspec.json.encode([operation]).decode()])
            first.rollback()
            raise RuntimeError

        second = engine.submit(tag, books.operation("reserve", id=uuid7(), idem="one", amount=60))
        assert (second.status, second.replayed) == ("OK", False)
        assert audit(tag) == []
