"""The scene of the contract tests: tenants with books and keys, and clients that check every answer."""

from collections.abc import Iterator

import pytest

from tenants.models import Tenant
from tests.support.api_client import ApiClient
from tests.support.books import Books


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=1_000_000)
    return books


@pytest.fixture
def api(books: Books, api_url: str) -> Iterator[ApiClient]:
    with ApiClient(api_url, books.key.token) as client:
        yield client


@pytest.fixture
def foreign_books(initech: Tenant) -> Books:
    books = Books(initech)
    books.add_budget(allocated=1_000_000)
    return books


@pytest.fixture
def foreign_api(foreign_books: Books, api_url: str) -> Iterator[ApiClient]:
    with ApiClient(api_url, foreign_books.key.token, slug="initech") as client:
        yield client
