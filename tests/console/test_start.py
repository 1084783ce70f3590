"""From nothing to the first decided call, what members see first, denials by cause, and what can be done about one."""

import csv
import io
import re
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client, override_settings

from accounts.models import User
from config.installed import MIDDLEWARES
from tests.support.books import Books
from tests.support.console import CENT, DOLLAR, explain_address, signed_in

START = "/t/acme/start/"
MARKETING, ENGINEERING = "/workspace:marketing", "/workspace:engineering"


@pytest.fixture
def member(ada: User) -> Client:
    return signed_in(ada)


def text_of(answer: Any) -> str:
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", unescape(answer.content.decode())))


class TestStart:
    def test_its_command_works_as_printed_and_is_noticed(self, books: Books, member: Client) -> None:
        books.add_budget(allocated=DOLLAR)
        page = unescape(member.get(START).content.decode())
        ((url, header, body),) = re.findall(
            r"curl -sS (\S+) \\\n  -H \"([^:]+): \$API_KEY\" .*?-d '(.*?)'", page, re.DOTALL
        )
        assert 'hx-trigger="every 2s"' in page
        assert 'hx-trigger="every 2s"' in member.get(f"{START}seen/").content.decode()

        with override_settings(ROOT_URLCONF="config.urls_api", MIDDLEWARE=MIDDLEWARES["api"]):
            answer = Client().post(
                urlsplit(url).path, body, content_type="application/json", headers={header: books.key.token}
            )

        assert answer.status_code == 200
        seen = member.get(f"{START}seen/")
        assert "Allowed" in text_of(seen)
        assert "hx-trigger" not in seen.content.decode()
        assert "Allowed" in text_of(member.get(START))

    def test_says_what_is_missing(self, acme: Any, member: Client) -> None:
        assert text_of(member.get(START)).count("None yet") == 2

    def test_can_be_looked_at_again_without_a_script(self, acme: Any, member: Client) -> None:
        assert f'<a href="{START}">Look again</a>' in member.get(START).content.decode()


class TestOverview:
    def test_shows_what_needs_somebody(self, books: Books, member: Client) -> None:
        books.add_budget(allocated=100 * DOLLAR)
        books.add_budget(MARKETING, allocated=10 * DOLLAR)
        books.add_budget(ENGINEERING, allocated=10 * DOLLAR)
        books.ask("event", amount=9 * DOLLAR, suffixes=["", MARKETING])
        books.ask("reserve", amount=2 * DOLLAR, suffixes=["", MARKETING])

        page = text_of(member.get("/t/acme/"))

        assert "Spent in all $9.00 of $100.00" in page
        assert "workspace marketing is near its end. Move money into marketing…" in page
        assert "1 call refused in the last 60 min." in page

    @pytest.mark.parametrize(("cents", "is_near"), [(899, False), (900, True)])
    def test_warns_from_ninety_percent(self, books: Books, member: Client, cents: int, is_near: bool) -> None:
        books.add_budget(allocated=10 * DOLLAR)
        books.ask("event", amount=cents * CENT)

        page = text_of(member.get("/t/acme/"))

        assert ("tenant acme is near its end. Ask for more…" in page) is is_near
        assert ("Nothing needs you" in page) is not is_near

    def test_offers_nothing_to_those_who_only_look(self, books: Books, ben: User) -> None:
        books.add_budget(allocated=0)

        assert "…" not in text_of(signed_in(ben).get("/t/acme/"))

    def test_is_the_summary_for_operators(self, books: Books, browser: Client) -> None:
        assert "Recent decisions" in text_of(browser.get("/ops/tenants/acme/"))


class TestDenials:
    @pytest.fixture
    def denied(self, books: Books) -> Books:
        books.add_budget(allocated=CENT)
        for _ in range(3):
            books.ask("reserve", amount=2 * CENT)
        books.ask("reserve", amount=2, unit="TOKENS")
        return books

    def test_are_counted_by_cause_and_lead_to_the_calls(self, denied: Books, member: Client) -> None:
        page = unescape(member.get("/t/acme/denials/?within=24h").content.decode())

        ((link, count),) = re.findall(r'<a href="(/t/acme/decisions/[^"]+BUDGET_EXCEEDED)">(\d+)</a>', page)
        assert count == "3"
        assert member.get(link).content.decode().count(">Why</a>") == 3

    @pytest.mark.parametrize(("query", "count"), [("within=7d", 4), ("reason=BUDGET_EXCEEDED", 3), ("reason=x", 4)])
    def test_are_a_file(self, denied: Books, member: Client, query: str, count: int) -> None:
        answer = member.get(f"/t/acme/denials/export/?{query}")

        assert len(list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))) == count


class TestWhatYouCanDo:
    @pytest.fixture
    def address(self, books: Books) -> str:
        books.add_budget(allocated=100 * DOLLAR)
        books.add_budget(MARKETING, allocated=41 * CENT)
        books.add_budget(ENGINEERING, allocated=10 * DOLLAR)
        answer = books.ask("reserve", amount=128 * CENT, suffixes=["", MARKETING], run="r-1")
        return explain_address(books, answer.id)

    def buttons(self, browser: Client, address: str) -> dict[str, str]:
        page = unescape(browser.get(address).content.decode())
        return {words: url for url, words in re.findall(r'href="([^"]+)"\s+data-dialog>([^<]+…)<', page)}

    def test_is_a_button_for_what_the_reader_may(self, books: Books, address: str, member: Client) -> None:
        own = address.replace("/ops/tenants/", "/t/")

        buttons = self.buttons(member, own)

        assert list(buttons) == ["Move money into workspace marketing…", "Ask for more…"]
        move = unescape(member.get(buttons["Move money into workspace marketing…"]).content.decode())
        assert 'value="0.87"' in move
        assert re.findall(r'<option value="[^"]+" selected>([^<—]+) —', move) == [
            "workspace engineering",
            "workspace marketing",
        ]

    def test_for_operators_is_to_raise_it(self, books: Books, address: str, browser: Client) -> None:
        raise_url = self.buttons(browser, address)["Raise the limit of workspace marketing…"]
        (key,) = re.findall(r'name="key" value="([^"]+)"', browser.get(raise_url).content.decode())
        for _ in range(2):
            sent = {"amount": "0.87", "reason": "It waits", "key": key}
            assert browser.post(raise_url.partition("?")[0], sent).status_code == 302

        assert books.budget(MARKETING).allocated == 128 * CENT

    def test_is_nothing_for_those_who_only_look(self, books: Books, address: str, ben: User) -> None:
        assert self.buttons(signed_in(ben), address.replace("/ops/tenants/", "/t/")) == {}

    def test_stands_above_the_runs_ledger(self, books: Books, address: str, browser: Client) -> None:
        hold = books.ask("reserve", amount=CENT, suffixes=["", MARKETING], run="r-1")
        books.ask("commit", target=hold.id, amount=CENT)

        page = str(browser.get(address).content.decode())
        fetched = re.search(r'hx-get="([^"]+)"\s+hx-trigger="load"', page)

        assert fetched is not None
        assert 'runs/r-1/">The whole run</a>' in page
        assert "2 entries, balanced" in text_of(browser.get(fetched[1], headers={"HX-Request": "true"}))
