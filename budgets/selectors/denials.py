"""Refused calls by cause, of the tenant whose schema the connection is in."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count

from budgets.models import Decision
from budgets.models.choices import Verdict

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
