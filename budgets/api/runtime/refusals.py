"""Refusals in whole sentences: what was short, by how much, and what to do."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from budgets.services.operations import Answer
from budgets.services.rates import Limited
from kernel.http.errors import ErrorCode, ProtocolError
from kernel.http.responses import protocol_response
from kernel.ids import Tag, mint_wire_id

_Sentence = Callable[[Answer, Mapping[str, Any]], str]


def _exceeded(answer: Answer, numbers: Mapping[str, Any]) -> str:
    if numbers.get("overage_policy") == "REJECT" and numbers.get("held"):
        return (
            f"The reservation holds {numbers['held']} {numbers.get('unit')} and its policy REJECT books no more."
            " Commit as much, and book the rest as an event."
        )
    is_run = "/run:" in (answer.scope or "")
    return (
        f"{answer.scope} has {numbers.get('remaining')} {numbers.get('unit')} left and"
        f" {numbers.get('requested')} were asked for."
        f" Ask for less, {'or fund the run.' if is_run else 'fund the budget, or wait for its next period.'}"
    )


def _counted(answer: Answer, numbers: Mapping[str, Any]) -> str:
    return f"{numbers.get('used')} of {numbers.get('limit')} are used. Wait for some to end or for the next window."


def _rate_limited(answer: Answer, numbers: Mapping[str, Any]) -> str:
    return (
        f"The rate limit {numbers.get('bucket')} is used up: {numbers.get('per_minute')} {numbers.get('counts')}"
        f" a minute and bursts of {numbers.get('capacity')}. Repeat the request after the seconds in Retry-After."
    )


_RUN_COUNTS: Final[Mapping[str, str]] = {
    "MAX_ITERATIONS_REACHED": " iterations",
    "MAX_TOKENS_REACHED": " tokens",
    "MAX_WALL_TIME_REACHED": " seconds",
}


def _gave_up(answer: Answer, numbers: Mapping[str, Any]) -> str:
    counted = _RUN_COUNTS.get(answer.status, "")
    return (
        f"The run has reached its limit: {numbers.get('used')} of {numbers.get('limit')}{counted}."
        " It ends here. Begin a new run, or have the limit raised."
    )


def _over_limit(answer: Answer, numbers: Mapping[str, Any]) -> str:
    if "overdraft_limit" in numbers:
        return (
            f"{answer.scope} would owe more than its overdraft limit of {numbers['overdraft_limit']}"
            f" {numbers.get('unit')}. Fund it, or raise the limit."
        )
    if numbers.get("debt"):
        return f"{answer.scope} is over its limit. Fund it until its debt is within the overdraft limit."
    return f"{answer.scope} could not pay all of an earlier cost. Fund it, or wait for its next period."


_FORBIDDEN: Final[Mapping[str, str]] = {
    "PERMISSION_MISSING": "This API key lacks the permission for that. Use a key that has it.",
    "TENANT_MISMATCH": "subject.tenant is not the tenant of this API key. Leave it out, or use that tenant's key.",
    "SCOPE_FILTERED": "This API key is confined to other scopes.",
}
_OF_STATUS: Final[Mapping[str, tuple[ErrorCode, _Sentence]]] = {
    "UNAUTHORIZED": (ErrorCode.UNAUTHORIZED, lambda a, n: "Send a valid API key in the header X-Cycles-API-Key."),
    "FORBIDDEN": (
        ErrorCode.FORBIDDEN,
        lambda a, n: _FORBIDDEN.get(n.get("reason", ""), "This API key does not permit that."),
    ),
    "TENANT_SUSPENDED": (
        ErrorCode.FORBIDDEN,
        lambda a, n: "The tenant is suspended: no new work until the operator resumes it. Work in flight may settle.",
    ),
    "NOT_FOUND": (ErrorCode.NOT_FOUND, lambda a, n: "There is no such reservation."),
    "BUDGET_NOT_FOUND": (
        ErrorCode.NOT_FOUND,
        lambda a, n: f"Budget not found for provided scope: {a.scope}. Create one there, or at a scope above it.",
    ),
    "UNIT_MISMATCH": (
        ErrorCode.UNIT_MISMATCH,
        lambda a, n: (
            f"{a.scope} does not count in {n.get('requested_unit')}. Use {' or '.join(n.get('expected_units', []))}."
        ),
    ),
    "IDEMPOTENCY_MISMATCH": (
        ErrorCode.IDEMPOTENCY_MISMATCH,
        lambda a, n: "This idempotency key was used with another payload. Repeat that payload, or use a new key.",
    ),
    "BUDGET_EXCEEDED": (ErrorCode.BUDGET_EXCEEDED, _exceeded),
    "BUDGET_FROZEN": (
        ErrorCode.BUDGET_FROZEN,
        lambda a, n: f"The budget of {a.scope} is frozen. Unfreeze it to go on.",
    ),
    "BUDGET_CLOSED": (ErrorCode.BUDGET_CLOSED, lambda a, n: f"The budget of {a.scope} is closed."),
    "OVERDRAFT_LIMIT_EXCEEDED": (ErrorCode.OVERDRAFT_LIMIT_EXCEEDED, _over_limit),
    "DEBT_OUTSTANDING": (
        ErrorCode.DEBT_OUTSTANDING,
        lambda a, n: f"{a.scope} owes {n.get('debt')} {n.get('unit')}. Fund it; funding repays debt first.",
    ),
    "KILL_SWITCH": (
        ErrorCode.FORBIDDEN,
        lambda a, n: f"An operator has stopped this {n.get('level')}: {n.get('reason')}",
    ),
    "TOOL_DENIED": (ErrorCode.FORBIDDEN, lambda a, n: f"The tool policy denies {n.get('tool')}."),
    "TOOL_GATED": (ErrorCode.FORBIDDEN, lambda a, n: f"The tool {n.get('tool')} needs a person's approval."),
    "MODEL_UNKNOWN": (
        ErrorCode.FORBIDDEN,
        lambda a, n: f"The model {n.get('model')} has no price here. Name another, as provider:model, or none.",
    ),
    "MODEL_NOT_ALLOWED": (
        ErrorCode.FORBIDDEN,
        lambda a, n: f"The plan does not include the model {n.get('model')}. Name another, or change the plan.",
    ),
    "RATE_LIMITED": (ErrorCode.LIMIT_EXCEEDED, _rate_limited),
    "RUN_REQUIRED": (
        ErrorCode.INVALID_REQUEST,
        lambda a, n: f"The quota {n.get('quota')} counts within a run. Send the run in subject.dimensions.run.",
    ),
    "ACTION_KIND_DENIED": (ErrorCode.FORBIDDEN, lambda a, n: f"Actions of kind {n.get('action_kind')} are denied."),
    "ACTION_KIND_NOT_ALLOWED": (
        ErrorCode.FORBIDDEN,
        lambda a, n: f"Actions of kind {n.get('action_kind')} are not among those allowed.",
    ),
    "ACTION_QUOTA_EXCEEDED": (ErrorCode.BUDGET_EXCEEDED, _counted),
    "RUNS_PER_DAY_EXCEEDED": (ErrorCode.BUDGET_EXCEEDED, _counted),
    "RUNS_PER_MONTH_EXCEEDED": (ErrorCode.BUDGET_EXCEEDED, _counted),
    "CONCURRENT_RUNS_EXCEEDED": (ErrorCode.BUDGET_EXCEEDED, _counted),
    "TOKENS_PER_REQUEST_EXCEEDED": (
        ErrorCode.BUDGET_EXCEEDED,
        lambda a, n: f"The request has {n.get('requested')} input tokens and {n.get('limit')} are allowed. Send fewer.",
    ),
    "MAX_ITERATIONS_REACHED": (ErrorCode.BUDGET_EXCEEDED, _gave_up),
    "MAX_TOKENS_REACHED": (ErrorCode.BUDGET_EXCEEDED, _gave_up),
    "MAX_WALL_TIME_REACHED": (ErrorCode.BUDGET_EXCEEDED, _gave_up),
    "BELOW_FLOOR": (
        ErrorCode.BUDGET_EXCEEDED,
        lambda a, n: f"The budget is nearly gone and what is left is kept for work above {n.get('priority')} priority.",
    ),
    "NO_ROUTE": (
        ErrorCode.BUDGET_EXCEEDED,
        lambda a, n: (
            f"No model of the class {n.get('class')} can serve this request."
            " Ask for fewer capabilities or tokens, or hint another class."
        ),
    ),
    "TENANT_CLOSED": (ErrorCode.TENANT_CLOSED, lambda a, n: "The tenant is closed. Nothing can be booked any more."),
    "RESERVATION_FINALIZED": (
        ErrorCode.RESERVATION_FINALIZED,
        lambda a, n: f"The reservation is already {n.get('state')}.",
    ),
    "RESERVATION_EXPIRED": (
        ErrorCode.RESERVATION_EXPIRED,
        lambda a, n: "The reservation has expired. Book what was spent as an event.",
    ),
    "MAX_EXTENSIONS_EXCEEDED": (
        ErrorCode.MAX_EXTENSIONS_EXCEEDED,
        lambda a, n: (
            f"A reservation is extended at most {n.get('extensions_max')} times. Settle it and make a new one."
        ),
    ),
}
_NO_ANSWER: Final = Answer(status="RATE_LIMITED", id=UUID(int=0), replayed=False, slug="")
#: Refusals of the request and not of the spending: there is no decision to look at.
_WITHOUT_DECISION: Final = {"UNAUTHORIZED", "IDEMPOTENCY_MISMATCH", "INTERNAL_ERROR"}


def refusal(answer: Answer, *, tag: Tag) -> ProtocolError:
    """The refusal of `answer`, with the numbers of that moment and where it is explained."""
    code, sentence = _OF_STATUS.get(
        answer.status, (ErrorCode.INTERNAL_ERROR, lambda a, n: "Something failed on our side. Quote the request id.")
    )
    numbers = answer.numbers or {}
    details: dict[str, Any] = dict(numbers)
    if answer.scope is not None:
        details["scope"] = answer.scope
    if answer.status not in _WITHOUT_DECISION:
        details |= decision_headers(answer, tag=tag, names=("decision_id", "explain_url"))
    if answer.status not in ErrorCode:
        # The contract's list of codes is closed; what exactly it was is said here.
        details["reason_code"] = answer.status
    if answer.status == "TENANT_SUSPENDED":
        details["reason"] = answer.status
    wait_ms = numbers.get("retry_after_ms")
    return ProtocolError(
        code,
        sentence(answer, numbers),
        details=details or None,
        retry_after_s=None if wait_ms is None else max(-(-wait_ms // 1000), 1),
    )


def too_many(limited: Limited) -> ProtocolError:
    """429 without a decision: of a flood of refusals a few are written down, and the others are counted."""
    numbers = limited.numbers()
    return ProtocolError(
        ErrorCode.LIMIT_EXCEEDED,
        _rate_limited(_NO_ANSWER, numbers),
        details=numbers | {"reason_code": "RATE_LIMITED"},
        retry_after_s=limited.retry_after_s,
    )


def refusal_response(answer: Answer, *, tag: Tag, request: HttpRequest) -> HttpResponse:
    """The whole answer to a refused request."""
    response = protocol_response(refusal(answer, tag=tag), request)
    if answer.status not in _WITHOUT_DECISION:
        for name, value in decision_headers(answer, tag=tag).items():
            response.headers[name] = value
    return response


def decision_headers(
    answer: Answer, *, tag: Tag, names: tuple[str, str] = ("X-Watermaster-Decision", "X-Watermaster-Explain")
) -> dict[str, str]:
    """The decision's id and the page that explains it."""
    decision_id = mint_wire_id("dec", tag, answer.id)
    return {names[0]: decision_id, names[1]: f"{settings.CONSOLE_URL}/explain/{decision_id}/"}
