"""A circle of people that somebody belongs to: a tenant's members, or the operators. Their pages are the same."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.http import HttpRequest
from django.urls import reverse

from accounts.console.place import Place, place_of
from accounts.models import MemberRole, OperatorRole
from accounts.roles import Act
from accounts.selectors.people import PersonLine, members_of, operators
from accounts.services.members import change_role, remove
from accounts.services.operator_roles import change_operator_role, deactivate_operator, leave_operators
from kernel.actor import Actor
from kernel.ids import Tag


class ChangeRole(Protocol):
    def __call__(self, *, email: str, role: Any, seen: Any, actor: Actor, now: datetime) -> None: ...


class Remove(Protocol):
    def __call__(self, *, email: str, actor: Actor, now: datetime) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """`name` is what an invitation says; `url` gives the address of one of its pages by the last part of its name."""

    tag: Tag | None
    name: str
    title: str
    noun: str
    roles: type[MemberRole] | type[OperatorRole]
    people: list[PersonLine] = field(default_factory=list)
    url: Callable[[str], str]
    change_role: ChangeRole
    remove: Remove
    remove_word: str
    manage: Act
    leave: Remove
    leave_words: str
    leave_act: Act

    def person(self, email: str) -> PersonLine | None:
        return next((one for one in self.people if one.email == email), None)


def circle_of(request: HttpRequest) -> Circle:
    """The circle that the address is about, with everybody in it."""
    place = place_of(request)
    return _members(place) if place.tenant else _operators()


def _members(place: Place) -> Circle:
    tag: Tag = place.tenant.tag

    def change(*, email: str, role: Any, seen: Any, actor: Actor, now: datetime) -> None:
        change_role(tag=tag, email=email, role=role, seen=seen, actor=actor, now=now)

    def end(*, email: str, actor: Actor, now: datetime) -> None:
        remove(tag=tag, email=email, actor=actor, now=now)

    name = place.tenant.name or place.tenant.slug
    return Circle(
        tag=tag,
        name=name,
        title="Members",
        noun="member",
        roles=MemberRole,
        people=members_of(tag),
        url=lambda name: place.url(f"member_{name}"),
        change_role=change,
        remove=end,
        remove_word="Remove",
        manage=Act.MANAGE_MEMBERS,
        # Of whoever removes themselves the service says that they left.
        leave=end,
        leave_words=(
            f"You see nothing of {name} any more. To come back you need an invitation. Keys that you made stay valid."
        ),
        leave_act=Act.LEAVE_TENANT,
    )


def _operators() -> Circle:
    return Circle(
        tag=None,
        name="the operators of Watermaster",
        title="Operators",
        noun="operator",
        roles=OperatorRole,
        people=operators(),
        url=lambda name: reverse(f"ops:operator_{name}"),
        change_role=change_operator_role,
        remove=deactivate_operator,
        remove_word="Deactivate",
        manage=Act.MANAGE_OPERATORS,
        leave=leave_operators,
        leave_words=(
            "The operators' pages close to you. To come back you need an invitation."
            " Where you are a member of a tenant you stay one."
        ),
        leave_act=Act.LEAVE_PLATFORM,
    )
