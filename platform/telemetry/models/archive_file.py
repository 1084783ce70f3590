"""Files into which old rows were written before they were dropped."""

from django.db import models
from django.db.models import Q

from telemetry.archive_kinds import ArchiveKind


class ArchiveFile(models.Model):
    """One file in the folder of the schema's owner. The row is written when the file is safe, and before anything goes.

    `number` counts the files of a kind from 1. A file without a row was never dropped from: it is written anew.
    """

    name = models.TextField(primary_key=True)
    kind = models.TextField(choices=ArchiveKind)
    number = models.BigIntegerField()
    rows = models.BigIntegerField()
    until_at = models.DateTimeField(help_text="All that is in the file is from before.")
    facts = models.JSONField(default=dict, help_text="What else is true of the rows in it.")
    digest = models.BinaryField(help_text="SHA-256 of the file.")
    signature = models.BinaryField(help_text="HMAC of all above, by a key that the database does not hold.")
    made_at = models.DateTimeField()
    dropped_at = models.DateTimeField(null=True, help_text="When the last of its rows was gone.")

    class Meta:
        db_table = "archive_file"
        constraints = [
            models.UniqueConstraint(fields=["kind", "number"], name="one_archive_file_of_a_number"),
            models.CheckConstraint(condition=Q(rows__gt=0, number__gt=0), name="archive_file_is_not_empty"),
        ]

    def __str__(self) -> str:
        return self.name
