"""Calls of models as runtimes saw them, each answer once."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import F

from telemetry.evidence.kinds import SpanKind
from telemetry.evidence.models import Span


def model_calls(*, since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    """From `since` to before `until`, in order of time: `at` (when it began), `trace_id`, `provider`,
    `model`, `response_id`, `tokens_input`, `tokens_output` and `cost`, which is None where it is not known.

    What another span of the same call stands for is left out. One query.
    """
    found = Span.objects.filter(started_at__gte=since, started_at__lt=until, kind=SpanKind.INFERENCE, is_error=False)
    names = ("trace_id", "provider", "model", "response_id", "tokens_input", "tokens_output", "cost")
    yield from (
        found.exclude(is_counted=False).order_by("started_at", "span_id").values(*names, at=F("started_at")).iterator()
    )
