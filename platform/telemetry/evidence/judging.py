"""Which spans are the same call, seen through several instrumentations. Pure: no database, no clock.

The innermost span that knows what was used is counted. Around it lie the spans of frameworks, and beside it those of a
second instrumentation of the same client, which tell of the same answer by its id.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from telemetry.evidence.kinds import SpanKind

#: Kinds that cost something, so that counting one twice would be wrong.
BILLED: Final = frozenset({SpanKind.INFERENCE, SpanKind.EMBEDDING, SpanKind.TOOL})
_DEPTH_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What is needed of a span to tell whether it is the same call as another one. `is_counted` None: not judged."""

    trace_id: str
    span_id: str
    parent_id: str
    kind: SpanKind
    tool: str
    response_id: str
    has_usage: bool
    is_counted: bool | None

    def may_be(self, other: "Sighting") -> bool:
        """Whether both can be the same call, when one lies in the other."""
        return self.kind == other.kind and (self.kind != SpanKind.TOOL or self.tool == other.tool)


def judge(family: Sequence[Sighting], *, counted_answers: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """For each unjudged span of `family` that is not to be counted, the span that is: by trace and span.

    `family` has all spans of the traces concerned; `counted_answers` leads from the provider's ids of answers that are
    counted already to their spans.
    """
    spans = {(each.trace_id, each.span_id): each for each in family}
    inside, outside = _nesting(spans)
    same_as: dict[tuple[str, str], str] = {}
    answers = dict(counted_answers)
    for key, span in spans.items():
        if span.is_counted is not None or span.kind not in BILLED:
            continue
        twin = _twin(span, inside=inside, outside=outside.get(key, ()))
        if twin is not None:
            same_as[key] = twin
        elif span.response_id and span.kind != SpanKind.TOOL:
            known = answers.setdefault(span.response_id, span.span_id)
            if known != span.span_id:
                same_as[key] = known
    return same_as


def _nesting(
    spans: Mapping[tuple[str, str], Sighting],
) -> tuple[dict[tuple[str, str], list[Sighting]], dict[tuple[str, str], list[Sighting]]]:
    """Of each billed span those of the same kind that lie in it, and those that it lies in, the nearest first."""
    inside: dict[tuple[str, str], list[Sighting]] = {}
    outside: dict[tuple[str, str], list[Sighting]] = {}
    for key, span in spans.items():
        if span.kind not in BILLED:
            continue
        for around in _ancestors(span, spans):
            if around.may_be(span):
                inside.setdefault((around.trace_id, around.span_id), []).append(span)
                outside.setdefault(key, []).append(around)
    return inside, outside


def _ancestors(span: Sighting, spans: Mapping[tuple[str, str], Sighting]) -> Iterator[Sighting]:
    # Bounded, for spans may name each other as parents.
    for _ in range(_DEPTH_MAX):
        parent = spans.get((span.trace_id, span.parent_id))
        if parent is None:
            return
        yield parent
        span = parent


def _twin(
    span: Sighting, *, inside: Mapping[tuple[str, str], Sequence[Sighting]], outside: Sequence[Sighting]
) -> str | None:
    """The span that is counted in its place, if it lies in this one or around it."""
    counted = next((each for each in outside if each.is_counted), None)
    if counted is not None:
        # It came late: what lies around it is counted already.
        return counted.span_id
    inner = inside.get((span.trace_id, span.span_id), ())
    knowing = [each for each in inner if each.has_usage or each.is_counted]
    if knowing:
        innermost = (each for each in knowing if not inside.get((each.trace_id, each.span_id)))
        return next(innermost, knowing[-1]).span_id
    if span.has_usage:
        return None
    around = next((each for each in outside if each.has_usage), None)
    if around is not None:
        return around.span_id
    return inner[-1].span_id if inner else None
