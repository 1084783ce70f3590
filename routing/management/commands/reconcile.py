"""``manage.py reconcile``: hold a tenant's ledger against what others say was used."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, OperationalError

from budgets.reconciling.calls import Comparison, Finding, Source
from budgets.reconciling.table import HEADS, row_of
from kernel.actor import Actor
from kernel.ids import parse_tag
from kernel.pages.amounts import counted_text
from kernel.pages.exports import csv_text
from routing.observed.reading import YEARS, NothingToCompare, SourceRefused
from routing.services.reconciling import TOLERANCE_PPM, Reconciled, Wanted, reconcile
from tenants.selectors.directory import TenantLine, tenant_by_slug, tenant_by_tag

#: Of each kind, on the screen.
_SHOWN: Final = 5
#: As of the shell's diff: 1 says that something differs, 2 that it could not be told.
_DIFFERS: Final = 1
_REFUSED: Final = 2
_NOTHING: Final = 3
_SENTENCES: Final = {
    Finding.MISSING: "observed, and not booked",
    Finding.EXTRA: "booked, and not observed",
    Finding.DRIFT: "booked otherwise than observed",
}


class Command(BaseCommand):
    help = (
        "Hold a tenant's ledger against a provider's invoice (CSV), agents' session logs (JSON lines, or a folder of"
        " them) or its runtimes' evidence spans. Prints what is missing, extra or different, and keeps it for the"
        " console. Exits 1 when there is anything, 2 when the two could not be compared, and 3 when the source has"
        " nothing of that time."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="By its slug or its tag.")
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("--invoice", type=Path, help="A provider's invoice or usage export as CSV, in USD.")
        source.add_argument("--log", type=Path, help="A session log (.jsonl) of an agent, or a folder of them.")
        source.add_argument("--spans", action="store_true", help="The evidence spans that were kept.")
        parser.add_argument("--since", type=_day, help="The first day, as 2026-11-01, in the tenant's time zone.")
        parser.add_argument("--until", type=_day, help="The last day, inclusive.")
        parser.add_argument("--scope", default="", help="Only charges at or below it, as tenant:acme/agent:coder.")
        parser.add_argument("--provider", default="", help="Of lines that name none; only its charges are looked at.")
        parser.add_argument("--zone", help="Of an invoice's days; UTC where none is given, as providers count.")
        per_cent = TOLERANCE_PPM / 10_000
        parser.add_argument("--tolerance", type=float, default=per_cent, help="Per cent that costs may differ.")
        parser.add_argument("--csv", type=Path, help="Write every difference to this file.")
        parser.add_argument("--by", default="reconcile", help="Who asks, for the audit trail.")
        parser.add_argument("--reason", default="", help="Why, for the audit trail.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._compare(options)
        except (DatabaseError, InterfaceError) as error:
            # Its own exit code would be that of a difference.
            did = "refused it" if not isinstance(error, (OperationalError, InterfaceError)) else "does not answer"
            raise _refusal(f"The database {did}: {str(error).partition('\n')[0]}") from None

    def _compare(self, options: dict[str, Any]) -> None:
        tenant = _tenant(options["tenant"])
        wanted = _wanted(tenant, options)
        actor = Actor(name=options["by"], actor_type="system", reason=options["reason"])
        try:
            done = reconcile(tag=tenant.tag, wanted=wanted, actor=actor, now=datetime.now(UTC))
        except NothingToCompare as nothing:
            raise CommandError(str(nothing), returncode=_NOTHING) from None
        except SourceRefused as refusal:
            raise _refusal(str(refusal)) from None
        if options["csv"]:
            _write(options["csv"], done.found)
        self._say(tenant, done)
        if not done.found.is_clean:
            number = len(done.found.differences)
            places = "1 difference" if number == 1 else f"{number:,} differences"
            where = f"The console shows {'it' if number == 1 else 'them'}: {done.kept.pk}."
            raise CommandError(f"{places}. {where}", returncode=_DIFFERS)

    def _say(self, tenant: TenantLine, done: Reconciled) -> None:
        kept, found = done.kept, done.found
        what = "days of a model" if kept.by_days else "calls"
        self.stdout.write(f"{tenant.slug}, {kept.since:%Y-%m-%d %H:%M} to {kept.until:%Y-%m-%d %H:%M} UTC")
        for name, side in (("observed", found.observed), ("booked", found.booked)):
            tokens = f"{side.tokens_input:,} tokens in, {side.tokens_output:,} out"
            self.stdout.write(f"  {name:<9}{side.calls:>9,} calls, {tokens}, {_usd(side.cost)}")
        self.stdout.write(f"  matched  {found.matched:>9,} {what}")
        for finding, sentence in _SENTENCES.items():
            some = [each for each in found.differences if each.finding == finding]
            self.stdout.write(f"  {finding.value:<9}{len(some):>9,} {sentence}")
            for each in some[:_SHOWN]:
                when = each.day or (each.at and f"{each.at:%Y-%m-%d %H:%M:%S}")
                where = each.reference or each.place or f"entry {each.seq}"
                observed, booked = (_usd(cost) for cost in each.cost)
                nothing = {Finding.EXTRA: ("nothing", booked), Finding.MISSING: (observed, "nothing")}
                observed, booked = nothing.get(each.finding, (observed, booked))
                costs = f"{observed} observed, {booked} booked"
                self.stdout.write(f"    {when} {each.model} {where}: {costs}")
        if found.unnamed:
            calls = counted_text(found.unnamed, "booked call")
            unplaced = f"{found.unplaced:,} of a model that no price list knows"
            self.stdout.write(f"  Without a provider's name: {calls}, {unplaced}.")
        if done.read.repeated:
            self.stdout.write(f"  {done.read.repeated:,} lines repeated a call and were counted once.")
        if done.read.unread:
            some_places = ", ".join(done.read.unread[:_SHOWN])
            self.stdout.write(f"  {len(done.read.unread):,} lines could not be read: {some_places}")


def _wanted(tenant: TenantLine, options: dict[str, Any]) -> Wanted:
    source = Source.INVOICE if options["invoice"] else Source.SESSION_LOG if options["log"] else Source.SPANS
    try:
        zone = ZoneInfo(options["zone"] or ("UTC" if source == Source.INVOICE else tenant.time_zone))
    except (KeyError, ValueError):
        raise _refusal(f"{options['zone']} is no time zone, as Asia/Kolkata is one.") from None
    since, last = options["since"], options["until"]
    if any(day and day.year not in YEARS for day in (since, last)):
        raise _refusal(f"Days are from the year {YEARS.start} on.")
    if since and last and last < since:
        raise _refusal("--until is before --since.")
    if not 0 <= options["tolerance"] <= 100:
        raise _refusal("--tolerance is from 0 to 100 per cent.")
    return Wanted(
        source=source,
        path=options["invoice"] or options["log"],
        since=datetime.combine(since, time.min, tzinfo=zone) if since else None,
        until=datetime.combine(last + timedelta(days=1), time.min, tzinfo=zone) if last else None,
        scope_path=options["scope"].lower().rstrip("/"),
        provider=options["provider"].lower(),
        zone=zone,
        tolerance_ppm=round(options["tolerance"] * 10_000),
    )


def _write(path: Path, found: Comparison) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(csv_text([HEADS]))
            file.writelines(csv_text([row_of(each.as_document())]) for each in found.differences)
    except OSError as error:
        raise _refusal(f"{path} cannot be written: {error.strerror}.") from None


def _refusal(words: str) -> CommandError:
    return CommandError(words, returncode=_REFUSED)


def _day(text: str) -> date:
    return date.fromisoformat(text)


def _usd(microcents: int | None) -> str:
    return "unknown" if microcents is None else f"${microcents / 10**8:,.4f}"


def _tenant(name: str) -> TenantLine:
    tag = parse_tag(name)
    line = tenant_by_slug(name) or (tenant_by_tag(tag) if tag else None)
    if line is None or not line.has_books:
        raise _refusal(f"There is no tenant {name} with books.")
    return line
