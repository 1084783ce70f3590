"""Usage and cost: the same numbers in tiles, drawing, table and list, and what providers cost for operators only."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from accounts.models import User
from budgets.console.charts import OTHERS, SERIES_MAX, parted
from budgets.console.usage_sums import forecast, span_of
from budgets.models.choices import BudgetStatus, Period
from budgets.selectors.budget_lines import BudgetLine
from budgets.selectors.steps import Step
from budgets.services.rollups import roll_up
from kernel.ids import uuid7
from kernel.money import Unit
from tenants.models import DisplayRate, Tenant
from tests.support.books import Books
from tests.support.console import DOLLAR, day_bounds, signed_in
from tests.support.owner import delete_shared

NOW = datetime(2026, 11, 22, 12, 20, tzinfo=UTC)
HOSTILE = "</script><script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}"
PRICE = {"provider": "p", "model": "claude-x", "provider_cost": DOLLAR, "lines": []}


def spend(books: Books, dollars: int, *, planned: int = 0, **fields: Any) -> None:
    action = fields.pop("action", {"kind": "llm.completion", "name": "claude-x"})
    hold = books.ask("reserve", amount=(planned or dollars) * DOLLAR, action=action, **fields)
    answer = books.ask("commit", target=hold.id, amount=dollars * DOLLAR)
    assert answer.status == "OK", answer


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=100 * DOLLAR, **day_bounds(acme))
    books.add_budget("/workspace:support", allocated=50 * DOLLAR)
    return books


@pytest.fixture
def busy(books: Books) -> Books:
    spend(books, 3, planned=5)
    spend(books, 2, suffixes=["", "/workspace:support"])
    spend(books, 1, action={"kind": "tool.call", "name": "web-search"})
    answer = books.ask("event", amount=4 * DOLLAR, price=PRICE)
    assert answer.status == "OK", answer
    roll_up(tag=books.tenant.tag, has_time=lambda: True)
    return books


def text_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer
    text: str = answer.content.decode()
    return text


def drawn(text: str, chart: str = "spend") -> Any:
    found = re.search(rf'<script id="{chart}-points" type="application/json">(.*?)</script>', text)
    assert found is not None
    return json.loads(found.group(1))


def tiles(text: str) -> dict[str, str]:
    found = re.findall(r'class="tile-title">(.*?)</p>\s*<p class="tile-number">(.*?)</p>', text, re.DOTALL)
    return {name: " ".join(unescape(re.sub("<[^>]*>", "", number)).split()) for name, number in found}


class TestPage:
    def test_says_the_same_in_tile_drawing_and_list(self, busy: Books, ben: User) -> None:
        text = text_of(signed_in(ben), "/t/acme/usage/")

        points = drawn(text)
        assert tiles(text)["Charged"] == "$10.00"
        assert sum(sum(each["values"]) for each in points["series"]) == pytest.approx(10)
        assert [each["name"] for each in points["series"]] == ["claude-x", "no model"]
        assert text.count(">$9.00<") >= 2

    def test_shows_what_was_planned_beside_what_it_cost(self, busy: Books, ben: User) -> None:
        text = text_of(signed_in(ben), "/t/acme/usage/")

        planned, observed = (sum(each["values"]) for each in drawn(text, "plans")["series"])
        assert (planned, observed) == (pytest.approx(8), pytest.approx(6))
        assert tiles(text)["Planned for what was committed"] == "$8.00"

    @pytest.mark.parametrize(
        ("by", "names"),
        [
            ("tool", {"no tool", "web-search"}),
            ("workspace", {"no workspace", "support"}),
            ("agent", {"no agent"}),
            ("class", {"no class"}),
            ("nonsense", {"claude-x", "no model"}),
        ],
    )
    def test_parts_by_what_was_asked(self, busy: Books, ben: User, by: str, names: set[str]) -> None:
        text = text_of(signed_in(ben), f"/t/acme/usage/?by={by}")

        assert {each["name"] for each in drawn(text)["series"]} == names

    @pytest.mark.parametrize(("span", "steps"), [("24h", {24, 25}), ("7d", {7}), ("30d", {30}), ("x", {24, 25})])
    def test_has_a_step_for_every_hour_or_day(self, busy: Books, ben: User, span: str, steps: set[int]) -> None:
        points = drawn(text_of(signed_in(ben), f"/t/acme/usage/?span={span}"))

        assert len(points["times"]) in steps
        assert {len(each["values"]) for each in points["series"]} == {len(points["times"])}

    def test_counts_other_units_for_themselves(self, busy: Books, ben: User) -> None:
        busy.add_budget(allocated=1000, unit=Unit.TOKENS)
        busy.ask("event", amount=70, unit="TOKENS")
        roll_up(tag=busy.tenant.tag, has_time=lambda: True)

        text = text_of(signed_in(ben), "/t/acme/usage/?unit=TOKENS")

        assert tiles(text)["Charged"] == "70 tokens"
        assert drawn(text)["currency"] == ""

    def test_of_nothing_says_what_will_appear(self, books: Books, ben: User) -> None:
        text = text_of(signed_in(ben), "/t/acme/usage/")

        assert "Nothing was charged in this time" in text
        assert "canvas" not in text

    def test_a_name_cannot_break_out_of_the_data(self, books: Books, ben: User) -> None:
        spend(books, 1, action={"kind": "tool.call", "name": HOSTILE})
        roll_up(tag=books.tenant.tag, has_time=lambda: True)

        text = text_of(signed_in(ben), "/t/acme/usage/?by=tool")

        assert drawn(text)["series"][0]["name"] == HOSTILE
        assert "<script>alert" not in text

    def test_is_shown_in_the_currency_that_was_chosen_until_another_is(self, busy: Books, ben: User) -> None:
        rate = DisplayRate(currency="INR", micros_per_usd=84_100_000, as_of="2026-11-20", source="RBI", set_at=NOW)
        rate.save()
        client = signed_in(ben)
        try:
            chosen = text_of(client, "/t/acme/usage/?currency=INR")
            kept = text_of(client, "/t/acme/usage/?currency=ZZZ")
            ended = text_of(client, "/t/acme/usage/?currency=USD")
        finally:
            delete_shared(DisplayRate.objects.all())

        assert tiles(chosen)["Charged"] == tiles(kept)["Charged"] == "₹841.00"
        assert "at ₹84.10 for 1 USD, the rate of Nov 20, 2026 by RBI" in " ".join(chosen.split())
        assert (drawn(chosen)["currency"], drawn(chosen)["locale"]) == ("INR", "en-IN")
        assert 'title="$10.00 (1,000,000,000 USD_MICROCENTS)"' in chosen
        assert tiles(ended)["Charged"] == "$10.00"


class TestMargin:
    def test_is_shown_to_operators(self, busy: Books, browser: Client) -> None:
        text = text_of(browser, "/ops/tenants/acme/usage/")

        assert tiles(text)["Margin"] == "$3.00"
        assert "Provider cost" in text

    @pytest.mark.parametrize("name", ["ada", "ben"])
    def test_is_never_shown_to_members(self, busy: Books, name: str, request: pytest.FixtureRequest) -> None:
        text = text_of(signed_in(request.getfixturevalue(name)), "/t/acme/usage/").lower()

        assert "margin" not in text
        assert "provider" not in text

    def test_is_of_money_alone(self, busy: Books, browser: Client) -> None:
        assert "Margin" not in text_of(browser, "/ops/tenants/acme/usage/?unit=TOKENS")


class TestSeries:
    def test_keeps_the_largest_and_adds_up_the_others(self) -> None:
        series = parted({f"n{number}": [number, 1] for number in range(SERIES_MAX + 3)})

        assert [each.name for each in series] == ["n8", "n7", "n6", "n5", "n4", OTHERS]
        assert series[-1].amounts == (0 + 1 + 2 + 3, 4)
        assert [each.number for each in series] == [1, 2, 3, 4, 5, 6]

    def test_names_all_where_they_have_room(self) -> None:
        assert [each.name for each in parted({f"n{number}": [1] for number in range(SERIES_MAX)})][-1] == "n5"


class TestSpan:
    def test_of_days_begins_at_local_midnight(self) -> None:
        span = span_of("7d", now=NOW, time_zone="Asia/Kolkata")

        assert span.since == datetime(2026, 11, 16, tzinfo=ZoneInfo("Asia/Kolkata"))
        assert span.step == Step.DAY

    def test_of_the_month_begins_with_it_where_the_tenant_is(self) -> None:
        late = datetime(2026, 11, 30, 19, 0, tzinfo=UTC)

        assert span_of("month", now=late, time_zone="Asia/Kolkata").since.strftime("%Y-%m-%d") == "2026-12-01"
        assert span_of("month", now=late, time_zone="UTC").since.strftime("%Y-%m-%d") == "2026-11-01"

    def test_of_a_day_is_24_hours_with_the_one_under_way(self) -> None:
        assert span_of("24h", now=NOW, time_zone="UTC").since == datetime(2026, 11, 21, 13, 0, tzinfo=UTC)


class TestForecast:
    def line(self, *, allocated: int, spent: int, ends_in: timedelta | None) -> BudgetLine:
        return BudgetLine(
            id=uuid7(), scope_path="tenant:acme", unit=Unit.USD_MICROCENTS, status=BudgetStatus.ACTIVE,
            allocated=allocated, reserved=0, spent=spent, debt=0, uncovered=0, overdraft_limit=0, is_over_limit=False,
            period=Period.ONE_OFF if ends_in is None else Period.DAY,
            period_ends_at=None if ends_in is None else NOW + ends_in,
        )  # fmt: skip

    def exhausts_at(self, line: BudgetLine, *, charged: int) -> datetime | None:
        found = forecast([line], unit=line.unit, charged=charged, since=NOW - timedelta(hours=10), now=NOW)
        assert found is not None
        return found.exhausts_at

    def test_is_when_nothing_is_left_at_this_pace(self) -> None:
        line = self.line(allocated=100, spent=50, ends_in=timedelta(hours=6))

        assert self.exhausts_at(line, charged=100) == NOW + timedelta(hours=5)

    def test_is_told_to_the_second(self) -> None:
        line = self.line(allocated=100, spent=50, ends_in=timedelta(hours=6))

        assert self.exhausts_at(line, charged=2000) == NOW + timedelta(minutes=15)

    def test_takes_the_first_minutes_for_no_pace(self) -> None:
        line = self.line(allocated=100, spent=50, ends_in=timedelta(hours=6))

        found = forecast([line], unit=line.unit, charged=50, since=NOW - timedelta(minutes=1), now=NOW)

        assert found is not None
        assert found.an_hour == 50
        assert found.exhausts_at == NOW + timedelta(hours=1)

    def test_is_none_where_the_period_ends_first(self) -> None:
        assert self.exhausts_at(self.line(allocated=100, spent=50, ends_in=timedelta(hours=5)), charged=100) is None

    def test_is_now_where_nothing_is_left(self) -> None:
        assert self.exhausts_at(self.line(allocated=100, spent=100, ends_in=None), charged=0) == NOW

    def test_is_none_where_nothing_is_spent_or_it_is_beyond_all_dates(self) -> None:
        assert self.exhausts_at(self.line(allocated=100, spent=0, ends_in=None), charged=0) is None
        assert self.exhausts_at(self.line(allocated=2**62, spent=0, ends_in=None), charged=10) is None

    def test_holds_amounts_of_any_size(self) -> None:
        line = self.line(allocated=2**63 - 1, spent=0, ends_in=None)

        assert self.exhausts_at(line, charged=2**80) == NOW

    def test_needs_a_budget_in_force(self) -> None:
        over = self.line(allocated=100, spent=0, ends_in=timedelta(0))

        assert forecast([over], unit=over.unit, charged=1, since=NOW - timedelta(hours=1), now=NOW) is None
        assert forecast([], unit=over.unit, charged=1, since=NOW - timedelta(hours=1), now=NOW) is None
