"""The page about the platform's own parts."""

from datetime import UTC, datetime, timedelta

import pytest
import redis
from django.test import Client

from budgets.services.decision_notes import drain
from kernel.metrics.tally import Tally
from kernel.tenancy import in_public
from kernel.valkey import shared_valkey
from tenants.models import Tenant, TenantDue, VerifiedPart
from tenants.services.verifications import note_verification
from tests.support.books import Books
from tests.support.console import noted


def text_of(client: Client) -> str:
    answer = client.get("/ops/system/")
    assert answer.status_code == 200
    return answer.content.decode()


class TestSystem:
    def test_says_how_queues_and_notes_are(self, books: Books, browser: Client) -> None:
        noted(books)

        text = text_of(browser)

        assert "Tasks waiting" in text
        assert "1 of " in text
        assert "verify_ledger" in text
        assert "PostgreSQL" in text

    def test_names_the_workers_that_listen(self, browser: Client, database: None) -> None:
        key = "celery:_kombu.binding.celery.pidbox"
        shared_valkey().sadd(key, "\x06\x16\x06\x16celery@pump.celery.pidbox")
        try:
            assert "<code>celery@pump</code>" in text_of(browser)
        finally:
            shared_valkey().srem(key, "\x06\x16\x06\x16celery@pump.celery.pidbox")

    def test_says_that_valkey_is_away_and_shows_the_rest(
        self, browser: Client, database: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nowhere = redis.Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.05)
        monkeypatch.setattr("tenants.selectors.platform_state.shared_valkey", lambda: nowhere)

        text = text_of(browser)

        assert "Valkey is away" in text
        assert "PostgreSQL" in text

    def test_says_how_fast_decisions_were_and_why_some_were_refused(self, books: Books, browser: Client) -> None:
        books.add_budget(allocated=10)
        books.ask("reserve", amount=11)
        drain(Tally())

        text = text_of(browser)

        assert "99 % within" in text
        assert "<code>BUDGET_EXCEEDED</code>" in text

    def test_says_that_books_were_never_proven(self, acme: Tenant, browser: Client) -> None:
        text = text_of(browser)

        assert "Not all proven" in text

    def test_names_books_that_do_not_add_up(self, acme: Tenant, browser: Client) -> None:
        note_verification(
            tag=acme.tag,
            part=VerifiedPart.LEDGER,
            at=datetime.now(UTC),
            took_ms=5,
            read=10,
            differences=2,
            first="L2 tenant:acme: spent 5, the entries say 6",
        )

        text = text_of(browser)

        assert "Does not add up" in text
        assert "L2 tenant:acme: spent 5, the entries say 6" in text

    def test_says_which_work_is_late(self, acme: Tenant, browser: Client) -> None:
        with in_public():
            TenantDue.objects.create(tag=acme.tag, due_at=datetime.now(UTC) - timedelta(minutes=10))

        text = text_of(browser)

        assert "Expiry of holds" in text
        assert '<span class="chip warn">Late</span>' in text or ">Late<" in text
