"""The runtime plane's hot operations: one struct in, one call to the books, one body out."""

from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, UnsetType

from accounts.keys.permissions import Permission
from budgets.api.requests import (
    AdmitRequest,
    CommitRequest,
    DecideRequest,
    EventRequest,
    ExtendRequest,
    ObserveMode,
    ReleaseRequest,
    ReserveRequest,
    SettleRequest,
    Subject,
    payload_hash,
    require_same_key,
    run_id,
    scope_suffixes,
)
from budgets.api.requests import (
    Amount as RequestedAmount,
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
from budgets.api.runtime.caller import Caller, caller_for_id, key_first, own_id, read_caller
from budgets.api.runtime.known_keys import note_verdict, require_known_key
from budgets.api.runtime.refusals import decision_headers, refusal_response, too_many
from budgets.services import engine, rates
from budgets.services.due import note_due
from budgets.services.front import front_of
from budgets.services.operations import Answer, Op, Operation
from kernel.http.correlation import correlation_of
from kernel.http.drf import ProtocolView, decode
from kernel.http.errors import error_of_status, unavailable
from kernel.ids import Tag, mint_wire_id, uuid7
from kernel.money import Unit

_ENCODER = msgspec.json.Encoder()


def submit(tag: Tag, operation: Operation) -> Answer:
    """The books' answer, or 503 (the same key may be tried again), or 401 where the key's tenant is gone."""
    try:
        return engine.submit(tag, operation)
    except engine.EngineUnavailable:
        raise unavailable("The books are not available. Repeat the request with the same idempotency key.") from None
    except engine.UnknownTenant:
        raise error_of_status(401) from None


def submit_limited(caller: Caller, operation: Operation, *, tokens: int, is_live: bool = True) -> Answer:
    """As `submit`, within the tenant's rate limits. What a refused or repeated call took from them is given back.

    Refuses with 429; of a flood of refusals a few become decisions, and the others are counted. A question that is not
    live is never written down as refused: its answer would be repeated for ever.
    """
    front = front_of(caller.tag)
    if not front.rate:
        return submit(caller.tag, operation)
    require_known_key(caller)
    taken = rates.take(
        front,
        tag=caller.tag,
        suffixes=operation.suffixes or (),
        key_id=caller.key_id,
        tokens=tokens,
        is_live=is_live,
    )
    if isinstance(taken, rates.Limited):
        if not front.is_rate_shadowed and not (taken.is_sample and is_live):
            raise too_many(taken)
        operation.facts = (operation.facts or {}) | {"rate_limited": taken.numbers()}
        return submit(caller.tag, operation)
    try:
        answer = submit(caller.tag, operation)
    except Exception:
        taken.give_back()
        raise
    note_verdict(caller, is_good=answer.status != "UNAUTHORIZED")
    if answer.status != "OK" or answer.replayed:
        taken.give_back()
    elif operation.endpoint == "admit":
        # The class has a word on how many they may be.
        admission = answer.admission or {}
        taken.settle_tokens(admission.get("route", admission).get("tokens", tokens))
    return answer


def operation(
    op: Op,
    caller: Caller,
    request: HttpRequest,
    body: AdmitRequest
    | ReserveRequest
    | DecideRequest
    | CommitRequest
    | ReleaseRequest
    | ExtendRequest
    | EventRequest
    | SettleRequest,
    **fields: Any,
) -> Operation:
    """What every operation takes from its request."""
    correlation = correlation_of(request)
    metadata = getattr(body, "metadata", UNSET)
    return Operation(
        op=op,
        id=uuid7(),
        idem=body.idempotency_key,
        hash="\\x" + payload_hash(body).hex(),
        metadata=None if metadata is UNSET else metadata,
        request_id=correlation.request_id,
        trace_id=correlation.trace_id,
        **caller.credentials(),
        **fields,
    )


def read_body[
    T: AdmitRequest
    | ReserveRequest
    | DecideRequest
    | CommitRequest
    | ReleaseRequest
    | ExtendRequest
    | EventRequest
    | SettleRequest
](request: HttpRequest, struct: type[T]) -> T:
    """The body of `request`, its idempotency key held against the header's. Refuses with 400, 411, 413 or 415."""
    body = decode(request, struct)
    require_same_key(request.META.get("HTTP_X_IDEMPOTENCY_KEY"), body.idempotency_key)
    return body


def scope_fields(subject: Subject) -> dict[str, Any]:
    """Where a new cost belongs: its scopes, its run, and the template that a run's budget is opened from."""
    dimensions = subject.dimensions or {}
    workflow = None if isinstance(subject.workflow, UnsetType) else subject.workflow.lower()
    return {
        "tenant": None if isinstance(subject.tenant, UnsetType) else subject.tenant,
        "suffixes": scope_suffixes(subject),
        "run": run_id(subject),
        "template": dimensions["run_template"].lower() if "run_template" in dimensions else workflow,
        "subject": subject,
    }


def tokens_of(estimate: RequestedAmount) -> int:
    """What an estimate takes from rate limits that count tokens."""
    return estimate.amount if estimate.unit == Unit.TOKENS else 0


def respond(body: msgspec.Struct, answer: Answer, *, tag: Tag, status: int = 200) -> HttpResponse:
    response = HttpResponse(_ENCODER.encode(body), status=status, content_type="application/json")
    response.headers["X-Cycles-Tenant"] = answer.slug
    if answer.verdict is not None:
        for name, value in decision_headers(answer, tag=tag).items():
            response.headers[name] = value
    return response


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
