"""What is in shadow mode and what it has seen: what would have been refused, and how well holds foretell charges."""

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Count, Max, Min, Q
from django.db.models.functions import Coalesce

from budgets.models import Budget, Decision, LedgerEntry
from budgets.selectors.across import rows_across
from budgets.selectors.ledger_times import last_seq_before
from kernel.ids import Tag
from kernel.sql_files import read_sql

#: Entries read by one statement, and how long a report reads at all.
STEP: Final = 10_000
SECONDS_MAX: Final = 5.0
#: Scopes and reasons that are named, those with the most calls first.
REFUSALS_NAMED_MAX: Final = 500
_PPM: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldDeny:
    """Calls that one scope would have refused for one reason."""

    scope_path: str
    reason_code: str
    calls: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InShadow:
    """The newest shadow policy of a tenant, None where there never was one, and the calls that it let through."""

    document: dict[str, Any] | None
    would_deny: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRatio:
    """Commits on one budget: what was held for them, what was charged, what they really cost, in the budget's unit."""

    scope_path: str
    unit: str
    commits: int
    held: int
    charged: int
    actual: int

    @property
    def ratio_ppm(self) -> int | None:
        """Held for each unit charged, in parts per million; None where nothing was charged."""
        return self.held * _PPM // self.charged if self.charged else None


@dataclass(frozen=True, slots=True)
class HoldRatios:
    """`read_since` is where reading back through the ledger ended, for want of time; None where it read everything."""

    ratios: tuple[HoldRatio, ...]
    read_since: datetime | None


def would_deny(*, since: datetime, until: datetime, within: Q | None = None) -> list[WouldDeny]:
    """By scope and reason, the most frequent first. `within` confines it to some scope paths of decisions.

    The scope is the one that would have refused; of a rule that belongs to no scope, the one that was asked for.
    """
    rows = (
        Decision.objects.filter(within or Q(), would_deny__isnull=False, at__gte=since, at__lt=until)
        .values_list(Coalesce("failed_scope", "scope_path"), "would_deny")
        .annotate(calls=Count("pk"), first_at=Min("at"), last_at=Max("at"))
        .order_by("-calls", "would_deny")
    )
    return [
        WouldDeny(scope_path=scope or "", reason_code=reason or "", calls=calls, first_at=first_at, last_at=last_at)
        for scope, reason, calls, first_at, last_at in rows[:REFUSALS_NAMED_MAX]
    ]


def shadow_across(tags: Sequence[Tag], *, since: datetime, until: datetime) -> dict[Tag, InShadow]:
    """Of several tenants, calls counted by their rollups: whole quarters of an hour. One query."""
    rows = rows_across("shadow_of_tenant", tags, {"since": since, "until": until})
    return {
        Tag(row["tag"]): InShadow(
            # Django hands JSON on as text.
            document=None if row["document"] is None else json.loads(row["document"]),
            would_deny=int(row["would_deny"]),
        )
        for row in rows
    }


def hold_ratios(*, since: datetime, until: datetime, within: Q | None = None) -> HoldRatios:
    """Sum held / sum charged of the commits in a range of time, for every budget that is not a run's.

    Reads back from the newest entry; what does not fit into `SECONDS_MAX` is left out, and said.
    """
    sums: defaultdict[UUID, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    first, last = last_seq_before(since), last_seq_before(until)
    ends_at = time.monotonic() + SECONDS_MAX
    while last > first and time.monotonic() < ends_at:
        after = max(last - STEP, first)
        for row in _rows("held_and_charged", {"after": after, "until": last}):
            known = sums[row[0]]
            for place, number in enumerate(row[1:]):
                known[place] += int(number)
        last = after
    budgets = Budget.objects.filter(within or Q(), pk__in=list(sums), run_id=None).order_by("scope_path", "unit")
    ratios = tuple(
        HoldRatio(scope_path=scope_path, unit=unit, commits=commits, held=held, charged=charged, actual=actual)
        for budget_id, scope_path, unit in budgets.values_list("pk", "scope_path", "unit")
        for commits, held, charged, actual in [sums[budget_id]]
    )
    if last <= first:
        return HoldRatios(ratios=ratios, read_since=None)
    oldest_read = LedgerEntry.objects.filter(pk=last + 1).values_list("at", flat=True).first()
    return HoldRatios(ratios=ratios, read_since=oldest_read or until)


def _rows(name: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(read_sql("budgets", name), parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
