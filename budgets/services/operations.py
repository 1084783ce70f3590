"""What goes into the enforcement engine and what comes out of it: one operation, one answer."""

from typing import Any, Literal
from uuid import UUID

import msgspec

Op = Literal["reserve", "decide", "commit", "release", "extend", "event", "expire"]


class Operation(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One request to the books, in the words of `apply_operations_v1`. Amounts in `unit`, times in milliseconds.

    `id` is made by the caller: the reservation's for `reserve`, the event's for `event`, else the decision's if it is
    refused.
    `is_trusted` leaves out the check of a key and is for workers and operators alone; with an `actor_type` the act is
    audited.
    """

    op: Op
    id: UUID
    n: int = -1
    key_id: str | None = None
    digest: str | None = None
    is_trusted: bool = False
    actor: str | None = None
    actor_type: str | None = None
    idem: str | None = None
    hash: str | None = None
    tenant: str | None = None
    suffixes: list[str] | None = None
    run: str | None = None
    template: str | None = None
    unit: str | None = None
    amount: int | None = None
    ttl_ms: int | None = None
    grace_ms: int | None = None
    policy: str | None = None
    is_dry: bool = False
    subject: Any = None
    action: Any = None
    metadata: Any = None
    metrics: Any = None
    target: UUID | None = None
    extend_ms: int | None = None
    reason: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
    endpoint: str | None = None
    facts: Any = None
    priority: str | None = None
    price: Any = None


class Answer(msgspec.Struct):
    """What the books say. `status` is OK or the name of the refusal; `numbers` are those of the moment of refusal.

    `balances` is flat, seven numbers for each of `paths` (`budgets.models.ledger.BALANCE_FIELDS`).
    """

    status: str
    id: UUID
    replayed: bool
    slug: str
    left_ms: int | None = None
    verdict: str | None = None
    reason: str | None = None
    scope: str | None = None
    numbers: dict[str, Any] | None = None
    paths: list[str] | None = None
    balances: list[int] | None = None
    charged: int | None = None
    held: int | None = None
    unit: str | None = None
    expires_ms: int | None = None
    amount: int | None = None
    admission: dict[str, Any] | None = None
