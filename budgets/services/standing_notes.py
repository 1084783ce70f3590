"""How a tenant stands, read from its own books after they were rolled up. `budgets/services/visits.py` notes it down.

It is written behind this, in another transaction: nothing writes `public` and a tenant's schema together.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Count, Min

from budgets.models import Budget, LedgerHead, Reservation
from budgets.models.choices import BudgetStatus, ReservationStatus
from budgets.services.periods import BooksBusy, with_periods_open
from kernel.money import Unit
from kernel.sql_files import read_sql
from tenants.selectors.standing import quarters_until
from tenants.services.standing import StandingNote

#: Refusals of the last hour that are counted one by one.
_COUNTED_MAX: Final = 10_000
#: A forecast beyond this says nothing.
_FORECAST_MAX: Final = timedelta(days=3660)
#: Sums of the last hour fall by themselves: so often they are looked at while there are any.
_REVISIT_AFTER: Final = timedelta(minutes=1)
_PPM: Final = 1_000_000
_HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lately:
    """What the rollups say of the last hours."""

    quarters: tuple[Decimal, ...]
    spent_today: int
    spent_hour: int
    calls_hour: int
    top_agent: str
    top_agent_charged: int


def standing_note(*, mean_known: Decimal | None = None, mean_until: datetime | None = None) -> StandingNote:
    """How the tenant whose schema the connection is in stands. Its own budgets are brought into their period.

    `mean_known` is the mean of an hour as it was found in the quarter that ends at `mean_until`: it is read once a
    quarter, because it reads a week.
    """
    now = _now()
    root, more_budgets = _root(now)
    unit = root.unit if root else Unit.USD_MICROCENTS
    zone = ZoneInfo(LedgerHead.objects.values_list("time_zone", flat=True).get(pk=1))
    today = now.astimezone(zone).date()
    day_starts_at = _midnight(today, zone)
    until = quarters_until(now)
    lately = _lately(now=now, until=until, day_starts_at=day_starts_at, unit=unit)
    refused = _rows("denied_lately", {"since": now - timedelta(hours=1), "at_most": _COUNTED_MAX})
    causes = {row["reason_code"]: int(row["count"]) for row in refused}
    holds = Reservation.objects.filter(status=ReservationStatus.ACTIVE).aggregate(
        count=Count("pk"), oldest=Min("created_at")
    )
    mean = mean_known if mean_known is not None and mean_until == until else _mean_hour(now=now, unit=unit)
    denied_hour = sum(causes.values())
    is_moving = bool(lately.spent_hour or denied_hour or lately.calls_hour)
    period_ends_at = root.period_ends_at if root else None
    return StandingNote(
        as_of=now,
        revisit_at=_revisit_at(now, is_moving=is_moving, period_ends_at=period_ends_at),
        unit=unit if root else "",
        period=root.period if root else "",
        period_starts_at=root.period_starts_at if root else None,
        period_ends_at=period_ends_at,
        allocated=root.allocated if root else 0,
        reserved=root.reserved if root else 0,
        spent=root.spent if root else 0,
        debt=root.debt if root else 0,
        overdraft_limit=root.overdraft_limit if root else 0,
        budget_status=root.status if root else "",
        is_over_limit=root.is_over_limit if root else False,
        more_budgets=more_budgets,
        taken_ppm=_taken_ppm(root),
        day_starts_at=day_starts_at,
        day_ends_at=_midnight(today + timedelta(days=1), zone),
        spent_today=lately.spent_today,
        spent_hour=lately.spent_hour,
        calls_hour=lately.calls_hour,
        quarters_until=until,
        quarters=lately.quarters,
        mean_hour_7d=mean,
        exhausts_at=_exhausts_at(root, spent_hour=lately.spent_hour, now=now),
        denied_hour=denied_hour,
        denied_causes=causes,
        top_agent=lately.top_agent,
        top_agent_ppm=lately.top_agent_charged * _PPM // lately.spent_hour if lately.spent_hour else 0,
        holds_open=holds["count"],
        oldest_hold_at=holds["oldest"],
    )


def _root(now: datetime) -> tuple[Budget | None, int]:
    """The tenant's own budget, in USD where it has one, in the period that holds `now`; and how many others it has."""
    roots = list(Budget.objects.filter(depth=1).order_by("unit"))
    if not roots:
        return None, 0
    root = next((each for each in roots if each.unit == Unit.USD_MICROCENTS), roots[0])
    # While somebody holds the books: as it is. The period that is over makes the tenant due again soon.
    with suppress(BooksBusy):
        (root,) = with_periods_open([root], now=now)
    return root, len(roots) - 1


def _lately(*, now: datetime, until: datetime, day_starts_at: datetime, unit: str) -> _Lately:
    parameters = {"now": now, "quarters_until": until, "day_starts_at": day_starts_at, "unit": unit}
    (row,) = _rows("standing_of_rollups", parameters)
    return _Lately(
        quarters=tuple(row["quarters"]),
        spent_today=int(row["spent_today"]),
        spent_hour=int(row["spent_hour"]),
        calls_hour=int(row["calls_hour"]),
        top_agent=row["top_agent"] or "",
        top_agent_charged=int(row["top_agent_charged"] or 0),
    )


def _mean_hour(*, now: datetime, unit: str) -> Decimal:
    (row,) = _rows("mean_hour_of_rollups", {"now": now, "unit": unit})
    return Decimal(row["round"])


def _taken_ppm(root: Budget | None) -> int:
    if root is None or not root.allocated:
        return 0 if root is None or (root.remaining >= 0 and not root.is_over_limit) else _PPM
    return (root.allocated - root.remaining) * _PPM // root.allocated


def _exhausts_at(root: Budget | None, *, spent_hour: int, now: datetime) -> datetime | None:
    """When nothing remains if it goes on like in the last hour; None where the period ends first, or nobody spends."""
    if root is None or root.status == BudgetStatus.CLOSED or spent_hour <= 0:
        return None
    seconds = max(root.remaining, 0) * _HOUR_S // spent_hour
    if seconds > _FORECAST_MAX.total_seconds():
        return None
    at = now + timedelta(seconds=seconds)
    return at if root.period_ends_at is None or at < root.period_ends_at else None


def _revisit_at(now: datetime, *, is_moving: bool, period_ends_at: datetime | None) -> datetime | None:
    soon = now + _REVISIT_AFTER
    if is_moving:
        return soon
    # One that is over already could not be opened: not at once again.
    return None if period_ends_at is None else max(period_ends_at, soon)


def _midnight(on: Any, zone: ZoneInfo) -> datetime:
    return datetime(on.year, on.month, on.day, tzinfo=zone).astimezone(UTC)


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def _rows(name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(read_sql("budgets", name), parameters)
        columns = [column.name for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
