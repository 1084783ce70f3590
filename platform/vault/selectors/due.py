"""Which tenants have credential references that nobody has looked at for a while, or leases to be ended."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import batched

from kernel.across import TENANTS_MAX, rows_across
from kernel.ids import Tag
from kernel.tenancy import in_public


def tags_due(tags: Iterable[Tag], *, before: datetime) -> Iterator[Tag]:
    """Those of `tags` with an active reference that was not looked at since `before`, or with leases that are over.

    One query for 25 tenants.
    """
    for some in batched(tags, TENANTS_MAX):
        with in_public():
            rows = rows_across("vault", "references_due", some, {"before": before})
        yield from (Tag(row["tag"]) for row in rows)
