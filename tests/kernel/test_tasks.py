"""The base of tasks that work for one tenant: which tenant, or none at all."""

from typing import Any

import pytest
from celery import shared_task
from django.db import connection

from kernel.ids import PLATFORM_TAG
from kernel.tasks import TagMalformed, TagMissing, TenantGone, TenantTask
from tenants.models import Tenant


@shared_task(base=TenantTask, name="tests.where_am_i")
def where_am_i(*, tag: str) -> str:
    return _current_schema()


@shared_task(base=TenantTask, name="tests.fail")
def fail(*, tag: str) -> None:
    raise RuntimeError(tag)


def _current_schema() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        return str(cursor.fetchone()[0])


class TestTenantTask:
    def test_runs_in_the_schema_of_its_tenant(self, acme: Tenant, initech: Tenant) -> None:
        assert where_am_i(tag=acme.tag) == acme.schema_name
        assert where_am_i(tag=initech.tag) == initech.schema_name

    def test_leaves_the_connection_in_the_shared_schema(self, acme: Tenant) -> None:
        where_am_i(tag=acme.tag)
        assert _current_schema() == "public"

        with pytest.raises(RuntimeError):
            fail(tag=acme.tag)
        assert _current_schema() == "public"

    def test_refuses_a_message_without_a_tenant(self, database: None) -> None:
        with pytest.raises(TagMissing):
            where_am_i()

    @pytest.mark.parametrize(
        "tag", ["", "public", "acme", "a" * 19, "A" * 20, PLATFORM_TAG, "a" * 20 + "\n", 7, ["a" * 20]]
    )
    def test_refuses_what_is_no_tag(self, database: None, tag: Any) -> None:
        with pytest.raises(TagMalformed):
            where_am_i(tag=tag)

    def test_refuses_a_tenant_that_is_gone(self, database: None) -> None:
        with pytest.raises(TenantGone):
            where_am_i(tag="q" * 20)

    def test_speaks_json_only(self) -> None:
        assert where_am_i.serializer == "json"
        # Which app it is depends on what else this process has loaded; all of ours speak one language.
        assert set(where_am_i.app.conf.accept_content) == {"json"}
