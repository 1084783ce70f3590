"""The catalogue of plans, from the shared schema."""

from kernel.tenancy import in_public
from tenants.models import Plan


def latest_plans() -> list[Plan]:
    """The latest version of every plan, by code. One query."""
    with in_public():
        return list(Plan.objects.order_by("code", "-version").distinct("code"))


def plan_versions(code: str) -> list[Plan]:
    """All versions of one plan, the latest first; none for an unknown code. One query."""
    with in_public():
        return list(Plan.objects.filter(code=code).order_by("-version"))


def latest_plan(code: str) -> Plan | None:
    with in_public():
        return Plan.objects.filter(code=code).order_by("-version").first()


def plan_version(*, code: str, version: int) -> Plan | None:
    with in_public():
        return Plan.objects.filter(code=code, version=version).first()
