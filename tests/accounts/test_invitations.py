"""An invitation works once, for seven days, for one address and one place."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import Invitation, MemberRole, Membership, OperatorRole, User
from accounts.services.invitations import (
    LIFETIME,
    AlreadyThere,
    InvitationOver,
    Invited,
    NotYours,
    accept_as_known,
    accept_as_new,
    accept_as_verified,
    invitation_of,
    invite,
    withdraw,
)
from accounts.services.operators import EmailTaken, InvalidEmail, WeakPassword
from accounts.services.people import create_person
from kernel.actor import Actor
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.support.console import PASSWORD

pytestmark = pytest.mark.usefixtures("quick_passwords", "nobody_left")

ADA = Actor(name="ada@example.test", actor_type="admin", reason="joins the team")


def invited(
    tenant: Tenant | None, email: str = "ben@example.test", role: str = "viewer", now: datetime | None = None
) -> Invited:
    return invite(
        email=email,
        role=MemberRole(role) if tenant else OperatorRole(role),
        tag=tenant.tag if tenant else None,
        place_name="Acme",
        actor=ADA,
        now=now or datetime.now(UTC),
    )


def trail(tenant: Tenant) -> list[tuple[str, str, str, str]]:
    with in_tenant(tenant.tag):
        rows = AuditEntry.objects.filter(action__startswith="member.").order_by("at", "id")
        return [(row.action, row.actor, row.target, row.reason) for row in rows]


class TestInvite:
    def test_keeps_no_token(self, acme: Tenant) -> None:
        made = invited(acme)

        kept = Invitation.objects.get(email="ben@example.test")
        assert len(made.token) >= 43
        assert made.token.encode() not in bytes(kept.digest)
        assert "token" not in repr(made)

    def test_writes_down_who_asked_whom_and_why_with_the_tenant(self, acme: Tenant) -> None:
        invited(acme, " BEN@example.test ")

        assert trail(acme) == [("member.invited", "ada@example.test", "ben@example.test", "joins the team")]

    def test_a_newer_one_replaces_the_older(self, acme: Tenant) -> None:
        older, newer = invited(acme), invited(acme, role="owner")

        assert invitation_of(older.token, now=datetime.now(UTC)) is None
        assert invitation_of(newer.token, now=datetime.now(UTC)) is not None

    @pytest.mark.parametrize("email", ["", "ben", "ben@", "a" * 250 + "@example.test"])
    def test_wants_an_address(self, acme: Tenant, email: str) -> None:
        with pytest.raises(InvalidEmail):
            invited(acme, email)

    def test_refuses_somebody_who_belongs(self, acme: Tenant) -> None:
        accept_as_new(token=invited(acme).token, password=PASSWORD, now=datetime.now(UTC))

        with pytest.raises(AlreadyThere):
            invited(acme)


class TestAccept:
    def test_makes_somebody_new_a_member(self, acme: Tenant) -> None:
        user = accept_as_new(token=invited(acme, role="admin").token, password=PASSWORD, now=datetime.now(UTC))

        assert user.check_password(PASSWORD)
        assert not user.is_operator
        assert Membership.objects.get(user=user, tenant_tag=acme.tag).role == "admin"
        assert trail(acme)[-1] == ("member.joined", "ben@example.test", "ben@example.test", "joins the team")

    def test_works_once(self, acme: Tenant) -> None:
        token = invited(acme).token
        user = accept_as_new(token=token, password=PASSWORD, now=datetime.now(UTC))

        with pytest.raises(InvitationOver):
            accept_as_known(token=token, user=user, now=datetime.now(UTC))

    @pytest.mark.parametrize(("late", "is_open"), [(timedelta(microseconds=1), True), (timedelta(0), False)])
    def test_works_for_seven_days_and_not_a_moment_longer(self, acme: Tenant, late: timedelta, is_open: bool) -> None:
        now = datetime.now(UTC)
        token = invited(acme, now=now).token

        assert (invitation_of(token, now=now + LIFETIME - late) is not None) is is_open
        if not is_open:
            with pytest.raises(InvitationOver):
                accept_as_new(token=token, password=PASSWORD, now=now + LIFETIME)

    def test_a_weak_password_uses_nothing_up(self, acme: Tenant) -> None:
        token = invited(acme).token

        with pytest.raises(WeakPassword):
            accept_as_new(token=token, password="short", now=datetime.now(UTC))

        assert not User.objects.filter(email="ben@example.test").exists()
        assert invitation_of(token, now=datetime.now(UTC)) is not None

    def test_leads_into_no_other_tenant(self, acme: Tenant, initech: Tenant) -> None:
        user = accept_as_new(token=invited(acme).token, password=PASSWORD, now=datetime.now(UTC))

        assert list(Membership.objects.filter(user=user).values_list("tenant_tag", flat=True)) == [acme.tag]
        assert trail(initech) == []

    def test_is_for_its_own_address(self, acme: Tenant) -> None:
        with in_public():
            cy = create_person(email="cy@example.test", password=PASSWORD, now=datetime.now(UTC))

        with pytest.raises(NotYours):
            accept_as_known(token=invited(acme).token, user=cy, now=datetime.now(UTC))

        assert not Membership.objects.filter(tenant_tag=acme.tag).exists()

    def test_lets_one_person_join_two_tenants(self, acme: Tenant, initech: Tenant) -> None:
        user = accept_as_new(token=invited(acme).token, password=PASSWORD, now=datetime.now(UTC))

        accept_as_known(token=invited(initech, role="owner").token, user=user, now=datetime.now(UTC))

        assert set(Membership.objects.filter(user=user).values_list("tenant_tag", "role")) == {
            (acme.tag, "viewer"),
            (initech.tag, "owner"),
        }

    def test_makes_an_operator(self, database: None) -> None:
        user = accept_as_new(token=invited(None, role="operator").token, password=PASSWORD, now=datetime.now(UTC))

        assert user.is_operator
        assert user.operator_role == OperatorRole.OPERATOR

    @pytest.mark.parametrize("token", ["", "x", "\0", "ä" * 50, "\ud800"])
    def test_forged_links_lead_nowhere(self, database: None, token: str) -> None:
        assert invitation_of(token, now=datetime.now(UTC)) is None

    def test_brings_an_operator_back_but_only_by_the_operators(self, acme: Tenant) -> None:
        user = accept_as_new(token=invited(None, role="owner").token, password=PASSWORD, now=datetime.now(UTC))
        User.objects.filter(pk=user.pk).update(is_active=False)

        with pytest.raises(EmailTaken):
            accept_as_new(token=invited(acme).token, password=PASSWORD, now=datetime.now(UTC))
        token = invited(None, role="viewer").token
        back = accept_as_new(token=token, password="another-long-enough-one", now=datetime.now(UTC))

        assert back.pk == user.pk
        assert (back.is_active, back.operator_role) == (True, OperatorRole.VIEWER)
        assert back.check_password("another-long-enough-one")


class TestWithdraw:
    def test_ends_the_link(self, acme: Tenant) -> None:
        made = invited(acme)
        withdraw(invitation_id=made.invitation.id, tag=acme.tag, actor=ADA, now=datetime.now(UTC))

        assert invitation_of(made.token, now=datetime.now(UTC)) is None
        with pytest.raises(InvitationOver):
            withdraw(invitation_id=made.invitation.id, tag=acme.tag, actor=ADA, now=datetime.now(UTC))

    def test_is_not_for_another_tenant(self, acme: Tenant, initech: Tenant) -> None:
        made = invited(acme)

        for tag in (initech.tag, None):
            with pytest.raises(InvitationOver):
                withdraw(invitation_id=made.invitation.id, tag=tag, actor=ADA, now=datetime.now(UTC))
        assert invitation_of(made.token, now=datetime.now(UTC)) is not None


class TestVerifiedAddress:
    def test_takes_every_open_invitation_without_a_password(self, acme: Tenant, initech: Tenant) -> None:
        invited(acme)
        invited(initech)

        assert accept_as_verified(email="ben@example.test", now=datetime.now(UTC))

        user = User.objects.get(email="ben@example.test")
        assert not user.has_usable_password()
        assert Membership.objects.filter(user=user).count() == 2

    def test_makes_nobody_without_an_invitation(self, database: None) -> None:
        assert not accept_as_verified(email="ben@example.test", now=datetime.now(UTC))
        assert not User.objects.filter(email="ben@example.test").exists()

    def test_keeps_out_whoever_was_deactivated(self, acme: Tenant) -> None:
        with in_public():
            create_person(email="ben@example.test", password=None, now=datetime.now(UTC))
        User.objects.filter(email="ben@example.test").update(is_active=False)
        invited(acme)

        assert not accept_as_verified(email="ben@example.test", now=datetime.now(UTC))
