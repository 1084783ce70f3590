"""From a request's body to the books' answer: what every operation of the runtime plane has in common."""

from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, UnsetType

from budgets.api.parts import Amount, Keyed, Subject, run_id, scope_suffixes
from budgets.api.requests import payload_hash, require_same_key
from budgets.api.runtime.caller import Caller
from budgets.api.runtime.known_keys import note_verdict, require_known_key
from budgets.api.runtime.refusals import decision_headers, too_many
from budgets.services import engine, rates
from budgets.services.decision_notes import note_rate_limited
from budgets.services.front import front_of
from budgets.services.operations import Answer, Op, Operation
from kernel.http.correlation import correlation_of
from kernel.http.drf import decode
from kernel.http.errors import error_of_status, unavailable
from kernel.ids import Tag, uuid7
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
            note_rate_limited()
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
    body: Keyed,
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


def read_body[T: Keyed](request: HttpRequest, struct: type[T]) -> T:
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


def tokens_of(estimate: Amount) -> int:
    """What an estimate takes from rate limits that count tokens."""
    return estimate.amount if estimate.unit == Unit.TOKENS else 0


def respond(body: msgspec.Struct, answer: Answer, *, tag: Tag, status: int = 200) -> HttpResponse:
    response = HttpResponse(_ENCODER.encode(body), status=status, content_type="application/json")
    response.headers["X-Cycles-Tenant"] = answer.slug
    if answer.verdict is not None:
        for name, value in decision_headers(answer, tag=tag).items():
            response.headers[name] = value
    return response
