"""A span as it was sent, and how many a request may hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: Spans of one request. Collectors send 8,192 where nobody says otherwise.
SPANS_MAX: Final = 10_000
#: Attributes of one span, or of a resource, that are looked at.
ATTRIBUTES_MAX: Final = 1_000

#: What an attribute holds. Lists and maps are passed by: nothing that we keep is one.
type Scalar = str | int | float | bool


class Malformed(Exception):
    """Not what the content type says. The text says where, and repeats nothing of it."""


class TooManySpans(Exception):
    """More than `SPANS_MAX`: nothing of the request was looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentSpan:
    """Ids are lower-case hex, whatever their length; `parent_id` is empty for the first span of a trace."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start_ns: int
    end_ns: int
    is_error: bool
    attributes: Mapping[str, Scalar]
    resource: Mapping[str, Scalar]
    scope: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The spans of a request that could be read, and how many of it could not."""

    spans: tuple[SentSpan, ...]
    unreadable: int
