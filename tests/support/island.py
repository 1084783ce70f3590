"""A pair of servers and a tenant that nobody else uses, for tests that stop and freeze them.

As a program (``python -m tests.support.island``) it makes the tenant in the servers that the environment names, and
prints its key.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from kernel.embedded import Layout, Servers
from kernel.embedded.postgres import Postgres
from kernel.embedded.valkey import Valkey
from tests.plugins.live_api import LiveApi, free_port, start_api, stop_api
from tests.plugins.servers import ROOT

ALLOCATED = 1_000_000


@dataclass(frozen=True, slots=True)
class Island:
    """Servers, an api process over them, and the tenant `acme` with one budget of `ALLOCATED`."""

    servers: Servers
    api: LiveApi
    token: str

    @property
    def postgres(self) -> Postgres:
        return Postgres(layout=self.servers.layout, account=self.servers.account())

    @property
    def valkey(self) -> Valkey:
        return Valkey(layout=self.servers.layout, account=self.servers.account())

    @contextmanager
    def postgres_stopped(self) -> Iterator[None]:
        """It is gone for as long as the block lasts, as for a restart."""
        self.postgres.stop()
        try:
            yield
        finally:
            self.servers.start()

    @contextmanager
    def postgres_frozen(self) -> Iterator[None]:
        """It keeps its connections and says nothing for as long as the block lasts, as on a machine that hangs."""
        pid = self.postgres.postmaster_pid()
        assert pid is not None
        postmaster = psutil.Process(pid)
        postmaster.send_signal(signal.SIGSTOP)
        family = [postmaster, *postmaster.children()]
        for process in family:
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(family):
                process.send_signal(signal.SIGCONT)

    @contextmanager
    def valkey_stopped(self) -> Iterator[None]:
        self.valkey.stop()
        try:
            yield
        finally:
            self.servers.start()

    def wait_until_ready(self, *, seconds_max: float = 15) -> float:
        """How long it took until the api answers again. Nobody helps it."""
        started = time.monotonic()
        while httpx.get(f"{self.api.url}/readyz").status_code != 200:
            assert time.monotonic() - started < seconds_max, "The api did not recover."
            time.sleep(0.05)
        return time.monotonic() - started


@contextmanager
def island(folder: Path) -> Iterator[Island]:
    """Everything started, and everything stopped in the end."""
    servers = Servers(Layout(folder / "var"))
    servers.start()
    layout = servers.layout
    environment = {
        "WATERMASTER_VAR": str(layout.root),
        "DATABASE_URL": layout.database_url(user="watermaster_runtime"),
        "DATABASE_OWNER_URL": layout.database_url(user="watermaster_owner"),
        "REDIS_URL": layout.redis_url,
    }
    try:
        made = json.loads(
            subprocess.run(
                [sys.executable, "-m", "tests.support.island"],
                env=os.environ | environment | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}"},
                cwd=ROOT,
                check=True,
                stdout=subprocess.PIPE,
                timeout=120,
            ).stdout
        )
        port, output = free_port(), folder / "api.txt"
        process = start_api(port, output=output, servers=environment)
        try:
            yield Island(
                servers=servers,
                api=LiveApi(url=f"http://127.0.0.1:{port}", process=process, output=output),
                token=made["token"],
            )
        finally:
            stop_api(process)
    finally:
        servers.stop()


def _make_tenant() -> str:
    """Migrates, makes `acme`, and returns its key."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()

    from datetime import UTC, datetime

    from django.core.management import call_command

    from budgets.services.lifecycle import create_tenant
    from tenants.services.provisioning import NewTenant
    from tests.support.books import Books

    call_command("migrate_all", shared=True, verbosity=0)
    tenant = create_tenant(NewTenant(slug="acme", name="Acme Corporation"), now=datetime.now(UTC))
    books = Books(tenant)
    books.add_budget(allocated=ALLOCATED)
    return books.key.token


if __name__ == "__main__":
    print(json.dumps({"token": _make_tenant()}))
