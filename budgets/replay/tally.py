"""What became of the calls of one replay. Amounts in USD_MICROCENTS, times in seconds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A refused reservation in the server's own words and numbers."""

    call_number: int
    reason: str
    scope: str
    requested: int
    remaining: int | None
    message: str
    explain_url: str


@dataclass(slots=True)
class Tally:
    admitted: int = 0
    denied: Counter[tuple[str, str]] = field(default_factory=Counter)
    first_denial: Denial | None = None
    last_admitted: int = 0
    committed: int = 0
    commits_refused: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    repeated: int = 0
    amount_reserved: int = 0
    amount_actual: int = 0
    amount_charged: int = 0
    reserve_seconds: list[float] = field(default_factory=list)
    commit_seconds: list[float] = field(default_factory=list)
    late_seconds_max: float = 0.0
    seconds: float = 0.0

    @property
    def denials(self) -> int:
        return self.denied.total()

    def deny(self, denial: Denial) -> None:
        self.denied[denial.reason, denial.scope] += 1
        if self.first_denial is None or denial.call_number < self.first_denial.call_number:
            self.first_denial = denial


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the sorted `values` that at least `share` of them do not exceed (nearest rank)."""
    return values[max(ceil(share * len(values)), 1) - 1]
