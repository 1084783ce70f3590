"""Sums per 15 minutes of counted spans, and how far the worker is."""

from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models

from telemetry.evidence.kinds import SpanKind

BUCKET_MINUTES: Final = 15


def _sum(help_text: str = "") -> "models.DecimalField[Any, Any]":
    return models.DecimalField(max_digits=40, decimal_places=0, default=0, help_text=help_text)


class SpanRollup(models.Model):
    """Counted spans that were about the same, together. A span is in the bucket of its own beginning."""

    bucket_at = models.DateTimeField(help_text="Where the 15 minutes begin, at a quarter of an hour in UTC.")
    kind = models.TextField(choices=SpanKind)
    provider = models.TextField()
    subject = models.TextField(help_text="The model, the tool or the namespace.")
    agent = models.TextField()
    pk = models.CompositePrimaryKey("bucket_at", "kind", "provider", "subject", "agent")
    spans = models.BigIntegerField(help_text="Counted ones.")
    repeats = models.BigIntegerField(help_text="Spans of calls that another span is counted for.")
    errors = models.BigIntegerField()
    leaks = models.BigIntegerField(help_text="Counted or not.")
    tokens_input = _sum()
    tokens_output = _sum()
    tokens_cached = _sum()
    tokens_cache_write = _sum()
    tokens_reasoning = _sum()
    cost = _sum("In USD_MICROCENTS, as the tenant is charged.")
    unpriced = models.BigIntegerField(help_text="Calls of models without a price, at the fallback's.")
    durations = ArrayField(models.BigIntegerField(), help_text="`telemetry.evidence.histograms`")
    first_tokens = ArrayField(models.BigIntegerField(), help_text="The same, of those that say it.")

    class Meta:
        db_table = "span_rollup"

    def __str__(self) -> str:
        return f"{self.bucket_at:%Y-%m-%d %H:%M} {self.kind} {self.subject} {self.spans}"


class EvidenceMark(models.Model):
    """Whoever counts or forgets spans holds this row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    counted_at = models.DateTimeField(null=True, help_text="Everything that came in before is counted.")
    forgotten_at = models.DateTimeField(null=True, help_text="When old spans were looked for last.")

    class Meta:
        db_table = "evidence_mark"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_evidence_mark")]

    def __str__(self) -> str:
        return f"counted until {self.counted_at}"
