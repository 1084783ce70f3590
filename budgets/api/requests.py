"""The bodies of the runtime plane's operations, with every limit of the contract.

An optional field that was left out is UNSET; a null is refused. Fields that the contract does not know are
refused, except `observe_mode` and `policy_keys` of its published extension.
"""

import hashlib
import re
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kernel.http.errors import invalid_request
from kernel.http.explain import FieldError
from kernel.money import AMOUNT_MAX, Unit

METADATA_BYTES_MAX: Final = 64 * 1024
#: Standard levels below the tenant, root first.
LEVELS: Final = ("workspace", "app", "workflow", "agent", "toolset")

_NAME_RULE: Final = "1 to 128 characters out of A-Z a-z 0-9 _ . -"
_NAME_SHAPE: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")

ScopeName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.-]{1,128}\Z", description=_NAME_RULE)]
# A header repeats the key, so it is limited to what a header can carry.
IdempotencyKey = Annotated[
    str,
    Meta(pattern=r"\A[!-~]{1,256}\Z", description="1 to 256 printable ASCII characters without spaces"),
]
DimensionName = Annotated[str, Meta(min_length=1, max_length=128)]
Count = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
#: More than any provider serves in a call; sums of such counts stay within 64 bits.
TokenCount = Annotated[int, Meta(ge=0, le=10**10)]
#: Milliseconds since 1970, until the end of the year 9999.
Moment = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
FreeName = Annotated[str, Meta(min_length=1, max_length=256)]
FreeObject = dict[str, Any]


class OveragePolicy(StrEnum):
    """What happens when the actual cost exceeds what was held."""

    REJECT = "REJECT"
    ALLOW_IF_AVAILABLE = "ALLOW_IF_AVAILABLE"
    ALLOW_WITH_OVERDRAFT = "ALLOW_WITH_OVERDRAFT"


class ObserveMode(StrEnum):
    """Of the contract's extension: OBSERVE judges and blocks nothing; DISABLED means ENFORCE."""

    DISABLED = "DISABLED"
    OBSERVE = "OBSERVE"
    ENFORCE = "ENFORCE"


class _Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all bodies and their parts share."""


class Subject(_Wire, frozen=True, kw_only=True):
    """Whom a cost is for. At least one standard field; kept verbatim, judged lower-cased."""

    tenant: ScopeName | UnsetType = UNSET
    workspace: ScopeName | UnsetType = UNSET
    app: ScopeName | UnsetType = UNSET
    workflow: ScopeName | UnsetType = UNSET
    agent: ScopeName | UnsetType = UNSET
    toolset: ScopeName | UnsetType = UNSET
    dimensions: (
        Annotated[dict[DimensionName, Annotated[str, Meta(max_length=256)]], Meta(max_length=16)] | UnsetType
    ) = UNSET

    def __post_init__(self) -> None:
        if (
            self.tenant is UNSET
            and self.workspace is UNSET
            and self.agent is UNSET
            and self.app is UNSET
            and self.workflow is UNSET
            and self.toolset is UNSET
        ):
            raise FieldError("", "must name at least one of tenant, " + ", ".join(LEVELS))
        run = self.dimensions.get("run") if self.dimensions else None
        if run is not None and not _NAME_SHAPE.fullmatch(run):
            raise FieldError("dimensions.run", f"must be {_NAME_RULE}")


class Action(_Wire, frozen=True, kw_only=True):
    """What is about to be done, as in kind `llm.completion`, name `openai:gpt-4o-mini`."""

    kind: Annotated[str, Meta(max_length=64)]
    name: Annotated[str, Meta(max_length=256)]
    tags: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=10)] | UnsetType = UNSET
    policy_keys: FreeObject | UnsetType = UNSET

    def __post_init__(self) -> None:
        _limit_size("policy_keys", self.policy_keys)


class Amount(_Wire, frozen=True, kw_only=True):
    """So many of a unit, 0 to 2^63-1."""

    unit: Unit
    amount: Count


class Metrics(_Wire, frozen=True, kw_only=True):
    """What the call measured; kept, never judged."""

    tokens_input: Count | UnsetType = UNSET
    tokens_output: Count | UnsetType = UNSET
    latency_ms: Count | UnsetType = UNSET
    model_version: Annotated[str, Meta(max_length=128)] | UnsetType = UNSET
    custom: FreeObject | UnsetType = UNSET

    def __post_init__(self) -> None:
        _limit_size("custom", self.custom)


class _Request(_Wire, frozen=True, kw_only=True):
    """A body with an idempotency key and, perhaps, metadata of at most 64 KiB."""

    idempotency_key: IdempotencyKey
    metadata: FreeObject | UnsetType = UNSET

    def __post_init__(self) -> None:
        _limit_size("metadata", self.metadata)


class DecideRequest(_Request, frozen=True, kw_only=True):
    """POST /v1/decide"""

    subject: Subject
    action: Action
    estimate: Amount


class ReserveRequest(_Request, frozen=True, kw_only=True):
    """POST /v1/reservations"""

    subject: Subject
    action: Action
    estimate: Amount
    ttl_ms: Annotated[int, Meta(ge=1_000, le=86_400_000)] = 60_000
    grace_period_ms: Annotated[int, Meta(ge=0, le=60_000)] = 5_000
    overage_policy: OveragePolicy = OveragePolicy.ALLOW_IF_AVAILABLE
    dry_run: bool = False
    observe_mode: ObserveMode | UnsetType = UNSET


class CommitRequest(_Request, frozen=True, kw_only=True):
    """POST /v1/reservations/{reservation_id}/commit"""

    actual: Amount
    metrics: Metrics | UnsetType = UNSET


class ReleaseRequest(_Wire, frozen=True, kw_only=True):
    """POST /v1/reservations/{reservation_id}/release"""

    idempotency_key: IdempotencyKey
    reason: Annotated[str, Meta(max_length=256)] | UnsetType = UNSET


class ExtendRequest(_Request, frozen=True, kw_only=True):
    """POST /v1/reservations/{reservation_id}/extend; counts from the old expiry, not from now."""

    extend_by_ms: Annotated[int, Meta(ge=1, le=86_400_000)]


class EventRequest(_Request, frozen=True, kw_only=True):
    """POST /v1/events"""

    subject: Subject
    action: Action
    actual: Amount
    overage_policy: OveragePolicy = OveragePolicy.ALLOW_IF_AVAILABLE
    metrics: Metrics | UnsetType = UNSET
    client_time_ms: Count | UnsetType = UNSET


class Priority(StrEnum):
    """Whose work goes first when the budget is nearly gone; the tenant's own priority bounds it."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class RunFacts(_Wire, frozen=True, kw_only=True):
    """Which run this is a step of. The server counts its iterations itself; an earlier start than its own counts."""

    run_id: ScopeName
    turn_id: FreeName | UnsetType = UNSET
    iteration: Count | UnsetType = UNSET
    started_at_ms: Moment | UnsetType = UNSET


class TokenSource(StrEnum):
    """How the input tokens were counted: by the runtime, by a tokenizer, or from the number of bytes."""

    RUNTIME = "runtime"
    TOKENIZER = "tokenizer"
    BYTES = "bytes"


class ClassHint(_Wire, frozen=True, kw_only=True):
    """The traffic class that the runtime takes the request for, and how sure it is. The class's own caps hold."""

    name: FreeName = msgspec.field(name="class")
    confidence: Annotated[float, Meta(ge=0, le=1)] = 1.0


class CallFacts(_Wire, frozen=True, kw_only=True, omit_defaults=True):
    """The call that is about to be made. Without a model the class chooses one."""

    endpoint: FreeName | UnsetType = UNSET
    model: FreeName | UnsetType = UNSET
    stream: bool | UnsetType = UNSET
    input_tokens: TokenCount = 0
    input_tokens_source: TokenSource | UnsetType = UNSET
    #: Of the request in UTF-8, where nobody counted tokens: three bytes are taken for one.
    input_bytes: TokenCount | UnsetType = UNSET
    max_output_tokens: TokenCount | UnsetType = UNSET
    tools: Annotated[list[FreeName], Meta(max_length=512)] | UnsetType = UNSET
    capabilities: Annotated[list[FreeName], Meta(max_length=32)] | UnsetType = UNSET
    class_hint: ClassHint | UnsetType = UNSET
    #: The conversation carries what only the run's provider can read: signed reasoning, uploaded files.
    is_provider_bound: bool = False


class Attempt(_Wire, frozen=True, kw_only=True):
    """A further try at the same turn; a promotion names the decision it comes from."""

    n: Count
    of_decision: FreeName | UnsetType = UNSET
    reason: FreeName | UnsetType = UNSET


class AdmitRequest(_Request, frozen=True, kw_only=True):
    """The reservation's fields, the estimate left to the prices where there is none, and what is known of the call."""

    subject: Subject
    action: Action
    estimate: Amount | UnsetType = UNSET
    ttl_ms: Annotated[int, Meta(ge=1_000, le=86_400_000)] = 60_000
    grace_period_ms: Annotated[int, Meta(ge=0, le=60_000)] = 5_000
    overage_policy: OveragePolicy = OveragePolicy.ALLOW_IF_AVAILABLE
    run: RunFacts | UnsetType = UNSET
    request: CallFacts = CallFacts()
    attempt: Attempt | UnsetType = UNSET
    priority: Priority = Priority.NORMAL

    def __post_init__(self) -> None:
        _limit_size("metadata", self.metadata)
        named = run_id(self.subject)
        if named is not None and self.run and self.run.run_id.lower() != named:
            raise FieldError("run.run_id", "must be the run of subject.dimensions, where both are sent")


class UsageEndpoint(StrEnum):
    """The provider's API whose words a usage is in; many providers speak OpenAI's."""

    CHAT_COMPLETIONS = "chat.completions"
    RESPONSES = "responses"
    MESSAGES = "messages"
    EMBEDDINGS = "embeddings"
    GENERATE_CONTENT = "generate_content"


class SettleRequest(_Request, frozen=True, kw_only=True):
    """The provider's usage as it came, of the whole answer or the usage alone; we price it, by the decision's route."""

    reservation_id: Annotated[str, Meta(max_length=128)]
    usage: FreeObject
    endpoint: UsageEndpoint | UnsetType = UNSET
    provider: FreeName | UnsetType = UNSET
    model: FreeName | UnsetType = UNSET
    response_id: FreeName | UnsetType = UNSET
    is_batch: bool = False
    tool_calls: Annotated[dict[FreeName, Annotated[int, Meta(ge=0, le=1_000_000)]], Meta(max_length=64)] | UnsetType = (
        UNSET
    )
    latency_ms: Count | UnsetType = UNSET

    def __post_init__(self) -> None:
        _limit_size("usage", self.usage)
        _limit_size("metadata", self.metadata)


class ToolsRequest(_Wire, frozen=True, kw_only=True):
    """The tool schemas that a runtime is about to offer a model, as OpenAI, Anthropic or Google have them."""

    subject: Subject
    tools: Annotated[list[FreeObject], Meta(max_length=512)]
    tool_choice: str | FreeObject | UnsetType = UNSET


_ENCODER: Final = msgspec.json.Encoder()
_CANONICAL_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def payload_hash(request: msgspec.Struct) -> bytes:
    """16 bytes that are equal for equal requests: order and spacing of the body do not count, defaults do.

    A default that was spelt out equals one that was left out.
    """
    return hashlib.blake2b(_CANONICAL_ENCODER.encode(request), digest_size=16).digest()


def scope_suffixes(subject: Subject) -> list[str]:
    """The scopes of `subject` below its tenant, root first: `["", "/workspace:prod", …]`.

    Lower-cased; levels that were left out are skipped. `subject.tenant` is no part of it.
    """
    suffix = ""
    suffixes = [""]
    if subject.workspace is not UNSET:
        suffix = f"/workspace:{subject.workspace.lower()}"
        suffixes.append(suffix)
    if subject.app is not UNSET:
        suffix = f"{suffix}/app:{subject.app.lower()}"
        suffixes.append(suffix)
    if subject.workflow is not UNSET:
        suffix = f"{suffix}/workflow:{subject.workflow.lower()}"
        suffixes.append(suffix)
    if subject.agent is not UNSET:
        suffix = f"{suffix}/agent:{subject.agent.lower()}"
        suffixes.append(suffix)
    if subject.toolset is not UNSET:
        suffix = f"{suffix}/toolset:{subject.toolset.lower()}"
        suffixes.append(suffix)
    return suffixes


def run_id(subject: Subject) -> str | None:
    """The run that `subject` belongs to (dimension `run`), lower-cased like every scope; None without one."""
    run = subject.dimensions.get("run") if subject.dimensions else None
    return None if run is None else run.lower()


def require_same_key(header: str | None, request_key: str) -> None:
    """Refuses with 400 when the header X-Idempotency-Key was sent and is not the body's key."""
    if header is not None and header != request_key:
        raise invalid_request(
            "The header X-Idempotency-Key differs from idempotency_key. Send the same key, or no header.",
            field="idempotency_key",
        )


def _limit_size(field: str, value: FreeObject | UnsetType) -> None:
    if value is not UNSET and len(_ENCODER.encode(value)) > METADATA_BYTES_MAX:
        raise FieldError(field, "must be at most 64 KiB as JSON")
