"""From a span as it was sent to the row that is kept of it, or to the reason why none is."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kernel.ids import Tag
from telemetry.evidence import dialects
from telemetry.evidence.kinds import NoteKind, SpanKind
from telemetry.evidence.otlp.sent import Scalar, SentSpan

#: How late a span may come. Until then every span is kept whole, so that one sent again is known.
AGE_MAX: Final = timedelta(days=3)
#: How far a runtime's clock may be ahead.
AHEAD_MAX: Final = timedelta(minutes=10)
TEXT_MAX: Final = 256
#: A number of tokens that no call has.
_COUNT_MAX: Final = 10**10
_DURATION_US_MAX: Final = 7 * 86_400_000_000
_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID: Final = re.compile(r"(?!0{16})[0-9a-f]{16}")
_NO_SPAN: Final = "0" * 16
# Our own names for what is one tenant's carry its tag: `budgets.services.isolation`.
_TAGGED: Final = re.compile(r"(?:^|[^a-z0-9])wm[_/]([a-z2-7]{20})(?![a-z2-7])")
_ANSWER_ID: Final = re.compile(r'\s*\{\s*"id"\s*:\s*"([\w.:-]{8,200})"', re.ASCII)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose key sent the spans."""

    tag: Tag
    slug: str

    def own_name(self, said: Scalar | None) -> str | None:
        """The slug where `said` means this tenant, else what was said, cut; None where nothing was."""
        if said is None:
            return None
        name = _text(said).strip().lower()
        if not name:
            return None
        return self.slug if name in {self.slug, self.tag, f"tenant:{self.slug}"} else name

    def whose(self, said: Iterable[Scalar]) -> str | None:
        """Another tenant where any of `said` means one, else the slug where any means this one."""
        names = {self.own_name(each) for each in said} - {None}
        others = sorted(name for name in names if name and name != self.slug)
        return others[0] if others else self.slug if names else None


@dataclass(frozen=True, slots=True)
class Refused:
    """`about` is the tenant that the span named, or empty."""

    kind: NoteKind
    about: str = ""
    trace_id: str = ""


def read_span(sent: SentSpan, *, owner: Owner, now: datetime) -> dict[str, Any] | Refused:
    """The columns of its row, ready for JSON. A span of another tenant is refused, whatever else it says."""
    said = sent.attributes
    claimed = owner.whose(dialects.all_of(dialects.TENANT, said, sent.resource))
    if claimed not in {None, owner.slug}:
        # Its trace id was not looked at yet, and may be any text.
        trace_id = sent.trace_id if _TRACE_ID.fullmatch(sent.trace_id) else ""
        return Refused(NoteKind.FOREIGN, about=claimed or "", trace_id=trace_id)
    parent_id = "" if sent.parent_id == _NO_SPAN else sent.parent_id
    if not _has_good_ids(sent.trace_id, sent.span_id, parent_id):
        return Refused(NoteKind.MALFORMED)
    started_at = _moment(sent.start_ns)
    if started_at is None or not now - AGE_MAX <= started_at <= now + AHEAD_MAX:
        return Refused(NoteKind.OUT_OF_TIME, trace_id=sent.trace_id)
    kind = dialects.kind_of(said)
    namespace = _first_text(dialects.NAMESPACE, said)
    return {
        "trace_id": sent.trace_id,
        "span_id": sent.span_id,
        "parent_id": parent_id,
        "received_at": now.isoformat(),
        "started_at": started_at.isoformat(),
        "duration_us": min(max(sent.end_ns - sent.start_ns, 0) // 1_000, _DURATION_US_MAX),
        "kind": kind.value,
        "name": _text(sent.name),
        "service": _first_text(dialects.SERVICE, sent.resource),
        "instrumentation": _text(sent.scope),
        "is_error": sent.is_error or said.get("error.type") is not None,
        "error_type": _first_text(dialects.ERROR, said),
        "tenant": owner.slug,
        "prompt_source_tenant": owner.whose(dialects.all_of(dialects.PROMPT_SOURCE, said)),
        "namespace": namespace,
        "namespace_tenant": owner.whose(
            # What the namespace itself says counts as much as what is said of it.
            (
                *dialects.all_of(dialects.NAMESPACE_TENANT, said),
                *(_tenant_in(_text(each), owner) or "" for each in dialects.all_of(dialects.NAMESPACE, said)),
            )
        ),
        "cache_key": _first_text(dialects.CACHE_KEY, said),
        "agent": _first_text(dialects.AGENT, said) or _entity(said, kind, SpanKind.AGENT),
        "tool": _first_text(dialects.TOOL, said) or _entity(said, kind, SpanKind.TOOL),
        "run_id": _first_text(dialects.RUN, said),
        "decision_id": _first_text(dialects.DECISION, said),
        "provider": _first_text(dialects.PROVIDER, said).lower(),
        "model": _first_text(dialects.MODEL, said),
        "response_id": _first_text(dialects.RESPONSE_ID, said) or _id_in_answer(said),
        "first_token_us": _microseconds(dialects.first_of(dialects.FIRST_TOKEN, said)),
    } | _tokens(said)


def _has_good_ids(trace_id: str, span_id: str, parent_id: str) -> bool:
    return bool(
        _TRACE_ID.fullmatch(trace_id)
        and _SPAN_ID.fullmatch(span_id)
        and (not parent_id or _SPAN_ID.fullmatch(parent_id))
    )


def _moment(nanoseconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC) + timedelta(
            microseconds=nanoseconds % 1_000_000_000 // 1_000
        )
    except (OverflowError, OSError, ValueError):
        return None


def _tokens(said: Mapping[str, Scalar]) -> dict[str, int]:
    cached = _count(dialects.first_of(dialects.TOKENS_CACHED, said))
    written = _count(dialects.first_of(dialects.TOKENS_CACHE_WRITE, said))
    went_in = _count(dialects.first_of(dialects.TOKENS_INPUT, said))
    # The conventions count cached tokens in; a provider that does not has less input than cached.
    if went_in < cached + written:
        went_in += cached + written
    return {
        "tokens_input": went_in,
        "tokens_output": _count(dialects.first_of(dialects.TOKENS_OUTPUT, said)),
        "tokens_cached": cached,
        "tokens_cache_write": written,
        "tokens_reasoning": _count(dialects.first_of(dialects.TOKENS_REASONING, said)),
    }


def _tenant_in(namespace: str, owner: Owner) -> str | None:
    tags = {match[1] for match in _TAGGED.finditer(namespace.lower())}
    # A namespace that names two tenants is not this one's alone.
    others = sorted(tags - {owner.tag})
    return others[0] if others else owner.slug if tags else None


def _entity(said: Mapping[str, Scalar], kind: SpanKind, wanted: SpanKind) -> str:
    return _first_text((dialects.ENTITY,), said) if kind == wanted else ""


def _id_in_answer(said: Mapping[str, Scalar]) -> str:
    answer = said.get(dialects.ANSWER)
    match = _ANSWER_ID.match(answer[:1_000]) if isinstance(answer, str) else None
    return match[1] if match else ""


def _first_text(names: dialects.Names, attributes: Mapping[str, Scalar]) -> str:
    value = dialects.first_of(names, attributes)
    return "" if value is None else _text(value)


def _text(value: Scalar) -> str:
    """As the database takes it: no NUL, no half of a character, not too long."""
    return str(value)[:TEXT_MAX].replace("\0", "").encode("utf-8", "replace").decode()


def _count(value: Scalar | None) -> int:
    """Nought where there is none, or one that cannot be true."""
    if isinstance(value, str):
        value = int(value) if value.isdecimal() and len(value) <= len(str(_COUNT_MAX)) else None
    # An integer of JSON may be longer than a float holds. What is no number lies between no bounds.
    return int(value) if value is not None and not isinstance(value, bool) and 0 <= value <= _COUNT_MAX else 0


def _microseconds(seconds: Scalar | None) -> int | None:
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return None
    return int(seconds * 1_000_000) if 0 <= seconds <= _DURATION_US_MAX // 1_000_000 else None
