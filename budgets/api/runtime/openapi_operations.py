"""What each address of the runtime plane does, asks for and answers with, in a table for `openapi`."""

from dataclasses import dataclass
from typing import Final

from budgets.api import own_requests, requests
from budgets.api.parts import LEVELS
from budgets.api.queries import LIMIT_DEFAULT, LIMIT_MAX, ReservationStatus, SortDirection, SortKey
from budgets.api.runtime import bodies, own_bodies

type JsonSchema = dict[str, object]

#: Any call with a key.
_KEY: Final = (401, 403, 405, 500, 503)
_BODY: Final = (400, 411, 413, 415)
_LEVELS: Final = ("tenant", *LEVELS)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query string."""

    name: str
    description: str
    schema: JsonSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationDoc:
    """One method at one address. `answer` is the struct of its success; None where the answer is described by hand."""

    method: str
    path: str
    operation_id: str
    summary: str
    description: str = ""
    request: type | None = None
    answer: type | None = None
    success: int = 200
    refusals: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    is_open_to_operators: bool = False
    needs_key: bool = True


def _name(description: str) -> JsonSchema:
    return {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,128}$", "description": description}


def _levels() -> tuple[Parameter, ...]:
    own = Parameter("tenant", "Must be the key's own tenant; an operator names one.", _name("A tenant."))
    below = (Parameter(level, f"The {level}, in any case.", _name("A name.")) for level in LEVELS)
    return (own, *below)


def _times(start: str, end: str, what: str) -> tuple[Parameter, ...]:
    moment: JsonSchema = {"type": "string", "format": "date-time"}
    return (
        Parameter(start, f"Earliest time of {what}, inclusive, with its offset.", moment),
        Parameter(end, f"Latest time of {what}, inclusive, with its offset.", moment),
    )


def _one_of(values: type[ReservationStatus] | type[SortKey] | type[SortDirection]) -> JsonSchema:
    return {"type": "string", "enum": [value.value for value in values]}


_PAGE: Final = (
    Parameter(
        "limit",
        "Rows of a page.",
        {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
    ),
    Parameter(
        "cursor",
        "The next_cursor of the page before, with the same filters and sort.",
        {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,4096}$"},
    ),
)

OPERATIONS: Final = (
    OperationDoc(
        method="post",
        path="/v1/decide",
        operation_id="decide",
        summary="Ask what a reservation would be told now",
        description="Holds nothing. What the budgets refuse is a 200 with decision DENY and its reason.",
        request=requests.DecideRequest,
        answer=bodies.DecideBody,
        refusals=(*_KEY, *_BODY, 409),
    ),
    OperationDoc(
        method="post",
        path="/v1/reservations",
        operation_id="reserve",
        summary="Hold an estimated cost on every budget of a path",
        description="All budgets of the path or none. With dry_run it answers as decide does and holds nothing.",
        request=requests.ReserveRequest,
        answer=bodies.ReserveBody,
        refusals=(*_KEY, *_BODY, 404, 409, 429),
    ),
    OperationDoc(
        method="post",
        path="/v1/x-watermaster/admit",
        operation_id="admit",
        summary="Decide on a call: whether, on which model, within which caps, and who pays",
        description="Without an estimate the model is chosen and priced. A refusal is a 200 with DENY and its reasons.",
        request=own_requests.AdmitRequest,
        answer=own_bodies.AdmitBody,
        refusals=(*_KEY, *_BODY, 404, 409, 429),
    ),
    OperationDoc(
        method="post",
        path="/v1/x-watermaster/settle",
        operation_id="settle",
        summary="Settle a reservation with the provider's usage as it came",
        description="Priced as when it was decided. A model without a price costs a flagged fallback, never nothing.",
        request=own_requests.SettleRequest,
        answer=own_bodies.SettleBody,
        refusals=(*_KEY, *_BODY, 404, 409, 410),
    ),
    OperationDoc(
        method="post",
        path="/v1/x-watermaster/tools",
        operation_id="filter_tools",
        summary="Leave out the tools that the tenant may not use",
        description="A denied tool is absent, and refused again at dispatch. A tool choice that names it is mended.",
        request=own_requests.ToolsRequest,
        answer=own_bodies.ToolsBody,
        refusals=(*_KEY, *_BODY),
    ),
    OperationDoc(
        method="get",
        path="/v1/x-watermaster/isolation",
        operation_id="show_isolation",
        summary="Show the names that are the tenant's own, for caches and vectors",
        answer=own_bodies.IsolationBody,
        refusals=(*_KEY, 400),
        parameters=(Parameter("workspace", "Of this workspace alone.", _name("A workspace.")),),
    ),
    OperationDoc(
        method="post",
        path="/v1/x-watermaster/credentials/lease",
        operation_id="lease_credential",
        summary="Lease the secret that a tool needs, for a decision that holds",
        description="Fetched now, answered once, kept nowhere. A store that is away is a 503, one that refuses a 502.",
        request=own_requests.LeaseRequest,
        answer=own_bodies.LeaseBody,
        refusals=(*_KEY, *_BODY, 404, 409, 410, 429, 502),
    ),
    OperationDoc(
        method="post",
        path="/v1/x-watermaster/credentials/renew",
        operation_id="renew_credential",
        summary="Make a lease last longer, while what it stands on holds",
        description="Never beyond the hold, fifteen minutes, or what the store allows. The secret is not told again.",
        request=own_requests.HeldLeaseRequest,
        answer=own_bodies.RenewedBody,
        refusals=(*_KEY, *_BODY, 404, 409, 410, 502),
    ),
    OperationDoc(
        method="post",
        path="/v1/x-watermaster/credentials/give-back",
        operation_id="give_back_credential",
        summary="Give a lease back before its time",
        description="Safe to repeat. What the store made for this lease alone is ended there, now or by the worker.",
        request=own_requests.HeldLeaseRequest,
        answer=own_bodies.GivenBackBody,
        refusals=(*_KEY, *_BODY, 404),
    ),
    OperationDoc(
        method="get",
        path="/v1/reservations",
        operation_id="list_reservations",
        summary="List reservations",
        answer=bodies.ReservationListBody,
        refusals=(*_KEY, 400, 404),
        parameters=(
            *_levels(),
            Parameter(
                "idempotency_key",
                "The key of the request that made it.",
                {"type": "string", "pattern": "^[!-~]{1,256}$"},
            ),
            Parameter("status", "The state that it is in.", _one_of(ReservationStatus)),
            *_times("from", "to", "creation"),
            *_times("expires_from", "expires_to", "expiry"),
            *_times("finalized_from", "finalized_to", "commit or release"),
            Parameter("sort_by", "What the rows are ordered by.", _one_of(SortKey)),
            Parameter("sort_dir", "Which end comes first.", _one_of(SortDirection)),
            Parameter(
                "include",
                "Fields that are left out otherwise, separated by commas: metadata, committed_metadata.",
                {"type": "string"},
            ),
            *_PAGE,
        ),
        is_open_to_operators=True,
    ),
    OperationDoc(
        method="get",
        path="/v1/reservations/{reservation_id}",
        operation_id="get_reservation",
        summary="Show one reservation",
        answer=bodies.ReservationBody,
        refusals=(*_KEY, 404, 410),
        is_open_to_operators=True,
    ),
    OperationDoc(
        method="post",
        path="/v1/reservations/{reservation_id}/commit",
        operation_id="commit",
        summary="Book what it really cost",
        description="Until the grace period is over. What is above the hold is treated as its overage policy says.",
        request=requests.CommitRequest,
        answer=bodies.CommitBody,
        refusals=(*_KEY, *_BODY, 404, 409, 410),
    ),
    OperationDoc(
        method="post",
        path="/v1/reservations/{reservation_id}/release",
        operation_id="release",
        summary="Give a hold back",
        request=requests.ReleaseRequest,
        answer=bodies.ReleaseBody,
        refusals=(*_KEY, *_BODY, 404, 409, 410),
        is_open_to_operators=True,
    ),
    OperationDoc(
        method="post",
        path="/v1/reservations/{reservation_id}/extend",
        operation_id="extend",
        summary="Hold it for longer",
        description="Counts from the old expiry; accepted until then, and a limited number of times.",
        request=requests.ExtendRequest,
        answer=bodies.ExtendBody,
        refusals=(*_KEY, *_BODY, 404, 409, 410),
    ),
    OperationDoc(
        method="post",
        path="/v1/events",
        operation_id="record_event",
        summary="Book a cost that was not held before",
        request=requests.EventRequest,
        answer=bodies.EventBody,
        success=201,
        refusals=(*_KEY, *_BODY, 404, 409),
    ),
    OperationDoc(
        method="get",
        path="/v1/balances",
        operation_id="list_balances",
        summary="Show what budgets have left",
        description=f"Name at least one of {', '.join(_LEVELS)}.",
        answer=bodies.BalanceListBody,
        refusals=(*_KEY, 400),
        parameters=(
            *_levels(),
            Parameter("include_children", "Also what lies below.", {"type": "boolean", "default": False}),
            *_PAGE,
        ),
    ),
    *(
        OperationDoc(
            method="get",
            path=path,
            operation_id=operation_id,
            summary=summary,
            refusals=(405, 500, 503),
            needs_key=False,
        )
        for path, operation_id, summary in (
            ("/healthz", "live", "Whether the process answers"),
            ("/readyz", "ready", "Whether decisions can be made"),
            ("/actuator/health", "actuator_health", "Whether decisions can be made"),
            ("/actuator/health/readiness", "actuator_readiness", "Whether decisions can be made"),
            ("/actuator/health/liveness", "actuator_liveness", "Whether the process answers"),
            ("/v1/x-watermaster/openapi.json", "openapi", "This description"),
        )
    ),
)
