"""Whose schema a block runs in."""

import pytest
from django.db import ProgrammingError

from accounts.keys.models import ApiKey
from kernel.ids import mint_tag
from kernel.tenancy import in_public, in_tenant
from tenants.models import Tenant


class TestInTenant:
    def test_a_schema_that_is_gone_is_an_error_and_not_the_shared_one(self, database: None) -> None:
        with in_tenant(mint_tag()), pytest.raises(ProgrammingError):
            ApiKey.objects.count()

    def test_what_was_before_comes_back(self, acme: Tenant) -> None:
        with in_public():
            with in_tenant(acme.tag):
                pass
            assert Tenant.objects.filter(pk=acme.pk).exists()
