"""Whether a tenant is in business and on which terms, as its own books say."""

from dataclasses import dataclass

from budgets.models import LedgerHead
from budgets.models.choices import TenantStatus
from kernel.ids import Tag
from kernel.tenancy import in_tenant


@dataclass(frozen=True, slots=True)
class Whose:
    """A tenant as its own books name it."""

    slug: str
    status: TenantStatus


def whose_books() -> Whose:
    """Of the schema that the connection is in. One query."""
    slug, status = LedgerHead.objects.values_list("slug", "status").get(pk=1)
    return Whose(slug=slug, status=TenantStatus(status))


def standing(tag: Tag) -> TenantStatus:
    """The status that every decision goes by."""
    with in_tenant(tag):
        return TenantStatus(LedgerHead.objects.values_list("status", flat=True).get(pk=1))


def extensions_max(tag: Tag) -> int:
    """How often one reservation may be extended."""
    with in_tenant(tag):
        return LedgerHead.objects.values_list("extensions_max", flat=True).get(pk=1)
