"""Which spans are the same call, seen through several instrumentations. Pure: no database, no clock.

The innermost span that knows what was used is counted. Around it lie the spans of frameworks, and beside it those of a
second instrumentation of the same client, which tell of the same answer by its id; or, where one of them does not know
the id, by the same usage in the same moment.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from telemetry.evidence.kinds import SpanKind

#: Kinds that cost something, so that counting one twice would be wrong.
BILLED: Final = frozenset({SpanKind.INFERENCE, SpanKind.EMBEDDING, SpanKind.TOOL})
#: Kinds that have an answer with an id.
_ANSWERED: Final = frozenset({SpanKind.INFERENCE, SpanKind.EMBEDDING})
_DEPTH_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What is needed of a span to tell whether it is the same call as another one. `is_counted` None: not judged.

    `began_us` and `ended_us` are on one clock. `same_as` is the span that is counted in its place, or empty.
    """

    trace_id: str
    span_id: str
    parent_id: str
    kind: SpanKind
    tool: str
    response_id: str
    has_usage: bool
    is_counted: bool | None
    instrumentation: str = ""
    tokens: tuple[int, int] = (0, 0)
    began_us: int = 0
    ended_us: int = 0
    same_as: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.trace_id, self.span_id

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
    return same_as | _beside(spans.values(), same_as)


def _beside(family: Collection[Sighting], same_as: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """Unjudged spans beside one of another instrumentation that is the same call; one of the two does not know its id.

    An instrumentation sees a call once: of two calls at once that used the same, each is counted.
    """
    groups: defaultdict[tuple[object, ...], list[Sighting]] = defaultdict(list)
    seen_by: defaultdict[str, set[str]] = defaultdict(set)
    for span in family:
        if span.kind in _ANSWERED and span.has_usage and span.instrumentation:
            groups[span.trace_id, span.parent_id, span.kind, span.tokens].append(span)
            seen_by[_counted_as(span, same_as)].add(span.instrumentation)
    found: dict[tuple[str, str], str] = {}
    for group in groups.values():
        waiting = [span for span in group if span.is_counted is None and span.key not in same_as]
        near: dict[tuple[str, str], list[str]] = {}
        for span in waiting:
            others = [
                other
                for other in group
                if _is_same_moment(span, other)
                and span.instrumentation not in seen_by[_counted_as(other, same_as)]
                # Of two that wait the one with the id is counted.
                and (other.is_counted is not None or other.key in same_as or not span.response_id)
            ]
            gaps = sorted((_gap(span, other), _counted_as(other, same_as)) for other in others)
            near[span.key] = [counted for _, counted in gaps]
        for each in sorted({span.instrumentation for span in waiting}):
            taken: dict[str, tuple[str, str]] = {}
            for span in waiting:
                if span.instrumentation == each:
                    _take(span.key, near, taken, set(), depth=_DEPTH_MAX)
            for counted, key in taken.items():
                found[key] = counted
                seen_by[counted].add(each)
    return found


def _take(
    key: tuple[str, str],
    near: Mapping[tuple[str, str], Sequence[str]],
    taken: dict[str, tuple[str, str]],
    tried: set[str],
    *,
    depth: int,
) -> bool:
    """Find the span a call of its own; one that has it already goes to another one, where there is one for it."""
    for counted in near[key]:
        if counted in tried:
            continue
        tried.add(counted)
        if counted not in taken or (depth > 0 and _take(taken[counted], near, taken, tried, depth=depth - 1)):
            taken[counted] = key
            return True
    return False


def _counted_as(span: Sighting, same_as: Mapping[tuple[str, str], str]) -> str:
    return same_as.get(span.key) or span.same_as or span.span_id


def _is_same_moment(span: Sighting, other: Sighting) -> bool:
    """Whether one lies within the other's time, of two instrumentations of which one knows the answer's id."""
    is_within = span.began_us <= other.began_us and other.ended_us <= span.ended_us
    is_around = other.began_us <= span.began_us and span.ended_us <= other.ended_us
    is_other = span.instrumentation != other.instrumentation
    return is_other and bool(span.response_id) != bool(other.response_id) and (is_within or is_around)


def _gap(span: Sighting, other: Sighting) -> tuple[int, str]:
    """How much the times of both differ, in microseconds."""
    return abs(span.began_us - other.began_us) + abs(span.ended_us - other.ended_us), other.span_id


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
