"""Who belongs to a tenant, and as what. A tenant always keeps an owner."""

from datetime import datetime

from django.db import transaction

from accounts.models import MemberRole, Membership, User
from accounts.services.operators import generate_password
from accounts.services.people import checked_email, create_person, set_checked_password, write_down
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_public


class NoSuchMember(Exception):
    """Nobody with this address belongs to the tenant."""


class LastOwner(Exception):
    """The tenant would be left without an owner."""


class RoleChanged(Exception):
    """Their role is not the one any more that the form showed."""


def change_role(*, tag: Tag, email: str, role: MemberRole, seen: MemberRole, actor: Actor, now: datetime) -> None:
    """Make the member a `role`. `seen` is the role that whoever decides has read.

    Raises `NoSuchMember`, `RoleChanged` or `LastOwner`.
    """
    with transaction.atomic(), in_public():
        member = _locked(tag, email)
        if member.role == role:
            return
        if member.role != seen:
            raise RoleChanged(member.role)
        _keep_an_owner(tag, member)
        before, member.role = member.role, role
        member.save(update_fields=["role"])
        write_down(
            tag,
            actor=actor,
            action="member.role_changed",
            target=email,
            at=now,
            before={"role": before},
            after={"role": role},
        )


def remove(*, tag: Tag, email: str, actor: Actor, now: datetime) -> None:
    """End the membership; the person stays known. Leaving is removing oneself. Raises `NoSuchMember` or `LastOwner`."""
    with transaction.atomic(), in_public():
        member = _locked(tag, email)
        _keep_an_owner(tag, member)
        member.delete()
        action = "member.left" if actor.name == email else "member.removed"
        write_down(tag, actor=actor, action=action, target=email, at=now, before={"role": member.role})


def add_member(
    *, tag: Tag, email: str, role: MemberRole, password: str | None, actor: Actor, now: datetime
) -> str | None:
    """A member without an invitation, for the command line. Somebody unknown gets `password`, or one that is returned.

    Somebody who belongs already gets the role. Raises `InvalidEmail`, `WeakPassword` or `LastOwner`.
    """
    generated, email = None, checked_email(email)
    with transaction.atomic(), in_public():
        user = User.objects.filter(email=email).first()
        if user is None:
            user = create_person(email=email, password=None, now=now)
            if password is None:
                password = generated = generate_password()
            set_checked_password(user, password)
            user.save(update_fields=["password"])
        member, is_new = Membership.objects.get_or_create(
            user=user, tenant_tag=tag, defaults={"role": role, "created_at": now}
        )
        if not is_new:
            if role != MemberRole.OWNER:
                _keep_an_owner(tag, member)
            member.role = role
            member.save(update_fields=["role"])
        write_down(tag, actor=actor, action="member.joined", target=email, at=now, after={"role": role})
    return generated


def _locked(tag: Tag, email: str) -> Membership:
    # The owners' rows first and in one order: of two who remove each other, the second finds one owner left.
    list(Membership.objects.select_for_update().filter(tenant_tag=tag, role=MemberRole.OWNER).order_by("id"))
    member = Membership.objects.select_for_update().filter(tenant_tag=tag, user__email=email).first()
    if member is None:
        raise NoSuchMember(email)
    return member


def _keep_an_owner(tag: Tag, member: Membership) -> None:
    owners = Membership.objects.filter(tenant_tag=tag, role=MemberRole.OWNER, user__is_active=True)
    if member.role == MemberRole.OWNER and not owners.exclude(pk=member.pk).exists():
        raise LastOwner
