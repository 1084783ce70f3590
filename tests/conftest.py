"""What every test may ask for: a database of its own run, and the cast.

The cast: tenants `acme` (enterprise) and `initech` (trial), each new to the test that asks, and gone after it.
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from kernel.lanes import shared_lanes
from tenants.models import Tenant
from tenants.services.provisioning import NewTenant
from tests.plugins.database import database, django_db_setup
from tests.plugins.live_api import api_url, live_api
from tests.support.tenants import drop_tenant, make_tenant

# Nothing fails for being slow.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

__all__ = ["api_url", "database", "django_db_setup", "live_api"]


def _tenant(slug: str, name: str, time_zone: str) -> Iterator[Tenant]:
    tenant = make_tenant(NewTenant(slug=slug, name=name, time_zone=time_zone))
    yield tenant
    shared_lanes().close()
    drop_tenant(tenant)


@pytest.fixture
def acme(database: None) -> Iterator[Tenant]:
    yield from _tenant("acme", "Acme Corporation", "Asia/Kolkata")


@pytest.fixture
def initech(database: None) -> Iterator[Tenant]:
    yield from _tenant("initech", "Initech", "America/New_York")
