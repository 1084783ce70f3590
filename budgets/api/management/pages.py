"""Pages of a list: stable order, a signed cursor, no counting."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import Model, Q, QuerySet
from rest_framework import serializers

from budgets.api.cursors import Position, mint_cursor, read_cursor
from kernel.http.serialized import Fields, Integer, Text
from kernel.ids import Tag

LIMIT_DEFAULT = 50
LIMIT_MAX = 200


class PageQuery(Fields):
    """Which page of a list."""

    limit = Integer(min_value=1, max_value=LIMIT_MAX, default=LIMIT_DEFAULT)
    cursor = Text(
        max_length=4096, required=False, help_text="The next_cursor of the page before, with the same filters."
    )


class PageFields(Fields):
    """What every list ends with."""

    next_cursor = serializers.CharField(allow_null=True, help_text="Null on the last page.")
    has_more = serializers.BooleanField()


@dataclass(frozen=True, slots=True)
class Page[M: Model]:
    """The rows of one page, and the cursor after them if there are more."""

    rows: list[M]
    next_cursor: str | None

    def facts(self, name: str, items: Sequence[object]) -> dict[str, Any]:
        return {name: items, "next_cursor": self.next_cursor, "has_more": self.next_cursor is not None}


def page_of[M: Model](
    rows: QuerySet[M],
    *,
    order: tuple[str, ...],
    descending: bool = False,
    query: dict[str, Any],
    tag: Tag,
    binding: Any,
) -> Page[M]:
    """The page that `query` asks for. `order` names columns that are unique together; `binding` is what the list
    depends on.

    Refuses with 400 a cursor of another tenant or of other filters.
    """
    limit = query["limit"]
    if (position := position_of(query, tag=tag, binding=binding)) is not None:
        rows = rows.filter(_after(order, position, descending=descending))
    found = list(rows.order_by(*(f"-{column}" if descending else column for column in order))[: limit + 1])
    if len(found) <= limit:
        return Page(rows=found, next_cursor=None)
    last = found[limit - 1]
    after = [_plain(getattr(last, column)) for column in order]
    return Page(rows=found[:limit], next_cursor=cursor_after(after, tag=tag, binding=binding))


def position_of(query: dict[str, Any], *, tag: Tag, binding: Any) -> Position | None:
    """Where the page before ended; None for the first page. Refuses with 400 as `page_of` does."""
    cursor = query.get("cursor")
    return None if cursor is None else read_cursor(cursor, tag=tag, binding=msgspec.json.encode(binding))


def cursor_after(position: Position, *, tag: Tag, binding: Any) -> str:
    """The cursor of the page that begins after `position`."""
    return mint_cursor(position, tag=tag, binding=msgspec.json.encode(binding))


def _after(order: tuple[str, ...], position: Position, *, descending: bool) -> Q:
    comparison = "lt" if descending else "gt"
    condition = Q()
    equal: dict[str, Any] = {}
    for column, value in zip(order, position, strict=True):
        condition |= Q(**equal, **{f"{column}__{comparison}": value})
        equal[column] = value
    # It follows from the others, and only this one goes along an index of the first column.
    return condition & Q(**{f"{order[0]}__{comparison}e": position[0]})


def _plain(value: Any) -> str | int:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
