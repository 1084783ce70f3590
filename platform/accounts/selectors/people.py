"""Who there is: members of a tenant, operators, and whoever was asked in."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, QuerySet

from accounts.models import Invitation, Membership, User
from kernel.ids import Tag
from kernel.tenancy import in_public


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLine:
    """Somebody in a list. `since` is when they joined; `last_seen_at` their last sign-in, anywhere."""

    email: str
    role: str
    since: datetime
    last_seen_at: datetime | None
    has_second_factor: bool
    is_active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationLine:
    """Somebody who has not answered yet."""

    id: UUID
    email: str
    role: str
    invited_by: str
    expires_at: datetime


def is_known(email: str) -> bool:
    """Whether somebody can sign in under this address."""
    with in_public():
        return User.objects.filter(email=email, is_active=True).exists()


def members_of(tag: Tag) -> list[PersonLine]:
    """Everybody who belongs to the tenant, by address."""
    factor = _factors(OuterRef("user_id"))
    with in_public():
        found = list(
            Membership.objects.filter(tenant_tag=tag)
            .select_related("user")
            .annotate(has_second_factor=Exists(factor))
            .order_by("user__email")
        )
    return [
        PersonLine(
            email=one.user.email,
            role=one.role,
            since=one.created_at,
            last_seen_at=one.user.last_login,
            has_second_factor=one.has_second_factor,
            is_active=one.user.is_active,
        )
        for one in found
    ]


def operators() -> list[PersonLine]:
    """Everybody who runs the platform or did, by address."""
    factor = _factors(OuterRef("pk"))
    with in_public():
        found = list(
            User.objects.filter(operator_role__isnull=False)
            .annotate(has_second_factor=Exists(factor))
            .order_by("-is_active", "email")
        )
    return [
        PersonLine(
            email=one.email,
            role=one.operator_role or "",
            since=one.created_at,
            last_seen_at=one.last_login,
            has_second_factor=one.has_second_factor,
            is_active=one.is_active,
        )
        for one in found
    ]


def open_invitations(tag: Tag | None, *, now: datetime) -> list[InvitationLine]:
    """Who was asked to join the tenant, or the operators where `tag` is None, and may still answer."""
    with in_public():
        found = list(
            Invitation.objects.filter(tenant_tag=tag, accepted_at=None, withdrawn_at=None, expires_at__gt=now).order_by(
                "email"
            )
        )
    return [
        InvitationLine(id=one.id, email=one.email, role=one.role, invited_by=one.invited_by, expires_at=one.expires_at)
        for one in found
    ]


def _factors(user: OuterRef) -> QuerySet[Authenticator]:
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    found: QuerySet[Authenticator] = Authenticator.objects.filter(user_id=user, type__in=kinds)
    return found
