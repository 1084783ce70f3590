"""What an archive file may hold."""

from django.db.models import TextChoices


class ArchiveKind(TextChoices):
    """The value is the first part of the file's name."""

    AUDIT = "audit"
    DECISIONS = "decisions"
    EVENTS = "events"
    LEDGER = "ledger"
    SPANS = "spans"
