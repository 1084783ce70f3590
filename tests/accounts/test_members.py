"""Who belongs to a tenant, and as what; and that there is always an owner."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.db import connections

from accounts.models import MemberRole, Membership, OperatorRole, User
from accounts.selectors.people import members_of, operators
from accounts.services.members import LastOwner, NoSuchMember, RoleChanged, add_member, change_role, remove
from accounts.services.operator_roles import change_operator_role, deactivate_operator
from accounts.services.operators import create_operator
from kernel.actor import Actor
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.support.console import PASSWORD

pytestmark = pytest.mark.usefixtures("quick_passwords", "nobody_left")

OLIVE = Actor(name="olive@example.test", actor_type="admin_on_behalf_of", reason="asked for")


def add(tenant: Tenant, name: str, role: MemberRole) -> str:
    email = f"{name}@example.test"
    add_member(tag=tenant.tag, email=email, role=role, password=PASSWORD, actor=OLIVE, now=datetime.now(UTC))
    return email


def roles(tenant: Tenant) -> dict[str, str]:
    return {one.email.partition("@")[0]: one.role for one in members_of(tenant.tag)}


def change(tenant: Tenant, email: str, role: MemberRole, *, seen: MemberRole) -> None:
    change_role(tag=tenant.tag, email=email, role=role, seen=seen, actor=OLIVE, now=datetime.now(UTC))


class TestRole:
    def test_changes_and_is_written_down_with_the_tenant(self, acme: Tenant, initech: Tenant) -> None:
        add(acme, "ada", MemberRole.OWNER)
        ben = add(acme, "ben", MemberRole.VIEWER)

        change(acme, ben, MemberRole.ADMIN, seen=MemberRole.VIEWER)

        assert roles(acme) == {"ada": "owner", "ben": "admin"}
        with in_tenant(acme.tag):
            row = AuditEntry.objects.get(action="member.role_changed")
        assert (row.actor, row.target, row.reason) == (OLIVE.name, ben, "asked for")
        assert (row.before, row.after) == ({"role": "viewer"}, {"role": "admin"})
        with in_tenant(initech.tag):
            assert not AuditEntry.objects.filter(action__startswith="member.").exists()

    def test_is_not_changed_by_a_form_that_showed_another(self, acme: Tenant) -> None:
        add(acme, "ada", MemberRole.OWNER)
        ben = add(acme, "ben", MemberRole.ADMIN)

        with pytest.raises(RoleChanged, match="admin"):
            change(acme, ben, MemberRole.OWNER, seen=MemberRole.VIEWER)

        assert roles(acme)["ben"] == "admin"

    def test_of_the_last_owner_stays(self, acme: Tenant) -> None:
        ada = add(acme, "ada", MemberRole.OWNER)
        add(acme, "ben", MemberRole.ADMIN)

        with pytest.raises(LastOwner):
            change(acme, ada, MemberRole.VIEWER, seen=MemberRole.OWNER)

        add(acme, "eve", MemberRole.OWNER)
        change(acme, ada, MemberRole.VIEWER, seen=MemberRole.OWNER)
        assert roles(acme)["ada"] == "viewer"

    def test_an_owner_who_cannot_sign_in_is_none(self, acme: Tenant) -> None:
        ada = add(acme, "ada", MemberRole.OWNER)
        gone = add(acme, "gone", MemberRole.OWNER)
        User.objects.filter(email=gone).update(is_active=False)

        with pytest.raises(LastOwner):
            remove(tag=acme.tag, email=ada, actor=OLIVE, now=datetime.now(UTC))

    def test_is_none_in_another_tenant(self, acme: Tenant, initech: Tenant) -> None:
        ada = add(acme, "ada", MemberRole.OWNER)

        with pytest.raises(NoSuchMember):
            change(initech, ada, MemberRole.VIEWER, seen=MemberRole.OWNER)


class TestRemove:
    def test_ends_the_membership_and_keeps_the_person(self, acme: Tenant) -> None:
        add(acme, "ada", MemberRole.OWNER)
        ben = add(acme, "ben", MemberRole.VIEWER)

        remove(tag=acme.tag, email=ben, actor=OLIVE, now=datetime.now(UTC))

        assert roles(acme) == {"ada": "owner"}
        assert User.objects.filter(email=ben, is_active=True).exists()
        with pytest.raises(NoSuchMember):
            remove(tag=acme.tag, email=ben, actor=OLIVE, now=datetime.now(UTC))

    def test_of_oneself_is_leaving(self, acme: Tenant) -> None:
        add(acme, "ada", MemberRole.OWNER)
        ben = add(acme, "ben", MemberRole.VIEWER)

        remove(tag=acme.tag, email=ben, actor=Actor(name=ben, actor_type="admin"), now=datetime.now(UTC))

        with in_tenant(acme.tag):
            assert AuditEntry.objects.filter(action="member.left", actor=ben).exists()

    def test_the_last_owner_stays(self, acme: Tenant) -> None:
        ada = add(acme, "ada", MemberRole.OWNER)

        with pytest.raises(LastOwner):
            remove(tag=acme.tag, email=ada, actor=OLIVE, now=datetime.now(UTC))

        assert Membership.objects.filter(tenant_tag=acme.tag).count() == 1

    def test_two_owners_cannot_remove_each_other_at_once(self, acme: Tenant) -> None:
        ada, eve = add(acme, "ada", MemberRole.OWNER), add(acme, "eve", MemberRole.OWNER)

        outcomes = at_once(
            lambda: remove(tag=acme.tag, email=ada, actor=OLIVE, now=datetime.now(UTC)),
            lambda: remove(tag=acme.tag, email=eve, actor=OLIVE, now=datetime.now(UTC)),
        )

        assert sorted(outcomes) == ["LastOwner", "done"]
        assert len(roles(acme)) == 1


class TestOperators:
    def test_last_owner_stays(self, database: None) -> None:
        User.objects.filter(operator_role=OperatorRole.OWNER).update(is_active=False)
        ada = create_operator(
            email="ada@example.test", role=OperatorRole.OWNER, password=PASSWORD, now=datetime.now(UTC)
        ).email

        with pytest.raises(LastOwner):
            deactivate_operator(email=ada, actor=OLIVE, now=datetime.now(UTC))
        with pytest.raises(LastOwner):
            change_operator_role(
                email=ada, role=OperatorRole.VIEWER, seen=OperatorRole.OWNER, actor=OLIVE, now=datetime.now(UTC)
            )

        create_operator(email="eve@example.test", role=OperatorRole.OWNER, password=PASSWORD, now=datetime.now(UTC))
        deactivate_operator(email=ada, actor=OLIVE, now=datetime.now(UTC))
        lines = {one.email: one.is_active for one in operators()}
        assert (lines[ada], lines["eve@example.test"]) == (False, True)
        assert AuditEntry.objects.filter(action="operator.deactivated", target=ada).exists()

    def test_a_member_is_none(self, acme: Tenant) -> None:
        ben = add(acme, "ben", MemberRole.OWNER)

        with pytest.raises(NoSuchMember):
            deactivate_operator(email=ben, actor=OLIVE, now=datetime.now(UTC))


def at_once(*acts: Callable[[], None]) -> list[str]:
    """What became of each, begun together."""
    gate, outcomes = threading.Barrier(len(acts)), []

    def run(act: Callable[[], None]) -> None:
        gate.wait()
        try:
            act()
        except LastOwner:
            outcomes.append("LastOwner")
        else:
            outcomes.append("done")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
