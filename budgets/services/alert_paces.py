"""How long the budgets below the tenant's own last at the pace of the last hour, of the schema that the connection is
in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection

from budgets.models.choices import AlertKind, Severity
from budgets.services.alert_findings import Finding, Key
from budgets.services.alert_rules import Rules
from budgets.services.alert_spans import LASTS, span_text
from kernel.pages.amounts import amount_text
from kernel.sql_files import read_sql

#: Those that run out first; who has more has other worries.
_BUDGETS_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A budget from which something was taken in the last hour; amounts in `unit`, both above zero."""

    id: UUID
    scope_path: str
    unit: str
    remaining: int
    spent_hour: int
    lasts_s: int
    period_starts_at: datetime | None
    period_ends_at: datetime | None


def paces(*, rules: Rules, now: datetime) -> Iterator[Pace]:
    """Those that may be worth an alert, or whose alert may not have recovered. One query of what was rolled up."""
    thresholds = rules.thresholds(AlertKind.EXHAUSTION_FORECAST)
    if not thresholds:
        return
    ratio, whole = LASTS
    parameters: dict[str, Any] = {"now": now, "within_s": thresholds[-1] * ratio // whole, "at_most": _BUDGETS_MAX}
    with connection.cursor() as cursor:
        cursor.execute(read_sql("budgets", "alert_paces"), parameters)
        for row in cursor.fetchall():
            budget_id, scope_path, unit, starts_at, ends_at, spent_hour, remaining, lasts_s = row
            yield Pace(
                id=budget_id,
                scope_path=scope_path,
                unit=unit,
                period_starts_at=starts_at,
                period_ends_at=ends_at,
                spent_hour=int(spent_hour),
                remaining=int(remaining),
                lasts_s=int(lasts_s),
            )


def pace_findings(
    found: Iterable[Pace], *, rules: Rules, day: str, day_ends_at: datetime, now: datetime, is_open: frozenset[Key]
) -> Iterator[Finding]:
    """Those that do not last until their period ends. `day` is the tenant's local day, for budgets without periods."""
    for pace in found:
        is_renewed = pace.period_ends_at is not None and now + timedelta(seconds=pace.lasts_s) >= pace.period_ends_at
        for threshold in () if is_renewed else rules.thresholds(AlertKind.EXHAUSTION_FORECAST):
            finding = _finding(pace, threshold, day=day, day_ends_at=day_ends_at)
            ratio, whole = LASTS if finding.key in is_open else (1, 1)
            if pace.lasts_s * whole <= threshold * ratio:
                yield finding


def _finding(pace: Pace, threshold: int, *, day: str, day_ends_at: datetime) -> Finding:
    _, _, within = pace.scope_path.partition("/")
    left = amount_text(pace.remaining, pace.unit)
    return Finding(
        kind=AlertKind.EXHAUSTION_FORECAST,
        subject=f"budget:{pace.id}",
        threshold=threshold,
        period=pace.period_starts_at.isoformat() if pace.period_starts_at else day,
        period_ends_at=pace.period_ends_at or day_ends_at,
        severity=Severity.WARNING,
        scope_path=pace.scope_path,
        unit=pace.unit,
        summary=f"Budget {within} lasts {span_text(pace.lasts_s)} more at the pace of the last hour: {left} left.",
        facts={"lasts_s": pace.lasts_s, "remaining": pace.remaining, "spent_hour": pace.spent_hour},
    )
