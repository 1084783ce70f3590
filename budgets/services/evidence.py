"""Keeping a tenant's evidence: its spans in its own schema, and that there are some in the shared one."""

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from budgets.services.alerts import raise_alert
from budgets.services.evidence_findings import evidence_finding
from kernel.actor import Actor
from kernel.tenancy import in_tenant
from telemetry.evidence.kinds import NoteKind
from telemetry.evidence.otlp.sent import Sent
from telemetry.evidence.reading import Owner
from telemetry.evidence.services.recording import Recorded, record
from telemetry.findings.services.standing import note_evidence

#: How long the worker leaves new spans alone: those of one call may come in two requests.
SETTLES_AFTER: Final = timedelta(seconds=15)


def keep_evidence(sent: Sent, *, owner: Owner, actor: Actor, now: datetime) -> Recorded:
    """Keep the spans with their alarms, then note them; two transactions, safe to repeat with the same spans."""
    with in_tenant(owner.tag), transaction.atomic():
        recorded = record(sent, owner=owner, actor=actor, now=now)
        for alarm in recorded.alarms:
            finding = evidence_finding(alarm.kind, spans=alarm.count, scope_path=f"tenant:{owner.slug}", now=now)
            raise_alert(tag=owner.tag, finding=finding)
    foreign = recorded.refused.get(NoteKind.FOREIGN, 0)
    if recorded.stored or foreign:
        note_evidence(tag=owner.tag, due_at=now + SETTLES_AFTER, leaks=recorded.leaks, foreign=foreign, now=now)
    return recorded
