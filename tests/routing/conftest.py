"""A price book of its own for each test that asks: the tables are shared by all tenants, and by all tests of a run."""

from collections.abc import Iterator

import pytest
from django.db import connections

from kernel.owner import acting_as_owner


@pytest.fixture
def empty_book(database: None) -> Iterator[None]:
    """An empty price book, and an empty one afterwards."""
    _empty()
    yield
    _empty()


def _empty() -> None:
    with acting_as_owner(), connections["default"].cursor() as cursor:
        # No door deletes a price; the runtime's role may not.
        cursor.execute("TRUNCATE public.price_version, public.price_multiplier")
