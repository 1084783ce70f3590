"""The pages about members and operators, and the page behind an invitation."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from accounts.models import Invitation, MemberRole, Membership, OperatorRole, User
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.support.console import PASSWORD, member_of, person, signed_in
from tests.support.owner import delete_shared
from tests.support.sign_in import sign_in

HOSTILE = '<script>alert("x")</script>\N{RIGHT-TO-LEFT OVERRIDE}'


@pytest.fixture(autouse=True)
def nobody_left(database: None) -> Iterator[None]:
    cache.clear()
    yield
    delete_shared(Invitation.objects.all(), User.objects.filter(email__endswith="@example.test"))


@pytest.fixture
def ada(acme: Tenant) -> Iterator[User]:
    """The tenant's owner."""
    with member_of(acme, "ada", MemberRole.OWNER) as user:
        yield user


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def invite(client: Client, address: str = "/t/acme/members/", **given: str) -> str:
    """The link that is shown once."""
    answer = client.post(
        f"{address}invite/", {"email": "ben@example.test", "role": "viewer", "reason": "joins us", **given}
    )
    assert answer.status_code == 303, text_of(answer)
    found = re.search(r"http://testserver(/accounts/invitation/[^<]+)", text_of(client.get(answer["Location"])))
    assert found is not None
    return found[1]


class TestInvitation:
    def test_leads_somebody_new_in(self, acme: Tenant, ada: User) -> None:
        link = invite(signed_in(ada))
        ben = Client()

        assert "Join Acme Corporation" in re.sub(r"<[^>]+>|\s+", " ", text_of(ben.get(link))).replace("  ", " ")
        assert ben.post(link, {"password": "short"}).status_code == 422
        assert ben.post(link, {"password": PASSWORD})["Location"] == "/"
        assert ben.get("/")["Location"] == "/t/acme/"
        assert ben.get("/t/acme/members/").status_code == 200
        assert ben.get("/t/acme/members/invite/").status_code == 403
        assert Client().get(link).status_code == 404

    def test_is_shown_once(self, acme: Tenant, ada: User) -> None:
        client = signed_in(ada)
        link = invite(client)

        assert link not in text_of(client.get("/t/acme/members/"))

    def test_leaves_no_link_for_readers_of_sessions(self, acme: Tenant, ada: User) -> None:
        client = signed_in(ada)
        client.post("/t/acme/members/invite/", {"email": "ben@example.test", "role": "viewer", "reason": "joins us"})

        assert client.session["invitation_link"]["email"] == "ben@example.test"
        assert "/accounts/invitation/" not in repr(dict(client.session.items()))

    def test_asks_somebody_known_to_sign_in_and_is_there_again_after(self, acme: Tenant, ada: User, cy: User) -> None:
        link = invite(signed_in(ada), email=cy.email)
        client = Client()
        assert f"/accounts/login/?next={link}" in text_of(client.get(link))

        assert sign_in(client, cy.email, next=link)["Location"] == link
        assert client.post(link)["Location"] == "/"

        assert Membership.objects.get(user=cy).tenant_tag == acme.tag

    def test_is_not_for_whoever_happens_to_be_signed_in(self, acme: Tenant, ada: User, cy: User) -> None:
        link = invite(signed_in(ada))
        client = signed_in(cy)

        assert "You are signed in as cy@example.test" in re.sub(r"\s+", " ", text_of(client.get(link)))
        client.post(link)

        assert not Membership.objects.filter(user=cy).exists()

    def test_is_mailed_where_there_is_a_mail_server(self, acme: Tenant, ada: User, settings: Settings) -> None:
        settings.SENDS_MAIL = True
        client = signed_in(ada)

        answer = client.post(
            "/t/acme/members/invite/", {"email": "ben@example.test", "role": "admin", "reason": "joins us"}
        )

        (message,) = mail.outbox
        assert message.to == ["ben@example.test"]
        assert message.subject == "You are invited to Acme Corporation"
        assert "http://testserver/accounts/invitation/" in str(message.body)
        assert "/accounts/invitation/" not in text_of(client.get(answer["Location"]))

    def test_withdrawn_leads_nowhere(self, acme: Tenant, ada: User) -> None:
        client = signed_in(ada)
        link = invite(client)
        page = text_of(client.get("/t/acme/members/"))
        withdraw = re.search(r'href="(/t/acme/members/withdraw/\?[^"]+)"', page)
        assert withdraw is not None
        assert client.get(withdraw[1].replace("&amp;", "&")).status_code == 200

        ticket = Invitation.objects.get(email="ben@example.test").pk
        client.post("/t/acme/members/withdraw/", {"invitation": str(ticket), "reason": "a mistake"})

        assert Client().get(link).status_code == 404

    def test_of_another_tenant_cannot_be_withdrawn(self, acme: Tenant, initech: Tenant, ada: User) -> None:
        invite(signed_in(ada))
        ticket = Invitation.objects.get(email="ben@example.test").pk
        with member_of(initech, "bill", MemberRole.OWNER) as bill:
            answer = signed_in(bill).post(
                "/t/initech/members/withdraw/", {"invitation": str(ticket), "reason": "not mine"}
            )

        assert answer.status_code == 422
        assert Invitation.objects.get(pk=ticket).withdrawn_at is None


class TestMembers:
    def test_owner_changes_a_role_and_ends_a_membership(self, acme: Tenant, ada: User) -> None:
        client = signed_in(ada)
        with member_of(acme, "ben", MemberRole.VIEWER) as ben:
            form = {"email": ben.email, "role": "admin", "seen": "viewer", "reason": "promoted"}
            assert client.get(f"/t/acme/members/role/?email={ben.email}").status_code == 200
            assert client.post("/t/acme/members/role/", form).status_code == 303
            assert Membership.objects.get(user=ben).role == "admin"

            stale = client.post("/t/acme/members/role/", form | {"role": "owner"})
            assert stale.status_code == 422
            assert "They are admin by now" in text_of(stale)

            assert client.post("/t/acme/members/remove/", {"email": ben.email, "reason": "left"}).status_code == 303
            assert signed_in(ben).get("/t/acme/").status_code == 404
        with in_tenant(acme.tag):
            rows = AuditEntry.objects.filter(target=ben.email).order_by("at")
            assert [(row.actor, row.action) for row in rows] == [
                (ada.email, "member.role_changed"),
                (ada.email, "member.removed"),
            ]

    @pytest.mark.parametrize("act", ["role", "remove"])
    def test_the_last_owner_reads_why_not(self, acme: Tenant, ada: User, act: str) -> None:
        form = {"email": ada.email, "role": "viewer", "seen": "owner", "reason": "tired"}

        answer = signed_in(ada).post(f"/t/acme/members/{act}/", form)

        assert answer.status_code == 422
        assert "They are the last owner" in text_of(answer)

    def test_every_act_wants_a_reason(self, acme: Tenant, ada: User) -> None:
        client = signed_in(ada)
        form = {"email": "ben@example.test", "role": "viewer", "seen": "viewer", "reason": " "}

        for act in ("invite", "role", "remove", "withdraw"):
            assert client.post(f"/t/acme/members/{act}/", form).status_code == 422

    def test_hostile_text_is_text(self, acme: Tenant, ada: User) -> None:
        client = signed_in(ada)
        answer = client.post("/t/acme/members/invite/", {"email": HOSTILE, "role": HOSTILE, "reason": HOSTILE})

        assert answer.status_code == 422
        assert "<script>alert" not in answer.content.decode()

    def test_operators_see_the_same_people_on_their_side(self, acme: Tenant, ada: User, olive: User) -> None:
        assert ada.email in text_of(signed_in(olive).get("/ops/tenants/acme/members/"))


class TestOperators:
    def test_owner_invites_one_after_proving_who_they_are(self, database: None) -> None:
        with person("odette", OperatorRole.OWNER) as odette:
            client = Client()
            sign_in(client, odette.email)
            link = invite(client, "/ops/operators/", role="operator")
            ben = Client()
            ben.post(link, {"password": PASSWORD})

            assert ben.get("/")["Location"] == "/ops/"
            assert ben.get("/ops/operators/").status_code == 200
            assert ben.get("/ops/operators/invite/").status_code == 403

            client.post("/ops/operators/remove/", {"email": "ben@example.test", "reason": "left"})
            assert ben.get("/ops/")["Location"].startswith("/accounts/login/")
            assert "Deactivated" in text_of(client.get("/ops/operators/"))
