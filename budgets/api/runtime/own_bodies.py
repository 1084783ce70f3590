"""The answers of Watermaster's own operations. No field is null on the wire: what is not there is left out."""

from typing import Any

import msgspec

from budgets.api.runtime.bodies import Amount, Balance, Caps, ReserveBody


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


class LeaseBody(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A secret, once. Drop it at `expires_at_ms`, and lease it again; `version` is the store's."""

    lease_id: str
    scope: str
    name: str
    provider: str
    values: dict[str, str]
    expires_at_ms: int
    version: str | None = None
    previous_until_ms: int | None = None

    def __repr__(self) -> str:
        return f"LeaseBody({self.lease_id})"


class RenewedBody(msgspec.Struct, kw_only=True):
    """The secret is good until then; it was told when it was leased, and is not told again."""

    lease_id: str
    scope: str
    expires_at_ms: int


class GivenBackBody(msgspec.Struct, kw_only=True):
    """Nobody may use the secret any more; what its store made for this lease alone is ended there."""

    lease_id: str
    status: str
