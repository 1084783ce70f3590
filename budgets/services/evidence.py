"""Keeping a tenant's evidence: its spans in its own schema, and that there are some in the shared one."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from budgets.models.choices import AlertKind, Severity
from budgets.services.alert_findings import Finding
from budgets.services.alerts import raise_alert
from kernel.actor import Actor
from kernel.tenancy import in_tenant
from telemetry.evidence.kinds import NoteKind
from telemetry.evidence.otlp.sent import Sent
from telemetry.evidence.reading import Owner
from telemetry.evidence.services.recording import Alarm, Recorded, record
from telemetry.findings.services.standing import note_evidence

#: How long the worker leaves new spans alone: those of one call may come in two requests.
SETTLES_AFTER: Final = timedelta(seconds=15)
_SUMMARIES: Final[Mapping[NoteKind, str]] = {
    NoteKind.LEAK: "A span says that it used another tenant's prompt or searched another tenant's namespace",
    NoteKind.FOREIGN: "Spans that name another tenant were sent with this tenant's key, and refused",
}


def keep_evidence(sent: Sent, *, owner: Owner, actor: Actor, now: datetime) -> Recorded:
    """Keep the spans with their alarms, then note them; two transactions, safe to repeat with the same spans."""
    with in_tenant(owner.tag), transaction.atomic():
        recorded = record(sent, owner=owner, actor=actor, now=now)
        for alarm in recorded.alarms:
            raise_alert(tag=owner.tag, finding=_finding(alarm, now))
    foreign = recorded.refused.get(NoteKind.FOREIGN, 0)
    if recorded.stored or foreign:
        note_evidence(tag=owner.tag, due_at=now + SETTLES_AFTER, leaks=recorded.leaks, foreign=foreign, now=now)
    return recorded


def _finding(alarm: Alarm, now: datetime) -> Finding:
    """Once a day for each tenant that was named. The other one's name stays out of what is sent around."""
    subject = hashlib.sha256(alarm.about.encode()).hexdigest()[:16]
    return Finding(
        kind=AlertKind.EVIDENCE_LEAK,
        subject=f"{alarm.kind}:{subject}",
        period=f"{now:%Y-%m-%d}",
        severity=Severity.CRITICAL,
        summary=_SUMMARIES[alarm.kind],
        facts={"trace_id": alarm.trace_id, "spans": alarm.count},
    )
