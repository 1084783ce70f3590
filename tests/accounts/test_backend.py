"""Whom a request brings."""

from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.backend import PeopleBackend
from accounts.models import MemberRole, User
from accounts.selectors.memberships import member_role
from tenants.models import Tenant
from tests.support.console import member_of


class TestPeopleBackend:
    def test_brings_memberships_in_the_same_query(self, acme: Tenant, initech: Tenant) -> None:
        with member_of(acme, "ada", MemberRole.ADMIN) as ada, CaptureQueriesContext(connection) as queries:
            user = PeopleBackend().get_user(ada.pk)
            assert user is not None
            roles = [member_role(user, tenant.tag) for tenant in (acme, initech)]

        assert roles == [MemberRole.ADMIN, None]
        assert len([query for query in queries.captured_queries if "SELECT" in query["sql"]]) == 1

    def test_brings_nobody_who_left(self, acme: Tenant) -> None:
        with member_of(acme, "ada", MemberRole.ADMIN) as ada:
            User.objects.filter(pk=ada.pk).update(is_active=False)

            assert PeopleBackend().get_user(ada.pk) is None
