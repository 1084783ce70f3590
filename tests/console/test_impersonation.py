"""Looking at a tenant's pages in a member's place."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import Client, RequestFactory

from accounts.console.impersonation import impersonation_of
from accounts.models import OperatorRole, User
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.support.console import person, signed_in

BEGIN = "/ops/tenants/acme/act-as/"
END = "/accounts/end-act-as/"


def trail(tenant: Tenant) -> list[tuple[str, str, str]]:
    with in_tenant(tenant.tag):
        rows = AuditEntry.objects.filter(action__startswith="impersonation.").order_by("id")
        return [(row.action, row.actor, row.reason) for row in rows]


def kept(client: Client, user: User) -> Any:
    request: Any = RequestFactory().get("/")
    request.session, request.user = client.session, user
    found = impersonation_of(request)
    request.session.save()
    return found


class TestImpersonation:
    def test_begins_with_a_reason_and_ends_by_a_button(self, acme: Tenant, olive: User) -> None:
        client = signed_in(olive)

        assert client.post(BEGIN, {"reason": "ticket 7"})["Location"] == "/t/acme/"
        found = kept(client, olive)
        assert (found.tag, found.slug, found.reason) == (acme.tag, "acme", "ticket 7")
        assert client.post(END)["Location"] == "/ops/tenants/acme/"

        assert kept(client, olive) is None
        assert trail(acme) == [
            ("impersonation.began", olive.email, "ticket 7"),
            ("impersonation.ended", olive.email, "ticket 7"),
        ]

    def test_wants_a_reason(self, acme: Tenant, olive: User) -> None:
        client = signed_in(olive)

        assert client.post(BEGIN, {"reason": " "}).status_code == 422
        assert kept(client, olive) is None
        assert trail(acme) == []

    def test_is_not_for_a_viewer(self, acme: Tenant) -> None:
        with person("vera", OperatorRole.VIEWER) as vera:
            assert signed_in(vera).post(BEGIN, {"reason": "curious"}).status_code == 403

    def test_is_over_after_half_an_hour(self, acme: Tenant, olive: User) -> None:
        client = signed_in(olive)
        client.post(BEGIN, {"reason": "ticket 7"})
        session: Any = client.session
        session["impersonation"] |= {"ends_at": (datetime.now(UTC) - timedelta(seconds=1)).isoformat()}
        session.save()

        assert kept(client, olive) is None
        assert [action for action, _, _ in trail(acme)] == ["impersonation.began", "impersonation.ended"]

    def test_is_over_for_whoever_runs_the_platform_no_more(self, acme: Tenant, olive: User) -> None:
        client = signed_in(olive)
        client.post(BEGIN, {"reason": "ticket 7"})
        olive.operator_role = OperatorRole.VIEWER

        assert kept(client, olive) is None

    def test_ends_with_signing_out(self, acme: Tenant, olive: User) -> None:
        client = signed_in(olive)
        client.post(BEGIN, {"reason": "ticket 7"})
        client.post("/accounts/logout/")

        assert [action for action, _, _ in trail(acme)] == ["impersonation.began", "impersonation.ended"]

    def test_is_of_one_tenant_at_a_time(self, acme: Tenant, initech: Tenant, olive: User) -> None:
        client = signed_in(olive)
        client.post(BEGIN, {"reason": "ticket 7"})
        client.post(BEGIN.replace("acme", "initech"), {"reason": "ticket 8"})

        assert kept(client, olive).slug == "initech"
        assert [action for action, _, _ in trail(acme)] == ["impersonation.began", "impersonation.ended"]
