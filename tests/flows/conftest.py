"""What the flows share: one tenant for a module, and an api process that a test may kill."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from pytest_django import DjangoDbBlocker

from accounts.models import User
from budgets.services.demo.cast import EMAILS
from budgets.services.plan_catalogue import CATALOGUE
from kernel.lanes import shared_lanes
from tenants.models import Plan, Tenant
from tests.plugins.live_api import free_port, start_api
from tests.support.books import Books
from tests.support.owner import delete_shared
from tests.support.standing import standing_tenant
from tests.support.tenants import drop_tenant


@pytest.fixture(scope="module")
def standing_books(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Books]:
    """One tenant for all tests of a module; each minds scopes of its own."""
    with django_db_blocker.unblock(), standing_tenant("globex") as tenant:
        books = Books(tenant)
        books.add_budget(allocated=1_000_000_000)
        yield books


@dataclass(slots=True)
class MortalApi:
    """An api process at an address that stays the same when it is killed and started again."""

    output: Path
    port: int = field(default_factory=free_port)
    _process: psutil.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._process is None:
            self._process = psutil.Process(start_api(self.port, output=self.output).pid)

    def kill(self) -> None:
        """All of it at once, as a machine that loses power."""
        if self._process is None:
            return
        family = [*self._process.children(recursive=True), self._process]
        for process in family:
            process.kill()
        psutil.wait_procs(family, timeout=10)
        self._process = None


@pytest.fixture(scope="module")
def _mortal_api(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MortalApi]:
    api = MortalApi(output=tmp_path_factory.mktemp("mortal") / "api.txt")
    yield api
    api.kill()


@pytest.fixture
def mortal_api(_mortal_api: MortalApi) -> MortalApi:
    """Runs when the test begins."""
    _mortal_api.start()
    return _mortal_api


@pytest.fixture
def folder(database: None, settings: Any, tmp_path: Path) -> Iterator[Path]:
    """An empty var folder; what the demo made is cleared away after the test."""
    settings.VAR_DIR = tmp_path
    yield tmp_path
    shared_lanes().close()
    for tenant in Tenant.objects.filter(slug__in=["acme", "initech"]):
        drop_tenant(tenant)
    delete_shared(
        User.objects.filter(email__in=EMAILS),
        Plan.objects.filter(code__in=[plan.code for plan in CATALOGUE], tenants=None),
    )
