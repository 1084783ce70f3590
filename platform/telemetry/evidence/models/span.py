"""What a runtime's own instrumentation saw of one step: a model call, a retrieval, a tool, an agent's turn.

Prompts and answers are never kept: of a span's attributes only those that are named here.
"""

from django.db import models

from telemetry.evidence.kinds import SpanKind


class Span(models.Model):
    """One span, as it was sent. What was sent is never changed; what the worker makes of it is (the grants say which).

    Ids are lower-case hex, 32 and 16 digits. Words that a span does not have are empty; a tenant that it does not name
    is null. `tenant` is always the slug of the tenant whose key sent it.
    """

    pk = models.CompositePrimaryKey("trace_id", "span_id")
    trace_id = models.TextField()
    span_id = models.TextField()
    parent_id = models.TextField(help_text="Empty for the first span of a trace.")
    received_at = models.DateTimeField()
    started_at = models.DateTimeField(help_text="By the runtime's clock.")
    duration_us = models.BigIntegerField()
    kind = models.TextField(choices=SpanKind)
    name = models.TextField()
    service = models.TextField()
    instrumentation = models.TextField(help_text="Which library made it.")
    is_error = models.BooleanField()
    error_type = models.TextField()
    tenant = models.TextField()
    prompt_source_tenant = models.TextField(null=True, help_text="Whose prompt or context it says was used.")
    namespace_tenant = models.TextField(null=True, help_text="To whom the namespace belongs that it searched.")
    namespace = models.TextField()
    cache_key = models.TextField()
    agent = models.TextField()
    tool = models.TextField()
    run_id = models.TextField()
    decision_id = models.TextField()
    provider = models.TextField()
    model = models.TextField()
    response_id = models.TextField(help_text="The provider's own id of the answer.")
    tokens_input = models.BigIntegerField(help_text="Cached ones included.")
    tokens_output = models.BigIntegerField(help_text="Reasoning included.")
    tokens_cached = models.BigIntegerField(help_text="Of the input, read from the provider's cache.")
    tokens_cache_write = models.BigIntegerField(help_text="Of the input, written to it.")
    tokens_reasoning = models.BigIntegerField(help_text="Of the output.")
    first_token_us = models.BigIntegerField(null=True)
    is_counted = models.BooleanField(
        null=True, help_text="False where another span is of the same call; null until the worker has looked."
    )
    same_as = models.TextField(null=True, help_text="The span that is counted in its place.")
    cost = models.BigIntegerField(null=True, help_text="In USD_MICROCENTS, of a counted call of a model.")
    is_fallback_price = models.BooleanField(null=True)

    class Meta:
        db_table = "span"
        indexes = [
            models.Index(fields=["started_at"], name="span_started_at"),
            models.Index(fields=["received_at"], condition=models.Q(is_counted=None), name="span_uncounted"),
        ]
        constraints = [
            # However many instrumentations have seen an answer.
            models.UniqueConstraint(
                fields=["response_id"],
                # An agent's span may carry the id of its last call's answer.
                condition=models.Q(is_counted=True, kind__in=[SpanKind.INFERENCE, SpanKind.EMBEDDING])
                & ~models.Q(response_id=""),
                name="an_answer_is_counted_once",
            ),
            models.CheckConstraint(condition=models.Q(duration_us__gte=0), name="span_duration_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M:%S} {self.kind} {self.name} {self.span_id}"
