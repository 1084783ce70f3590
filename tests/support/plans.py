"""Plans and tenants on them, for tests that need rules."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from kernel.lanes import shared_lanes
from tenants.models import Plan, Tenant
from tenants.services.plans import publish_plan
from tenants.services.provisioning import NewTenant
from tests.support.books import TEST_ACTOR
from tests.support.tenants import drop_tenant, make_tenant

USD = 10**8


def a_plan(code: str | None = None, **defaults: Any) -> Plan:
    """A published version; of a plan of its own unless named."""
    return publish_plan(
        code=code or f"plan-{uuid4().hex[:12]}",
        name="Plan",
        price=0,
        defaults=defaults,
        actor=TEST_ACTOR,
        now=datetime.now(UTC),
    )


def money(allocated: int, **fields: Any) -> dict[str, Any]:
    return {"unit": "USD_MICROCENTS", "allocated": allocated} | fields


@contextmanager
def tenant_on(plan: Plan | None, *, slug: str = "umbrella", time_zone: str = "UTC") -> Iterator[Tenant]:
    """A new tenant that is gone after the block."""
    new = NewTenant(slug=slug, name="Umbrella", time_zone=time_zone, plan=plan)
    tenant = make_tenant(new, actor=TEST_ACTOR)
    try:
        yield tenant
    finally:
        shared_lanes().close()
        drop_tenant(tenant)
