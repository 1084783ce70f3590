"""For how long rows are kept, by the tenant's own word, its plan's, or the installation's."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from budgets.models import KeepingTerm


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepingDays:
    """In days, None for ever. The trail's are the installation's alone: it is held against tenants too."""

    decisions: int | None
    events: int | None
    ledger: int | None
    audit: int | None = None


def keeping_days(installation: KeepingDays, *, plan: Mapping[str, Any]) -> KeepingDays:
    """What counts in the tenant whose schema the connection is in. `plan` is the `keep` of its plan. One query."""
    said = {kind: plan[kind] for kind in ("decisions", "events", "ledger") if kind in plan}
    own = dict(KeepingTerm.objects.values_list("kind", "days"))
    return replace(installation, **said | own)
