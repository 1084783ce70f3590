"""POST /v1/x-watermaster/admit: may this tenant do this, on which model, within which caps, and who pays?

The same judgement as a reservation's, with everything that it found: the model that was chosen and priced, the caps,
and for a refusal its reasons. A refusal is an answer here (200 with DENY): the runtime asked a question.
"""

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import UnsetType

from budgets.api.requests import AdmitRequest
from budgets.api.runtime.bodies import AdmitBody, Reason, reserve_body
from budgets.api.runtime.caller import key_first, read_caller
from budgets.api.runtime.refusals import decision_headers, refusal, refusal_response
from budgets.api.runtime.views import operation, read_body, respond, scope_fields, submit
from budgets.services.due import note_due
from kernel.http.drf import ProtocolView

#: Refusals of the request itself: they stay errors.
_ERRORS = frozenset({"UNAUTHORIZED", "FORBIDDEN", "IDEMPOTENCY_MISMATCH", "UNIT_MISMATCH", "INTERNAL_ERROR"})


class AdmitView(ProtocolView):
    """POST /v1/x-watermaster/admit"""

    def post(self, request: HttpRequest) -> HttpResponse:
        caller = read_caller(request)
        with key_first(caller):
            body = read_body(request, AdmitRequest)
        fields = scope_fields(body.subject)
        if not isinstance(body.run, UnsetType):
            fields["run"] = body.run.run_id.lower()
        facts = msgspec.to_builtins(body.request)
        if not isinstance(body.run, UnsetType):
            facts["run"] = msgspec.to_builtins(body.run)
        if not isinstance(body.attempt, UnsetType):
            facts["attempt"] = msgspec.to_builtins(body.attempt)
        estimate = None if isinstance(body.estimate, UnsetType) else body.estimate
        answer = submit(
            caller.tag,
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
        )
        if answer.status in _ERRORS:
            return refusal_response(answer, tag=caller.tag, request=request)
        if answer.expires_ms is not None:
            note_due(caller.tag, answer.expires_ms + body.grace_period_ms)
        admission = answer.admission or {}
        links = decision_headers(answer, tag=caller.tag)
        is_allowed = answer.status == "OK"
        whole = reserve_body(answer, tag=caller.tag, suffixes=fields["suffixes"]) if is_allowed else None
        route = admission.get("route")
        return respond(
            AdmitBody(
                decision=answer.verdict or "DENY" if is_allowed else "DENY",
                decision_id=links["X-Watermaster-Decision"],
                explain_url=links["X-Watermaster-Explain"],
                reasons=[]
                if is_allowed
                else [
                    Reason(
                        code=answer.status,
                        sentence=refusal(answer, tag=caller.tag).message,
                        scope=answer.scope,
                        numbers=answer.numbers,
                    )
                ],
                checks=admission.get("stage"),
                reservation=whole,
                caps=None if whole is None else whole.caps,
                route=None if route is None else {name: route[name] for name in ("tier", "provider", "model")},
                traffic_class=admission.get("class"),
                timeouts=admission.get("timeouts"),
                would_deny=admission.get("would_deny"),
            ),
            answer,
            tag=caller.tag,
        )
