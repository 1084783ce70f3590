"""`manage.py create_member`."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import Membership, User
from tenants.models import Tenant
from tests.support.owner import delete_shared


def create_member(tenant: str, email: str, **options: str) -> str:
    out = StringIO()
    call_command("create_member", tenant=tenant, email=email, stdout=out, **options)
    return out.getvalue()


class TestCreateMember:
    def test_makes_somebody_who_can_sign_in(self, acme: Tenant) -> None:
        try:
            said = create_member("acme", " Ada@Example.test", role="owner")
            password = said.partition("(shown once): ")[2].strip()

            answer = Client().post("/accounts/login/", {"login": "ada@example.test", "password": password})
            assert answer["Location"] == "/"
            assert Membership.objects.get(tenant_tag=acme.tag).role == "owner"
            assert "Password" not in create_member("acme", "ada@example.test", role="owner")
            with pytest.raises(CommandError, match="last owner"):
                create_member("acme", "ada@example.test", role="viewer")
        finally:
            delete_shared(User.objects.filter(email="ada@example.test"))

    def test_refuses_what_it_does_not_understand(self, acme: Tenant) -> None:
        with pytest.raises(CommandError, match="no tenant globex"):
            create_member("globex", "ada@example.test")
        with pytest.raises(CommandError, match="not an e-mail address"):
            create_member("acme", "ada")
