"""Refused calls by cause, of the tenant whose schema the connection is in, or of several tenants."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count

from budgets.models import Decision
from budgets.models.choices import Verdict
from budgets.selectors.across import rows_across
from kernel.ids import Tag

#: A flood is counted up to here: a page does not need to know how much more it was.
DENIALS_COUNTED_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Cause:
    """How many calls were refused for one reason."""

    reason_code: str
    count: int


@dataclass(frozen=True, slots=True)
class Denials:
    """The causes, most frequent first. `is_cut`: only the newest `DENIALS_COUNTED_MAX` were counted."""

    causes: tuple[Cause, ...]
    is_cut: bool

    @property
    def count(self) -> int:
        return sum(cause.count for cause in self.causes)


NO_DENIALS: Final = Denials(causes=(), is_cut=False)


def denials(*, since: datetime) -> Denials:
    """Refused calls since a moment. One query, along the index of refusals."""
    newest = Decision.objects.filter(verdict=Verdict.DENY, at__gte=since).order_by("-at")[:DENIALS_COUNTED_MAX]
    rows = (
        Decision.objects.filter(pk__in=newest.values("pk"))
        .values_list("reason_code")
        .annotate(count=Count("pk"))
        .order_by("-count", "reason_code")
    )
    causes = tuple(Cause(reason_code=reason_code or "", count=count) for reason_code, count in rows)
    return Denials(causes=causes, is_cut=sum(cause.count for cause in causes) >= DENIALS_COUNTED_MAX)


def denied_across(tags: Sequence[Tag], *, since: datetime, reason: str = "") -> dict[Tag, dict[str, int]]:
    """Refused calls of several tenants by cause, from their sums: whole quarters of an hour. One query."""
    found: dict[Tag, dict[str, int]] = {}
    for row in rows_across("denied_of_rollups", tags, {"since": since, "reason": reason}):
        found.setdefault(Tag(row["tag"]), {})[row["reason_code"]] = int(row["count"])
    return found
