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
