"""A new password for somebody who forgot theirs, by a link that works once, within the hour, and signs nobody in."""

from datetime import datetime
from typing import Final
from uuid import UUID

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import transaction
from django.db.models import QuerySet

from accounts.models import User
from accounts.selectors.memberships import memberships_of
from accounts.services.people import set_checked_password, write_down
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_public, schema_exists

# Nothing is kept: the proof is a MAC over the present password, the last sign-in and the hour, so that whichever of
# them changes ends it.
_PROOFS: Final = PasswordResetTokenGenerator()


class ResetOver(Exception):
    """The link was used, or is too old, or whom it is for has signed in, changed their password or left since."""


def make_token(user: User) -> str:
    """What the link ends with. A secret: it goes into the mail and nowhere else."""
    return f"{user.pk.hex}-{_PROOFS.make_token(user)}"


def person_of(token: str) -> User | None:
    """Whose password the link may replace. Asking uses nothing up."""
    with in_public():
        return _find(User.objects.all(), token)


def reset_password(*, token: str, password: str, source_ip: str, now: datetime) -> User:
    """Replace the password. Every session of the person ends with its next click; their second factor stays.

    Written down where they belong: with each of their tenants, and with the platform if they are an operator or belong
    nowhere. Raises `ResetOver` or `WeakPassword`.
    """
    with transaction.atomic(), in_public():
        # Of two who use the link at once, the second finds another password.
        user = _find(User.objects.select_for_update(), token)
        if user is None:
            raise ResetOver
        set_checked_password(user, password)
        user.save(update_fields=["password"])
        actor = Actor(name=user.email, actor_type="admin", reason="By a link in a mail", source_ip=source_ip)
        for tag in _places(user):
            write_down(tag, actor=actor, action="person.password_reset", target=user.email, at=now)
    return user


def _find(people: QuerySet[User], token: str) -> User | None:
    who, _, proof = token.partition("-")
    try:
        user = people.filter(pk=UUID(who), is_active=True).first()
    except ValueError:
        return None
    # Somebody without a password signs in elsewhere, and no mail opens a second way in.
    return user if user and user.has_usable_password() and _PROOFS.check_token(user, proof) else None


def _places(user: User) -> list[Tag | None]:
    tags: list[Tag | None] = [each.tag for each in memberships_of(user) if schema_exists(each.tag)]
    return [None, *tags] if user.is_operator or not tags else tags
