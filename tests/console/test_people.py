"""The pages about members and operators, and the page behind an invitation."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from accounts.models import Invitation, MemberRole, Membership, OperatorRole, User
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.support.console import PASSWORD, member_of, person, proved_lately, signed_in
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


class TestLeaving:
    @pytest.mark.parametrize("role", [MemberRole.VIEWER, MemberRole.ADMIN])
    def test_a_member_leaves_and_says_why(self, acme: Tenant, ada: User, role: MemberRole) -> None:
        with member_of(acme, "ben", role) as ben:
            client = proved_lately(signed_in(ben))
            assert '"/t/acme/members/leave/"' in text_of(client.get("/t/acme/members/"))
            assert "To come back you need an invitation" in text_of(client.get("/t/acme/members/leave/"))

            answer = client.post("/t/acme/members/leave/", {"reason": "another job"})

            assert (answer.status_code, answer["Location"]) == (303, "/accounts/")
            assert "You have left Acme Corporation" in text_of(client.get("/accounts/"))
            assert client.get("/t/acme/").status_code == 404
            with in_tenant(acme.tag):
                row = AuditEntry.objects.get(target=ben.email)
            assert (row.actor, row.action, row.reason) == (ben.email, "member.left", "another job")
            assert row.before == {"role": role.value}

    def test_the_last_owner_reads_why_not_and_the_last_but_one_goes(self, acme: Tenant, ada: User) -> None:
        client = proved_lately(signed_in(ada))

        refused = client.post("/t/acme/members/leave/", {"reason": "tired"})
        assert refused.status_code == 422
        assert "They are the last owner. Make somebody else an owner first." in text_of(refused)

        with member_of(acme, "ben", MemberRole.OWNER):
            assert client.post("/t/acme/members/leave/", {"reason": "tired"}).status_code == 303
            assert not Membership.objects.filter(user=ada).exists()

    def test_whoever_sends_it_goes_and_nobody_whom_the_form_names(self, acme: Tenant, ada: User, ben: User) -> None:
        form = {"reason": "out with her", "email": ada.email}

        proved_lately(signed_in(ben)).post("/t/acme/members/leave/", form)

        assert [one.user for one in Membership.objects.filter(tenant_tag=acme.tag)] == [ada]

    def test_is_of_one_tenant_alone(self, acme: Tenant, initech: Tenant, ada: User, ben: User) -> None:
        Membership.objects.create(
            user=ben, tenant_tag=initech.tag, role=MemberRole.VIEWER, created_at=datetime.now(UTC)
        )
        client = proved_lately(signed_in(ben))
        client.post("/t/acme/members/leave/", {"reason": "another job"})

        assert client.get("/t/initech/").status_code == 200

    @pytest.mark.parametrize("address", ["/t/acme/members/leave/", "/ops/operators/leave/"])
    def test_wants_a_reason_and_a_fresh_proof(self, acme: Tenant, ada: User, ben: User, address: str) -> None:
        User.objects.filter(pk=ben.pk).update(operator_role="viewer")
        client = signed_in(ben)
        assert client.post(address, {"reason": "bye"})["Location"].startswith("/accounts/reauthenticate/")

        assert proved_lately(client).post(address, {"reason": " "}).status_code == 422
        assert Membership.objects.filter(user=ben).exists()
        assert User.objects.get(pk=ben.pk).is_operator

    def test_no_operator_leaves_in_a_members_place_or_from_their_own_side(self, acme: Tenant, olive: User) -> None:
        client = proved_lately(signed_in(olive))
        client.post("/ops/tenants/acme/act-as/", {"reason": "asked for help"})

        for address in ("/t/acme/members/leave/", "/ops/tenants/acme/members/leave/"):
            assert client.get(address).status_code == client.post(address, {"reason": "x"}).status_code == 403
        for page in ("/t/acme/members/", "/ops/tenants/acme/members/"):
            assert "Leave…" not in text_of(client.get(page))

    def test_an_operator_leaves_and_stays_a_member(self, acme: Tenant, ben: User) -> None:
        User.objects.filter(pk=ben.pk).update(operator_role="operator")
        client = proved_lately(signed_in(ben))
        assert "/ops/operators/leave/" in text_of(client.get("/ops/operators/"))
        assert client.get("/ops/operators/leave/").status_code == 200
        before = datetime.now(UTC)

        assert client.post("/ops/operators/leave/", {"reason": "another team"}).status_code == 303

        assert client.get("/ops/").status_code == 404
        assert client.get("/t/acme/").status_code == 200
        with in_public():
            row = AuditEntry.objects.get(action="operator.left", target=ben.email, at__gte=before)
        assert (row.actor, row.reason, row.before) == (ben.email, "another team", {"role": "operator"})

    def test_the_last_owner_of_the_platform_stays(self, database: None) -> None:
        with person("odette", OperatorRole.OWNER) as odette:
            client = proved_lately(signed_in(odette))
            refused = client.post("/ops/operators/leave/", {"reason": "tired"})
            assert refused.status_code == 422
            assert "They are the last owner" in text_of(refused)

            with person("olga", OperatorRole.OWNER):
                assert client.post("/ops/operators/leave/", {"reason": "tired"}).status_code == 303

    def test_an_operator_who_left_can_be_asked_back(self, ben: User) -> None:
        User.objects.filter(pk=ben.pk).update(operator_role="viewer")
        client = proved_lately(signed_in(ben))
        client.post("/ops/operators/leave/", {"reason": "too early"})
        with person("odette", OperatorRole.OWNER) as odette:
            link = invite(proved_lately(signed_in(odette)), "/ops/operators/", role="operator", email=ben.email)
        client.post(link)

        assert client.get("/ops/").status_code == 200


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
