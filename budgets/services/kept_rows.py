"""For how long a tenant's rows are really kept, who said so, and what the worker has archived of them so far."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from budgets.models import KeptKind
from budgets.selectors.keeping import KeptFrom, KeptSaying, SaidDays, installation_days, kept_sayings
from budgets.services.keeping_terms import days_min
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from telemetry.archive_kinds import ArchiveKind
from telemetry.evidence.services.forgetting import WHOLE_FOR
from telemetry.selectors.archive_files import ArchivedRows, archived_rows
from telemetry.services.audit_archive import KEPT_MIN as AUDIT_KEPT_MIN
from tenants.selectors.directory import plan_defaults_of

#: In the order in which people ask for them.
_ORDER: Final = (
    ArchiveKind.LEDGER,
    ArchiveKind.DECISIONS,
    ArchiveKind.EVENTS,
    ArchiveKind.AUDIT,
    ArchiveKind.SPANS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRows:
    """One kind. `days` is what really counts, None for ever: a term of less than `days_min` counts as that.

    `otherwise` is what counts without a term of the tenant's own, and `can_differ` whether there may be one.
    """

    kind: ArchiveKind
    days: int | None
    origin: KeptFrom
    otherwise: SaidDays
    days_min: int
    can_differ: bool
    archived: ArchivedRows

    @property
    def is_own(self) -> bool:
        return self.origin is KeptFrom.TENANT


def kept_rows(tag: Tag) -> list[KeptRows]:
    """All kinds of rows that are archived before they go. Three queries."""
    plan = plan_defaults_of(tag).get("keep", {})
    with in_tenant(tag):
        sayings = kept_sayings(installation_days(), plan=plan)
        archived = archived_rows()
    return [
        _rows(kind, _saying(kind, sayings), days_min=_days_min(kind), archived=archived.get(kind, ArchivedRows()))
        for kind in _ORDER
    ]


def _rows(kind: ArchiveKind, saying: KeptSaying, *, days_min: int, archived: ArchivedRows) -> KeptRows:
    return KeptRows(
        kind=kind,
        days=_at_least(saying.counts, days_min).days,
        origin=saying.counts.origin,
        otherwise=_at_least(saying.otherwise, days_min),
        days_min=days_min,
        can_differ=kind in KeptKind,
        archived=archived,
    )


def _saying(kind: ArchiveKind, sayings: Mapping[KeptKind, KeptSaying]) -> KeptSaying:
    if kind in KeptKind:
        return sayings[KeptKind(kind)]
    days = installation_days().audit if kind == ArchiveKind.AUDIT else settings.EVIDENCE_DAYS
    said = SaidDays(days, KeptFrom.INSTALLATION)
    return KeptSaying(said, said)


def _days_min(kind: ArchiveKind) -> int:
    if kind in KeptKind:
        return days_min(KeptKind(kind))
    return (AUDIT_KEPT_MIN if kind == ArchiveKind.AUDIT else WHOLE_FOR).days


def _at_least(said: SaidDays, days: int) -> SaidDays:
    return said if said.days is None else SaidDays(max(said.days, days), said.origin)
