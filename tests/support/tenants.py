"""Making a test's tenant, and clearing it away."""

from datetime import UTC, datetime
from typing import cast

from django.db import connections
from django_tenants.postgresql_backend.base import DatabaseWrapper

from budgets.services.lifecycle import SYSTEM, create_tenant
from kernel.actor import Actor
from kernel.owner import acting_as_owner
from kernel.roles import tenant_role
from telemetry.findings.models import EvidenceStanding
from tenants.models import Domain, Tenant
from tenants.services.provisioning import NewTenant, create_schema, register_tenant
from tests.support.owner import delete_shared
from tests.support.schemas import schemas


def make_tenant(new: NewTenant, *, actor: Actor = SYSTEM) -> Tenant:
    """What `create_tenant` makes; the schema may be one that served another test's tenant before."""
    now = datetime.now(UTC)
    tenant = register_tenant(new, now=now)
    if not schemas().rename_one(tenant.schema_name):
        create_schema(tenant.tag)
        schemas().note(tenant.schema_name)
    # It finds the tenant half made, and makes the rest.
    return create_tenant(new, now=now, actor=actor)


def drop_tenant(tenant: Tenant) -> None:
    """The schema, its role and the directory's lines; a test only: the program closes tenants and keeps their books."""
    if not schemas().take_back(tenant.schema_name):
        with acting_as_owner():
            connection = cast("DatabaseWrapper", connections["default"])
            connection.set_schema_to_public()
            with connection.cursor() as cursor:
                cursor.execute(f'DROP SCHEMA IF EXISTS "{tenant.schema_name}" CASCADE')
                cursor.execute(f'DROP ROLE IF EXISTS "{tenant_role(tenant.schema_name)}"')
    delete_shared(
        Domain.objects.filter(tenant_id=tenant.pk),
        Tenant.objects.filter(pk=tenant.pk),
        # What it says is read in the schema, which is gone.
        EvidenceStanding.objects.filter(tag=tenant.tag),
    )
