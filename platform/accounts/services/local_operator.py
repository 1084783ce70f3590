"""An operator for a local run, whose password may get lost with a file."""

from datetime import datetime

from django.contrib.auth import authenticate

from accounts.models import OperatorRole, User
from accounts.services.operators import EmailTaken, NewOperator, create_operator, generate_password
from kernel.tenancy import in_public


def ensure_operator(*, email: str, password: str, now: datetime) -> NewOperator:
    """An owner who can sign in as `email`: with `password` if it works, else with a new one.

    For a local run only: it replaces a password without asking for the one before.
    """
    with in_public():
        if password and authenticate(None, username=email, password=password) is not None:
            return NewOperator(email=email, role=OperatorRole.OWNER, password=password)
        try:
            return create_operator(email=email, role=OperatorRole.OWNER, password=None, now=now)
        except EmailTaken:
            operator = User.objects.get_by_natural_key(email)
            password = generate_password()
            operator.set_password(password)
            operator.is_active = True
            operator.save(update_fields=["password", "is_active"])
            return NewOperator(email=email, role=OperatorRole.OWNER, password=password)
