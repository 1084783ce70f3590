"""What goes over the wire: requests as typed dictionaries, answers as frozen structs.

Fields that this version does not know are ignored, so a newer server does not break an older client.
"""

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

import msgspec


class Subject(TypedDict, total=False):
    """Whom a call is for; one level at least. The key knows its tenant."""

    tenant: str
    workspace: str
    app: str
    workflow: str
    agent: str
    toolset: str
    dimensions: Mapping[str, str]


class Action(TypedDict):
    """What is about to happen: `llm.completion` and a model, or `tool.call` and a tool."""

    kind: str
    name: str
    tags: NotRequired[list[str]]


class Run(TypedDict):
    """The run whose iterations, tokens, seconds and money are limited together. `started_at_ms` is Unix time."""

    run_id: str
    turn_id: NotRequired[str]
    iteration: NotRequired[int]
    started_at_ms: NotRequired[int]


#: `class` is a keyword of Python. `confidence` is from 0 to 1.
ClassHint = TypedDict("ClassHint", {"class": str, "confidence": float})


class Request(TypedDict, total=False):
    """The model call. `model` is `provider:model`; without it the traffic class chooses one."""

    endpoint: str
    model: str
    stream: bool
    input_tokens: int
    input_tokens_source: Literal["runtime", "tokenizer", "bytes"]
    max_output_tokens: int
    tools: list[str]
    capabilities: list[str]
    class_hint: ClassHint


class Attempt(TypedDict, total=False):
    """The second and later tries of one question: a promotion or a retry, linked to the decision before."""

    n: int
    of_decision: str
    reason: str


class Amount(msgspec.Struct, frozen=True):
    """Whole units; 100,000,000 `USD_MICROCENTS` are one US dollar."""

    unit: str
    amount: int


class Reason(msgspec.Struct, frozen=True):
    """Why a call is refused or trimmed: a code for programs and a sentence for people."""

    code: str
    sentence: str = ""
    scope: str = ""
    numbers: dict[str, Any] = {}


class Route(msgspec.Struct, frozen=True):
    """Where to send the call."""

    provider: str = ""
    model: str = ""
    tier: str = ""
    is_degraded: bool = False

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


class Caps(msgspec.Struct, frozen=True):
    """Bounds that the runtime applies; None is no bound."""

    max_tokens: int | None = None
    max_steps_remaining: int | None = None
    tool_allowlist: list[str] | None = None
    tool_denylist: list[str] | None = None
    cooldown_ms: int | None = None

    def permits_tool(self, name: str) -> bool:
        """Absent lists permit all; a name on the deny list is out whatever the allow list says."""
        if name in (self.tool_denylist or ()):
            return False
        return self.tool_allowlist is None or name in self.tool_allowlist

    def trim(self, max_tokens: int | None) -> int | None:
        """The smaller of the caller's own bound on output tokens and the cap's."""
        bounds = [bound for bound in (max_tokens, self.max_tokens) if bound is not None]
        return min(bounds, default=None)


class Timeouts(msgspec.Struct, frozen=True):
    """Milliseconds; None is no limit."""

    total_ms: int | None = None
    model_ms: int | None = None
    tools: dict[str, int] = {}


class Isolation(msgspec.Struct, frozen=True):
    """Whose the call is, for names of what is kept outside: `TenantNames` makes them."""

    cache_key_prefix: str = ""
    vector_namespace: str = ""


class LimitsLeft(msgspec.Struct, frozen=True):
    """What is left of the run; None where it has no limit."""

    iterations: int | None = None
    tokens: int | None = None
    seconds: float | None = None


class GiveUp(msgspec.Struct, frozen=True):
    """The run is at its end; what to do instead: `interim_message`, `escalate` or `partial_result`."""

    code: str = ""
    fallback: str = ""


class Reservation(msgspec.Struct, frozen=True):
    """The hold on money."""

    reservation_id: str
    reserved: Amount | None = None
    remaining_ttl_ms: int | None = None
    expires_at_ms: int | None = None
    scope_path: str = ""
    affected_scopes: list[str] = []


class Extension(msgspec.Struct, frozen=True):
    """How long a hold lasts after it was extended."""

    remaining_ttl_ms: int | None = None


class Admission(msgspec.Struct, frozen=True):
    """The answer to "may I": `ALLOW`, `ALLOW_WITH_CAPS` or `DENY`, and how."""

    decision: str
    decision_id: str = ""
    explain_url: str = ""
    reasons: list[Reason] = []
    reservation: Reservation | None = None
    caps: Caps = Caps()
    route: Route | None = None
    traffic_class: str = msgspec.field(default="", name="class")
    context_target_tokens: int | None = None
    limits_left: LimitsLeft = LimitsLeft()
    timeouts: Timeouts = Timeouts()
    isolation: Isolation = Isolation()
    give_up: GiveUp | None = None
    on_exhaustion: list[Any] = []
    would_deny: Any = None

    @property
    def is_denied(self) -> bool:
        return self.decision == "DENY"


class Line(msgspec.Struct, frozen=True):
    """One priced part of a cost, in USD_MICROCENTS; `unit_price` is for `per` of what `quantity` counts."""

    kind: str
    quantity: int = 0
    unit_price: int = 0
    per: int = 1
    amount: int = 0
    name: str = ""
    is_fallback: bool = False


class Price(msgspec.Struct, frozen=True):
    """Where the unit prices come from. A fallback stands in where a model has no price."""

    provider: str = ""
    model: str = ""
    source: str = ""
    version: str = ""
    is_fallback: bool = False


class Settlement(msgspec.Struct, frozen=True):
    """What a call was charged.

    Besides the server's `COMMITTED` there are `QUEUED` (the server was away: the settle waits in the outbox) and
    `UNHELD` (the admission held nothing, so there is nothing to settle).
    """

    status: str
    reservation_id: str = ""
    charged: Amount | None = None
    released: Amount | None = None
    cost: Amount | None = None
    uncovered: Amount | None = None
    lines: list[Line] = []
    price: Price | None = None
    warnings: list[str] = []


class ToolList(msgspec.Struct, frozen=True):
    """The schemas that may be shown to the model, as they were sent. `gated` tools need a person's word at dispatch."""

    tools: list[dict[str, Any]] = []
    tool_choice: Any = None
    gated: list[str] = []
    policy_version: Any = None
