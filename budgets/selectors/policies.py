"""The policies of the tenant whose schema the connection is in, and their versions."""

from typing import Final

from django.db.models import QuerySet

from budgets.models import PolicyVersion
from budgets.models.choices import PolicyKind

#: As many versions as a list shows; older ones are still there, by number.
VERSIONS_MAX: Final = 200


class PolicyVersionNotFound(Exception):
    """The kind has no such version."""


def newest_policies() -> dict[PolicyKind, PolicyVersion]:
    """What is in force, by kind; kinds that were never saved are left out. One query."""
    rows = PolicyVersion.objects.order_by("kind", "-version").distinct("kind")
    return {PolicyKind(row.kind): row for row in rows}


def newest_policy(kind: PolicyKind) -> PolicyVersion | None:
    return _of_kind(kind).first()


def policy_version(*, kind: PolicyKind, version: int) -> PolicyVersion:
    """Raises `PolicyVersionNotFound`."""
    found = _of_kind(kind).filter(version=version).first()
    if found is None:
        raise PolicyVersionNotFound(version)
    return found


def policy_versions(kind: PolicyKind) -> list[PolicyVersion]:
    """The newest first, `VERSIONS_MAX` of them."""
    return list(_of_kind(kind)[:VERSIONS_MAX])


def _of_kind(kind: PolicyKind) -> QuerySet[PolicyVersion]:
    return PolicyVersion.objects.filter(kind=kind).order_by("-version")
