"""Keeping a tenant's evidence: its spans in its own schema, and that there are some in the shared one."""

from datetime import datetime, timedelta
from typing import Final

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
    """Keep the spans and note them; two transactions, each safe to repeat with the same spans."""
    with in_tenant(owner.tag):
        recorded = record(sent, owner=owner, actor=actor, now=now)
    foreign = recorded.refused.get(NoteKind.FOREIGN, 0)
    if recorded.stored or foreign:
        note_evidence(tag=owner.tag, due_at=now + SETTLES_AFTER, leaks=recorded.leaks, foreign=foreign, now=now)
    return recorded
