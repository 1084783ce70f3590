"""Time in steps, as rollups are read: quarters of an hour in UTC make days, weeks and months of every time zone."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection

from kernel.sql_files import read_sql

_NO_STEP: Final = "none"


class Step(StrEnum):
    """How long a point of a series lasts. Days, weeks (from Monday) and months begin at local midnight."""

    QUARTER = "15m"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


def local_midnight(on: date, *, time_zone: str) -> datetime:
    """When a local day begins. Where the clock is put forward over midnight: the moment at which that happens."""
    return datetime.combine(on, time(), tzinfo=ZoneInfo(time_zone))


def step_starts(*, since: datetime, until: datetime, step: Step, time_zone: str) -> list[datetime]:
    """Where every step of the range begins, also those in which nothing happened: what a chart's axis needs.

    The first one is the step that holds `since`. At most some thousands: the caller bounds the range.
    """
    zone = ZoneInfo(time_zone)
    if step in {Step.QUARTER, Step.HOUR}:
        return _clock_starts(since, until, timedelta(minutes=15) if step == Step.QUARTER else timedelta(hours=1), zone)
    day = since.astimezone(zone).date()
    if step == Step.WEEK:
        day -= timedelta(days=day.weekday())
    elif step == Step.MONTH:
        day = day.replace(day=1)
    starts = []
    while (start := local_midnight(day, time_zone=time_zone)) < until:
        starts.append(start)
        if step == Step.MONTH:
            day = (day + timedelta(days=31)).replace(day=1)
        else:
            day += timedelta(days=7 if step == Step.WEEK else 1)
    return starts


def _clock_starts(since: datetime, until: datetime, length: timedelta, zone: ZoneInfo) -> list[datetime]:
    # By the clock on the wall, whose hour may begin at half past in UTC; but counted in UTC, where none is missing.
    local = since.astimezone(zone)
    minutes = local.minute % (length // timedelta(minutes=1))
    start = (local - timedelta(minutes=minutes)).replace(second=0, microsecond=0).astimezone(UTC)
    if start > since:
        start -= length
    starts = []
    while start < until:
        starts.append(start.astimezone(zone))
        start += length
    return starts


def range_parameters(
    *,
    since: datetime,
    until: datetime,
    step: Step | None = None,
    time_zone: str = "UTC",
    by: StrEnum | None,
    within: str,
) -> dict[str, Any]:
    """What every statement over rollups takes."""
    return {
        "since": since,
        "until": until,
        "step": step or _NO_STEP,
        "zone": time_zone,
        "by": by or "",
        "within": within,
    }


def starts_at(row: Mapping[str, Any], time_zone: str) -> datetime:
    """Where the row's step begins, in the time zone."""
    # By date where it is one: midnight may come twice, or not at all.
    if row["step_on"] is not None:
        return local_midnight(row["step_on"], time_zone=time_zone)
    at: datetime = row["step_at"]
    return at.astimezone(ZoneInfo(time_zone))


def rollup_rows(name: str, parameters: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The rows of `budgets/sql/<name>.sql`. One query."""
    with connection.cursor() as cursor:
        cursor.execute(read_sql("budgets", name), parameters)
        columns = [column.name for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
