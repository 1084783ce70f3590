"""POST /v1/x-watermaster/settle: a reservation is settled with the provider's usage as it came, priced by us."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, UnsetType

from budgets.api.own_requests import SettleRequest, UsageEndpoint
from budgets.api.parts import Metrics, OveragePolicy, Subject
from budgets.api.runtime.asking import ask
from budgets.api.runtime.bodies import Amount, balances
from budgets.api.runtime.caller import Caller, key_first, own_id, read_caller
from budgets.api.runtime.own_bodies import ChargedPrice, ChargeLine, SettleBody
from budgets.api.runtime.refusals import refusal_response
from budgets.api.runtime.submitting import operation, read_body, respond, scope_fields, submit
from budgets.services import rates
from budgets.services.front import front_of
from budgets.services.operations import Answer
from kernel.http.drf import ProtocolView
from kernel.http.errors import ErrorCode, ProtocolError, invalid_request
from kernel.http.planes import closes_shared_connections
from kernel.ids import mint_wire_id
from kernel.money import Unit
from routing.pricing.charge import AmountTooLarge, Charge
from routing.pricing.parsing import Endpoint
from routing.pricing.usage import UsageInvalid, UsageMissing
from routing.services.settling import Hold, Reported, Settlement, settlement_of

_ENDPOINTS: Final[Mapping[UsageEndpoint, Endpoint]] = {
    UsageEndpoint.CHAT_COMPLETIONS: Endpoint.CHAT_COMPLETIONS,
    UsageEndpoint.RESPONSES: Endpoint.RESPONSES,
    UsageEndpoint.MESSAGES: Endpoint.MESSAGES,
    UsageEndpoint.EMBEDDINGS: Endpoint.EMBEDDINGS,
    UsageEndpoint.GENERATE_CONTENT: Endpoint.GENERATE_CONTENT,
}


class SettleView(ProtocolView):
    """POST /v1/x-watermaster/settle"""

    def post(self, request: HttpRequest) -> HttpResponse:
        caller = read_caller(request)
        with key_first(caller):
            body = read_body(request, SettleRequest)
            target = own_id(caller, "rsv", body.reservation_id).uuid
        hold = ask(caller.tag, "hold", caller.credentials() | {"target": target.hex}, Hold)
        if hold.unit not in {Unit.USD_MICROCENTS, Unit.TOKENS}:
            raise _wrong_unit(hold)
        settlement = _settlement(hold, body, caller)
        amount = settlement.charge.total if hold.unit == Unit.USD_MICROCENTS else settlement.usage.total_tokens
        booked: dict[str, Any] = {
            "unit": hold.unit,
            "amount": amount,
            "metrics": Metrics(
                tokens_input=settlement.usage.input_tokens,
                tokens_output=settlement.usage.output_tokens,
                latency_ms=body.latency_ms,
                custom=_custom(body),
            ),
            "price": settlement.as_document() | _identity(body, settlement),
        }
        answer = submit(caller.tag, operation("commit", caller, request, body, target=target, **booked))
        is_late = answer.status == "RESERVATION_EXPIRED"
        if is_late:
            # What was really spent is booked all the same: the hold is over, the cost is not.
            late = operation("event", caller, request, body, **booked, **_where(hold))
            # Once for a reservation, whatever the caller's key is. No caller can have a key with a space.
            late.idem = f"late {target.hex}"
            # The commit was refused for its time alone: this key may settle.
            late.is_trusted = True
            late.actor = caller.key_id
            answer = submit(caller.tag, late)
            if answer.status == "IDEMPOTENCY_MISMATCH":
                raise _booked_already()
        if answer.status != "OK":
            return refusal_response(answer, tag=caller.tag, request=request)
        if not answer.replayed:
            _put_rates_right(caller, hold, settlement)
        event_id = mint_wire_id("evt", caller.tag, answer.id) if is_late else None
        whole = settle_body(answer, settlement, reservation_id=body.reservation_id, event_id=event_id)
        return respond(whole, answer, tag=caller.tag)


def settle_body(
    answer: Answer, settlement: Settlement, *, reservation_id: str, event_id: str | None = None
) -> SettleBody:
    """What was charged, line by line; as an event where one is named."""
    charge = settlement.charge
    unit, charged = answer.unit or "", answer.charged or 0
    cost = charge.total if unit == Unit.USD_MICROCENTS else settlement.usage.total_tokens
    released = (answer.held or 0) - charged
    return SettleBody(
        status="COMMITTED" if event_id is None else "BOOKED_LATE",
        reservation_id=reservation_id,
        event_id=event_id,
        charged=Amount(unit, charged),
        cost=Amount(unit, cost),
        released=Amount(unit, released) if released > 0 else None,
        uncovered=Amount(unit, cost - charged) if cost > charged else None,
        balances=balances(answer),
        lines=_lines(charge),
        price=ChargedPrice(
            provider=charge.provider,
            model=charge.model,
            source=charge.source,
            version=charge.version,
            is_fallback=charge.is_fallback,
        ),
        warnings=list(charge.warnings) or None,
    )


def _booked_already() -> ProtocolError:
    return ProtocolError(
        ErrorCode.RESERVATION_FINALIZED,
        "The reservation was over, and its cost is booked already by another settlement.",
        details={"state": "BOOKED_LATE"},
    )


def _wrong_unit(hold: Hold) -> ProtocolError:
    return ProtocolError(
        ErrorCode.UNIT_MISMATCH,
        f"A usage says nothing of {hold.unit}. Commit the reservation with the amount instead.",
    )


def _settlement(hold: Hold, body: SettleRequest, caller: Caller) -> Settlement:
    reported = Reported(
        usage=body.usage,
        endpoint=None if isinstance(body.endpoint, UnsetType) else _ENDPOINTS[body.endpoint],
        provider="" if isinstance(body.provider, UnsetType) else body.provider,
        model="" if isinstance(body.model, UnsetType) else body.model,
        is_batch=body.is_batch,
        tool_calls={} if isinstance(body.tool_calls, UnsetType) else body.tool_calls,
    )
    try:
        with closes_shared_connections():
            return settlement_of(hold, reported, tag=caller.tag)
    except UsageMissing:
        raise invalid_request(
            "The usage is missing, so the reservation stays as it is. Send the provider's answer or its usage.",
            field="usage",
        ) from None
    except UsageInvalid as error:
        raise invalid_request(f"{error.path} {error.why}.", field=error.path) from None
    except AmountTooLarge:
        raise invalid_request(
            "The usage costs more than an amount can be. Look at its numbers.", field="usage"
        ) from None


def _custom(body: SettleRequest) -> dict[str, Any] | UnsetType:
    """What the protocol's metrics have no place of their own for."""
    if isinstance(body.time_to_first_token_ms, UnsetType):
        return UNSET
    return {"time_to_first_token_ms": body.time_to_first_token_ms}


def _identity(body: SettleRequest, settlement: Settlement) -> dict[str, Any]:
    said = settlement.usage.response_id
    response_id = said if isinstance(body.response_id, UnsetType) else body.response_id
    return {"response_id": response_id} if response_id else {}


def _where(hold: Hold) -> dict[str, Any]:
    """Where a late cost belongs: where its reservation did."""
    subject = msgspec.convert(hold.subject, Subject)
    named = {"run": hold.run, "action": hold.action, "policy": OveragePolicy.ALLOW_IF_AVAILABLE}
    return scope_fields(subject) | named


def _put_rates_right(caller: Caller, hold: Hold, settlement: Settlement) -> None:
    """What the buckets gave for tokens was an estimate."""
    front = front_of(caller.tag)
    if not any(limit.counts == "tokens" for limit in front.rate) or hold.tokens is None:
        return
    segments = hold.scope_path.split("/")[1:]
    suffixes = ["", *("/" + "/".join(segments[: n + 1]) for n in range(len(segments)))]
    key_id = hold.key_id or caller.key_id
    ticket = rates.ticket_of(front, tag=caller.tag, suffixes=suffixes, key_id=key_id, tokens=hold.tokens)
    ticket.settle_tokens(settlement.usage.total_tokens)


def _lines(charge: Charge) -> list[ChargeLine]:
    return [
        ChargeLine(
            kind=line.kind,
            name=line.name or None,
            quantity=line.quantity,
            unit_price=line.unit_price,
            per=line.per,
            amount=line.amount,
            is_fallback=line.is_fallback,
        )
        for line in charge.lines
    ]
