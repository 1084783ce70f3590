"""What the runtime plane answers: exactly the contract's fields, and no null anywhere.

One field too many makes the published client repeat the call and keep its commit for ever, so everything of ours that
the contract does
not know goes into headers, into an error's `details`, or to our own endpoints.
"""

from typing import Any

import msgspec

from budgets.services.operations import Answer
from kernel.ids import Tag, mint_wire_id

_STRIDE = 7


class Amount(msgspec.Struct, frozen=True):
    unit: str
    amount: int


class Balance(msgspec.Struct, omit_defaults=True, kw_only=True):
    """`scope` is the last segment, `scope_path` the whole. Debt and limits are left out where they are zero."""

    scope: str
    scope_path: str
    remaining: Amount
    reserved: Amount
    spent: Amount
    allocated: Amount
    debt: Amount | None = None
    overdraft_limit: Amount | None = None
    is_over_limit: bool = False


class Caps(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What a caller must keep to. A tool that is denied is not offered to the model."""

    max_tokens: int | None = None
    max_steps_remaining: int | None = None
    tool_allowlist: list[str] | None = None
    tool_denylist: list[str] | None = None
    cooldown_ms: int | None = None


class ReserveBody(msgspec.Struct, omit_defaults=True, kw_only=True):
    decision: str
    affected_scopes: list[str]
    reservation_id: str | None = None
    reserved: Amount | None = None
    expires_at_ms: int | None = None
    remaining_ttl_ms: int | None = None
    scope_path: str | None = None
    caps: Caps | None = None
    balances: list[Balance] | None = None
    reason_code: str | None = None


class Reason(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Why not: the code, the scope, a sentence, and the numbers of that moment."""

    code: str
    sentence: str
    scope: str | None = None
    numbers: dict[str, Any] | None = None


class Route(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The model that was chosen. `tier` is `named` when the request named it; degraded below the low-water mark."""

    tier: str
    provider: str
    model: str
    deployment: str | None = None
    is_degraded: bool = False


class LimitsLeft(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What is left of the run's limits after this call."""

    iterations: int | None = None
    tokens: int | None = None
    seconds: int | None = None


class Timeouts(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Milliseconds, of the class: for the whole turn, for a call of the model, for each tool."""

    total_ms: int | None = None
    model_ms: int | None = None
    tools: dict[str, int] | None = None


class Isolation(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Names that are the tenant's own: put them in front of cache keys, and search no other vector namespace."""

    cache_key_prefix: str
    vector_namespace: str


class GiveUp(msgspec.Struct, kw_only=True):
    """The run is over, and what to do instead: interim_message, escalate or partial_result."""

    code: str
    fallback: str


class AdmitBody(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The whole decision. `checks` says how far it came, in the order of the domain's list."""

    decision: str
    decision_id: str
    reasons: list[Reason]
    explain_url: str
    checks: int
    isolation: Isolation
    reservation: ReserveBody | None = None
    caps: Caps | None = None
    route: Route | None = None
    traffic_class: str | None = msgspec.field(default=None, name="class")
    context_target_tokens: int | None = None
    limits_left: LimitsLeft | None = None
    timeouts: Timeouts | None = None
    give_up: GiveUp | None = None
    on_exhaustion: list[str] | None = None
    would_deny: str | None = None


class ChargeLine(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One line of a charge; `unit_price` is for `per` of what `quantity` counts, amounts in USD_MICROCENTS."""

    kind: str
    quantity: int
    unit_price: int
    per: int
    amount: int
    name: str | None = None
    is_fallback: bool = False


class ChargedPrice(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Where the unit prices come from. A fallback stands in where a model or a kind of token has no price."""

    provider: str
    model: str
    source: str
    version: str
    is_fallback: bool = False


class SettleBody(msgspec.Struct, omit_defaults=True, kw_only=True):
    """`cost` is what the usage costs, `charged` what the budgets paid of it; the rest is uncovered, and recorded.

    What comes after the hold was over is booked as an event: BOOKED_LATE, with the event's id.
    """

    status: str
    reservation_id: str
    event_id: str | None = None
    charged: Amount
    cost: Amount
    balances: list[Balance]
    lines: list[ChargeLine]
    released: Amount | None = None
    uncovered: Amount | None = None
    price: ChargedPrice | None = None
    warnings: list[str] | None = None


class ToolsBody(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The tools that may be offered, as they were sent. What is denied is absent; what is gated needs a person."""

    tools: list[dict[str, Any]]
    tool_choice: str | dict[str, Any] | None = None
    gated: list[str] | None = None
    policy_version: int | None = None


class IsolationBody(msgspec.Struct, kw_only=True):
    """Names that are the tenant's own, or its workspace's."""

    tenant: str
    cache_key_prefix: str
    vector_namespace: str
    credential_scopes: list[str]


class DecideBody(msgspec.Struct, omit_defaults=True, kw_only=True):
    decision: str
    affected_scopes: list[str]
    caps: Caps | None = None
    reason_code: str | None = None


class CommitBody(msgspec.Struct, omit_defaults=True, kw_only=True):
    status: str
    charged: Amount
    released: Amount | None = None
    balances: list[Balance]


class ReleaseBody(msgspec.Struct, kw_only=True):
    status: str
    released: Amount
    balances: list[Balance]


class ExtendBody(msgspec.Struct, kw_only=True):
    status: str
    expires_at_ms: int
    remaining_ttl_ms: int
    balances: list[Balance]


class EventBody(msgspec.Struct, omit_defaults=True, kw_only=True):
    status: str
    event_id: str
    charged: Amount | None = None
    balances: list[Balance]


class ReservationBody(msgspec.Struct, omit_defaults=True, kw_only=True):
    """ReservationDetail, and with fewer fields ReservationSummary."""

    reservation_id: str
    status: str
    subject: Any
    action: Any
    reserved: Amount
    created_at_ms: int
    expires_at_ms: int
    scope_path: str
    affected_scopes: list[str]
    idempotency_key: str | None = None
    committed: Amount | None = None
    finalized_at_ms: int | None = None
    metadata: Any = None
    committed_metadata: Any = None


class ReservationListBody(msgspec.Struct, omit_defaults=True, kw_only=True):
    reservations: list[ReservationBody]
    next_cursor: str | None = None
    has_more: bool = False


class BalanceListBody(msgspec.Struct, omit_defaults=True, kw_only=True):
    balances: list[Balance]
    next_cursor: str | None = None
    has_more: bool = False


def balance(scope_path: str, unit: str, numbers: list[int]) -> Balance:
    """A balance from the seven numbers of a ledger entry: allocated, reserved, spent, debt, uncovered, overdraft
    limit, over limit.
    """
    allocated, reserved, spent, debt, _uncovered, overdraft_limit, is_over_limit = numbers
    return Balance(
        scope=scope_path.rpartition("/")[2],
        scope_path=scope_path,
        remaining=Amount(unit, allocated - reserved - spent - debt),
        reserved=Amount(unit, reserved),
        spent=Amount(unit, spent),
        allocated=Amount(unit, allocated),
        debt=Amount(unit, debt) if debt else None,
        overdraft_limit=Amount(unit, overdraft_limit) if overdraft_limit else None,
        is_over_limit=bool(is_over_limit),
    )


def balances(answer: Answer) -> list[Balance]:
    """The balances after the operation, root first."""
    numbers, unit = answer.balances or [], answer.unit or ""
    return [
        balance(path, unit, numbers[position : position + _STRIDE])
        for path, position in zip(answer.paths or [], range(0, len(numbers), _STRIDE), strict=True)
    ]


def scopes_of(scope_path: str, run_path: str | None = None) -> list[str]:
    """Every scope of a path, root first, and the run's last."""
    scopes, path = [], ""
    for segment in scope_path.split("/"):
        path = f"{path}/{segment}" if path else segment
        scopes.append(path)
    if run_path is not None:
        scopes.append(run_path)
    return scopes


def caps_of(answer: Answer) -> Caps | None:
    """The caps of an answer that has any."""
    if answer.verdict != "ALLOW_WITH_CAPS" or answer.admission is None:
        return None
    return msgspec.convert(answer.admission["caps"], Caps)


def reserve_body(answer: Answer, *, tag: Tag, suffixes: list[str]) -> ReserveBody:
    """The answer to a reservation or a dry run."""
    root = f"tenant:{answer.slug}"
    scopes = [root + suffix for suffix in suffixes]
    scope_path = scopes[-1]
    # A run's budget is no part of the subject's path, but it is touched like one.
    scopes += [path for path in answer.paths or [] if path.startswith(f"{root}/run:")]
    body = ReserveBody(
        decision=answer.verdict or "DENY",
        affected_scopes=scopes,
        scope_path=scope_path,
        caps=caps_of(answer),
        balances=balances(answer) or None,
        reason_code=answer.reason,
    )
    if answer.expires_ms is not None:
        body.reservation_id = mint_wire_id("rsv", tag, answer.id)
        body.expires_at_ms = answer.expires_ms
        body.remaining_ttl_ms = answer.left_ms
    if body.decision != "DENY":
        body.reserved = Amount(answer.unit or "", answer.amount or 0)
    return body
