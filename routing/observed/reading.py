"""What reading a source brings, and what it refuses."""

from dataclasses import dataclass, field
from typing import Final

from budgets.reconciling.calls import Observed
from routing.pricing.usage import Usage

#: Calls of one source: more are reconciled month by month.
CALLS_MAX = 1_000_000
#: In which somebody may have called a model.
YEARS: Final = range(2000, 9000)


class SourceRefused(Exception):
    """The source cannot be read as what it is said to be; the text says why and what to do."""


class NothingToCompare(SourceRefused):
    """The source can be read, and nothing of it is of the time that was asked for."""


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A call whose cost has to be worked out: what was observed, and the usage to price."""

    call: Observed
    usage: Usage


@dataclass(slots=True)
class Read:
    """What was found. `unread` lines were no JSON or had a usage that cannot be true; the first of them are named."""

    calls: list[Observed] = field(default_factory=list)
    unpriced: list[Unpriced] = field(default_factory=list)
    repeated: int = 0
    unread: list[str] = field(default_factory=list)

    def require_room(self) -> None:
        """Raises `SourceRefused` for a source that is too long."""
        if len(self.calls) + len(self.unpriced) > CALLS_MAX:
            raise SourceRefused(f"It has more than {CALLS_MAX:,} calls. Reconcile a shorter time.")
