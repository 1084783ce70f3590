"""The bodies of Watermaster's own operations: admit, settle and tools."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from budgets.api.parts import (
    Action,
    Amount,
    Count,
    FreeName,
    FreeObject,
    KeyedBody,
    OveragePolicy,
    ScopeName,
    Subject,
    Wire,
    limit_size,
    run_id,
)
from budgets.services.rule_parts import Priority
from kernel.http.explain import FieldError

#: More than any provider serves in a call; sums of such counts stay within 64 bits.
TokenCount = Annotated[int, Meta(ge=0, le=10**10)]
#: Milliseconds since 1970, until the end of the year 9999.
Moment = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]


class RunFacts(Wire, frozen=True, kw_only=True):
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


class ClassHint(Wire, frozen=True, kw_only=True):
    """The traffic class that the runtime takes the request for, and how sure it is. The class's own caps hold."""

    name: FreeName = msgspec.field(name="class")
    confidence: Annotated[float, Meta(ge=0, le=1)] = 1.0


class CallFacts(Wire, frozen=True, kw_only=True, omit_defaults=True):
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


class Attempt(Wire, frozen=True, kw_only=True):
    """A further try at the same turn; a promotion names the decision it comes from."""

    n: Count
    of_decision: FreeName | UnsetType = UNSET
    reason: FreeName | UnsetType = UNSET


class AdmitRequest(KeyedBody, frozen=True, kw_only=True):
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
        limit_size("metadata", self.metadata)
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


class SettleRequest(KeyedBody, frozen=True, kw_only=True):
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
    time_to_first_token_ms: Count | UnsetType = UNSET

    def __post_init__(self) -> None:
        limit_size("usage", self.usage)
        limit_size("metadata", self.metadata)


class ToolsRequest(Wire, frozen=True, kw_only=True):
    """The tool schemas that a runtime is about to offer a model, as OpenAI, Anthropic or Google have them."""

    subject: Subject
    tools: Annotated[list[FreeObject], Meta(max_length=512)]
    tool_choice: str | FreeObject | UnsetType = UNSET


class LeaseRequest(Wire, frozen=True, kw_only=True):
    """Which credential, and the decision that it is for. `previous` asks for the place before a rotation."""

    scope: Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9_.:-]{0,255}\Z", description="a scope, as in slack:write")]
    decision_id: Annotated[str, Meta(max_length=128)]
    previous: bool = False


class HeldLeaseRequest(Wire, frozen=True, kw_only=True):
    """Which lease, by the id that leasing answered."""

    lease_id: Annotated[
        str,
        Meta(
            pattern=r"\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z",
            description="the id of a lease, as leasing answered it",
        ),
    ]
