"""The tail of decisions of all tenants or of one."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from budgets.selectors.across import TENANTS_MAX, rows_across
from kernel.ids import mint_tag, mint_wire_id
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.console import DOLLAR, noted
from tests.support.owner import let_time_pass

PART = {"HX-Request": "true", "HX-Request-Type": "partial"}


def text_of(client: Client, address: str = "/ops/live/") -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


@pytest.fixture
def other(initech: Tenant) -> Books:
    return Books(initech)


class TestTail:
    def test_shows_the_newest_of_all_tenants_first(self, books: Books, other: Books, browser: Client) -> None:
        books.add_budget(allocated=DOLLAR)
        first = books.ask("reserve", amount=1).id
        second = other.ask("reserve", amount=1).id
        third = books.ask("reserve", amount=2).id

        text = text_of(browser)
        places = [
            text.index(mint_wire_id("dec", whose.tenant.tag, which))
            for whose, which in ((books, third), (other, second), (books, first))
        ]

        assert places == sorted(places)

    def test_filters_by_tenant_verdict_and_reason(self, books: Books, other: Books, browser: Client) -> None:
        books.add_budget(allocated=DOLLAR)
        books.ask("reserve", amount=1)
        books.ask("reserve", amount=2 * DOLLAR)
        other.ask("reserve", amount=1)

        assert text_of(browser).count(">Why</a>") == 3
        assert text_of(browser, "/ops/live/?tenant=acme").count(">Why</a>") == 2
        assert text_of(browser, "/ops/live/?verdict=deny").count(">Why</a>") == 2
        assert text_of(browser, "/ops/live/?verdict=allow").count(">Why</a>") == 1
        assert text_of(browser, "/ops/live/?reason=BUDGET_EXCEEDED").count(">Why</a>") == 1
        assert "no tenant with this slug" in text_of(browser, "/ops/live/?tenant=globex")

    def test_answers_nothing_new_with_nothing(self, books: Books, browser: Client) -> None:
        newest = books.ask("reserve", amount=1).id

        again = browser.get(f"/ops/live/?seen={newest.hex}", headers=PART)
        assert (again.status_code, again.content) == (204, b"")

        books.ask("reserve", amount=1)
        part = browser.get(f"/ops/live/?seen={newest.hex}", headers=PART)
        assert part.status_code == 200
        assert b"<html" not in part.content
        assert part.content.count(b">Why</a>") == 2

    def test_can_be_paused(self, books: Books, browser: Client) -> None:
        assert 'hx-trigger="every 2s"' in text_of(browser)
        assert "every 2s" not in text_of(browser, "/ops/live/?paused")

    def test_asks_as_much_for_many_tenants_as_for_one(self, books: Books, other: Books, browser: Client) -> None:
        text_of(browser)

        with CaptureQueriesContext(connection) as queries:
            text_of(browser)

        asked = [query["sql"] for query in queries.captured_queries if not query["sql"].startswith("SET ")]
        assert len(asked) <= 4, asked

    def test_reads_no_more_tenants_than_one_statement_may(self, database: None) -> None:
        with pytest.raises(ValueError, match="26 tenants"):
            rows_across("tail", [mint_tag() for _ in range(TENANTS_MAX + 1)], {})


class TestDenialList:
    def test_counts_by_tenant_and_cause_and_leads_to_the_calls(self, books: Books, browser: Client) -> None:
        books.add_budget(allocated=DOLLAR)
        for _ in range(2):
            books.ask("reserve", amount=2 * DOLLAR)
        books.ask("reserve", amount=1, unit="TOKENS")
        noted(books)

        text = text_of(browser, "/ops/denials/")

        assert 'verdict=deny&amp;within=1h&amp;reason=BUDGET_EXCEEDED">2</a>' in text
        assert "Budget exceeded" in text
        assert "Wrong unit" in text
        assert "Wrong unit</td>" not in text_of(browser, "/ops/denials/?reason=BUDGET_EXCEEDED")

    def test_reads_longer_spans_from_the_sums(self, books: Books, browser: Client) -> None:
        books.add_budget(allocated=DOLLAR)
        books.ask("reserve", amount=2 * DOLLAR)
        let_time_pass(books.tenant.tag, timedelta(hours=30))
        books.ask("reserve", amount=2 * DOLLAR)
        noted(books)

        assert 'reason=BUDGET_EXCEEDED">1</a>' in text_of(browser, "/ops/denials/?within=24h")
        assert 'reason=BUDGET_EXCEEDED">2</a>' in text_of(browser, "/ops/denials/?within=7d")

    def test_says_so_when_nothing_was_refused(self, books: Books, browser: Client) -> None:
        assert "Nothing was refused" in text_of(browser, "/ops/denials/?within=nonsense&after=nonsense")
