"""Opening and ending alerts: each once for its threshold and period, with its audit row and its event.

`raise_alert` is the door for whatever else finds something that somebody should know.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Q

from budgets.models import Alert, AlertChannel, AlertMark
from budgets.models.choices import AlertKind, AlertState
from budgets.selectors.alerts import next_telling, open_summary
from budgets.services.alert_events import event_of
from budgets.services.alert_findings import Finding, Key
from budgets.services.alert_lock import lock_alerts
from budgets.services.alert_readers import channels_untold, hurry_readers
from budgets.services.alert_rules import alert_rules
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from telemetry.services import audit, outbox
from tenants.services.standing import AlertNote, note_alerts

#: Who opens alerts and ends those that went away.
WATCH: Final = Actor(name="alerts", actor_type="system")
_IN_A_GO: Final = 500
_REOPENED: Final = (
    "state",
    "ended_at",
    "ended_by",
    "end_reason",
    "reopened",
    "summary",
    "facts",
    "severity",
    "opened_at",
    "tell_at",
    "for_channels",
)
_RECOVERED: Final = ("state", "snoozed_until", "ended_at", "ended_by", "end_reason", "for_channels")


def raise_alert(*, tag: Tag, finding: Finding) -> bool:
    """Tell that this holds; True where it is new, or is back without a period. Safe to repeat.

    Nothing happens where the tenant has switched the kind off. May be called within a transaction of the tenant's own.
    """
    with in_tenant(tag), transaction.atomic():
        now = lock_alerts()
        if not alert_rules().thresholds(finding.kind):
            return False
        rows = Alert.objects.filter(kind=finding.kind, subject=finding.subject)
        is_told = bool(_open_or_reopen(list(rows), [finding], now=now))
        transaction.on_commit(lambda: note_open_alerts(tag=tag))
    return is_told


def clear_alert(*, tag: Tag, kind: AlertKind, subject: str) -> int:
    """Tell that it no longer holds; how many alerts recovered. Safe to repeat."""
    with in_tenant(tag), transaction.atomic():
        now = lock_alerts()
        rows = Alert.objects.filter(_may_end(), kind=kind, subject=subject)
        ended = _recover(list(rows), holding=set(), now=now)
        if ended:
            transaction.on_commit(lambda: note_open_alerts(tag=tag))
    return ended


def settle_findings(
    *,
    kinds: Collection[AlertKind],
    lasting: Collection[AlertKind],
    find: Callable[[datetime, frozenset[Key]], Iterable[Finding]],
) -> None:
    """Open what `find` finds, given the clock and what is open, and end what it no longer finds of `kinds`.

    What is `lasting` stays open until a person, or whoever raised it, says that it is over.
    """
    with transaction.atomic():
        now = lock_alerts()
        watched = Alert.objects.filter(kind__in=[*kinds, *lasting])
        rows = list(watched.filter(_may_end()))
        findings = list(find(now, frozenset(_key(row) for row in rows if row.state == AlertState.OPEN)))
        subjects, periods = ({getattr(each, name) for each in findings} for name in ("subject", "period"))
        ended = watched.exclude(_may_end()).filter(subject__in=subjects, period__in=periods) if findings else ()
        _open_or_reopen([*rows, *ended], findings, now=now)
        may_recover = [row for row in rows if row.kind in kinds]
        _recover(may_recover, holding={each.key for each in findings}, now=now)
        _end_snoozes(rows, now=now)
        AlertMark.objects.filter(pk=1).update(looked_at=now)


def note_open_alerts(*, tag: Tag) -> None:
    """Bring the platform's note on the tenant up to date with its alerts. Safe to repeat."""

    def read() -> AlertNote:
        with in_tenant(tag):
            summary = open_summary()
            return AlertNote(
                alerts_open=summary.count,
                alert_severity=summary.severity,
                alert_words=summary.words,
                tell_at=next_telling(),
            )

    note_alerts(tag=tag, read=read)


def _may_end() -> Q:
    # What has no period and was resolved by hand ends too, so that it is told again when it comes back.
    return Q(state=AlertState.OPEN) | Q(state=AlertState.RESOLVED, period="")


def _open_or_reopen(rows: list[Alert], findings: Iterable[Finding], *, now: datetime) -> list[Alert]:
    """The alerts that are to be told."""
    known = {_key(row): row for row in rows}
    new, back = [], []
    for finding in findings:
        row = known.get(finding.key)
        if row is None:
            row = known[finding.key] = _alert(finding, now=now)
            new.append(row)
        elif row.state == AlertState.RECOVERED or (row.state == AlertState.RESOLVED and finding.outlasts_resolving):
            back.append((row, finding))
    Alert.objects.bulk_create(new, batch_size=_IN_A_GO)
    told = new + [row for row, finding in back if _reopen(row, finding, now=now)]
    Alert.objects.bulk_update([row for row, _ in back], _REOPENED, batch_size=_IN_A_GO)
    if any(row.for_channels is None and row.tell_at < now for row, _ in back):
        # Readers of a mail who did not take it the first time wait for whether it comes back.
        hurry_readers(now=now)
    _record("alert.raised", told, now=now)
    outbox.announce_all([event_of(row) for row in told], actor=WATCH, at=now)
    return told


def _alert(finding: Finding, *, now: datetime) -> Alert:
    return Alert(
        kind=finding.kind,
        subject=finding.subject,
        threshold=finding.threshold,
        period=finding.period,
        severity=finding.severity,
        scope_path=finding.scope_path,
        unit=finding.unit,
        summary=finding.summary,
        facts=dict(finding.facts),
        opened_at=now,
        period_ends_at=finding.period_ends_at,
        tell_at=now,
    )


def _reopen(row: Alert, finding: Finding, *, now: datetime) -> bool:
    """Whether it is told again to all. Not saved here.

    Within one period it was told before, but for the channels that had not got to it when it recovered, and readers who
    are behind: these find it where it was.
    """
    row.state, row.ended_at, row.ended_by, row.end_reason = AlertState.OPEN, None, "", ""
    row.reopened += 1
    is_told = not finding.period
    if is_told:
        row.summary, row.facts, row.severity = finding.summary, dict(finding.facts), finding.severity
        row.opened_at = row.tell_at = now
        row.for_channels = None
    elif row.for_channels:
        row.tell_at = now
    return is_told


def _recover(rows: list[Alert], *, holding: set[Key], now: datetime) -> int:
    gone = [row for row in rows if row.state != AlertState.RECOVERED and _key(row) not in holding]
    were_open = [row for row in gone if row.state == AlertState.OPEN]
    events = []
    for row in were_open:
        is_over = row.period_ends_at is not None and row.period_ends_at <= now
        row.ended_at, row.ended_by = now, WATCH.name
        row.end_reason = "Its period ended." if is_over else "It no longer holds."
        if row.kind == AlertKind.BUDGET_THRESHOLD and not is_over and not (row.period and row.reopened):
            events.append(event_of(row, is_rising=False))
    channels = list(AlertChannel.objects.filter(is_on=True)) if gone else []
    for row in gone:
        row.state, row.snoozed_until = AlertState.RECOVERED, None
        row.for_channels = channels_untold(row, channels)
    Alert.objects.bulk_update(gone, _RECOVERED, batch_size=_IN_A_GO)
    _record("alert.recovered", were_open, now=now)
    outbox.announce_all(events, actor=WATCH, at=now)
    return len(gone)


def _end_snoozes(rows: list[Alert], *, now: datetime) -> None:
    """What was put off and still holds is told again."""
    back = [
        row.pk
        for row in rows
        if row.state == AlertState.OPEN and row.snoozed_until is not None and row.snoozed_until <= now
    ]
    if back:
        Alert.objects.filter(pk__in=back).update(snoozed_until=None, tell_at=now, for_channels=None)


def _record(action: str, rows: Iterable[Alert], *, now: datetime) -> None:
    changes = [audit.Change(action=action, target=f"alert:{row.pk}", after=_facts(row)) for row in rows]
    audit.record_all(changes, actor=WATCH, at=now)


def _facts(row: Alert) -> dict[str, Any]:
    facts: dict[str, Any] = {"kind": row.kind, "subject": row.subject, "period": row.period, "words": row.summary}
    return facts | {"threshold": row.threshold} if row.threshold else facts


def _key(row: Alert) -> Key:
    return (row.kind, row.subject, row.threshold, row.period)
