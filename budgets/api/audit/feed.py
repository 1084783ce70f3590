"""A list that is followed: every page has a cursor, and behind the last one comes what was written since.

Whoever asks again and again with the cursor that it got last is given every row once, in the order of their times as
far as they were there at once, and misses none, however long a transaction took.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from budgets.api.cursors import Position
from budgets.api.management.pages import cursor_after, position_of
from kernel.http.errors import invalid_request
from kernel.ids import Tag
from telemetry.selectors.settled import Mark, MarkFromElsewhere, between, mark_now

_BEGINNING: Final = Mark(xid=0, ms=0)


@dataclass(frozen=True, slots=True)
class FeedPage[M: Model]:
    """Some rows, and the cursor behind them. `has_more`: the next page is there already."""

    rows: list[M]
    next_cursor: str
    has_more: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """Behind the row `last` of those that were written between two marks; without it, before all of them."""

    after: Mark
    until: Mark
    last: tuple[datetime, UUID] | None

    @classmethod
    def read(cls, position: Position) -> "_Place":
        after_xid, after_ms, until_xid, until_ms, *last = position
        return cls(
            after=Mark(xid=int(after_xid), ms=int(after_ms)),
            until=Mark(xid=int(until_xid), ms=int(until_ms)),
            last=(datetime.fromisoformat(str(last[0])), UUID(str(last[1]))) if last else None,
        )

    @property
    def position(self) -> Position:
        last: Position = [] if self.last is None else [self.last[0].isoformat(), str(self.last[1])]
        return [self.after.xid, self.after.ms, self.until.xid, self.until.ms, *last]


def feed_of[M: Model](rows: QuerySet[M], *, query: dict[str, Any], tag: Tag, binding: Any) -> FeedPage[M]:
    """The next rows, which have `at` and `id`; the oldest first. `binding` as in `page_of`. Two queries.

    Refuses with 400 a cursor of another list, and one of a database that was put back since.
    """
    position = position_of(query, tag=tag, binding=binding)
    place = _here(None if position is None else _Place.read(position))
    found = between(rows, after=None if place.after == _BEGINNING else place.after, until=place.until)
    if place.last is not None:
        at, last_id = place.last
        # The last condition follows from the others, and goes along the index of times.
        found = found.filter(Q(at__gt=at) | Q(at=at, id__gt=last_id), at__gte=at)
    limit = query["limit"]
    page: list[Any] = list(found.order_by("at", "id")[: limit + 1])
    has_more = len(page) > limit
    del page[limit:]
    if has_more:
        place = _Place(after=place.after, until=place.until, last=(page[-1].at, page[-1].id))
    else:
        place = _Place(after=place.until, until=place.until, last=None)
    return FeedPage(page, cursor_after(place.position, tag=tag, binding=binding), has_more)


def _here(before: _Place | None) -> _Place:
    """Where this page begins: within the rows of the page before, or with those written since."""
    with of_this_database():
        now = mark_now(since=None if before is None else before.until)
    if before is None:
        return _Place(after=_BEGINNING, until=now, last=None)
    return before if before.last is not None else _Place(after=before.until, until=now, last=None)


@contextmanager
def of_this_database() -> Iterator[None]:
    """Refuses with 400 where a block finds that its cursor is of a later state of the database."""
    try:
        yield
    except MarkFromElsewhere:
        raise invalid_request(
            "The database was put back to an earlier state since this cursor. Begin again without it, with from.",
            field="cursor",
        ) from None
