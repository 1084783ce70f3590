"""Addresses of the pages about people, and who may; `config.urls_console` mounts them."""

from django.urls import URLPattern, path

from accounts.console.impersonation import act_as
from accounts.console.pages import View, page
from accounts.console.people import (
    person_invite,
    person_leave,
    person_list,
    person_remove,
    person_role,
    person_withdraw,
)
from accounts.console.reauth import reauthenticated
from accounts.roles import Act


def _of_members(view: View) -> View:
    return page(Act.MANAGE_MEMBERS, send=Act.MANAGE_MEMBERS)(view)


def _of_operators(view: View) -> View:
    # Whoever makes operators holds the platform: an unlocked screen must not be enough.
    return page(Act.MANAGE_OPERATORS, send=Act.MANAGE_OPERATORS)(reauthenticated(view))


def _of_oneself(act: Act) -> View:
    # There is no way back by oneself.
    return page(act, send=act)(reauthenticated(person_leave))


ops: list[URLPattern] = [
    path("operators/", page(Act.SEE_PLATFORM)(person_list), name="operator_list"),
    path("operators/invite/", _of_operators(person_invite), name="operator_invite"),
    path("operators/role/", _of_operators(person_role), name="operator_role"),
    path("operators/remove/", _of_operators(person_remove), name="operator_remove"),
    path("operators/leave/", _of_oneself(Act.LEAVE_PLATFORM), name="operator_leave"),
    path("operators/withdraw/", _of_operators(person_withdraw), name="operator_withdraw"),
]
books: list[URLPattern] = [
    path("members/", page(Act.SEE_MEMBERS)(person_list), name="member_list"),
    path("members/invite/", _of_members(person_invite), name="member_invite"),
    path("members/role/", _of_members(person_role), name="member_role"),
    path("members/remove/", _of_members(person_remove), name="member_remove"),
    path("members/leave/", _of_oneself(Act.LEAVE_TENANT), name="member_leave"),
    path("members/withdraw/", _of_members(person_withdraw), name="member_withdraw"),
    path("act-as/", act_as, name="act_as"),
]
