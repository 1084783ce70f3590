"""The query strings of the runtime plane's two lists, with every filter of the contract.

A blank value means unset; an unknown parameter is ignored; a known one given twice is refused. Names of scopes
come out lower-cased, as they stand in scope paths.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import msgspec
from django.http import QueryDict

from kernel.http.errors import ProtocolError, invalid_request

LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 200

_LEVELS: Final = ("tenant", "workspace", "app", "workflow", "agent", "toolset")
_SCOPE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_IDEMPOTENCY_KEY: Final = re.compile(r"[!-~]{1,256}")
_LIMIT: Final = re.compile(r"[0-9]{1,4}")
_CURSOR: Final = re.compile(r"[A-Za-z0-9_-]{1,4096}")
_DATE_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class ReservationStatus(StrEnum):
    ACTIVE = "ACTIVE"
    COMMITTED = "COMMITTED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"


class SortKey(StrEnum):
    RESERVATION_ID = "reservation_id"
    TENANT = "tenant"
    SCOPE_PATH = "scope_path"
    STATUS = "status"
    RESERVED = "reserved"
    CREATED_AT_MS = "created_at_ms"
    EXPIRES_AT_MS = "expires_at_ms"


class SortDirection(StrEnum):
    ASC = "asc"
    DESC = "desc"


@dataclass(frozen=True, slots=True)
class SubjectFilter:
    """The wanted name at each level, lower-cased; None where any will do."""

    tenant: str | None = None
    workspace: str | None = None
    app: str | None = None
    workflow: str | None = None
    agent: str | None = None
    toolset: str | None = None

    @property
    def is_empty(self) -> bool:
        return self == SubjectFilter()


@dataclass(frozen=True, slots=True)
class Window:
    """An inclusive span of time in UTC, open where None. The contract compares whole milliseconds."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReservationListQuery:
    """GET /v1/reservations"""

    subject: SubjectFilter
    idempotency_key: str | None
    status: ReservationStatus | None
    created: Window
    expires: Window
    finalized: Window
    sort_by: SortKey
    sort_dir: SortDirection
    include: frozenset[str]
    limit: int
    cursor: str | None

    def cursor_binding(self) -> bytes:
        """What a cursor of this list belongs to: the filters and the sort, not the projection or the page."""
        return msgspec.json.encode(
            [
                "reservations",
                self.subject,
                self.idempotency_key,
                self.status,
                self.created,
                self.expires,
                self.finalized,
                self.sort_by,
                self.sort_dir,
            ]
        )


@dataclass(frozen=True, slots=True)
class BalanceQuery:
    """GET /v1/balances"""

    subject: SubjectFilter
    include_children: bool
    limit: int
    cursor: str | None

    def cursor_binding(self) -> bytes:
        """What a cursor of this list belongs to: the filters."""
        return msgspec.json.encode(["balances", self.subject, self.include_children])


def list_query(parameters: QueryDict, *, needs_tenant: bool = False) -> ReservationListQuery:
    """The filters of GET /v1/reservations, or a ProtocolError (400).

    `needs_tenant` is for an operator's key, which has no tenant of its own.
    """
    subject = _subject(parameters)
    if needs_tenant and subject.tenant is None:
        raise invalid_request("tenant query parameter is required when using admin key authentication", field="tenant")
    include = ",".join(parameters.getlist("include")).split(",")
    return ReservationListQuery(
        subject=subject,
        idempotency_key=_matching(
            parameters, "idempotency_key", _IDEMPOTENCY_KEY, "1 to 256 printable ASCII characters without spaces"
        ),
        status=_one_of(parameters, "status", ReservationStatus),
        created=_window(parameters, "from", "to"),
        expires=_window(parameters, "expires_from", "expires_to"),
        finalized=_window(parameters, "finalized_from", "finalized_to"),
        sort_by=_one_of(parameters, "sort_by", SortKey) or SortKey.CREATED_AT_MS,
        sort_dir=_one_of(parameters, "sort_dir", SortDirection) or SortDirection.DESC,
        include=frozenset(token.strip() for token in include) & {"metadata", "committed_metadata", "evidence"},
        limit=_limit(parameters),
        cursor=_cursor(parameters),
    )


def balance_query(parameters: QueryDict) -> BalanceQuery:
    """The filters of GET /v1/balances, or a ProtocolError (400); at least one level must be named."""
    subject = _subject(parameters)
    if subject.is_empty:
        raise invalid_request(f"Name at least one of {', '.join(_LEVELS)}.")
    include_children = _single(parameters, "include_children")
    if include_children not in {None, "true", "false"}:
        raise _must_be("include_children", "true or false")
    return BalanceQuery(
        subject=subject,
        include_children=include_children == "true",
        limit=_limit(parameters),
        cursor=_cursor(parameters),
    )


def _must_be(name: str, what: str) -> ProtocolError:
    return invalid_request(f"The query parameter {name} must be {what}.", field=name)


def _single(parameters: QueryDict, name: str) -> str | None:
    values = [value for value in parameters.getlist(name) if value.strip()]
    if len(values) > 1:
        raise invalid_request(f"The query parameter {name} is given twice. Keep one.", field=name)
    return values[0] if values else None


def _matching(parameters: QueryDict, name: str, shape: re.Pattern[str], what: str) -> str | None:
    value = _single(parameters, name)
    if value is not None and not shape.fullmatch(value):
        raise _must_be(name, what)
    return value


def _subject(parameters: QueryDict) -> SubjectFilter:
    names = {
        level: _matching(parameters, level, _SCOPE_NAME, "1 to 128 characters out of A-Z a-z 0-9 _ . -")
        for level in _LEVELS
    }
    return SubjectFilter(**{level: name and name.lower() for level, name in names.items()})


def _one_of[E: StrEnum](parameters: QueryDict, name: str, allowed: type[E]) -> E | None:
    value = _single(parameters, name)
    if value is None:
        return None
    try:
        return allowed(value)
    except ValueError:
        raise _must_be(name, f"one of {', '.join(allowed)}") from None


def _limit(parameters: QueryDict) -> int:
    text = _matching(parameters, "limit", _LIMIT, f"an integer from 1 to {LIMIT_MAX}")
    limit = LIMIT_DEFAULT if text is None else int(text)
    if not 1 <= limit <= LIMIT_MAX:
        raise _must_be("limit", f"an integer from 1 to {LIMIT_MAX}")
    return limit


def _cursor(parameters: QueryDict) -> str | None:
    return _matching(parameters, "cursor", _CURSOR, "a next_cursor of the same list")


def _window(parameters: QueryDict, start_name: str, end_name: str) -> Window:
    start, end = _date_time(parameters, start_name), _date_time(parameters, end_name)
    if start is not None and end is not None and start > end:
        raise invalid_request(f"{start_name} is later than {end_name}. Swap them.", field=start_name)
    return Window(start=start, end=end)


def _date_time(parameters: QueryDict, name: str) -> datetime | None:
    # An unescaped + in a query string arrives as a space.
    example = "a time with its offset, like 2026-01-31T09:30:00Z; write + as %2B"
    text = _matching(parameters, name, _DATE_TIME, example)
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _must_be(name, example) from None
