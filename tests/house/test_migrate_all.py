"""`manage.py migrate_all` visits the schemas that are behind, and only those."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.core.management import call_command
from django.db import connections

from kernel.ids import schema_name
from kernel.owner import acting_as_owner
from tenants.services.migrating import schemas_behind
from tenants.services.provisioning import NewTenant, create_schema, register_tenant
from tests.support.tenants import drop_tenant

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def schema() -> Iterator[str]:
    tenant = register_tenant(NewTenant(slug="left-behind", name="Left Behind"), now=datetime.now(UTC))
    create_schema(tenant.tag)
    yield schema_name(tenant.tag)
    drop_tenant(tenant)


class TestMigrateAll:
    def test_brings_a_schema_that_is_behind_up_to_date(self, schema: str) -> None:
        with acting_as_owner():
            assert schema not in schemas_behind()
            with connections["default"].cursor() as cursor:
                cursor.execute(f"DELETE FROM {schema}.django_migrations WHERE app = 'routing'")

            assert schema in schemas_behind()

        call_command("migrate_all", verbosity=0)

        with acting_as_owner():
            assert schemas_behind() == []
