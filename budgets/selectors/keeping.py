"""For how long rows are kept, by the tenant's own word, its plan's, or the installation's."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from django.conf import settings

from budgets.models import KeepingTerm, KeptKind


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepingDays:
    """In days, None for ever. The trail's are the installation's alone: it is held against tenants too."""

    decisions: int | None
    events: int | None
    ledger: int | None
    audit: int | None = None


class KeptFrom(StrEnum):
    """Who said for how long."""

    TENANT = "tenant"
    PLAN = "plan"
    INSTALLATION = "installation"


@dataclass(frozen=True, slots=True)
class SaidDays:
    """Days, None for ever, and who said so."""

    days: int | None
    origin: KeptFrom


@dataclass(frozen=True, slots=True)
class KeptSaying:
    """What is said for one kind: what counts, and what would count if the tenant had no word of its own."""

    counts: SaidDays
    otherwise: SaidDays


def installation_days() -> KeepingDays:
    """What the installation's variables say. No query."""
    return KeepingDays(
        decisions=settings.KEEP_DECISIONS_DAYS,
        events=settings.KEEP_EVENTS_DAYS,
        ledger=settings.KEEP_LEDGER_DAYS,
        audit=settings.KEEP_AUDIT_DAYS,
    )


def kept_sayings(installation: KeepingDays, *, plan: Mapping[str, Any]) -> dict[KeptKind, KeptSaying]:
    """Of the tenant whose schema the connection is in. `plan` is the `keep` of its plan. One query."""
    own = dict(KeepingTerm.objects.values_list("kind", "days"))
    found = {}
    for kind in KeptKind:
        said = SaidDays(getattr(installation, kind.value), KeptFrom.INSTALLATION)
        otherwise = SaidDays(plan[kind], KeptFrom.PLAN) if kind in plan else said
        found[kind] = KeptSaying(SaidDays(own[kind], KeptFrom.TENANT) if kind in own else otherwise, otherwise)
    return found


def keeping_days(installation: KeepingDays, *, plan: Mapping[str, Any]) -> KeepingDays:
    """What counts in the tenant whose schema the connection is in. `plan` is the `keep` of its plan. One query."""
    sayings = kept_sayings(installation, plan=plan)
    return replace(installation, **{kind.value: saying.counts.days for kind, saying in sayings.items()})
