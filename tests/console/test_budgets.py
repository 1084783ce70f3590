"""The tenant's tree of budgets: its numbers, what is tighter above, and the file."""

import csv
import io
import re
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import MemberRole, User
from kernel.money import Unit
from tests.support.books import Books
from tests.support.console import DOLLAR, day_bounds, member_of, signed_in
from tests.support.owner import as_owner, head_held

PAGE = "/t/acme/budgets/"


def text_of(answer: Any) -> str:
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", unescape(answer.content.decode())))


@pytest.fixture
def member(ada: User) -> Client:
    return signed_in(ada)


class TestTree:
    def test_shows_each_budget_with_its_numbers(self, books: Books, member: Client) -> None:
        books.add_budget(allocated=100 * DOLLAR, **day_bounds(books.tenant))
        books.add_budget("/workspace:marketing", allocated=40 * DOLLAR)
        books.ask("event", amount=25 * DOLLAR, suffixes=["", "/workspace:marketing"])
        books.ask("reserve", amount=5 * DOLLAR, suffixes=["", "/workspace:marketing"])

        page = text_of(member.get(PAGE))

        assert "workspace marketing $40.00 $25.00 $5.00 $10.00" in page
        assert "62% spent, 12% held" in page
        assert "resets" in page
        assert "Unallocated $60.00" in page

    def test_says_what_is_tighter_above(self, books: Books, member: Client) -> None:
        books.add_budget(allocated=50 * DOLLAR)
        books.add_budget("/workspace:a", allocated=9 * DOLLAR)
        books.add_budget("/workspace:a/agent:x", allocated=20 * DOLLAR)

        page = text_of(member.get(PAGE))

        assert "agent x $20.00 $0.00 $0.00 $20.00 $9.00 in workspace a" in page
        assert page.count(" in workspace a") == 1
        assert " in tenant acme" not in page

    @pytest.mark.parametrize(("below", "is_tighter"), [(50, False), (51, True)])
    def test_says_nothing_where_as_much_is_left_above(
        self, books: Books, member: Client, below: int, is_tighter: bool
    ) -> None:
        books.add_budget(allocated=50 * DOLLAR)
        books.add_budget("/workspace:a", allocated=below * DOLLAR)

        page = text_of(member.get(PAGE))

        assert ("$50.00 in tenant acme" in page) is is_tighter
        assert ("Promised beyond the limit −$1.00" in page) is is_tighter

    def test_compares_no_two_units(self, books: Books, member: Client) -> None:
        books.add_budget(allocated=5, unit=Unit.TOKENS)
        books.add_budget("/workspace:a", allocated=9 * DOLLAR)

        assert " in tenant acme" not in text_of(member.get(PAGE))

    def test_offers_moves_between_siblings_alone(self, books: Books, member: Client, ben: User) -> None:
        for suffix in ("", "/workspace:a", "/workspace:b", "/workspace:b/agent:x"):
            books.add_budget(suffix, allocated=9 * DOLLAR)

        assert member.get(PAGE).content.decode().count("?from=") == 2
        assert "?from=" not in signed_in(ben).get(PAGE).content.decode()

    def test_names_the_busy_ones(self, books: Books, member: Client) -> None:
        books.add_budget(allocated=5 * DOLLAR, **day_bounds(books.tenant))
        as_owner(
            books.tenant.tag,
            "UPDATE budget SET period_starts_at = now() - '2 days'::interval,"
            " period_ends_at = now() - '1 day'::interval",
        )
        with head_held(books.tenant):
            page = text_of(member.get(PAGE))

        assert "Books busy" in page

    def test_says_what_will_be_here(self, books: Books, member: Client, browser: Client) -> None:
        assert "Budgets will appear here" in text_of(member.get(PAGE))
        assert "curl" in text_of(browser.get("/ops/tenants/acme/budgets/"))

    def test_asks_as_many_questions_whatever_it_shows(self, books: Books, member: Client) -> None:
        for number in range(30):
            books.add_budget(f"/workspace:w{number}", allocated=DOLLAR)
        member.get(PAGE)

        with CaptureQueriesContext(connection) as asked:
            member.get(PAGE)

        assert len([query for query in asked if "search_path" not in query["sql"]]) <= 8

    @pytest.mark.parametrize("role", MemberRole)
    def test_is_read_by_every_role(self, books: Books, role: MemberRole) -> None:
        with member_of(books.tenant, "dora", role) as user:
            assert signed_in(user).get(PAGE).status_code == 200


class TestFile:
    def test_has_every_budget_as_numbers(self, books: Books, member: Client) -> None:
        books.add_budget(allocated=100 * DOLLAR + 1)
        books.add_budget("/workspace:a", allocated=7, unit=Unit.TOKENS)
        books.add_budget("/workspace:z", allocated=0)

        answer = member.get(f"{PAGE}export/")

        rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))
        assert [(row["scope"], row["unit"], row["allocated"]) for row in rows] == [
            ("tenant:acme", "USD_MICROCENTS", "100.00000001"),
            ("tenant:acme/workspace:z", "USD_MICROCENTS", "0.00000000"),
            ("tenant:acme/workspace:a", "TOKENS", "7"),
        ]
        assert 'filename="budgets-acme.csv"' in answer["Content-Disposition"]
