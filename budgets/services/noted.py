"""One decision as those who watch see it."""

from dataclasses import dataclass
from typing import NamedTuple

from budgets.services.operations import Answer, Operation
from kernel.http.correlation import Correlation
from kernel.ids import Tag


class Meaning(NamedTuple):
    """What an answer means in a few words: which operation, what came of it, and why it was refused, if it was.

    `result` is allow, allow_with_caps, deny, done, replayed, refused or unavailable.
    """

    operation: str
    result: str
    reason: str


@dataclass(frozen=True, slots=True)
class Noted:
    """One operation and what came of it. Times are of the process's performance counter, in nanoseconds.

    `answer` is None where the books could not be asked.
    """

    tag: Tag
    operation: Operation
    answer: Answer | None
    began_ns: int
    ended_ns: int
    meaning: Meaning
    correlation: Correlation | None = None
