"""The page about the platform's own parts."""

import pytest
import redis
from django.test import Client

from kernel.valkey import shared_valkey
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
