"""What came of the worker's last look for old rows."""

from dataclasses import dataclass
from datetime import datetime

from kernel.ids import Tag
from kernel.tenancy import in_public
from tenants.models import KeepingVisit


@dataclass(frozen=True, slots=True, kw_only=True)
class LastVisit:
    """`visited_at` is None before the first; `trouble` says why not all went, empty where all is well."""

    visited_at: datetime | None = None
    due_at: datetime | None = None
    dropped: int = 0
    trouble: str = ""


def last_visit(tag: Tag) -> LastVisit:
    """One query."""
    with in_public():
        visit = KeepingVisit.objects.filter(pk=tag).first()
    if visit is None:
        return LastVisit()
    return LastVisit(visited_at=visit.visited_at, due_at=visit.due_at, dropped=visit.dropped, trouble=visit.trouble)
