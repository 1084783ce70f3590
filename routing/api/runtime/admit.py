"""POST /v1/x-watermaster/admit: may this tenant do this, on which model, within which caps, and who pays?

The same judgement as a reservation's, with everything that it found: the model that was chosen and priced, the caps,
what is left of the run's limits, and for a refusal its reasons. A refusal is an answer here (200 with DENY): the
runtime asked a question. A rate limit alone is a 429, as everywhere.
"""

from typing import Any, Final

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import UnsetType

from budgets.api.own_requests import AdmitRequest
from budgets.api.runtime.bodies import reserve_body
from budgets.api.runtime.caller import key_first, own_id, read_caller
from budgets.api.runtime.own_bodies import AdmitBody, GiveUp, Isolation, Reason, Route
from budgets.api.runtime.refusals import decision_headers, refusal, refusal_response
from budgets.api.runtime.submitting import operation, read_body, respond, scope_fields, submit_limited
from budgets.services.due import note_due
from budgets.services.front import front_of
from budgets.services.isolation import isolation_of
from budgets.services.operations import Answer
from kernel.http.drf import ProtocolView
from kernel.ids import Tag
from routing.pricing.usage import BYTES_PER_TOKEN
from routing.services.pools import note_use, without_room

#: Refusals of the request itself, and of when it comes: they stay errors.
_ERRORS: Final = frozenset(
    {
        "FORBIDDEN",
        "IDEMPOTENCY_MISMATCH",
        "INTERNAL_ERROR",
        "RATE_LIMITED",
        "RUN_REQUIRED",
        "UNAUTHORIZED",
        "UNIT_MISMATCH",
    }
)
#: How far the checks came, by the domain's numbers. What is not named failed at the budgets (8).
_CHECKS: Final = {
    "TENANT_CLOSED": 3,
    "TENANT_SUSPENDED": 3,
    "KILL_SWITCH": 3,
    "MAX_ITERATIONS_REACHED": 4,
    "MAX_TOKENS_REACHED": 4,
    "MAX_WALL_TIME_REACHED": 4,
    "MAX_COST_REACHED": 4,
    "ACTION_KIND_DENIED": 5,
    "ACTION_KIND_NOT_ALLOWED": 5,
    "TOOL_DENIED": 5,
    "TOOL_GATED": 5,
    "MODEL_UNKNOWN": 5,
    "MODEL_NOT_ALLOWED": 5,
    "TOKENS_PER_REQUEST_EXCEEDED": 6,
    "ACTION_QUOTA_EXCEEDED": 6,
    "RUNS_PER_DAY_EXCEEDED": 6,
    "RUNS_PER_MONTH_EXCEEDED": 6,
    "CONCURRENT_RUNS_EXCEEDED": 6,
    "BELOW_FLOOR": 7,
    "NO_ROUTE": 7,
}
_CHECK_OF_BUDGETS: Final = 8
_ALL_CHECKS: Final = 10
_GIVE_UPS: Final = frozenset(
    {"MAX_ITERATIONS_REACHED", "MAX_TOKENS_REACHED", "MAX_WALL_TIME_REACHED", "MAX_COST_REACHED"}
)


class AdmitView(ProtocolView):
    """POST /v1/x-watermaster/admit"""

    def post(self, request: HttpRequest) -> HttpResponse:
        caller = read_caller(request)
        with key_first(caller):
            body = read_body(request, AdmitRequest)
            if not isinstance(body.attempt, UnsetType) and not isinstance(body.attempt.of_decision, UnsetType):
                # A promotion is of a decision that was made here, and for this tenant.
                own_id(caller, "dec", body.attempt.of_decision)
        fields = scope_fields(body.subject)
        if not isinstance(body.run, UnsetType):
            fields["run"] = body.run.run_id.lower()
        estimate = None if isinstance(body.estimate, UnsetType) else body.estimate
        facts, tokens = _facts(body), _tokens(body)
        front = front_of(caller.tag)
        if estimate is None and front.models:
            full = without_room(front.models, tag=caller.tag, weight=front.share_weight, tokens=tokens)
            if full:
                facts["unavailable"] = full
        answer = submit_limited(
            caller,
            operation(
                "reserve",
                caller,
                request,
                body,
                endpoint="admit",
                unit="USD_MICROCENTS" if estimate is None else estimate.unit,
                amount=None if estimate is None else estimate.amount,
                ttl_ms=body.ttl_ms,
                grace_ms=body.grace_period_ms,
                policy=body.overage_policy,
                action=body.action,
                facts=facts,
                priority=body.priority,
                **fields,
            ),
            tokens=tokens,
        )
        if answer.status in _ERRORS:
            return refusal_response(answer, tag=caller.tag, request=request)
        if answer.expires_ms is not None:
            note_due(caller.tag, answer.expires_ms + body.grace_period_ms)
        route = (answer.admission or {}).get("route", {})
        if answer.status == "OK" and not answer.replayed and "key" in route:
            note_use(route["key"], tag=caller.tag, weight=front.share_weight, tokens=route["tokens"])
        return respond(admit_body(answer, tag=caller.tag, suffixes=fields["suffixes"]), answer, tag=caller.tag)


def admit_body(answer: Answer, *, tag: Tag, suffixes: list[str]) -> AdmitBody:
    """The whole decision as the runtime reads it."""
    admission = answer.admission or {}
    links = decision_headers(answer, tag=tag)
    own = isolation_of(tag, suffixes=suffixes)
    known: dict[str, Any] = {
        "decision_id": links["X-Watermaster-Decision"],
        "explain_url": links["X-Watermaster-Explain"],
        "isolation": Isolation(cache_key_prefix=own.cache_key_prefix, vector_namespace=own.vector_namespace),
        "traffic_class": admission.get("class"),
        "on_exhaustion": admission.get("on_exhaustion"),
    }
    if answer.status == "OK":
        whole = reserve_body(answer, tag=tag, suffixes=suffixes)
        route = admission.get("route", {})
        return AdmitBody(
            decision=whole.decision,
            reasons=[],
            checks=_ALL_CHECKS,
            reservation=whole,
            caps=whole.caps,
            route=_route(route, is_degraded=admission.get("is_degraded", False)) if "model" in route else None,
            context_target_tokens=admission.get("context_target_tokens"),
            limits_left=admission.get("limits_left"),
            timeouts=admission.get("timeouts"),
            would_deny=admission.get("would_deny"),
            **known,
        )
    # What a run may cost is one of the run's own limits, wherever it is kept.
    is_run_used_up = answer.status == "BUDGET_EXCEEDED" and "/run:" in (answer.scope or "")
    code = "MAX_COST_REACHED" if is_run_used_up else answer.status
    sentence = refusal(answer, tag=tag).message
    numbers = {name: number for name, number in (answer.numbers or {}).items() if number is not None}
    return AdmitBody(
        decision="DENY",
        reasons=[Reason(code=code, sentence=sentence, scope=answer.scope, numbers=numbers or None)],
        checks=_CHECKS.get(code, _CHECK_OF_BUDGETS),
        give_up=GiveUp(code=code, fallback=admission.get("fallback", "interim_message")) if code in _GIVE_UPS else None,
        **known,
    )


def _facts(body: AdmitRequest) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(body.request)
    facts["input_tokens"] = _input_tokens(body)
    if not isinstance(body.run, UnsetType):
        facts["run"] = msgspec.to_builtins(body.run)
    if not isinstance(body.attempt, UnsetType):
        facts["attempt"] = msgspec.to_builtins(body.attempt)
    return facts


def _tokens(body: AdmitRequest) -> int:
    output = body.request.max_output_tokens
    return _input_tokens(body) + (0 if isinstance(output, UnsetType) else output)


def _input_tokens(body: AdmitRequest) -> int:
    request = body.request
    if request.input_tokens or isinstance(request.input_bytes, UnsetType):
        return request.input_tokens
    return -(-request.input_bytes // BYTES_PER_TOKEN)


def _route(route: dict[str, Any], *, is_degraded: bool) -> Route:
    return Route(
        tier=route["tier"],
        provider=route["provider"],
        model=route["model"],
        deployment=route.get("deployment"),
        is_degraded=is_degraded,
    )
