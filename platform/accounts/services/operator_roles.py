"""What the people who run the platform may do. There is always an owner among them."""

from datetime import datetime

from django.db import transaction

from accounts.models import OperatorRole, User
from accounts.services.members import LastOwner, NoSuchMember, RoleChanged
from accounts.services.people import write_down
from kernel.actor import Actor
from kernel.tenancy import in_public


def change_operator_role(*, email: str, role: OperatorRole, seen: OperatorRole, actor: Actor, now: datetime) -> None:
    """Make the operator a `role`. `seen` is the role that whoever decides has read.

    Raises `NoSuchMember`, `RoleChanged` or `LastOwner`.
    """
    with transaction.atomic(), in_public():
        operator = _locked(email)
        if operator.operator_role == role:
            return
        if operator.operator_role != seen:
            raise RoleChanged(operator.operator_role)
        _keep_an_owner(operator)
        before, operator.operator_role = operator.operator_role, role
        operator.save(update_fields=["operator_role"])
        write_down(
            None,
            actor=actor,
            action="operator.role_changed",
            target=email,
            at=now,
            before={"role": before},
            after={"role": role},
        )


def deactivate_operator(*, email: str, actor: Actor, now: datetime) -> None:
    """They cannot sign in any more, and their sessions end with their next click; what they did stays named.

    They stay a member of tenants, if they were, and can be invited again. Raises `NoSuchMember` or `LastOwner`.
    """
    with transaction.atomic(), in_public():
        operator = _locked(email)
        _keep_an_owner(operator)
        operator.is_active = False
        operator.save(update_fields=["is_active"])
        facts = {"role": operator.operator_role}
        write_down(None, actor=actor, action="operator.deactivated", target=email, at=now, before=facts)


def leave_operators(*, email: str, actor: Actor, now: datetime) -> None:
    """They stop being an operator, and stay a person who signs in: their tenants keep them as a member.

    Raises `NoSuchMember` or `LastOwner`.
    """
    with transaction.atomic(), in_public():
        operator = _locked(email)
        _keep_an_owner(operator)
        before, operator.operator_role = operator.operator_role, None
        operator.save(update_fields=["operator_role"])
        write_down(None, actor=actor, action="operator.left", target=email, at=now, before={"role": before})


def _locked(email: str) -> User:
    # The owners' rows first and in one order: of two who deactivate each other, the second finds one owner left.
    owners = User.objects.select_for_update().filter(operator_role=OperatorRole.OWNER, is_active=True)
    list(owners.order_by("id"))
    operators = User.objects.select_for_update().filter(operator_role__isnull=False, is_active=True)
    operator = operators.filter(email=email).first()
    if operator is None:
        raise NoSuchMember(email)
    return operator


def _keep_an_owner(operator: User) -> None:
    owners = User.objects.filter(operator_role=OperatorRole.OWNER, is_active=True)
    if operator.operator_role == OperatorRole.OWNER and not owners.exclude(pk=operator.pk).exists():
        raise LastOwner
