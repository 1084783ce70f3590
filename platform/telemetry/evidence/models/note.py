"""What came in and was not kept, and what was kept and should not have happened: counted by day."""

from django.db import models

from telemetry.evidence.kinds import NoteKind


class EvidenceNote(models.Model):
    """So many of one kind on one day (UTC). `about` is the tenant that was named, as it was named; else empty."""

    pk = models.CompositePrimaryKey("day", "kind", "about")
    day = models.DateField()
    kind = models.TextField(choices=NoteKind)
    about = models.TextField()
    count = models.BigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    trace_id = models.TextField(help_text="The latest.")

    class Meta:
        db_table = "evidence_note"

    def __str__(self) -> str:
        return f"{self.day} {self.kind} {self.about} {self.count}"
