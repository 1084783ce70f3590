"""What the bodies of the runtime plane are made of: names, amounts, whom a cost is for, what is about to be done.

An optional field that was left out is UNSET; a null is refused, and so is a field that nobody knows.
"""

import re
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

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
FreeName = Annotated[str, Meta(min_length=1, max_length=256)]
FreeObject = dict[str, Any]


_ENCODER: Final = msgspec.json.Encoder()


class OveragePolicy(StrEnum):
    """What happens when the actual cost exceeds what was held."""

    REJECT = "REJECT"
    ALLOW_IF_AVAILABLE = "ALLOW_IF_AVAILABLE"
    ALLOW_WITH_OVERDRAFT = "ALLOW_WITH_OVERDRAFT"


class Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all bodies and their parts share."""


class Subject(Wire, frozen=True, kw_only=True):
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


class Action(Wire, frozen=True, kw_only=True):
    """What is about to be done, as in kind `llm.completion`, name `openai:gpt-4o-mini`."""

    kind: Annotated[str, Meta(max_length=64)]
    name: Annotated[str, Meta(max_length=256)]
    tags: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=10)] | UnsetType = UNSET
    policy_keys: FreeObject | UnsetType = UNSET

    def __post_init__(self) -> None:
        limit_size("policy_keys", self.policy_keys)


class Amount(Wire, frozen=True, kw_only=True):
    """So many of a unit, 0 to 2^63-1."""

    unit: Unit
    amount: Count


class Metrics(Wire, frozen=True, kw_only=True):
    """What the call measured; kept, never judged."""

    tokens_input: Count | UnsetType = UNSET
    tokens_output: Count | UnsetType = UNSET
    latency_ms: Count | UnsetType = UNSET
    model_version: Annotated[str, Meta(max_length=128)] | UnsetType = UNSET
    custom: FreeObject | UnsetType = UNSET

    def __post_init__(self) -> None:
        limit_size("custom", self.custom)


class Keyed(Wire, frozen=True, kw_only=True):
    """A body that may be sent again under its key."""

    idempotency_key: IdempotencyKey


class KeyedBody(Keyed, frozen=True, kw_only=True):
    """One with metadata of at most 64 KiB, if any."""

    metadata: FreeObject | UnsetType = UNSET

    def __post_init__(self) -> None:
        limit_size("metadata", self.metadata)


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


def limit_size(field: str, value: FreeObject | UnsetType) -> None:
    if value is not UNSET and len(_ENCODER.encode(value)) > METADATA_BYTES_MAX:
        raise FieldError(field, "must be at most 64 KiB as JSON")
