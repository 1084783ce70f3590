"""What is told of a tenant's evidence: once a day, and whose the other things were only to those who may see it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from budgets.models.choices import AlertKind, Severity
from budgets.services.alert_findings import Finding
from telemetry.evidence.kinds import NoteKind

_SUBJECTS: Final[Mapping[NoteKind, str]] = {NoteKind.LEAK: "evidence", NoteKind.FOREIGN: "evidence:foreign"}
_SUMMARIES: Final[Mapping[NoteKind, str]] = {
    NoteKind.LEAK: "Spans of {day} carry a prompt or a namespace of another tenant: see the evidence.",
    NoteKind.FOREIGN: "Spans that name another tenant were sent with a key of this one, and refused: see the evidence.",
}
#: The kinds of notes that are told.
TOLD: Final = tuple(_SUBJECTS)


def evidence_finding(kind: NoteKind, *, spans: int, scope_path: str, now: datetime) -> Finding:
    """The same key all day (UTC), from whoever tells of it first. `kind` is one of `TOLD`."""
    return Finding(
        kind=AlertKind.EVIDENCE_LEAK,
        subject=_SUBJECTS[kind],
        period=now.astimezone(UTC).date().isoformat(),
        severity=Severity.CRITICAL,
        summary=_SUMMARIES[kind].format(day=f"{now.astimezone(UTC):%d %B}"),
        scope_path=scope_path,
        facts={"spans": spans},
    )
