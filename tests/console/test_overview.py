"""The overview: what needs attention, and how all tenants stand, from the worker's notes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from budgets.models.choices import BudgetStatus
from kernel.tenancy import in_public
from tenants.models import Tenant, TenantStanding, TenantStatus
from tests.support.books import Books
from tests.support.console import CENT, DOLLAR, day_bounds, noted


def text_of(client: Client, address: str = "/ops/") -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def patch_note(books: Books, **columns: Any) -> None:
    with in_public():
        assert TenantStanding.objects.filter(tag=books.tenant.tag).update(**columns) == 1


@pytest.fixture
def daily(books: Books) -> Books:
    books.add_budget(allocated=200 * DOLLAR, **day_bounds(books.tenant))
    return books


class TestTenantsByRisk:
    def test_shows_what_each_spent_and_holds(self, daily: Books, browser: Client) -> None:
        hold = daily.ask("reserve", amount=50 * DOLLAR)
        daily.ask("commit", target=hold.id, amount=4312 * CENT)
        daily.ask("reserve", amount=7 * DOLLAR)
        noted(daily)

        text = text_of(browser)

        assert "Acme Corporation" in text
        assert "$43.12" in text
        assert "$7.00" in text
        assert "Spend today" in text
        assert "22% spent, 4% held" in text
        assert '<polyline points="' in text
        assert "$43.12 in the last 24 hours" in text
        assert 'data-chart="spend-points"' in text
        assert "by all tenants, at most" in text

    def test_says_which_tenants_the_worker_has_not_seen(self, books: Books, browser: Client) -> None:
        text = text_of(browser)

        assert "Not noted yet" in text
        assert "tenants noted by the worker" in text

    def test_shows_a_tenant_that_is_still_being_set_up(self, books: Books, browser: Client) -> None:
        Tenant.objects.filter(pk=books.tenant.pk).update(status=TenantStatus.PROVISIONING)

        assert "Being set up" in text_of(browser)

    @pytest.mark.parametrize(
        ("columns", "state"),
        [
            ({"allocated": 0}, "Not funded"),
            ({"allocated": 1, "status": BudgetStatus.FROZEN}, "Frozen"),
            ({"allocated": 1, "status": BudgetStatus.CLOSED}, "Closed"),
            ({"allocated": 1, "is_capped": True}, "Over limit"),
            ({"allocated": 1}, "Healthy"),
        ],
    )
    def test_names_the_state_of_a_budget(
        self, books: Books, browser: Client, columns: dict[str, Any], state: str
    ) -> None:
        books.add_budget(**columns)
        noted(books)

        assert f">{state}</span>" in text_of(browser)

    @pytest.mark.parametrize(
        ("held", "state"), [(899, "Healthy"), (900, "Near cap"), (999, "Near cap"), (1000, "Used up")]
    )
    def test_warns_from_ninety_percent(self, books: Books, browser: Client, held: int, state: str) -> None:
        books.add_budget(allocated=1000)
        books.ask("reserve", amount=held)
        noted(books)

        assert f">{state}</span>" in text_of(browser)

    @pytest.mark.parametrize(
        ("left", "words"),
        [
            (timedelta(minutes=14, seconds=30), "in 14 min"),
            (timedelta(hours=2, minutes=5, seconds=30), "in 2 h 5 min"),
            (None, "after reset"),
        ],
    )
    def test_says_when_it_runs_out(self, daily: Books, browser: Client, left: timedelta | None, words: str) -> None:
        noted(daily)
        patch_note(daily, exhausts_at=datetime.now(UTC) + left if left else None)

        assert words in text_of(browser)

    def test_asks_as_much_for_many_tenants_as_for_one(self, books: Books, initech: Tenant, browser: Client) -> None:
        noted(books, Books(initech))
        text_of(browser)

        with CaptureQueriesContext(connection) as queries:
            text_of(browser)

        asked = [query["sql"] for query in queries.captured_queries if not query["sql"].startswith("SET ")]
        assert len(asked) <= 8, asked


class TestAttention:
    def test_names_a_runaway_and_who_makes_it(self, daily: Books, browser: Client) -> None:
        noted(daily)
        patch_note(
            daily, spent_hour=60 * 38 * DOLLAR, mean_hour_7d=10 * DOLLAR, top_agent="invoice-bot", top_agent_ppm=940_000
        )

        text = text_of(browser)

        assert "spends $38.00/min, 228× its 7-day mean." in text
        assert "<code>invoice-bot</code> makes 94% of it." in text
        assert 'href="/ops/tenants/acme/stop/"' in text
        assert "Stop Acme Corporation…" in text

    @pytest.mark.parametrize(("times", "is_named"), [(5, True), (4, False)])
    def test_names_nobody_below_five_times_the_mean(
        self, daily: Books, browser: Client, times: int, is_named: bool
    ) -> None:
        noted(daily)
        patch_note(daily, spent_hour=times * DOLLAR, mean_hour_7d=DOLLAR)

        assert ("its 7-day mean" in text_of(browser)) is is_named

    @pytest.mark.parametrize(("minutes", "is_named"), [(59, True), (62, False)])
    def test_names_who_runs_out_within_the_hour(
        self, daily: Books, browser: Client, minutes: int, is_named: bool
    ) -> None:
        noted(daily)
        patch_note(daily, exhausts_at=datetime.now(UTC) + timedelta(minutes=minutes))

        assert ("runs out in" in text_of(browser)) is is_named

    def test_names_who_is_stopped_and_offers_to_resume(self, daily: Books, browser: Client) -> None:
        noted(daily)
        browser.post("/ops/tenants/acme/stop/", {"preset": "Runaway spend", "more": "", "mode": "STOP_NEW"})

        text = text_of(browser)

        assert "is stopped: all of its calls are refused." in text
        assert "Resume Acme Corporation…" in text
        assert ">Stopped</span>" in text


class TestDenials:
    def test_are_counted_by_cause_and_lead_to_the_list(self, daily: Books, browser: Client) -> None:
        for _ in range(3):
            daily.ask("reserve", amount=300 * DOLLAR)
        noted(daily)

        text = text_of(browser)

        assert "/ops/denials/?within=1h&amp;reason=BUDGET_EXCEEDED" in text
        assert "3 budget exceeded" in text


class TestRefresh:
    def test_asks_for_its_part_again_and_can_be_paused(self, daily: Books, browser: Client) -> None:
        assert 'hx-trigger="every 5s"' in text_of(browser)
        assert "every 5s" not in text_of(browser, "/ops/?paused")

    def test_gives_htmx_the_part_alone(self, daily: Books, browser: Client) -> None:
        part = browser.get("/ops/", headers={"HX-Request": "true", "HX-Request-Type": "partial"}).content

        assert b"<html" not in part
        assert b'id="live"' in part
        assert b"Acme Corporation" in part
