"""How tenants stand, from the worker's notes in the shared schema: for pages about many tenants."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.db import connection
from django.db.models import F, Q, QuerySet

from kernel.sql_files import read_sql
from kernel.tenancy import in_public
from tenants.models import Tenant, TenantStanding, TenantStatus
from tenants.selectors.directory import TenantLine, tenant_line
from tenants.selectors.filtering import TenantFilter, matching

QUARTER: Final = timedelta(minutes=15)
QUARTERS: Final = 96
EXHAUSTING_WITHIN: Final = timedelta(hours=24)


class Order(StrEnum):
    """How a list of tenants is sorted; names break ties."""

    RISK = "risk"
    EXHAUSTION = "exhaustion"
    DENIALS = "denials"
    SPEND = "spend"
    SLUG = "slug"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a tenant stood at `as_of`; amounts in `unit`, which is empty for a tenant without a budget of its own.

    `quarters` is what was charged in each quarter of an hour of the last 24 hours, the oldest first. `exhausts_at` is
    when nothing is left if it goes on like in the last hour; None where it would last, or nothing was charged.
    `alert_words` is the worst of the open alerts that nobody put off, and `alert_severity` how much it matters.
    """

    as_of: datetime
    unit: str
    period: str
    period_starts_at: datetime | None
    period_ends_at: datetime | None
    allocated: int
    reserved: int
    spent: int
    debt: int
    overdraft_limit: int
    budget_status: str
    is_over_limit: bool
    more_budgets: int
    taken_ppm: int
    spent_today: int
    spent_hour: int
    calls_hour: int
    quarters: tuple[int, ...]
    mean_hour_7d: int
    exhausts_at: datetime | None
    denied_hour: int
    denied_causes: Mapping[str, int]
    top_agent: str
    top_agent_ppm: int
    holds_open: int
    oldest_hold_at: datetime | None
    alerts_open: int
    alert_severity: int
    alert_words: str

    @property
    def remaining(self) -> int:
        return self.allocated - self.reserved - self.spent - self.debt

    @property
    def spent_day(self) -> int:
        """Charged in the last 24 hours."""
        return sum(self.quarters)


@dataclass(frozen=True, slots=True)
class StandingLine:
    """A tenant of the directory. `standing` is None until the worker has visited it for the first time."""

    tenant: TenantLine
    standing: Standing | None


@dataclass(frozen=True, slots=True)
class StandingPage:
    """`next_after` is what to ask from for the next page, None on the last one."""

    lines: tuple[StandingLine, ...]
    next_after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingTotals:
    """Sums over all tenants; amounts in USD_MICROCENTS, of the tenants whose own budget is in USD.

    `spent_today` is since each tenant's own midnight. `oldest_as_of` is the least fresh note of a tenant that has one.
    """

    tenants: int
    noted: int
    spent_today: int
    spent_hour: int
    held: int
    denied_hour: int
    tenants_denied: int
    exhausted: int
    near: int
    exhausting: int
    holds_open: int
    oldest_hold_at: datetime | None
    causes: tuple[tuple[str, int], ...]
    quarters: tuple[int, ...]
    oldest_as_of: datetime | None


def standing_page(
    *,
    now: datetime,
    order: Order = Order.RISK,
    search: str = "",
    status: TenantStatus | None = None,
    is_stopped: bool | None = None,
    plan: str = "",
    denied_for: str | None = None,
    after: str = "",
    limit: int,
) -> StandingPage:
    """Tenants that a `TenantFilter` of these means, behind the cursor `after`. One query.

    `denied_for` leaves those of whom calls were refused in the last hour, for that reason where it is not empty.

    A cursor is the slug of the last tenant and what it was sorted by: a tenant that changes its place meanwhile may be
    seen twice or not at all, the others once.
    """
    found = _ordered(Tenant.objects.select_related("plan", "standing"), order)
    wanted = TenantFilter(search=search, status=status, is_stopped=is_stopped, plan=plan)
    found = matching(found, wanted, now=now)
    if denied_for is not None:
        found = found.filter(standing__denied_hour__gt=0)
        if denied_for:
            found = found.filter(standing__denied_causes__has_key=denied_for)
    if after:
        found = _behind(found, order, after)
    with in_public():
        tenants = list(found[: limit + 1])
    lines = tuple(line_with_standing(tenant, now=now) for tenant in tenants[:limit])
    is_cut = len(tenants) > limit
    return StandingPage(lines=lines, next_after=_cursor(tenants[limit - 1], order) if is_cut else None)


def standing_of(slug: str, *, now: datetime) -> StandingLine | None:
    """One tenant's line; None for an unknown slug. One query."""
    with in_public():
        tenant = Tenant.objects.select_related("plan", "standing").filter(slug=slug).first()
    return line_with_standing(tenant, now=now) if tenant else None


def standing_totals(*, now: datetime) -> StandingTotals:
    """All tenants together. One query."""
    parameters: dict[str, Any] = {
        "now": now,
        "exhausting_until": now + EXHAUSTING_WITHIN,
        "quarters_until": quarters_until(now),
        "quarters": QUARTERS,
    }
    with in_public(), connection.cursor() as cursor:
        cursor.execute(read_sql("tenants", "standing_totals"), parameters)
        columns = [column.name for column in cursor.description]
        row = dict(zip(columns, cursor.fetchone(), strict=True))
    times: dict[str, Any] = {name: row.pop(name) for name in ("oldest_hold_at", "oldest_as_of")}
    causes = tuple((code, int(count)) for code, count in json.loads(row.pop("causes") or "[]"))
    quarters = tuple(int(each) for each in row.pop("quarters_spent"))
    numbers: dict[str, Any] = {name: int(value or 0) for name, value in row.items()}
    return StandingTotals(causes=causes, quarters=quarters, **times, **numbers)


#: What each order sorts by, before the slug; the greatest first, except of times.
_KEYS: Final[Mapping[Order, str]] = {
    Order.RISK: "taken_ppm",
    Order.DENIALS: "denied_hour",
    Order.SPEND: "spent_hour",
    Order.EXHAUSTION: "exhausts_at",
}


def _ordered(tenants: QuerySet[Tenant], order: Order) -> QuerySet[Tenant]:
    if order == Order.SLUG:
        return tenants.order_by("slug")
    key = F(f"standing__{_KEYS[order]}")
    if order == Order.EXHAUSTION:
        return tenants.order_by(key.asc(nulls_last=True), "slug")
    return tenants.order_by(key.desc(nulls_last=True), "slug")


def _cursor(tenant: Tenant, order: Order) -> str:
    if order == Order.SLUG:
        return tenant.slug
    standing = _note_of(tenant)
    value = None if standing is None else getattr(standing, _KEYS[order])
    text = "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)
    return f"{text}~{tenant.slug}"


def _behind(tenants: QuerySet[Tenant], order: Order, after: str) -> QuerySet[Tenant]:
    if order == Order.SLUG:
        return tenants.filter(slug__gt=after)
    text, _, slug = after.partition("~")
    key = f"standing__{_KEYS[order]}"
    unknown = Q(**{f"{key}__isnull": True})
    if not text:
        return tenants.filter(unknown, slug__gt=slug)
    value = _value(text, order)
    if value is None:
        return tenants
    further = Q(**{f"{key}__gt" if order == Order.EXHAUSTION else f"{key}__lt": value})
    return tenants.filter(further | Q(**{key: value}, slug__gt=slug) | unknown)


def _value(text: str, order: Order) -> datetime | int | None:
    """What a cursor says; None where somebody wrote it by hand."""
    try:
        if order == Order.EXHAUSTION:
            at = datetime.fromisoformat(text)
            return at if at.tzinfo is not None else None
        return int(text) if len(text) <= 40 else None
    except ValueError:
        return None


def _note_of(tenant: Tenant) -> TenantStanding | None:
    # Django raises where there is no row, and its exception is an AttributeError.
    return getattr(tenant, "standing", None)


def line_with_standing(tenant: Tenant, *, now: datetime) -> StandingLine:
    """A row of the directory, read with its plan and its note."""
    note = _note_of(tenant)
    standing = None if note is None or note.as_of is None else _standing(note, as_of=note.as_of, now=now)
    return StandingLine(tenant=tenant_line(tenant), standing=standing)


def _standing(note: TenantStanding, *, as_of: datetime, now: datetime) -> Standing:
    is_of_today = note.day_ends_at is not None and note.day_ends_at > now
    return Standing(
        as_of=as_of,
        unit=note.unit,
        period=note.period,
        period_starts_at=note.period_starts_at,
        period_ends_at=note.period_ends_at,
        allocated=int(note.allocated),
        reserved=int(note.reserved),
        spent=int(note.spent),
        debt=int(note.debt),
        overdraft_limit=int(note.overdraft_limit),
        budget_status=note.budget_status,
        is_over_limit=note.is_over_limit,
        more_budgets=note.more_budgets,
        taken_ppm=note.taken_ppm,
        spent_today=int(note.spent_today) if is_of_today else 0,
        spent_hour=int(note.spent_hour),
        calls_hour=note.calls_hour,
        quarters=_shifted(note.quarters, noted_until=note.quarters_until, until=quarters_until(now)),
        mean_hour_7d=int(note.mean_hour_7d),
        exhausts_at=note.exhausts_at,
        denied_hour=note.denied_hour,
        denied_causes=note.denied_causes,
        top_agent=note.top_agent,
        top_agent_ppm=note.top_agent_ppm,
        holds_open=note.holds_open,
        oldest_hold_at=note.oldest_hold_at,
        alerts_open=note.alerts_open,
        alert_severity=note.alert_severity,
        alert_words=note.alert_words,
    )


def quarters_until(now: datetime) -> datetime:
    """The end of the quarter of an hour that is under way."""
    return now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0) + QUARTER


def _shifted(noted: Sequence[Any], *, noted_until: datetime | None, until: datetime) -> tuple[int, ...]:
    """The 96 quarters up to `until`: the note may be older, and nothing has happened since."""
    passed = QUARTERS if noted_until is None else min(max((until - noted_until) // QUARTER, 0), QUARTERS)
    known = [int(each) for each in noted][-QUARTERS:]
    known = [0] * (QUARTERS - len(known)) + known
    return tuple(known[passed:] + [0] * passed)
