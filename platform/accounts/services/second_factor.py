"""Who has a second factor, an authenticator app or a passkey, and who needs one."""

from allauth.mfa.models import Authenticator
from django.conf import settings

from accounts.models import User
from kernel.tenancy import in_public

_FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


def has_second_factor(user: User) -> bool:
    """Recovery codes alone are none: they are what is left of one."""
    with in_public():
        return bool(Authenticator.objects.filter(user_id=user.pk, type__in=_FACTORS).exists())


def needs_second_factor(user: object) -> bool:
    """Whether this is an operator without one. Pages say so quietly where it is not required."""
    return isinstance(user, User) and user.is_operator and not has_second_factor(user)


def must_set_up_second_factor(user: object) -> bool:
    """Whether the operators' pages stay closed to them until they have one."""
    required: bool = settings.OPERATOR_SECOND_FACTOR_IS_REQUIRED
    return required and needs_second_factor(user)
