"""The connection breaks in the moment of the commit: the effect is there, its answer is not. The key finds it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from budgets.models import Decision, LedgerEntry
from budgets.selectors.audit import audit
from budgets.services import engine
from budgets.services.operations import Answer, Op
from kernel.ids import uuid7
from kernel.tenancy import in_tenant
from tests.support.books import Books
from tests.support.own_server import OwnServer, pointed_at
from tests.support.postgres_proxy import Loses, PostgresProxy, postgres_proxy

_OPS: list[Op] = ["reserve", "decide", "event", "commit", "release", "extend"]


@pytest.fixture
def proxy(server: OwnServer, books: Books, tmp_path: Path) -> Iterator[PostgresProxy]:
    with postgres_proxy(folder=tmp_path / "run", upstream=server.socket_folder) as proxy, pointed_at(proxy.folder):
        yield proxy


def _fields(books: Books, op: Op) -> dict[str, Any]:
    fields: dict[str, Any] = {"idem": "one", "amount": 5, "extend_ms": 1000}
    if op in {"commit", "release", "extend"}:
        fields["target"] = books.ask("reserve", amount=5).id
    return fields


def _entries(books: Books) -> int:
    with in_tenant(books.tenant.tag):
        return LedgerEntry.objects.count() + Decision.objects.filter(endpoint="decide").count()


class TestLostAnswer:
    @pytest.mark.parametrize("op", _OPS)
    def test_once_is_asked_for_again_without_anybody_noticing(self, books: Books, proxy: PostgresProxy, op: Op) -> None:
        fields = _fields(books, op)
        before = _entries(books)
        proxy.lose("answers", times=1)

        answer = books.ask(op, **fields)

        assert proxy.lost == 1
        # The second try is a replay: the effect was there already.
        assert (answer.status, answer.replayed) == ("OK", True)
        assert _entries(books) == before + 1
        assert audit(books.tenant.tag) == []

    @pytest.mark.parametrize("loses", ["answers", "questions"])
    @pytest.mark.parametrize("op", _OPS)
    def test_twice_is_unknown_until_the_key_is_asked_again(
        self, books: Books, proxy: PostgresProxy, op: Op, loses: Loses
    ) -> None:
        fields = _fields(books, op)
        before = _entries(books)
        proxy.lose(loses, times=2)

        with pytest.raises(engine.EngineUnavailable):
            books.ask(op, **fields)
        answer = books.ask(op, **fields)

        assert proxy.lost == 2
        assert (answer.status, answer.replayed) == ("OK", loses == "answers")
        assert _entries(books) == before + 1
        assert audit(books.tenant.tag) == []

    def test_of_a_refusal_is_a_refusal(self, books: Books, proxy: PostgresProxy) -> None:
        """The record of the refusal stands under an id that the second try must not use again."""
        hold = books.ask("reserve", amount=5)
        books.ask("release", target=hold.id)
        proxy.lose("answers", times=1)
        assert books.ask("reserve", amount=10**9).status == "BUDGET_EXCEEDED"
        proxy.lose("answers", times=1)
        assert books.ask("commit", target=hold.id, amount=5).status == "RESERVATION_FINALIZED"

    def test_of_a_refusal_that_would_be_none_any_more_is_judged_anew(self, books: Books, proxy: PostgresProxy) -> None:
        hold = books.ask("reserve", amount=1_000_000)
        tag = books.tenant.tag
        proxy.lose("answers", times=2)
        with pytest.raises(engine.EngineUnavailable):
            books.ask("reserve", amount=7, idem="one")
        books.ask("release", target=hold.id)

        again = books.ask("reserve", amount=7, idem="one")

        assert (again.status, again.replayed) == ("OK", False)
        assert books.ask("reserve", amount=7, idem="one").id == again.id
        assert audit(tag) == []

    def test_of_a_batch_is_found_for_each_of_it(self, books: Books, proxy: PostgresProxy) -> None:
        first, second = books.ask("reserve", amount=10), books.ask("reserve", amount=10)
        made = uuid7()
        batch = [
            books.operation("reserve", amount=3, idem="a", id=made),
            books.operation("commit", target=made, amount=2, idem="b"),
            books.operation("reserve", amount=10**9, idem="c"),
            books.operation("commit", target=first.id, amount=12, idem="d"),
            books.operation("release", target=second.id, idem="e"),
            books.operation("event", amount=1, idem="f"),
            books.operation("release", target=second.id, idem="g"),
        ]
        proxy.lose("answers", times=1)

        answers = engine.apply(books.tenant.tag, batch)

        assert proxy.lost == 1
        assert [(answer.status, answer.replayed) for answer in answers] == [
            ("OK", True),
            ("OK", True),
            ("BUDGET_EXCEEDED", False),
            ("OK", True),
            ("OK", True),
            ("OK", True),
            ("RESERVATION_FINALIZED", False),
        ]
        assert (books.budget().spent, books.budget().reserved) == (15, 0)
        assert audit(books.tenant.tag) == []

    def test_gives_every_field_as_it_was(self, books: Books, proxy: PostgresProxy) -> None:
        proxy.lose("answers", times=1)
        lost = books.ask("reserve", amount=5, idem="one")

        again = books.ask("reserve", amount=5, idem="one")

        assert _same(again) == _same(lost)


def _same(answer: Answer) -> dict[str, Any]:
    return {**msgspec.to_builtins(answer), "left_ms": None}
