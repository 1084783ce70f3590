"""The blast radius of a namespace or a cache key: which tenants used it, in how many traces, since when, by whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import batched
from typing import Final

from budgets.selectors.across import TENANTS_MAX, rows_across
from kernel.ids import Tag

#: Tenants that are looked at: those that sent spans last.
LOOKED_AT_MAX: Final = 4 * TENANTS_MAX
#: Agents of one tenant that are named; where there are more, `agents` has one more than that.
AGENTS_MAX: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """One tenant that used it. `without_agent` are spans that name no agent; `trace_id` is the latest trace."""

    tag: Tag
    spans: int
    traces: int
    first_at: datetime
    last_at: datetime
    agents: tuple[str, ...]
    without_agent: int
    trace_id: str


def reach_of(text: str, tags: Sequence[Tag]) -> list[Reached]:
    """Who used it first comes first. A query for each 25 of the tenants; nobody where `text` is empty."""
    if not text:
        return []
    rows = [
        row
        for some in batched(tags[:LOOKED_AT_MAX], TENANTS_MAX)
        for row in rows_across("evidence_reach", some, {"text": text, "agents": AGENTS_MAX + 1})
    ]
    found = [Reached(**row | {"tag": Tag(row["tag"]), "agents": tuple(row["agents"])}) for row in rows]
    return sorted(found, key=lambda each: (each.first_at, each.tag))
