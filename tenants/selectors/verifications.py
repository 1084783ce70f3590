"""Whether the books of all tenants were proven, from the notes in the shared schema."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Min, Q

from kernel.tenancy import in_public
from tenants.models import Tenant, TenantStatus, Verification, VerifiedPart

__all__ = ["Unsound", "VerificationTotals", "VerifiedPart", "unsound_books", "verification_totals"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationTotals:
    """Of all tenants with books. `oldest_at` is of the one proven longest ago, `latest_at` of the last one.

    `unsound` are those in which the last proof of any part found something.
    """

    tenants: int
    proven: int
    never: int
    unsound: int
    oldest_at: datetime | None
    latest_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsound:
    """Books in which the last proof found something."""

    slug: str
    part: str
    at: datetime
    differences: int
    first_difference: str


def verification_totals(*, part: VerifiedPart = VerifiedPart.LEDGER) -> VerificationTotals:
    """One query."""
    mine = Q(verifications__part=part)
    with in_public():
        row = Tenant.objects.exclude(status=TenantStatus.PROVISIONING).aggregate(
            tenants=Count("pk", distinct=True),
            proven=Count("verifications__tag", filter=mine),
            unsound=Count("pk", filter=Q(verifications__differences__gt=0), distinct=True),
            oldest_at=Min("verifications__at", filter=mine),
            latest_at=Max("verifications__at", filter=mine),
        )
    return VerificationTotals(
        tenants=row["tenants"],
        proven=row["proven"],
        never=row["tenants"] - row["proven"],
        unsound=row["unsound"],
        oldest_at=row["oldest_at"],
        latest_at=row["latest_at"],
    )


def unsound_books(*, limit: int) -> tuple[Unsound, ...]:
    """Those with differences in any part, the latest first. One query."""
    with in_public():
        found = Verification.objects.filter(differences__gt=0).select_related("tenant").order_by("-at")[:limit]
        return tuple(
            Unsound(
                slug=each.tenant.slug,
                part=each.part,
                at=each.at,
                differences=each.differences,
                first_difference=each.first_difference,
            )
            for each in found
        )
