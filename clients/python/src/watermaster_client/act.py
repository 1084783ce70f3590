"""One admitted call: what the server said, and the bodies of what follows it."""

from collections.abc import Mapping
from typing import Any, Final, TypedDict, Unpack
from uuid import uuid4

from watermaster_client.errors import ApiError, Denied, WatermasterError
from watermaster_client.isolation import TenantNames
from watermaster_client.outbox import Record
from watermaster_client.usage import raw_usage
from watermaster_client.wire import (
    Action,
    Admission,
    Amount,
    Attempt,
    Caps,
    Isolation,
    LimitsLeft,
    Reason,
    Request,
    Route,
    Run,
    Settlement,
    Subject,
    Timeouts,
)

ADMIT: Final = "/v1/x-watermaster/admit"
SETTLE: Final = "/v1/x-watermaster/settle"
TOOLS: Final = "/v1/x-watermaster/tools"
ISOLATION: Final = "/v1/x-watermaster/isolation"
TTL_MS: Final = 60_000
#: What settling an admission gives that held nothing.
UNHELD: Final = Settlement(status="UNHELD")


class Question(TypedDict, total=False):
    """What `admit` may be asked, beside subject and action; None is left out.

    `estimate` is `{"unit": ..., "amount": ...}`.
    """

    request: Request
    run: Run | None
    attempt: Attempt
    estimate: Mapping[str, Any]
    priority: str
    ttl_ms: int
    grace_period_ms: int
    overage_policy: str
    metadata: Mapping[str, Any]
    idempotency_key: str | None


class Outcome(TypedDict, total=False):
    """What `settle` may be told, beside the usage. `tool_calls` counts the tools that cost something by themselves."""

    endpoint: str
    provider: str
    model: str
    response_id: str
    is_batch: bool
    tool_calls: Mapping[str, int]
    latency_ms: int
    metadata: Mapping[str, Any]


def admit_body(*, subject: Subject, action: Action, **question: Unpack[Question]) -> dict[str, Any]:
    """The request to admit; with a new idempotency key where none is given."""
    asked = {name: value for name, value in question.items() if value is not None}
    return {"idempotency_key": uuid4().hex, "ttl_ms": TTL_MS, "subject": subject, "action": action, **asked}


def denial_of(refusal: ApiError) -> Denied | None:
    """A rate limit is the one denial that comes as an error, 429; None for every other error."""
    if refusal.status != 429:
        return None
    details = refusal.details
    code, scope = str(details.get("reason_code") or "RATE_LIMITED"), str(details.get("scope", ""))
    admission = Admission(
        decision="DENY",
        decision_id=str(details.get("decision_id", "")),
        explain_url=str(details.get("explain_url", "")),
        reasons=[Reason(code=code, sentence=refusal.message, scope=scope, numbers=details)],
    )
    return Denied(admission, retry_after_s=refusal.retry_after_s)


class Admitted:
    """What a synchronous and an asynchronous act have in common."""

    def __init__(self, admission: Admission, *, idempotency_key: str, ttl_ms: int) -> None:
        self.admission = admission
        self.idempotency_key = idempotency_key
        self.ttl_ms = ttl_ms
        #: None while the call is open.
        self.settlement: Settlement | None = None
        #: A settle was tried, so the call has happened and its hold is not given back.
        self.has_happened = False

    @property
    def is_denied(self) -> bool:
        return self.admission.is_denied

    @property
    def decision_id(self) -> str:
        return self.admission.decision_id

    @property
    def reasons(self) -> list[Reason]:
        return self.admission.reasons

    @property
    def route(self) -> Route | None:
        return self.admission.route

    @property
    def caps(self) -> Caps:
        return self.admission.caps

    @property
    def timeouts(self) -> Timeouts:
        return self.admission.timeouts

    @property
    def isolation(self) -> Isolation:
        return self.admission.isolation

    @property
    def names(self) -> TenantNames:
        """Makes names for what the call keeps outside: cache entries, vectors, sessions, conversations."""
        return TenantNames(self.isolation)

    @property
    def limits_left(self) -> LimitsLeft:
        return self.admission.limits_left

    @property
    def reserved(self) -> Amount | None:
        return self.admission.reservation.reserved if self.admission.reservation else None

    @property
    def reservation_id(self) -> str:
        """Empty where nothing is held."""
        return self.admission.reservation.reservation_id if self.admission.reservation else ""

    @property
    def hold_s(self) -> float:
        """Seconds that the hold lasted when it was made."""
        held = self.admission.reservation
        return (held.remaining_ttl_ms if held and held.remaining_ttl_ms else self.ttl_ms) / 1000

    def leave_unsettled(self) -> None:
        """The call happened and nobody knows what it cost: the hold is not given back, it ends by itself."""
        self.has_happened = True

    def usage_record(self, usage: object, **outcome: Unpack[Outcome]) -> Record:
        """The settle by usage as it is sent and kept."""
        body = {"reservation_id": self.reservation_id, "usage": raw_usage(usage), **outcome}
        return self._record(SETTLE, body)

    def amount_record(self, amount: int | None) -> Record:
        """The settle by amount as it is sent and kept."""
        reserved = self.reserved
        if reserved is None:
            raise WatermasterError(f"The call {self.decision_id} holds nothing.")
        actual = {"unit": reserved.unit, "amount": reserved.amount if amount is None else amount}
        return self._record(commit_path(self.reservation_id), {"actual": actual})

    def _record(self, path: str, body: dict[str, Any]) -> Record:
        # One call, one settle: it has the key of its admission.
        if self.settlement is not None:
            raise WatermasterError(f"The call {self.decision_id} is settled already.")
        return Record(self.reservation_id, path, {"idempotency_key": self.idempotency_key, **body})


def names_query(workspace: str) -> dict[str, str]:
    return {"workspace": workspace} if workspace else {}


def commit_path(reservation_id: str) -> str:
    return f"/v1/reservations/{reservation_id}/commit"


def release_path(reservation_id: str) -> str:
    return f"/v1/reservations/{reservation_id}/release"


def extend_path(reservation_id: str) -> str:
    return f"/v1/reservations/{reservation_id}/extend"
