"""Looking at a tenant's books for what somebody should know: after each roll-up, with the note on how it stands."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection

from accounts.keys.selectors.key_lines import keys_expiring, next_expiry_behind
from budgets.models import LedgerHead
from budgets.models.choices import AlertKind, Period, Severity
from budgets.selectors.alerts import looked_at, next_ending
from budgets.selectors.router_labels import ROUTER_WATCH, router_switch
from budgets.services.alert_findings import BUDGET_MARGIN_PPM, BudgetSight, Finding, Key, budget_findings
from budgets.services.alert_neighbours import neighbour_findings
from budgets.services.alert_paces import pace_findings, paces
from budgets.services.alert_rules import Rules, alert_rules
from budgets.services.alert_tenant_findings import (
    ExpiringCredential,
    ExpiringKey,
    TenantSight,
    credential_findings,
    key_findings,
    tenant_findings,
)
from budgets.services.alerts import settle_findings
from kernel.ids import Tag
from kernel.sql_files import read_sql
from kernel.tenancy import in_tenant
from tenants.services.standing import StandingNote
from vault.selectors.references import next_reference_expiry_behind, references_expiring

#: What is looked for here; the other kinds are raised by whoever finds them.
WATCHED: Final = (
    AlertKind.BUDGET_THRESHOLD,
    AlertKind.LOW_WATER,
    AlertKind.EXHAUSTION_FORECAST,
    AlertKind.BURN_RATE,
    AlertKind.DENIAL_SPIKE,
    AlertKind.ROUTER_ACCURACY,
    AlertKind.KEY_EXPIRING,
    AlertKind.CREDENTIAL_EXPIRING,
    AlertKind.WEBHOOK_PAUSED,
    AlertKind.CREDENTIAL_UNHEALTHY,
)
#: Found here too, and over only when a person, or whoever raised it, says so.
LASTING: Final = (AlertKind.EVIDENCE_LEAK, AlertKind.LEDGER_DIFFERENCE, AlertKind.USAGE_DIFFERENCE)
#: Keys that expire soon and are told of at one look.
_KEYS_MAX: Final = 500
_REFERENCES_MAX: Final = 500


def look_for_alerts(*, tag: Tag, note: StandingNote) -> datetime | None:
    """Open and end the tenant's alerts as its books and `note` say; when to look again though nothing happens there.

    Safe to repeat, and to run twice at once.
    """
    with in_tenant(tag):
        rules = alert_rules()
        head = LedgerHead.objects.only("slug", "time_zone").get(pk=1)

        def find(now: datetime, is_open: frozenset[Key]) -> Iterator[Finding]:
            yield from budget_findings(_budgets(rules, now=now), rules=rules, is_open=is_open)
            sight = _sight(note, head)
            yield from tenant_findings(sight, rules=rules, is_open=is_open)
            below = paces(rules=rules, now=now)
            today: dict[str, Any] = {"day": sight.day, "day_ends_at": sight.day_ends_at}
            yield from pace_findings(below, rules=rules, now=now, is_open=is_open, **today)
            yield from _router(rules, head)
            yield from key_findings(_keys(rules, now=now), rules=rules, now=now)
            yield from credential_findings(_credentials(rules, now=now), rules=rules, now=now)
            scope_path = f"tenant:{head.slug}"
            yield from neighbour_findings(rules=rules, scope_path=scope_path, now=now, looked_at=looked_at())

        settle_findings(kinds=WATCHED, lasting=LASTING, find=find)
        return _earliest(
            next_ending(),
            next_expiry_behind(_spans(rules, AlertKind.KEY_EXPIRING), now=note.as_of),
            next_reference_expiry_behind(_spans(rules, AlertKind.CREDENTIAL_EXPIRING), now=note.as_of),
        )


def _budgets(rules: Rules, *, now: datetime) -> Iterator[BudgetSight]:
    """Those that may be worth an alert, or whose alert may not have recovered. One query."""
    parameters: dict[str, Any] = {"taken_ppm": max(rules.lowest_percentage - BUDGET_MARGIN_PPM, 0), "now": now}
    with connection.cursor() as cursor:
        cursor.execute(read_sql("budgets", "alert_budgets"), parameters)
        columns = [column.name for column in cursor.description]
        for row in cursor.fetchall():
            values = dict(zip(columns, row, strict=True))
            yield BudgetSight(**values | {"period": Period(values["period"])})


def _sight(note: StandingNote, head: LedgerHead) -> TenantSight:
    day = note.day_starts_at.astimezone(ZoneInfo(head.time_zone)).date().isoformat()
    starts_at, ends_at = note.period_starts_at, note.period_ends_at
    return TenantSight(
        as_of=note.as_of,
        scope_path=f"tenant:{head.slug}",
        unit=note.unit,
        allocated=note.allocated,
        remaining=note.allocated - note.reserved - note.spent - note.debt,
        period=starts_at.isoformat() if starts_at else day,
        period_ends_at=ends_at or note.day_ends_at,
        day=day,
        day_ends_at=note.day_ends_at,
        spent_hour=note.spent_hour,
        mean_hour=int(note.mean_hour_7d),
        calls_hour=note.calls_hour,
        denied_hour=note.denied_hour,
        denied_causes=note.denied_causes,
        exhausts_at=note.exhausts_at,
        top_agent=note.top_agent,
    )


def _router(rules: Rules, head: LedgerHead) -> Iterator[Finding]:
    """The router was taken out because it was wrong too often; once each time that this happens."""
    switch = router_switch()
    if switch.is_on and switch.since and switch.by == ROUTER_WATCH and rules.thresholds(AlertKind.ROUTER_ACCURACY):
        yield Finding(
            kind=AlertKind.ROUTER_ACCURACY,
            subject="router",
            period=switch.since.isoformat(),
            severity=Severity.WARNING,
            summary=f"The router was taken out: all requests go to one tier. {switch.reason}".rstrip(),
            scope_path=f"tenant:{head.slug}",
            facts={"since": switch.since.isoformat()},
        )


def _keys(rules: Rules, *, now: datetime) -> Iterator[ExpiringKey]:
    thresholds = rules.thresholds(AlertKind.KEY_EXPIRING)
    if thresholds:
        for line in keys_expiring(until=now + timedelta(seconds=thresholds[-1]), now=now, limit=_KEYS_MAX):
            if line.expires_at is not None:
                yield ExpiringKey(key_id=line.key_id, name=line.name, expires_at=line.expires_at)


def _credentials(rules: Rules, *, now: datetime) -> Iterator[ExpiringCredential]:
    thresholds = rules.thresholds(AlertKind.CREDENTIAL_EXPIRING)
    if thresholds:
        until = now + timedelta(seconds=thresholds[-1])
        for line in references_expiring(until=until, now=now, limit=_REFERENCES_MAX):
            if line.expires_at is not None:
                yield ExpiringCredential(
                    reference_id=str(line.id), name=line.name, scope=line.scope, expires_at=line.expires_at
                )


def _spans(rules: Rules, kind: AlertKind) -> list[timedelta]:
    return [timedelta(seconds=each) for each in rules.thresholds(kind)]


def _earliest(*times: datetime | None) -> datetime | None:
    return min((at for at in times if at is not None), default=None)
