"""The runtime plane's hot operations: one struct in, one call to the books, one body out."""

from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, UnsetType

from accounts.keys.permissions import Permission
from budgets.api.requests import (
    CommitRequest,
    DecideRequest,
    EventRequest,
    ExtendRequest,
    ObserveMode,
    ReleaseRequest,
    ReserveRequest,
)
from budgets.api.runtime.bodies import (
    Amount,
    CommitBody,
    DecideBody,
    EventBody,
    ExtendBody,
    ReleaseBody,
    balances,
    reserve_body,
)
from budgets.api.runtime.caller import caller_for_id, key_first, own_id, read_caller
from budgets.api.runtime.refusals import refusal_response
from budgets.api.runtime.submitting import (
    operation,
    read_body,
    respond,
    scope_fields,
    submit,
    submit_limited,
    tokens_of,
)
from budgets.services.due import note_due
from kernel.http.drf import ProtocolView
from kernel.ids import mint_wire_id


class DecideView(ProtocolView):
    """POST /v1/decide: what a reservation would be told now. Reserves nothing."""

    def post(self, request: HttpRequest) -> HttpResponse:
        caller = read_caller(request)
        with key_first(caller):
            body = read_body(request, DecideRequest)
        fields = scope_fields(body.subject)
        answer = submit_limited(
            caller,
            operation(
                "decide",
                caller,
                request,
                body,
                unit=body.estimate.unit,
                amount=body.estimate.amount,
                action=body.action,
                **fields,
            ),
            tokens=tokens_of(body.estimate),
            is_live=False,
        )
        if answer.status != "OK":
            return refusal_response(answer, tag=caller.tag, request=request)
        whole = reserve_body(answer, tag=caller.tag, suffixes=fields["suffixes"])
        return respond(
            DecideBody(
                decision=whole.decision,
                affected_scopes=whole.affected_scopes,
                caps=whole.caps,
                reason_code=whole.reason_code,
            ),
            answer,
            tag=caller.tag,
        )


class ReserveView(ProtocolView):
    """POST /v1/reservations"""

    def post(self, request: HttpRequest) -> HttpResponse:
        caller = read_caller(request)
        with key_first(caller):
            body = read_body(request, ReserveRequest)
        fields = scope_fields(body.subject)
        # To observe is to be judged in full and to hold nothing, as in a dry run.
        is_dry = body.dry_run or body.observe_mode == ObserveMode.OBSERVE
        answer = submit_limited(
            caller,
            operation(
                "reserve",
                caller,
                request,
                body,
                unit=body.estimate.unit,
                amount=body.estimate.amount,
                ttl_ms=body.ttl_ms,
                grace_ms=body.grace_period_ms,
                policy=body.overage_policy,
                is_dry=is_dry,
                action=body.action,
                **fields,
            ),
            tokens=tokens_of(body.estimate),
            is_live=not is_dry,
        )
        if answer.status != "OK":
            return refusal_response(answer, tag=caller.tag, request=request)
        if answer.expires_ms is not None:
            note_due(caller.tag, answer.expires_ms + body.grace_period_ms)
        whole = reserve_body(answer, tag=caller.tag, suffixes=fields["suffixes"])
        return respond(whole, answer, tag=caller.tag)


class CommitView(ProtocolView):
    """POST /v1/reservations/{reservation_id}/commit"""

    def post(self, request: HttpRequest, reservation_id: str) -> HttpResponse:
        caller = read_caller(request)
        with key_first(caller):
            body = read_body(request, CommitRequest)
            target = own_id(caller, "rsv", reservation_id).uuid
        answer = submit(
            caller.tag,
            operation(
                "commit",
                caller,
                request,
                body,
                target=target,
                unit=body.actual.unit,
                amount=body.actual.amount,
                metrics=None if body.metrics is UNSET else body.metrics,
            ),
        )
        if answer.status != "OK":
            return refusal_response(answer, tag=caller.tag, request=request)
        unit, charged = answer.unit or "", answer.charged or 0
        released = (answer.held or 0) - charged
        return respond(
            CommitBody(
                status="COMMITTED",
                charged=Amount(unit, charged),
                released=Amount(unit, released) if released > 0 else None,
                balances=balances(answer),
            ),
            answer,
            tag=caller.tag,
        )


class ReleaseView(ProtocolView):
    """POST /v1/reservations/{reservation_id}/release; an operator may release a hung reservation too."""

    def post(self, request: HttpRequest, reservation_id: str) -> HttpResponse:
        caller, wire_id = caller_for_id(request, Permission.PLATFORM_WRITE, "rsv", reservation_id)
        with key_first(caller):
            body = read_body(request, ReleaseRequest)
        reason = None if isinstance(body.reason, UnsetType) else body.reason
        answer = submit(caller.tag, operation("release", caller, request, body, target=wire_id.uuid, reason=reason))
        if answer.status != "OK":
            return refusal_response(answer, tag=caller.tag, request=request)
        return respond(
            ReleaseBody(
                status="RELEASED", released=Amount(answer.unit or "", answer.held or 0), balances=balances(answer)
            ),
            answer,
            tag=caller.tag,
        )


class ExtendView(ProtocolView):
    """POST /v1/reservations/{reservation_id}/extend"""

    def post(self, request: HttpRequest, reservation_id: str) -> HttpResponse:
        caller = read_caller(request)
        with key_first(caller):
            body = read_body(request, ExtendRequest)
            target = own_id(caller, "rsv", reservation_id).uuid
        answer = submit(
            caller.tag, operation("extend", caller, request, body, target=target, extend_ms=body.extend_by_ms)
        )
        if answer.status != "OK":
            return refusal_response(answer, tag=caller.tag, request=request)
        return respond(
            ExtendBody(
                status="ACTIVE",
                expires_at_ms=answer.expires_ms or 0,
                remaining_ttl_ms=answer.left_ms or 0,
                balances=balances(answer),
            ),
            answer,
            tag=caller.tag,
        )


class EventView(ProtocolView):
    """POST /v1/events: a cost that was booked without a hold."""

    def post(self, request: HttpRequest) -> HttpResponse:
        caller = read_caller(request)
        with key_first(caller):
            body = read_body(request, EventRequest)
        answer = submit(
            caller.tag,
            operation(
                "event",
                caller,
                request,
                body,
                unit=body.actual.unit,
                amount=body.actual.amount,
                policy=body.overage_policy,
                action=body.action,
                metrics=None if body.metrics is UNSET else body.metrics,
                **scope_fields(body.subject),
            ),
        )
        if answer.status != "OK":
            return refusal_response(answer, tag=caller.tag, request=request)
        charged = answer.charged or 0
        return respond(
            EventBody(
                status="APPLIED",
                event_id=mint_wire_id("evt", caller.tag, answer.id),
                charged=Amount(answer.unit or "", charged) if charged < body.actual.amount else None,
                balances=balances(answer),
            ),
            answer,
            tag=caller.tag,
            status=201,
        )
