"""Reading the same of several tenants' books in one statement, from a file of `budgets/sql`."""

from collections.abc import Mapping, Sequence
from typing import Any

from kernel import across
from kernel.across import TENANTS_MAX
from kernel.ids import Tag

__all__ = ["TENANTS_MAX", "rows_across"]


def rows_across(name: str, tags: Sequence[Tag], parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of `budgets/sql/<name>.sql` for each of these tenants, as `kernel.across.rows_across` reads them."""
    return across.rows_across("budgets", name, tags, parameters)
