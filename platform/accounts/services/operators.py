"""Making the people who run the platform."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from accounts.models import OperatorRole, User
from accounts.models.user import normal_email
from kernel.ids import uuid7
from kernel.tenancy import in_public


class InvalidEmail(Exception):
    """Not an e-mail address of at most 254 characters."""


class EmailTaken(Exception):
    """Somebody has this e-mail address already."""


class WeakPassword(Exception):
    """The sentences say what to mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOperator:
    """Who was made. `password` is shown once and kept nowhere."""

    email: str
    role: OperatorRole
    password: str = field(repr=False)


def generate_password() -> str:
    """Some 144 random bits in 24 characters that a double click selects whole."""
    return "".join(secrets.choice("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(24))


def create_operator(*, email: str, role: OperatorRole, password: str | None, now: datetime) -> NewOperator:
    """An operator who can sign in at once; without a `password` one is generated.

    Raises `InvalidEmail`, `EmailTaken` or `WeakPassword`. Not repeatable: the second time the address is taken.
    """
    address = normal_email(email)
    user = User(id=uuid7(), email=address, operator_role=role, created_at=now)
    try:
        validate_email(address)
        if len(address) > 254:
            raise InvalidEmail(address)
    except ValidationError:
        raise InvalidEmail(address) from None
    if password is None:
        password = generate_password()
    else:
        _refuse_weak(password, user)
    user.set_password(password)
    with in_public():
        try:
            with transaction.atomic():
                user.save(force_insert=True)
        except IntegrityError:
            raise EmailTaken(address) from None
    return NewOperator(email=address, role=role, password=password)


def _refuse_weak(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise WeakPassword(" ".join(error.messages)) from None
