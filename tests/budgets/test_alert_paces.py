"""How long budgets below the tenant's own last: both sides of every mark."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from budgets.models import Alert
from budgets.models.choices import AlertKind, AlertState
from budgets.services.alert_paces import Pace, pace_findings
from budgets.services.alert_rules import Rules
from kernel.money import Unit
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.console import noted

DOLLAR = 10**8
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
HOURS = 3_600
SIX_HOURS = 6 * HOURS


def pace(**changes: Any) -> Pace:
    values: dict[str, Any] = {
        "id": UUID(int=7),
        "scope_path": "tenant:acme/workspace:prod",
        "unit": Unit.USD_MICROCENTS,
        "remaining": 20 * DOLLAR,
        "spent_hour": 10 * DOLLAR,
        "lasts_s": 2 * HOURS,
        "period_starts_at": NOON.replace(hour=0),
        "period_ends_at": MIDNIGHT,
    }
    return Pace(**values | changes)


def found(one: Pace, *, is_open: bool = False) -> list[str]:
    known = {"rules": Rules(), "day": "2026-11-22", "day_ends_at": MIDNIGHT, "now": NOON}
    opened = pace_findings([pace()], is_open=frozenset(), **known)  # type: ignore[arg-type]
    keys = frozenset(each.key for each in opened) if is_open else frozenset()
    return [each.summary for each in pace_findings([one], is_open=keys, **known)]  # type: ignore[arg-type]


class TestFinding:
    def test_says_how_long_it_lasts_and_what_is_left(self) -> None:
        assert found(pace()) == [
            "Budget workspace:prod lasts 2 h more at the pace of the last hour: $20.00 left.",
        ]

    @pytest.mark.parametrize(
        ("lasts_s", "is_open", "is_found"),
        [
            (SIX_HOURS, False, True),
            (SIX_HOURS + 1, False, False),
            (SIX_HOURS * 5 // 4, True, True),
            (SIX_HOURS * 5 // 4 + 1, True, False),
        ],
    )
    def test_comes_below_six_hours_and_goes_beyond_seven_and_a_half(
        self, lasts_s: int, is_open: bool, is_found: bool
    ) -> None:
        assert bool(found(pace(lasts_s=lasts_s, period_ends_at=None), is_open=is_open)) == is_found

    @pytest.mark.parametrize(("left_s", "is_found"), [(2 * HOURS, False), (2 * HOURS + 1, True)])
    def test_is_none_where_the_period_ends_first(self, left_s: int, is_found: bool) -> None:
        assert bool(found(pace(period_ends_at=NOON + timedelta(seconds=left_s)))) == is_found


def forecasts(books: Books) -> list[tuple[str, str]]:
    with in_tenant(books.tenant.tag):
        rows = Alert.objects.filter(kind=AlertKind.EXHAUSTION_FORECAST, state=AlertState.OPEN)
        return sorted((each.scope_path, each.unit) for each in rows)


class TestBooks:
    def test_are_looked_at_on_every_level(self, acme: Tenant) -> None:
        books = Books(acme)
        books.add_budget(allocated=10**9)
        books.add_budget("/workspace:prod", allocated=1_000)
        books.add_budget("/workspace:prod/agent:a", allocated=10**6)
        books.add_budget("/workspace:idle", allocated=1)
        subject = {"tenant": "acme", "workspace": "prod", "agent": "a"}
        suffixes = ["", "/workspace:prod", "/workspace:prod/agent:a"]
        books.ask("event", amount=500, suffixes=suffixes, subject=subject)
        noted(books)

        assert forecasts(books) == [("tenant:acme/workspace:prod", Unit.USD_MICROCENTS)]

    def test_that_are_used_up_have_an_alert_of_their_own(self, acme: Tenant) -> None:
        books = Books(acme)
        books.add_budget(allocated=10**9)
        books.add_budget("/workspace:prod", allocated=500)
        books.ask(
            "event", amount=500, suffixes=["", "/workspace:prod"], subject={"tenant": "acme", "workspace": "prod"}
        )
        noted(books)

        assert forecasts(books) == []
