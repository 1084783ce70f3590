"""Summing judged spans by quarter of an hour, kind, model and agent. Pure: no database, no clock."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from telemetry.evidence.histograms import PLACES, place_of
from telemetry.evidence.kinds import SpanKind
from telemetry.evidence.models.rollup import BUCKET_MINUTES

_TOKENS: Final = ("tokens_input", "tokens_output", "tokens_cached", "tokens_cache_write", "tokens_reasoning")
#: Subjects of one bucket and kind that are kept apart in one step; names that a runtime makes up are one together.
_SUBJECTS_MAX: Final = 500
OTHER_SUBJECTS: Final = "(others)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A span with what was made of it. `cost` is None where it costs nothing or is not counted."""

    started_at: datetime
    kind: SpanKind
    provider: str
    subject: str
    agent: str
    duration_us: int
    first_token_us: int | None
    is_error: bool
    is_leak: bool
    is_counted: bool
    cost: int | None
    is_fallback_price: bool
    tokens_input: int
    tokens_output: int
    tokens_cached: int
    tokens_cache_write: int
    tokens_reasoning: int


@dataclass(slots=True, kw_only=True)
class Sums:
    """One row of `SpanRollup`."""

    bucket_at: datetime
    kind: str
    provider: str
    subject: str
    agent: str
    spans: int = 0
    repeats: int = 0
    errors: int = 0
    leaks: int = 0
    tokens_input: int = 0
    tokens_output: int = 0
    tokens_cached: int = 0
    tokens_cache_write: int = 0
    tokens_reasoning: int = 0
    cost: int = 0
    unpriced: int = 0
    durations: list[int] = field(default_factory=lambda: [0] * PLACES)
    first_tokens: list[int] = field(default_factory=lambda: [0] * PLACES)

    def add(self, span: Judged) -> None:
        self.leaks += span.is_leak
        if not span.is_counted:
            self.repeats += 1
            return
        self.spans += 1
        self.errors += span.is_error
        for name in _TOKENS:
            setattr(self, name, getattr(self, name) + getattr(span, name))
        self.cost += span.cost or 0
        self.unpriced += span.is_fallback_price
        self.durations[place_of(span.duration_us)] += 1
        if span.first_token_us is not None:
            self.first_tokens[place_of(span.first_token_us)] += 1


def rollups_of(spans: Iterable[Judged]) -> list[dict[str, Any]]:
    """The sums in the order of their keys, so that two who add do not wait for each other in a circle."""
    found: dict[tuple[datetime, str, str, str, str], Sums] = {}
    for span in spans:
        bucket_at = _bucket(span.started_at)
        key = (bucket_at, span.kind.value, span.provider, span.subject, span.agent)
        if key not in found and len(found) >= _SUBJECTS_MAX:
            key = (bucket_at, span.kind.value, "", OTHER_SUBJECTS, "")
        names = dict(zip(("bucket_at", "kind", "provider", "subject", "agent"), key, strict=True))
        found.setdefault(key, Sums(**names)).add(span)  # type: ignore[arg-type]  # by name, each of its own type
    return [asdict(found[key]) for key in sorted(found)]


def _bucket(at: datetime) -> datetime:
    return at - timedelta(minutes=at.minute % BUCKET_MINUTES, seconds=at.second, microseconds=at.microsecond)
