"""Events that are followed: as `budgets.api.audit.feed`, but in the order of their numbers."""

from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet

from budgets.api.audit.feed import FeedPage, of_this_database
from budgets.api.management.pages import cursor_after, position_of
from kernel.ids import Tag
from telemetry.selectors.settled_events import Reach, reach_now

if TYPE_CHECKING:
    from budgets.api.cursors import Position
    from telemetry.models import OutboxEvent


def event_feed_of(
    rows: "QuerySet[OutboxEvent]", *, query: dict[str, Any], tag: Tag, binding: Any
) -> "FeedPage[OutboxEvent]":
    """The next events, the oldest first. `binding` as in `page_of`.

    Refuses with 400 a cursor of another list, and one of a database that was put back since.
    """
    position = position_of(query, tag=tag, binding=binding)
    after, before = 0, None
    if position is not None:
        after, until, given, begun, ended = (int(number) for number in position)
        before = Reach(until=until, given=given, begun=begun, ended=ended)
    with of_this_database():
        reach, may_be_farther = reach_now(before=before)
    limit = query["limit"]
    page = list(rows.filter(seq__gt=after, seq__lte=reach.until).order_by("seq")[: limit + 1])
    is_full = len(page) > limit
    del page[limit:]
    # Of what lies between, nothing is wanted.
    after = page[-1].seq if is_full else reach.until
    place: Position = [after, reach.until, reach.given, reach.begun, reach.ended]
    return FeedPage(page, cursor_after(place, tag=tag, binding=binding), is_full or may_be_farther)
