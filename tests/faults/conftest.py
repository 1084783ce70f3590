"""A server of their own for the tests that kill it, and a tenant in it."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from budgets.services.lifecycle import create_tenant
from kernel.ids import uuid7
from tenants.services.provisioning import NewTenant
from tests.support.books import Books
from tests.support.own_server import OwnServer, own_server, pointed_at


@pytest.fixture(scope="session")
def server_of_ours(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OwnServer]:
    with django_db_blocker.unblock(), own_server(tmp_path_factory.mktemp("own")) as server:
        yield server


@pytest.fixture
def server(server_of_ours: OwnServer, database: None) -> Iterator[OwnServer]:
    """The server, and everything that this process asks of a database goes to it."""
    with pointed_at(server_of_ours.socket_folder):
        yield server_of_ours
        connections.close_all()


@pytest.fixture
def books(server: OwnServer) -> Books:
    """A tenant of this test alone; it stays behind, and goes with the server."""
    slug = f"acme-{uuid7().hex[:20]}"
    books = Books(create_tenant(NewTenant(slug=slug, name="Acme Corporation"), now=datetime.now(UTC)))
    books.add_budget(allocated=1_000_000)
    return books
