"""Runs: the list with its filters, what became of one, and its ledger that adds up."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from accounts.models import User
from budgets.models import RunTemplate
from kernel.ids import uuid7
from kernel.tenancy import in_tenant
from tests.support.books import Books
from tests.support.console import CENT, DOLLAR, signed_in
from tests.support.owner import as_owner
from tests.support.rules import rule

RUNS = "/t/acme/runs/"
AGENT = ["", "/workspace:a", "/workspace:a/agent:triage"]


@pytest.fixture
def member(ada: User) -> Client:
    return signed_in(ada)


@pytest.fixture
def money(books: Books) -> Books:
    books.add_budget(allocated=10 * DOLLAR)
    with in_tenant(books.tenant.tag):
        RunTemplate.objects.create(id=uuid7(), name="chat", unit="USD_MICROCENTS", amount=2 * DOLLAR, is_default=True)
    rule(books, run={"iterations_max": 25, "tokens_max": 200_000, "wall_seconds_max": 900})
    return books


def text_of(answer: Any) -> str:
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", unescape(answer.content.decode())))


def play(books: Books, run: str) -> None:
    """Two calls that are settled, one given back, one refused."""
    for cents in (10, 12):
        hold = books.ask("reserve", amount=20 * CENT, run=run, suffixes=AGENT)
        books.ask("commit", target=hold.id, amount=cents * CENT)
    hold = books.ask("reserve", amount=5 * CENT, run=run, suffixes=AGENT)
    books.ask("release", target=hold.id)
    books.ask("reserve", amount=3 * DOLLAR, run=run, suffixes=AGENT)


class TestRun:
    def test_says_what_became_of_it(self, money: Books, member: Client) -> None:
        play(money, "r-1")

        page = text_of(member.get(f"{RUNS}r-1/"))

        assert "This run was stopped at" in page
        assert "by a limit of its own: its money was used up, after 2 calls for $0.22 ." in page
        assert "$1.78 left of $2.00" in page

    def test_without_rules_is_there_too(self, books: Books, member: Client) -> None:
        books.add_budget(allocated=10 * CENT)
        for cents in (4, 7):
            books.ask("reserve", amount=cents * CENT, run="r-1")

        page = text_of(member.get(f"{RUNS}r-1/"))

        assert "The last call of this run was refused at" in page
        assert "budget exceeded at tenant acme" in page

    def test_has_a_ledger_that_adds_up(self, money: Books, member: Client) -> None:
        play(money, "r-1")
        play(money, "r-2")

        page = text_of(member.get(f"{RUNS}r-1/"))

        entries = re.findall(r"(\d+) entries, balanced", page)
        assert len(entries) == 1
        assert page.count("Settled") == 2
        assert "−$0.2000 $0.1000 $0.1000" in page

    def test_counts_what_is_still_held(self, money: Books, member: Client) -> None:
        money.ask("reserve", amount=20 * CENT, run="r-1")

        page = text_of(member.get(f"{RUNS}r-1/"))

        assert "is at work: 0 calls, $0.00 spent and $0.20 still held." in page
        assert ", balanced" in page

    def test_says_so_where_the_books_do_not_add_up(self, money: Books, member: Client) -> None:
        play(money, "r-1")
        as_owner(money.tenant.tag, "UPDATE reservation SET charged = charged + 1 WHERE status = 'COMMITTED'")

        assert ", not balanced" in text_of(member.get(f"{RUNS}r-1/"))

    def test_has_its_events_too(self, money: Books, member: Client) -> None:
        play(money, "r-1")
        money.ask("event", amount=7 * CENT, run="r-1", suffixes=[""])

        page = text_of(member.get(f"{RUNS}r-1/"))

        assert "Charged" in page
        assert "balanced" in page

    def test_is_a_file(self, money: Books, member: Client) -> None:
        play(money, "r-1")

        answer = member.get(f"{RUNS}r-1/ledger/")

        rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))
        held = [float(row["held"]) for row in rows if row["entry"] in {"RESERVE", "COMMIT", "RELEASE"}]
        assert sum(held) == pytest.approx(0)
        assert sum(float(row["spent"]) for row in rows) == pytest.approx(0.22)

    @pytest.mark.parametrize("run_id", ["nobody", "x" * 300, "a/b", "%00", "<script>"])
    def test_that_is_not_there_is_404(self, money: Books, member: Client, run_id: str) -> None:
        assert member.get(f"{RUNS}{run_id}/").status_code == 404
        assert member.get(f"{RUNS}{run_id}/ledger/").status_code == 404


class TestList:
    def test_shows_the_latest_first(self, money: Books, member: Client) -> None:
        for run in ("r-1", "r-2"):
            play(money, run)

        assert re.findall(r"<code>(r-\d)</code>", member.get(RUNS).content.decode()) == ["r-2", "r-1"]

    def test_filters_by_agent_state_and_day(self, money: Books, member: Client) -> None:
        play(money, "r-1")
        money.ask("reserve", amount=CENT, run="r-2")
        today = datetime.now(ZoneInfo("Asia/Kolkata")).date()
        found = {
            query: re.findall(r"<code>(r-\d)</code>", member.get(f"{RUNS}?{query}").content.decode())
            for query in (
                "agent=triage",
                "agent=tri",
                "state=running",
                "state=over",
                "state=stopped",
                f"day={today}",
                f"day={today - timedelta(days=1)}",
            )
        }

        assert found["agent=triage"] == ["r-1"]
        assert found["agent=tri"] == []
        assert found["state=running"] == ["r-2"]
        assert found["state=stopped"] == ["r-1"]
        assert found["state=over"] == []
        assert found[f"day={today}"] == ["r-2", "r-1"]
        assert found[f"day={today - timedelta(days=1)}"] == []

    def test_goes_on_where_a_page_ends(self, money: Books, member: Client) -> None:
        at = datetime.now(UTC).isoformat()
        as_owner(
            money.tenant.tag,
            "INSERT INTO run (run_id, started_at, lease_until, iterations, tokens, tokens_held)"
            f" SELECT 'n-' || n, '{at}', '{at}', 0, 0, 0 FROM generate_series(1, 51) AS n",
        )
        first = member.get(f"{RUNS}?state=over").content.decode()
        (link,) = re.findall(r'<a href="(\?[^"]+before=[^"]+)"', first)

        second = member.get(RUNS + unescape(link)).content.decode()

        runs = re.findall(r"<code>(n-\d+)</code>", first + second)
        assert len(runs) == len(set(runs)) == 51

    @pytest.mark.parametrize(
        "query", ["day=x", "day=0001-01-01", "day=9999-12-31", "state=x", "agent=%00<script>", "before=no"]
    )
    def test_takes_strange_filters(self, money: Books, member: Client, query: str) -> None:
        answer = member.get(f"{RUNS}?{query}")

        assert answer.status_code == 200
        assert b"<script>" not in answer.content
