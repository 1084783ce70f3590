"""How the evidence of all tenants stands, from the shared schema."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Q, Sum

from kernel.ids import Tag
from kernel.tenancy import in_public
from telemetry.findings.models import EvidenceStanding


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingOfEvidence:
    """One tenant: spans with another tenant's prompt or namespace, and refused ones that named another tenant."""

    tag: Tag
    last_span_at: datetime | None
    leaks: int
    last_leak_at: datetime | None
    foreign_spans: int
    last_foreign_at: datetime | None


@dataclass(frozen=True, slots=True)
class EvidenceTotals:
    """Of all tenants together."""

    tenants: int
    leaks: int
    foreign_spans: int


def standings_of_evidence(*, only_findings: bool = False, skip: int = 0, limit: int) -> list[StandingOfEvidence]:
    """The latest leaks first, then the latest refusals, then whoever sent last; `skip` of them left out. One query."""
    found = EvidenceStanding.objects.all()
    if only_findings:
        found = found.filter(Q(leaks__gt=0) | Q(foreign_spans__gt=0))
    order = [F(name).desc(nulls_last=True) for name in ("last_leak_at", "last_foreign_at", "last_span_at")]
    with in_public():
        return [
            StandingOfEvidence(
                tag=Tag(row.tag),
                last_span_at=row.last_span_at,
                leaks=row.leaks,
                last_leak_at=row.last_leak_at,
                foreign_spans=row.foreign_spans,
                last_foreign_at=row.last_foreign_at,
            )
            for row in found.order_by(*order, "tag")[skip : skip + limit]
        ]


def totals_of_evidence() -> EvidenceTotals:
    """One query."""
    with in_public():
        sums = EvidenceStanding.objects.aggregate(leaks=Sum("leaks"), foreign=Sum("foreign_spans"))
        return EvidenceTotals(
            tenants=EvidenceStanding.objects.count(), leaks=sums["leaks"] or 0, foreign_spans=sums["foreign"] or 0
        )


def count_with_evidence() -> int:
    """How many have ever sent a span. One query."""
    with in_public():
        return EvidenceStanding.objects.count()


def tenants_with_evidence() -> list[Tag]:
    """Everyone who has ever sent a span. One query."""
    with in_public():
        return [Tag(tag) for tag in EvidenceStanding.objects.order_by("tag").values_list("tag", flat=True)]
