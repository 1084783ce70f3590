"""The newest decisions of several tenants together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from budgets.models.choices import Verdict
from budgets.selectors.across import rows_across
from budgets.selectors.decisions import DecisionLine
from kernel.ids import Tag

#: So many of each tenant's newest decisions are looked at: with a filter that means few, no more are found.
SCANNED_EACH: Final = 500
#: The same where the tail is of one tenant.
SCANNED_ALONE: Final = 5_000


@dataclass(frozen=True, slots=True)
class TailLine:
    """A decision and whose it is."""

    tag: Tag
    decision: DecisionLine


def tail(tags: Sequence[Tag], *, verdict: str = "", reason: str = "", limit: int) -> list[TailLine]:
    """The newest decisions of these tenants, the newest first; `verdict` is `deny`, `allow` or empty. One query."""
    parameters = {
        "verdict": verdict,
        "reason": reason,
        "scanned": SCANNED_ALONE if len(tags) == 1 else SCANNED_EACH,
        "at_most": limit,
    }
    rows = rows_across("tail_denied" if verdict == "deny" or reason else "tail", tags, parameters)
    # Ids are made in order of time.
    rows.sort(key=lambda row: row["id"], reverse=True)
    return [_line(row) for row in rows[:limit]]


def _line(row: dict[str, Any]) -> TailLine:
    tag = Tag(row.pop("tag"))
    return TailLine(tag=tag, decision=DecisionLine(**row | {"verdict": Verdict(row["verdict"])}))
