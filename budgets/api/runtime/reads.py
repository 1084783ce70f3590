"""The runtime plane's reads: one reservation, a page of them, a page of balances. Each is one call, which checks the
key too.
"""

from typing import Any
from uuid import UUID

import msgspec
from django.http import HttpRequest, HttpResponse

from accounts.keys.permissions import Permission
from budgets.api.cursors import mint_cursor, read_cursor
from budgets.api.queries import ReservationListQuery, SubjectFilter, balance_query, list_query
from budgets.api.runtime.asking import ask, respond
from budgets.api.runtime.bodies import (
    Amount,
    BalanceListBody,
    ReservationBody,
    ReservationListBody,
    balance,
    scopes_of,
)
from budgets.api.runtime.caller import (
    caller_for_id,
    is_operators,
    key_first,
    operator_for_slug,
    read_caller,
    read_operator,
)
from kernel.http.drf import ProtocolView
from kernel.http.errors import ErrorCode, ProtocolError, error_of_status
from kernel.ids import Tag, mint_wire_id


class ReservationRow(msgspec.Struct, kw_only=True):
    """A row of `read_reservations_v1`."""

    id: UUID
    status: str
    idempotency_key: str
    subject: Any
    action: Any
    unit: str
    amount: int
    charged: int | None
    scope_path: str
    run_path: str | None
    created_ms: int
    expires_ms: int
    finalized_ms: int | None
    metadata: Any
    committed_metadata: Any
    sort_text: str
    sort_number: int


class ReservationRows(msgspec.Struct):
    """A page; `walked_to` is where to go on when it ended early: sort number, sort text, id."""

    status: str
    slug: str = ""
    rows: list[ReservationRow] = []
    walked_to: list[int | str] | None = None


class BalanceRows(msgspec.Struct):
    status: str
    slug: str = ""
    rows: list[list[Any]] = []


def reservation_body(
    row: ReservationRow, *, tag: Tag, has_metadata: bool, has_committed_metadata: bool
) -> ReservationBody:
    return ReservationBody(
        reservation_id=mint_wire_id("rsv", tag, row.id),
        status=row.status,
        idempotency_key=row.idempotency_key,
        subject=row.subject,
        action=row.action,
        reserved=Amount(row.unit, row.amount),
        committed=None if row.charged is None else Amount(row.unit, row.charged),
        created_at_ms=row.created_ms,
        expires_at_ms=row.expires_ms,
        finalized_at_ms=row.finalized_ms,
        scope_path=row.scope_path,
        affected_scopes=scopes_of(row.scope_path, row.run_path),
        metadata=row.metadata if has_metadata else None,
        committed_metadata=row.committed_metadata if has_committed_metadata else None,
    )


class ReservationView(ProtocolView):
    """GET /v1/reservations/{reservation_id}"""

    def get(self, request: HttpRequest, reservation_id: str) -> HttpResponse:
        caller, wire_id = caller_for_id(request, Permission.PLATFORM_READ, "rsv", reservation_id)
        asked = caller.credentials() | {"id": str(wire_id.uuid), "limit": 1}
        found = ask(caller.tag, "reservations", asked, ReservationRows)
        if not found.rows:
            raise error_of_status(404)
        if found.rows[0].status == "EXPIRED":
            raise ProtocolError(ErrorCode.RESERVATION_EXPIRED, "The reservation has expired; the list still shows it.")
        body = reservation_body(found.rows[0], tag=caller.tag, has_metadata=True, has_committed_metadata=True)
        return respond(body, found.slug)


class ReservationListView(ProtocolView):
    """GET /v1/reservations"""

    def get(self, request: HttpRequest) -> HttpResponse:
        if is_operators(request):
            key_id = read_operator(request, Permission.PLATFORM_READ)
            query = list_query(request.GET, needs_tenant=True)
            caller = operator_for_slug(key_id, query.subject.tenant or "")
        else:
            caller = read_caller(request)
            with key_first(caller):
                query = list_query(request.GET)
        asked = _filters(query) | caller.credentials()
        if query.cursor is not None:
            with key_first(caller):
                number, text, row_id = read_cursor(query.cursor, tag=caller.tag, binding=query.cursor_binding())
            asked |= {"after_number": number, "after_text": text, "after_id": row_id}
        found = ask(caller.tag, "reservations", asked, ReservationRows)
        rows, has_more = found.rows[: query.limit], len(found.rows) > query.limit
        body = ReservationListBody(
            reservations=[
                reservation_body(
                    row,
                    tag=caller.tag,
                    has_metadata="metadata" in query.include,
                    has_committed_metadata="committed_metadata" in query.include,
                )
                for row in rows
            ]
        )
        position: list[int | str] | None = found.walked_to
        if has_more:
            position = [rows[-1].sort_number, rows[-1].sort_text, str(rows[-1].id)]
        if position is not None:
            body.has_more = True
            body.next_cursor = mint_cursor(position, tag=caller.tag, binding=query.cursor_binding())
        return respond(body, found.slug)


class BalanceListView(ProtocolView):
    """GET /v1/balances"""

    def get(self, request: HttpRequest) -> HttpResponse:
        caller = read_caller(request)
        with key_first(caller):
            query = balance_query(request.GET)
        asked: dict[str, Any] = caller.credentials() | {
            "segments": _segments(query.subject),
            "include_children": query.include_children,
            "limit": query.limit,
        }
        if query.subject.tenant is not None:
            asked["tenant"] = query.subject.tenant
        if query.cursor is not None:
            with key_first(caller):
                asked["after_path"], asked["after_unit"] = read_cursor(
                    query.cursor, tag=caller.tag, binding=query.cursor_binding()
                )
        found = ask(caller.tag, "balances", asked, BalanceRows)
        rows = found.rows[: query.limit]
        body = BalanceListBody(balances=[balance(path, unit, numbers) for path, unit, *numbers in rows])
        if len(found.rows) > query.limit:
            body.has_more = True
            body.next_cursor = mint_cursor(rows[-1][:2], tag=caller.tag, binding=query.cursor_binding())
        return respond(body, found.slug)


def _filters(query: ReservationListQuery) -> dict[str, Any]:
    """The query as `read_reservations_v1` reads it; what is unset is left out."""
    asked: dict[str, Any] = {
        "tenant": query.subject.tenant,
        "idempotency_key": query.idempotency_key,
        "status": query.status,
        "from": query.created.start,
        "to": query.created.end,
        "expires_from": query.expires.start,
        "expires_to": query.expires.end,
        "finalized_from": query.finalized.start,
        "finalized_to": query.finalized.end,
    }
    levels = {level: name for level, name in _levels(query.subject) if name is not None}
    return {name: value for name, value in asked.items() if value is not None} | {
        "sort_by": query.sort_by,
        "sort_dir": query.sort_dir,
        "limit": query.limit,
        **({"subject": levels} if levels else {}),
    }


def _levels(subject: SubjectFilter) -> list[tuple[str, str | None]]:
    return [(level, getattr(subject, level)) for level in ("workspace", "app", "workflow", "agent", "toolset")]


def _segments(subject: SubjectFilter) -> list[str]:
    return [f"{level}:{name}" for level, name in _levels(subject) if name is not None]
