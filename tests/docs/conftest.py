"""The demo as `make up` leaves it, without its traffic, in a folder where the commands of the pages work."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from accounts.models import User
from budgets.services.demo.cast import EMAILS
from kernel.lanes import shared_lanes
from kernel.tenancy import in_public
from tenants.models import Plan, Tenant
from tests.plugins.live_api import run_database
from tests.plugins.servers import ROOT
from tests.support.owner import delete_shared
from tests.support.tenants import drop_tenant


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def console_plane() -> Iterator[str]:
    """The console plane in a thread of its own: the pages ask it for the management API alone."""
    server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=_Silent)

    def serve() -> None:
        server.serve_forever(poll_interval=0.05)
        connections.close_all()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder like a checkout after `make up`, and the environment of a shell that stands in it."""

    folder: Path
    environment: dict[str, str]


@pytest.fixture(scope="module")
def checkout(
    api_url: str, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checkout]:
    """One demo for all pages: seeding it takes longer than most of them."""
    folder = tmp_path_factory.mktemp("checkout")
    with django_db_blocker.unblock(), console_plane() as console_url:
        changed = {"VAR_DIR": folder / "var", "API_PORT": urlsplit(api_url).port, "CONSOLE_URL": console_url}
        with override_settings(**changed):
            call_command("seed_demo", without_traffic=True, stdout=StringIO())
        for name in ("examples", "manage.py"):
            (folder / name).symlink_to(ROOT / name)
        python = folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        # The client keeps a journal in the home folder.
        yield Checkout(folder=folder, environment=os.environ | run_database() | {"HOME": str(folder)})
        _clear()


def _clear() -> None:
    """Leave nothing of the demo to the tests of other files."""
    shared_lanes().close()
    with in_public():
        made = list(Tenant.objects.filter(slug__in=["acme", "initech", "globex"]))
    for tenant in made:
        drop_tenant(tenant)
    delete_shared(User.objects.filter(email__in=EMAILS), Plan.objects.all())
    connections.close_all()
