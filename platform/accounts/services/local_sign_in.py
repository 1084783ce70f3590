"""People for a local run, whose passwords may get lost with a file."""

from datetime import datetime

from django.contrib.auth import authenticate

from accounts.models import MemberRole, OperatorRole, User
from accounts.services.members import add_member
from accounts.services.operators import EmailTaken, NewOperator, create_operator, generate_password
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_public


def ensure_operator(*, email: str, password: str, now: datetime) -> NewOperator:
    """An owner who can sign in as `email`: with `password` if it works, else with a new one.

    For a local run only: it replaces a password without asking for the one before.
    """
    with in_public():
        if _works(email, password):
            return NewOperator(email=email, role=OperatorRole.OWNER, password=password)
        try:
            return create_operator(email=email, role=OperatorRole.OWNER, password=None, now=now)
        except EmailTaken:
            return NewOperator(email=email, role=OperatorRole.OWNER, password=_with_new_password(email))


def ensure_owner(*, tag: Tag, email: str, password: str, actor: Actor, now: datetime) -> str:
    """The password of an owner of the tenant who can sign in as `email`: `password` if it works, else a new one.

    For a local run only, as above.
    """
    with in_public():
        if _works(email, password):
            return password
        made = add_member(tag=tag, email=email, role=MemberRole.OWNER, password=None, actor=actor, now=now)
        return made or _with_new_password(email)


def _works(email: str, password: str) -> bool:
    return bool(password) and authenticate(None, username=email, password=password) is not None


def _with_new_password(email: str) -> str:
    person = User.objects.get_by_natural_key(email)
    password = generate_password()
    person.set_password(password)
    person.is_active = True
    person.save(update_fields=["password", "is_active"])
    return password
