"""Holding a tenant's ledger against a provider's invoice, agents' session logs, or what runtimes' own spans say."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from budgets.reconciling.calls import Comparison, Observed, Source
from budgets.reconciling.matching import APART_MAX, compare_calls, compare_days
from budgets.selectors.booked_calls import booked_calls
from budgets.selectors.ledger_beginning import BeforeTheLedger
from budgets.selectors.reconciliations import Reconciliation
from budgets.services.invoice_files import Invoice, shown_name
from budgets.services.reconciliations import Question, keep_reconciliation
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from routing.observed.invoice import read_invoice, read_invoice_content
from routing.observed.reading import NothingToCompare, Read, SourceRefused, Unpriced
from routing.observed.session_log import read_session_logs
from routing.pricing.book import ModelUnknown, PriceBook
from routing.pricing.charge import Rounding, price_usage
from routing.pricing.names import names_of
from routing.selectors.prices import model_sellers, price_book
from routing.services.charge_providers import ChargeProviders
from telemetry.evidence.selectors.model_calls import model_calls

#: Of an observed cost: providers round each line, we round each call.
TOLERANCE_PPM: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to hold the ledger against. Without times: as long as the source goes; spans need both.

    Days of an invoice are those of `zone`. `provider` is of lines that name none, and narrows the ledger's side to
    its calls and those that may be its. An `invoice` was handed in, and is kept; of the ledger at most `booked_max`
    calls are compared while somebody waits.
    """

    source: Source
    path: Path | None = None
    invoice: Invoice | None = None
    since: datetime | None = None
    until: datetime | None = None
    scope_path: str = ""
    provider: str = ""
    zone: ZoneInfo
    tolerance_ppm: int = TOLERANCE_PPM
    booked_max: int | None = None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The comparison as it was kept, and all of it."""

    kept: Reconciliation
    found: Comparison
    read: Read


def reconcile(*, tag: Tag, wanted: Wanted, actor: Actor, now: datetime) -> Reconciled:
    """Compare, and keep what came of it. The ledger is only read, beside traffic.

    Raises `SourceRefused` for a source that cannot be read, and for a time of which the ledger was archived, and
    `NothingToCompare` where nothing in it is of the time that was asked for.
    """
    read = _read(tag, wanted)
    observed = _within([*read.calls, *_priced(read.unpriced)], wanted)
    by_days = any(each.day is not None for each in observed)
    since, until = _bounds(observed, wanted, by_days=by_days)
    sellers = model_sellers(tag=tag)
    provider = wanted.provider or _only_provider(observed)
    if wanted.source == Source.SPANS and not wanted.provider and provider not in sellers.providers:
        # Runtimes name providers by conventions of their own, as azure.ai.openai.
        provider = ""
    references = frozenset(reference for each in observed for reference in each.references)
    providers = ChargeProviders(provider, sellers, references)
    try:
        with in_tenant(tag):
            charges = booked_calls(since=since, until=until, scope_path=wanted.scope_path)
            every = filter(providers.may_be_its, charges)
            booked = list(every if wanted.booked_max is None else islice(every, wanted.booked_max + 1))
    except BeforeTheLedger as refusal:
        raise SourceRefused(f"{refusal} Ask for a later time.") from None
    if wanted.booked_max is not None and len(booked) > wanted.booked_max:
        raise SourceRefused(
            f"The ledger has more than {wanted.booked_max:,} calls of that time. Ask for a shorter one."
        )
    observed = _under_one_name(observed, (each.model for each in booked))
    found = (
        compare_days(observed, booked, zone=wanted.zone, tolerance_ppm=wanted.tolerance_ppm)
        if by_days
        else compare_calls(observed, booked, tolerance_ppm=wanted.tolerance_ppm)
    )
    found = providers.counted(found, booked)
    question = Question(
        source=wanted.source,
        name=_name(wanted),
        digest=wanted.invoice.digest if wanted.invoice else _digest(wanted.path),
        since=since,
        until=until,
        scope_path=wanted.scope_path,
        provider=provider,
        by_days=by_days,
        tolerance_ppm=wanted.tolerance_ppm,
        unread=len(read.unread),
    )
    kept = keep_reconciliation(tag=tag, question=question, found=found, actor=actor, now=now, invoice=wanted.invoice)
    return Reconciled(kept=kept, found=found, read=read)


def _read(tag: Tag, wanted: Wanted) -> Read:
    if wanted.source == Source.SPANS:
        if wanted.since is None or wanted.until is None:
            raise SourceRefused("Say from when to when: spans have no beginning and no end.")
        with in_tenant(tag):
            return Read(calls=[_of_span(each) for each in model_calls(since=wanted.since, until=wanted.until)])
    if wanted.invoice is not None:
        return read_invoice_content(wanted.invoice.content, provider=wanted.provider)
    assert wanted.path is not None, "an invoice and a log are files"
    if wanted.source == Source.INVOICE:
        return read_invoice(wanted.path, provider=wanted.provider)
    return read_session_logs(wanted.path, since=wanted.since, until=wanted.until)


def _of_span(span: Mapping[str, object]) -> Observed:
    response_id = str(span["response_id"])
    return Observed(
        provider=str(span["provider"]).lower(),
        model=str(span["model"]).rpartition(":")[2].lower(),
        references=(response_id,) if response_id else (),
        at=span["at"],  # type: ignore[arg-type]
        tokens_input=span["tokens_input"],  # type: ignore[arg-type]
        tokens_output=span["tokens_output"],  # type: ignore[arg-type]
        cost=span["cost"],  # type: ignore[arg-type]
        place=f"trace {span['trace_id']}",
    )


def _priced(unpriced: Iterable[Unpriced]) -> list[Observed]:
    """Calls with their cost at the list price of their own day; a model without a price has none."""
    books: dict[datetime, PriceBook] = {}
    priced = []
    for each in unpriced:
        assert each.call.at is not None, "a log says when"
        day = datetime.combine(each.call.at.astimezone(UTC).date(), time.min, tzinfo=UTC)
        book = books.get(day) or books.setdefault(day, price_book(at=each.call.at))
        try:
            book.price(provider=each.call.provider, model=each.call.model)
        except ModelUnknown:
            priced.append(each.call)
            continue
        price = book.provider_cost(provider=each.call.provider, model=each.call.model)
        charge = price_usage(each.usage, price, rounding=Rounding.SETTLE, requested_at=each.call.at)
        priced.append(replace(each.call, cost=charge.total))
    return priced


def _within(observed: Sequence[Observed], wanted: Wanted) -> list[Observed]:
    first = wanted.since.astimezone(wanted.zone).date() if wanted.since else None
    # Up to the midnight that begins a day, that day is not in.
    last = (wanted.until - timedelta(microseconds=1)).astimezone(wanted.zone).date() if wanted.until else None
    found = [
        each
        for each in observed
        if (each.at is None or wanted.since is None or each.at >= wanted.since)
        and (each.at is None or wanted.until is None or each.at < wanted.until)
        and (each.day is None or first is None or each.day >= first)
        and (each.day is None or last is None or each.day <= last)
    ]
    if not found:
        raise NothingToCompare("There is nothing of that time in it, so there is nothing to compare.")
    return found


def _bounds(observed: Sequence[Observed], wanted: Wanted, *, by_days: bool) -> tuple[datetime, datetime]:
    """From when to when the ledger is looked at."""
    if by_days:
        days = [each.day or (each.at.astimezone(wanted.zone).date() if each.at else None) for each in observed]
        known = [day for day in days if day is not None]
        first = datetime.combine(min(known), time.min, tzinfo=wanted.zone)
        last = datetime.combine(max(known) + timedelta(days=1), time.min, tzinfo=wanted.zone)
    else:
        moments = [each.at for each in observed if each.at is not None]
        # A call is booked after it was made, and the two clocks are not one.
        first, last = min(moments) - APART_MAX, max(moments) + APART_MAX
    return wanted.since or first.astimezone(UTC), wanted.until or last.astimezone(UTC)


def _only_provider(observed: Sequence[Observed]) -> str:
    """The one that all are of; else nothing."""
    providers = {each.provider for each in observed}
    return providers.pop() if len(providers) == 1 else ""


def _under_one_name(observed: Sequence[Observed], booked_models: Iterable[str]) -> list[Observed]:
    """Revisions of a model under the name that the ledger has for it."""
    known = set(booked_models)
    by_short = {short: model for model in known for short in names_of(model)}
    return [
        each
        if each.model in known
        else replace(
            each,
            model=next((by_short[name] for name in names_of(each.model) if name in by_short), names_of(each.model)[-1]),
        )
        for each in observed
    ]


def _name(wanted: Wanted) -> str:
    if wanted.invoice is not None:
        return shown_name(wanted.invoice.name)
    return shown_name(wanted.path.name) if wanted.path else "evidence spans"


def _digest(path: Path | None) -> str:
    if path is None or not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
