"""Prices: the book on a day, a model's history, and deciding on what an import proposes."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections
from django.test import Client

from accounts.models import OperatorRole
from kernel.owner import acting_as_owner
from routing.selectors.prices import proposals
from routing.services.price_import import import_prices
from tests.support.console import person, signed_in
from tests.support.prices import OLIVE, USD, last_entry, listed, put_in_force, source, terms


def ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


@pytest.fixture(autouse=True)
def _empty_book(database: None) -> Iterator[None]:
    _empty()
    yield
    _empty()


def _empty() -> None:
    with acting_as_owner(), connections["default"].cursor() as cursor:
        cursor.execute("TRUNCATE public.price_version, public.price_multiplier")


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return str(answer.content.decode())


def csv_of(client: Client, address: str) -> str:
    return b"".join(client.get(address).streaming_content).decode()  # type: ignore[attr-defined]


def propose(*names: str, provider: str = "openai") -> None:
    import_prices(source(*(listed(name, provider=provider) for name in names)), actor=OLIVE, now=datetime.now(UTC))


def seen_of(page: str) -> str:
    found = re.search(r'name="seen" value="([^"]*)"', page)
    assert found
    return found.group(1)


class TestBook:
    def test_is_empty_with_a_command(self, browser: Client) -> None:
        assert "manage.py import_prices" in text(browser, "/ops/prices/")

    def test_filters_by_model_provider_and_day(self, browser: Client) -> None:
        yesterday = ago(1)
        put_in_force(
            listed("gpt-x", effective_until=yesterday, terms=terms(input=3 * USD)),
            listed("gpt-x", effective_from=yesterday, terms=terms(input=2 * USD)),
            listed("claude-y", provider="anthropic"),
            now=ago(365),
        )

        assert "claude-y" in text(browser, "/ops/prices/?provider=anthropic")
        page = text(browser, "/ops/prices/?q=GPT")
        assert "claude-y" not in page
        assert "$2.00" in page
        assert "$3.00" not in page
        assert "$3.00" in text(browser, f"/ops/prices/?on={ago(9):%Y-%m-%d}")
        assert "No price matches" in text(browser, "/ops/prices/?q=none&layer=LIST&on=x")

    def test_pages_in_a_stable_order_and_exports_all_of_it(self, browser: Client) -> None:
        put_in_force(*(listed(f"m-{number:03}") for number in range(60)), now=ago(365))

        first = text(browser, "/ops/prices/?provider=openai")
        following = re.search(r'href="(\?[^"]*after=[^"]*)"', first)
        assert following
        second = text(browser, "/ops/prices/" + following.group(1).replace("&amp;", "&"))
        assert first.count(">m-0") == 50
        assert second.count(">m-0") == 10
        assert csv_of(browser, "/ops/prices/?provider=openai&format=csv").count("\r\nopenai,m-0") == 60

    def test_shows_a_model_s_history(self, browser: Client) -> None:
        put_in_force(listed("deep/r1"), now=ago(365))

        page = text(browser, "/ops/prices/history/?provider=openai&model=deep%2Fr1")

        assert "Approved</span>" in page
        assert "by olive" in page
        assert browser.get("/ops/prices/history/?provider=openai&model=none").status_code == 404


class TestDeciding:
    ALL = "/ops/prices/decision/?decision=approve&provider=openai"

    def test_shows_what_each_would_change(self, browser: Client) -> None:
        put_in_force(listed("gpt-x", terms=terms(input=10 * USD)), now=ago(365))
        propose("gpt-x", "gpt-new")

        page = text(browser, "/ops/prices/proposals/")

        assert "input $10 → $1" in page
        assert "New</span>" in page
        assert "Approve these 2…" in page
        assert "openai,gpt-new,True" in csv_of(browser, "/ops/prices/proposals/?format=csv")

    def test_approves_what_was_seen(self, browser: Client) -> None:
        propose("gpt-x", "gpt-y")
        page = text(browser, self.ALL)
        assert "Approve 2 prices" in page

        answer = browser.post(self.ALL, {"seen": seen_of(page), "reason": "The list of November"})

        assert (answer.status_code, answer["Location"]) == (303, "/ops/prices/proposals/?provider=openai")
        assert proposals() == []
        entry = last_entry("price.approved")
        assert (entry.actor, entry.reason) == ("olive@example.test", "The list of November")
        assert "gpt-y" in text(browser, "/ops/prices/")

    def test_refuses_when_the_count_has_changed(self, browser: Client) -> None:
        propose("gpt-x")
        seen = seen_of(text(browser, self.ALL))
        propose("gpt-x", "gpt-y")

        answer = browser.post(self.ALL, {"seen": seen, "reason": "because"})

        assert answer.status_code == 422
        page = answer.content.decode()
        assert "what waits has changed" in page
        assert "Approve 2 prices" in page
        assert len(proposals()) == 2
        assert browser.post(self.ALL, {"seen": seen_of(page), "reason": "because"}).status_code == 303

    def test_rejects_the_chosen_alone(self, browser: Client) -> None:
        propose("gpt-x", "gpt-y")
        chosen = next(version for version in proposals() if version.model == "gpt-x")
        address = f"/ops/prices/decision/?decision=reject&id={chosen.pk}"

        browser.post(address, {"seen": seen_of(text(browser, address)), "reason": "wrong"})

        assert [version.model for version in proposals()] == ["gpt-y"]

    def test_sent_twice_says_that_nothing_waits(self, browser: Client) -> None:
        propose("gpt-x")
        form = {"seen": seen_of(text(browser, self.ALL)), "reason": "because"}
        browser.post(self.ALL, form)

        answer = browser.post(self.ALL, form)

        assert answer.status_code == 422
        assert "Nothing of this waits" in answer.content.decode()

    def test_of_no_ids_is_no_page(self, browser: Client) -> None:
        assert browser.get("/ops/prices/decision/?id=x").status_code == 404

    def test_is_not_for_viewers(self, database: None) -> None:
        propose("gpt-x")
        with person("vera", OperatorRole.VIEWER) as vera:
            client = signed_in(vera)

            assert client.get(self.ALL).status_code == 403
            assert client.post("/ops/prices/import/", {"reason": "x"}).status_code == 403
            page = text(client, "/ops/prices/proposals/")
        assert 'type="checkbox"' not in page
        assert "Approve" not in page

    def test_imports_what_is_installed(self, browser: Client) -> None:
        answer = browser.post("/ops/prices/import/", {"reason": "Look for new prices"})

        assert answer["Location"] == "/ops/prices/proposals/"
        page = text(browser, answer["Location"])
        assert "waiting already" in page
        assert len(proposals()) > 1_000
