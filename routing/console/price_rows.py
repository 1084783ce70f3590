"""Prices as pages show them: USD for 1,000,000 tokens."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kernel.pages.bars import Tone
from routing.models import Layer, PriceStatus, PriceVersion
from routing.services.price_import import Difference
from routing.services.price_report import changes_text

_LAYERS = {Layer.LIST: "List", Layer.PLATFORM: "Platform", Layer.CONTRACT: "Contract"}
_STATUSES = {
    PriceStatus.PROPOSED: ("Waiting", Tone.WARN),
    PriceStatus.APPROVED: ("Approved", Tone.GOOD),
    PriceStatus.REJECTED: ("Rejected", Tone.BAD),
    PriceStatus.SUPERSEDED: ("Replaced", Tone.CALM),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """Rates are USD_MICROCENTS for 1,000,000 tokens, None where there is none; `more` are the other terms."""

    id: UUID
    provider: str
    model: str
    layer: str
    input: int | None
    output: int | None
    cached: int | None
    more: str
    context_window: int | None
    since: datetime | None
    until: datetime | None
    source: str
    status: str
    tone: Tone
    decided_at: datetime | None
    decided_by: str


def price_row(version: PriceVersion) -> PriceRow:
    rates = version.rates.get("standard", {})
    status, tone = _STATUSES[PriceStatus(version.status)]
    return PriceRow(
        id=version.pk,
        provider=version.provider,
        model=version.model,
        layer=_LAYERS[Layer(version.layer)],
        input=rates.get("input"),
        output=rates.get("output"),
        cached=rates.get("cache_read"),
        more=_more(version),
        context_window=version.context_window,
        since=version.effective.lower,
        until=version.effective.upper,
        source=f"{version.source} {version.source_version}".strip(),
        status=status,
        tone=tone,
        decided_at=version.decided_at,
        decided_by=version.decided_by,
    )


def _more(version: PriceVersion) -> str:
    parts = [name.replace("_", " ") for name in version.rates if name != "standard"]
    if version.long_context_from is not None:
        parts.append(f"long above {version.long_context_from:,} tokens")
    if version.per_call:
        parts.append("a fee a call")
    if version.tool_fees:
        parts.append("tool fees")
    return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRow:
    """One undecided price; `changes` is what it would change, `is_new` where the model has no price yet."""

    id: UUID
    provider: str
    model: str
    is_new: bool
    changes: str
    notes: str
    since: datetime | None
    until: datetime | None
    source: str


def difference_row(difference: Difference) -> DifferenceRow:
    proposal = difference.proposal
    return DifferenceRow(
        id=proposal.pk,
        provider=proposal.provider,
        model=proposal.model,
        is_new=difference.before is None,
        changes=changes_text(difference),
        notes=proposal.notes,
        since=proposal.effective.lower,
        until=proposal.effective.upper,
        source=f"{proposal.source} {proposal.source_version}".strip(),
    )
