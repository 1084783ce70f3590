"""Asking people in: an invitation is a link that works once, for seven days, for one e-mail address."""

import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from accounts.models import Invitation, MemberRole, Membership, OperatorRole, User
from accounts.services.people import checked_email, create_person, set_checked_password, write_down
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.keyring import keys_for
from kernel.tenancy import in_public

LIFETIME: Final = timedelta(days=7)


class AlreadyThere(Exception):
    """They belong to the place already."""


class InvitationOver(Exception):
    """There is no such invitation, or it was used or withdrawn, or its time is over."""


class NotYours(Exception):
    """The invitation is for another address than the one that is signed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """An invitation with the token of its link, which is kept nowhere."""

    invitation: Invitation
    token: str = field(repr=False)


def invite(
    *, email: str, role: MemberRole | OperatorRole, tag: Tag | None, place_name: str, actor: Actor, now: datetime
) -> Invited:
    """Ask somebody to join the tenant `tag`, or the operators where it is None. An older open one is replaced.

    Raises `InvalidEmail` or `AlreadyThere`.
    """
    address = checked_email(email)
    token = secrets.token_urlsafe(32)
    with transaction.atomic(), in_public():
        if _belongs(address, tag):
            raise AlreadyThere(address)
        Invitation.objects.filter(_open(), email=address, tenant_tag=tag).update(withdrawn_at=now)
        invitation = Invitation.objects.create(
            tenant_tag=tag,
            place_name=place_name,
            email=address,
            role=role,
            digest=_digest(token),
            invited_by=actor.name,
            reason=actor.reason,
            created_at=now,
            expires_at=now + LIFETIME,
        )
        write_down(tag, actor=actor, action=f"{_noun(tag)}.invited", target=address, at=now, after={"role": role})
    return Invited(invitation=invitation, token=token)


def withdraw(*, invitation_id: UUID, tag: Tag | None, actor: Actor, now: datetime) -> None:
    """Take an open invitation back. Raises `InvitationOver`."""
    with transaction.atomic(), in_public():
        found = Invitation.objects.select_for_update().filter(_open(), id=invitation_id, tenant_tag=tag).first()
        if found is None:
            raise InvitationOver
        found.withdrawn_at = now
        found.save(update_fields=["withdrawn_at"])
        write_down(tag, actor=actor, action=f"{_noun(tag)}.invitation_withdrawn", target=found.email, at=now)


def accept_as_new(*, token: str, password: str, now: datetime) -> User:
    """Somebody unknown here takes the invitation, with a password of their own; or an operator who comes back.

    Only the operators bring back whom they deactivated: for a tenant's invitation such an address is taken.
    Raises `InvitationOver`, `EmailTaken` or `WeakPassword`.
    """
    with transaction.atomic(), in_public():
        invitation = _locked(token, now)
        user = _returning(invitation, password) or create_person(email=invitation.email, password=password, now=now)
        _join(invitation, user, now=now)
    return user


def accept_as_known(*, token: str, user: User, now: datetime) -> None:
    """Somebody who is signed in takes the invitation to their own address. Raises `InvitationOver` or `NotYours`."""
    with transaction.atomic(), in_public():
        invitation = _locked(token, now)
        if invitation.email != user.email:
            raise NotYours
        _join(invitation, user, now=now)


def accept_as_verified(*, email: str, now: datetime) -> bool:
    """Take every open invitation to an address that an identity provider has verified; whether there was one.

    Somebody unknown here gets an account without a password. Somebody who was deactivated stays out.
    """
    with transaction.atomic(), in_public():
        mine = Invitation.objects.select_for_update().filter(_open(), email=email, expires_at__gt=now).order_by("id")
        invitations = list(mine)
        user = User.objects.filter(email=email).first()
        if not invitations or (user and not user.is_active):
            return False
        user = user or create_person(email=email, password=None, now=now)
        for invitation in invitations:
            _join(invitation, user, now=now)
    return True


def invitation_of(token: str, *, now: datetime) -> Invitation | None:
    """The open invitation behind a link."""
    with in_public():
        return Invitation.objects.filter(_open(), digest__in=_digests(token), expires_at__gt=now).first()


def _locked(token: str, now: datetime) -> Invitation:
    open_ones = Invitation.objects.select_for_update().filter(_open(), expires_at__gt=now)
    found = open_ones.filter(digest__in=_digests(token)).first()
    if found is None:
        raise InvitationOver
    return found


def _join(invitation: Invitation, user: User, *, now: datetime) -> None:
    invitation.accepted_at = now
    invitation.save(update_fields=["accepted_at"])
    tag = Tag(invitation.tenant_tag) if invitation.tenant_tag else None
    if tag is None:
        user.operator_role = OperatorRole(invitation.role)
        user.is_active = True
        user.save(update_fields=["operator_role", "is_active"])
    else:
        Membership.objects.update_or_create(
            user=user, tenant_tag=tag, create_defaults={"role": invitation.role, "created_at": now}, defaults={}
        )
    actor = Actor(name=user.email, actor_type="admin", reason=invitation.reason)
    after = {"role": invitation.role, "invited_by": invitation.invited_by}
    write_down(tag, actor=actor, action=f"{_noun(tag)}.joined", target=user.email, at=now, after=after)


def _returning(invitation: Invitation, password: str) -> User | None:
    if invitation.tenant_tag is not None:
        return None
    user = User.objects.select_for_update().filter(email=invitation.email, is_active=False).first()
    if user is not None:
        set_checked_password(user, password)
        user.save(update_fields=["password"])
    return user


def _noun(tag: Tag | None) -> str:
    return "member" if tag else "operator"


def _belongs(email: str, tag: Tag | None) -> bool:
    if tag is None:
        return User.objects.filter(email=email, is_active=True, operator_role__isnull=False).exists()
    return Membership.objects.filter(user__email=email, tenant_tag=tag).exists()


def _open() -> Q:
    return Q(accepted_at=None, withdrawn_at=None)


def _digest(token: str) -> bytes:
    return hmac.digest(keys_for("invitation").signing, token.encode(), sha256)


def _digests(token: str) -> list[bytes]:
    """Under the secrets before the present one too, so that a change of secret breaks no link."""
    return [hmac.digest(key, token.encode(errors="replace"), sha256) for key in keys_for("invitation").verifying]
