"""What an import found, as lines for whoever approves it."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from routing.models import PriceVersion
from routing.services.price_import import Difference, Imported
from routing.services.price_source_rates import Terms
from routing.services.price_timeline import terms_in

_MICROCENTS_PER_USD: Final = 10**8


def import_text(imported: Imported, *, shows_all: bool) -> str:
    """The difference to approve: changes one by one, new models by provider (one by one with `shows_all`)."""
    return "\n".join(_lines(imported, shows_all=shows_all))


def _lines(imported: Imported, *, shows_all: bool) -> Iterator[str]:
    changed = [each for each in imported.differences if each.before is not None]
    new = [each for each in imported.differences if each.before is None]
    yield (
        f"genai-prices {imported.version}: {len(new):,} new, {len(changed):,} changed,"
        f" {imported.unchanged:,} unchanged, {imported.waiting:,} waiting already,"
        f" {imported.rejected_before:,} rejected before, {len(imported.left_out):,} left out,"
        f" {len(imported.gone):,} gone."
    )
    if changed:
        yield from ("", "Changed:", *(f"  {difference_text(each)}" for each in changed))
    if new:
        yield from ("", "New:", *_new_lines(new, shows_all=shows_all))
    if imported.left_out:
        yield from ("", "Left out; a model without a price is refused:")
        for why, count in Counter(each.why for each in imported.left_out).most_common():
            yield f"  {count:>5,}  {why}"
    if imported.gone:
        yield from ("", "Gone from the source; their prices stay:")
        yield from (f"  {provider}:{model}" for provider, model in imported.gone)


def _new_lines(new: list[Difference], *, shows_all: bool) -> Iterator[str]:
    if shows_all:
        yield from (f"  {difference_text(each)}" for each in new)
        return
    versions = Counter(each.proposal.provider for each in new)
    models = {
        provider: len({each.proposal.model for each in new if each.proposal.provider == provider})
        for provider in versions
    }
    for provider, count in sorted(versions.items()):
        yield f"  {provider}: {models[provider]:,} models, {count:,} versions"


def difference_text(difference: Difference) -> str:
    """`openai:o3 from 2025-06-10: input $10 → $2, output $40 → $8`."""
    proposal = difference.proposal
    return f"{name_text(proposal)}: {changes_text(difference)}{_note(proposal)}"


def changes_text(difference: Difference) -> str:
    """What of the terms changes: `input $10 → $2, output $40 → $8`."""
    return ", ".join(_changes(difference.before, terms_in(difference.proposal))) or "no rate changed"


def proposal_text(version: PriceVersion) -> str:
    """One proposal with its rates: `openai:gpt-4o-mini: input $0.15, output $0.6`."""
    return f"{name_text(version)}: {', '.join(_changes(None, terms_in(version)))}{_note(version)}"


def name_text(version: PriceVersion) -> str:
    """The model and the dates."""
    dates = version.effective
    return (
        f"{version.provider}:{version.model}"
        f"{'' if dates.lower is None else f' from {_day(dates.lower)}'}"
        f"{'' if dates.upper is None else f' until {_day(dates.upper)}'}"
    )


def _note(version: PriceVersion) -> str:
    return f" ({version.notes.rstrip('.')})" if version.notes else ""


def _changes(before: Terms | None, after: Terms) -> Iterator[str]:
    old = {} if before is None else dict(_rows(before))
    new = dict(_rows(after))
    for name in sorted(old.keys() | new.keys(), key=_order):
        if old.get(name) == new.get(name):
            continue
        if before is None:
            yield f"{name} {_shown(name, new[name])}"
        else:
            yield f"{name} {_shown(name, old.get(name))} → {_shown(name, new.get(name))}"


def _rows(terms: Terms) -> Iterator[tuple[str, int]]:
    for table, rates in terms.rates.items():
        prefix = "" if table == "standard" else f"{table.removeprefix('standard_')} "
        yield from ((f"{prefix}{kind}", rate) for kind, rate in rates.items())
    if terms.per_call:
        yield "a call", terms.per_call
    if terms.long_context_from is not None:
        yield "long above", terms.long_context_from
    yield from ((f"{tool} a call", fee) for tool, fee in terms.tool_fees.items())


def _order(name: str) -> tuple[int, str]:
    return (0 if name == "input" else 1 if name == "output" else 2, name)


def _shown(name: str, amount: int | None) -> str:
    if amount is None:
        return "—"
    if name == "long above":
        return f"{amount:,} tokens"
    whole, rest = divmod(amount, _MICROCENTS_PER_USD)
    decimals = f"{rest:08}".rstrip("0")
    return f"${whole:,}.{decimals}" if decimals else f"${whole:,}"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
