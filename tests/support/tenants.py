"""Clearing away a test's tenant."""

from typing import cast

from django.db import connections
from django_tenants.postgresql_backend.base import DatabaseWrapper

from kernel.owner import acting_as_owner
from tenants.models import Domain, Tenant
from tests.support.owner import delete_shared


def drop_tenant(tenant: Tenant) -> None:
    """The schema and the directory's lines; a test only: the program closes tenants and keeps their books."""
    with acting_as_owner():
        connection = cast("DatabaseWrapper", connections["default"])
        connection.set_schema_to_public()
        with connection.cursor() as cursor:
            cursor.execute(f'DROP SCHEMA IF EXISTS "{tenant.schema_name}" CASCADE')
    delete_shared(Domain.objects.filter(tenant_id=tenant.pk), Tenant.objects.filter(pk=tenant.pk))
