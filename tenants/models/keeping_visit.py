"""Whose old rows are looked for when, and what came of it the last time."""

from django.db import models


class KeepingVisit(models.Model):
    """One row a tenant, and one of the platform's under its own tag; written by the worker."""

    tag = models.TextField(primary_key=True)
    asked_at = models.DateTimeField(null=True, help_text="When a visit was last asked for.")
    due_at = models.DateTimeField(null=True, help_text="Not before; null before the first visit has ended.")
    visited_at = models.DateTimeField(null=True)
    dropped = models.BigIntegerField(default=0, help_text="Rows that the last visit dropped.")
    trouble = models.TextField(default="", help_text="Why it dropped nothing, or not all; empty where all went well.")

    class Meta:
        db_table = "keeping_visit"

    def __str__(self) -> str:
        return f"{self.tag} as of {self.visited_at}"
