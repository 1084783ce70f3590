"""A revoked key counts from the next transaction on, and not from the next look-up on."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from accounts.keys.services.keys import revoke_key
from budgets.selectors.audit import audit
from budgets.services import engine
from budgets.services.operations import Answer, Op
from kernel.ids import uuid7
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.bursts import Running, in_line_behind, until


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


def _revoke(books: Books, key_id: str) -> None:
    with in_tenant(books.tenant.tag):
        revoke_key(key_id=key_id, actor=TEST_ACTOR, now=datetime.now(UTC))


class TestRevokedKey:
    def test_does_nothing_more_from_the_moment_the_revocation_returns(self, books: Books) -> None:
        books.add_budget(allocated=10**9)
        revoked, ended = threading.Event(), threading.Event()
        key_id = books.key.key_id

        def spend() -> tuple[int, list[str]]:
            before, after = 0, []
            while not ended.is_set():
                began_after = revoked.is_set()
                status = books.ask("reserve", amount=1, idem=uuid7().hex).status
                if began_after:
                    after.append(status)
                else:
                    before += status == "OK"
            return before, after

        spenders = [Running(spend) for _ in range(4)]
        until(lambda: books.budget().reserved > 20)
        _revoke(books, key_id)
        revoked.set()
        reserved = books.budget().reserved
        # What was under way when it was revoked may still have been admitted, and nothing later.
        until(lambda: threading.active_count() > 0)
        for _ in range(20):
            assert books.ask("reserve", amount=1).status == "UNAUTHORIZED"
        ended.set()

        outcomes = [spender.result() for spender in spenders]
        assert all(status == "UNAUTHORIZED" for _, after in outcomes for status in after)
        assert sum(before for before, _ in outcomes) == books.budget().reserved
        assert books.budget().reserved - reserved <= len(spenders)
        assert audit(books.tenant.tag) == []

    @pytest.mark.parametrize("op", ["reserve", "event", "commit", "release", "extend"])
    def test_counts_for_what_was_waiting_for_its_turn(self, books: Books, op: Op) -> None:
        """Revoked between the door and the books: the key is judged after the lock."""
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=5)
        target = None if op in {"reserve", "event"} else hold.id
        work: Callable[[], Answer] = lambda: engine.apply(  # noqa: E731
            books.tenant.tag, [books.operation(op, target=target, amount=1, extend_ms=1)]
        )[0]

        with in_line_behind(books.tenant.tag, [work]) as (running, connection):
            connection.execute("UPDATE api_key SET status = 'REVOKED'")

        answer = running[0].result()
        assert isinstance(answer, Answer)
        assert answer.status == "UNAUTHORIZED"
        assert books.budget().reserved == 5
