"""What the services about people share: making an account, and writing down where an act belongs."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from accounts.models import User
from accounts.models.user import normal_email
from accounts.services.operators import EmailTaken, InvalidEmail, WeakPassword
from kernel.actor import Actor
from kernel.ids import Tag, uuid7
from kernel.tenancy import in_public, in_tenant
from telemetry.services import audit


def create_person(*, email: str, password: str | None, now: datetime) -> User:
    """Somebody who can sign in and belongs nowhere yet; without a `password` only by an identity provider.

    Raises `EmailTaken` or `WeakPassword`.
    """
    user = User(id=uuid7(), email=email, created_at=now)
    if password is None:
        user.set_unusable_password()
    else:
        set_checked_password(user, password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        raise EmailTaken(email) from None
    return user


def checked_email(text: str) -> str:
    """The address in its one spelling. Raises `InvalidEmail`."""
    address = normal_email(text)
    try:
        validate_email(address)
    except ValidationError:
        raise InvalidEmail(address) from None
    if len(address) > 254:
        raise InvalidEmail(address)
    return address


def set_checked_password(user: User, password: str) -> None:
    """Set it on the object, not yet in the database. Raises `WeakPassword`."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise WeakPassword(" ".join(error.messages)) from None
    user.set_password(password)


def write_down(
    tag: Tag | None,
    *,
    actor: Actor,
    action: str,
    target: str,
    at: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """An audit row where the act belongs: with the tenant `tag`, or with the platform where it is None."""
    place: AbstractContextManager[None] = in_tenant(tag) if tag else in_public()
    with place:
        audit.record(actor=actor, action=action, target=target, at=at, before=before, after=after)
