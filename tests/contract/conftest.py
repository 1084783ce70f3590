"""The scene of the contract tests: tenants with books and keys, and clients that check every answer.

`books` is made anew for each test. `standing_books` stands for a module, for tests that change nothing or mind only
what they made themselves.
"""

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from tenants.models import Tenant
from tests.support.api_client import ApiClient
from tests.support.books import Books
from tests.support.standing import standing_tenant


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


@pytest.fixture(scope="module")
def standing_books(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Books]:
    with django_db_blocker.unblock(), standing_tenant("globex") as tenant:
        books = Books(tenant)
        books.add_budget(allocated=1_000_000)
        yield books


@pytest.fixture(scope="module")
def standing_api(standing_books: Books, api_url: str) -> Iterator[ApiClient]:
    with ApiClient(api_url, standing_books.key.token, slug="globex") as client:
        yield client
