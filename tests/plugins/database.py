"""One database for each run: real commits, dropped at the end.

Each run (and each xdist worker) makes a database whose name carries its process id. Nothing is flushed
between tests: the runtime's role could not, and every test keeps to tenants of its own.
"""

import os
import re
from collections.abc import Iterator
from typing import Any

import psutil
import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from psycopg import sql
from pytest_django import DjangoDbBlocker

from tests.plugins.servers import LAYOUT, USES_EMBEDDED

DATABASE_PREFIX = "test_watermaster_"


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A fresh, migrated database for this run, used by both aliases."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"{DATABASE_PREFIX}{os.getpid()}_{worker}"
    admin_url = _admin_url(settings.DATABASES["owner"])
    with psycopg.connect(admin_url, autocommit=True) as admin:
        _drop_leftovers(admin)
        admin.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(name), sql.Identifier(settings.DATABASES["owner"]["USER"])
            )
        )
    for alias in ("default", "owner"):
        settings.DATABASES[alias]["NAME"] = name
        connections[alias].settings_dict["NAME"] = name
    try:
        with django_db_blocker.unblock():
            call_command("migrate_all", shared=True, verbosity=0)
        yield
    finally:
        with django_db_blocker.unblock():
            connections.close_all()
        with psycopg.connect(admin_url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            _drop_idle_roles(admin)


@pytest.fixture
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The run's database with real commits and nothing flushed: a test keeps to tenants of its own."""
    with django_db_blocker.unblock():
        yield
        connection: Any  # django-tenants has no types
        for connection in connections.all(initialized_only=True):
            connection.set_schema_to_public()
            # An open one would be looked at by the next request of a test that may not use the database.
            connection.close()


def _admin_url(owner: dict[str, str]) -> str:
    if USES_EMBEDDED:
        return LAYOUT.database_url(user="postgres", database="postgres")
    return os.environ.get("DATABASE_OWNER_URL") or os.environ["DATABASE_URL"]


def _drop_leftovers(admin: psycopg.Connection) -> None:
    """Drop the databases of runs that were killed: their process no longer exists."""
    names = admin.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [DATABASE_PREFIX])
    for (name,) in names.fetchall():
        match = re.fullmatch(rf"{DATABASE_PREFIX}(\d+)_\w+", name)
        if match and not psutil.pid_exists(int(match[1])):
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    _drop_idle_roles(admin)


def _drop_idle_roles(admin: psycopg.Connection) -> None:
    """Drop the roles of tenants that are in no database any more: roles belong to the whole server."""
    idle = admin.execute(
        "SELECT rolname FROM pg_roles AS r WHERE rolname ~ '^watermaster_(spare_)?t_[a-z2-7]{20}$' AND NOT EXISTS"
        " (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = r.oid AND dbid <> 0)"
    )
    for (name,) in idle.fetchall():
        # Another run may do the same at the same moment.
        admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
