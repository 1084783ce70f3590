"""The two sides of a reconciliation: what was observed elsewhere, and what the ledger has booked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any


class Source(StrEnum):
    """Where the observations come from."""

    INVOICE = "invoice"
    SESSION_LOG = "session_log"
    SPANS = "spans"


class Finding(StrEnum):
    """What a difference is: not booked though observed, booked though not observed, or booked otherwise."""

    MISSING = "missing"
    EXTRA = "extra"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One call that somebody else counted, or with `day` all calls of a model on that day.

    `references` are the provider's ids of the call, none for a day. Numbers that the source does not say are None;
    `cost` is in USD_MICROCENTS. `place` says where in the source it stands, as `line 12`.
    """

    model: str
    place: str
    provider: str = ""
    references: tuple[str, ...] = ()
    at: datetime | None = None
    day: date | None = None
    calls: int | None = 1
    tokens_input: int | None = None
    tokens_output: int | None = None
    cost: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """One charge of the ledger. `cost` is the provider's, in USD_MICROCENTS; None where the charge was not priced.

    `provider` is that of its price or its route. `prefix` is what stands before the model in its action's name, as in
    `openai:gpt-4o`, and may be anything.
    """

    seq: int
    at: datetime
    model: str
    provider: str = ""
    prefix: str = ""
    references: tuple[str, ...] = ()
    scope_path: str = ""
    tokens_input: int | None = None
    tokens_output: int | None = None
    cost: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not the same on both sides; what a side does not have or say is None."""

    finding: Finding
    model: str
    reference: str = ""
    at: datetime | None = None
    day: date | None = None
    place: str = ""
    seq: int | None = None
    scope_path: str = ""
    tokens_input: tuple[int | None, int | None] = (None, None)
    tokens_output: tuple[int | None, int | None] = (None, None)
    cost: tuple[int | None, int | None] = (None, None)

    @property
    def cost_difference(self) -> int:
        """Observed less booked, in USD_MICROCENTS; what is not known counts as nothing."""
        return (self.cost[0] or 0) - (self.cost[1] or 0)

    def as_document(self) -> dict[str, Any]:
        """What is kept of it."""
        return {
            "finding": self.finding,
            "model": self.model,
            "reference": self.reference,
            "at": self.at.isoformat() if self.at else None,
            "day": self.day.isoformat() if self.day else None,
            "place": self.place,
            "seq": self.seq,
            "scope_path": self.scope_path,
            "tokens_input": list(self.tokens_input),
            "tokens_output": list(self.tokens_output),
            "cost": list(self.cost),
        }


@dataclass(frozen=True, slots=True)
class Side:
    """One side together. What a call does not say counts as nothing."""

    calls: int = 0
    tokens_input: int = 0
    tokens_output: int = 0
    cost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of it. `matched` calls, or days of a model, are on both sides, drift or not.

    Of the booked calls `unnamed` name no provider, and of these `unplaced` have a model that nobody is known to sell.
    """

    observed: Side
    booked: Side
    matched: int
    differences: tuple[Difference, ...]
    counts: Mapping[Finding, int] = field(default_factory=dict)
    unnamed: int = 0
    unplaced: int = 0

    @property
    def is_clean(self) -> bool:
        return not self.differences
