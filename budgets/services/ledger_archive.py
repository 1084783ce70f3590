"""Letting the ledger begin later: sealed entries go into a file, their openings stand in their place, then they go.

As soon as the file is known its entries are no longer part of the ledger: every reader begins behind it, whether they
are gone yet or not. Before that they are proven once more, by their seals and by continuing what was there before.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Final

from django.db import connection
from django.db.models import F
from django.db.models.functions import Coalesce, Greatest

from budgets.models import Decision, LedgerHead, LedgerOpening, LedgerSeal, Reservation, RollupMark
from budgets.models.choices import ReservationStatus
from budgets.models.rollups import BUCKET
from budgets.selectors.audit_rows import ranges
from budgets.selectors.ledger_beginning import Beginning, hash_of_openings, ledger_beginning
from budgets.selectors.ledger_fold import Folded, fold_balances, fold_from, fold_kinds
from budgets.services.seals_proof import chain_faults, entry_faults
from kernel.ids import Tag
from telemetry.archive_kinds import ArchiveKind
from telemetry.selectors.archive_files import Archive
from telemetry.services.archiving import by_function, drop_old, write_archive

#: Entries of one statement, and of one file: more only where a single seal has more.
PAGE: Final = 2_000
FILE_ENTRIES: Final = 50_000
#: Until then a charge may be asked for again by its key. The function that drops entries says so too.
KEPT_MIN: Final = timedelta(days=90)
_INSERTED: Final = 2_000

_ENTRIES: Final = """
    SELECT seq, to_jsonb(e)::text FROM ledger_entry AS e WHERE seq > %(after)s AND seq <= %(until)s ORDER BY seq
"""
_drop: Final = by_function("SELECT drop_ledger_v1(%(file)s, %(keys)s::bigint[])")

# Each found by an index of its own.
_NOT_IN_SUMS: Final = """
    SELECT least(
        (SELECT at FROM ledger_entry WHERE seq = %(seq)s + 1),
        (SELECT min(at) FROM decision WHERE verdict = 'DENY' AND at > coalesce(%(decided)s, '-infinity'::timestamptz)),
        (
            SELECT min(at) FROM decision
            WHERE ledger_seq IS NULL AND NOT verdict = 'DENY' AND at > coalesce(%(decided)s, '-infinity'::timestamptz)
        )
    )
"""
# Of charges up to `until`: a charge stays with its corrections.
_CORRECTED_LATER: Final = """
    SELECT EXISTS (
        SELECT FROM ledger_entry
        WHERE kind = 'CORRECTION' AND seq > %(until)s AND (metadata ->> 'corrects')::bigint <= %(until)s
    )
"""


class CorrectedMeanwhile(Exception):
    """Somebody corrected a charge that was just being archived: the next visit looks again."""


class LedgerNotSound(Exception):
    """What is to be archived is not what was sealed, or does not add up: then it stays where it can be looked at."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Entries behind `after` up to `until`, where the seal ends; all are from before `until_at`."""

    beginning: Beginning
    until: int
    until_at: datetime
    seals: tuple[LedgerSeal, ...]


def drop_ledger(*, tag: Tag, before: datetime, now: datetime, has_time: Callable[[], bool]) -> tuple[int, bool]:
    """Archive and drop sealed entries from before `before`, a file at a time; how many, and whether that was all.

    In the tenant's schema, `alone`. Entries under a hold that is open, and all behind it, wait for its end, and charges
    for their corrections. Safe beside traffic, to repeat and to be killed. Raises `LedgerNotSound`,
    `CorrectedMeanwhile`, and what `write_archive` and `drop_old` raise.
    """
    before = min(before, now - KEPT_MIN)
    return drop_old(
        ArchiveKind.LEDGER,
        owner=tag,
        archive=partial(_archive, tag, before),
        key_of=itemgetter("seq"),
        drop=_drop,
        has_time=has_time,
    )


def _archive(tag: Tag, before: datetime) -> Archive | None:
    part = _next_part(before)
    if part is None:
        return None
    folded = _proven(part)
    openings = folded.openings()
    facts = {
        "after": part.beginning.after,
        "until": part.until,
        "seal": bytes(part.seals[-1].hash).hex(),
        "openings": hash_of_openings(openings),
        "kinds": {kind: [number, str(total)] for kind, (number, total) in sorted(folded.kinds.items())},
    }

    def stand_in(file: Archive) -> None:
        rows = [
            LedgerOpening(
                number=file.number, budget_id=one.budget_id, first_seq=one.first_seq, balances=list(one.balances)
            )
            for one in openings
        ]
        LedgerOpening.objects.bulk_create(rows, batch_size=_INSERTED)
        # Sums of that time cannot be made again; those of the decisions are made by the entries too.
        kept_since = {
            name: Greatest(Coalesce(F(name), part.until_at), part.until_at)
            for name in ("entries_kept_since", "decisions_kept_since")
        }
        RollupMark.objects.filter(pk=1).update(**kept_since)
        # Last, because decisions wait for it: whoever corrects a charge holds it before they look for the charge.
        LedgerHead.objects.select_for_update().get(pk=1)
        if _is_corrected_later(part.until):
            raise CorrectedMeanwhile

    return write_archive(
        kind=ArchiveKind.LEDGER, owner=tag, pages=_pages(part), until_at=part.until_at, facts=facts, beside=stand_in
    )


def _next_part(before: datetime) -> _Part | None:
    """The oldest sealed entries that are old enough, in the sums, and before every hold that is open."""
    beginning = ledger_beginning()
    followed = RollupMark.objects.filter(pk=1).values_list("ledger_seq", flat=True).first() or 0
    held = Reservation.objects.filter(status=ReservationStatus.ACTIVE).values("pk")
    first_held = (
        Decision.objects.filter(pk__in=held).order_by("ledger_seq").values_list("ledger_seq", flat=True).first()
    )
    bound = followed if first_held is None else min(followed, first_held - 1)
    before = min(before, _not_in_sums_since() or before)
    seals: list[LedgerSeal] = []
    whole = 0
    found = LedgerSeal.objects.filter(last_seq__gt=beginning.after, last_seq__lte=bound).order_by("number")
    for seal in found.iterator():
        is_full = seals and seal.last_seq - beginning.after > FILE_ENTRIES
        if is_full or _end_of_bucket(seal.last_at) > before:
            break
        seals.append(seal)
        if not _is_corrected_later(seal.last_seq):
            whole = len(seals)
    seals = seals[:whole]
    if not seals:
        return None
    return _Part(beginning, seals[-1].last_seq, _end_of_bucket(seals[-1].last_at), tuple(seals))


def _not_in_sums_since() -> datetime | None:
    """When the first of what the sums have not followed yet came; None where they have all.

    Sums from before a cut cannot be made again, so that they have to be whole by then: of decisions too.
    """
    mark = RollupMark.objects.filter(pk=1).first() or RollupMark(id=1)
    with connection.cursor() as cursor:
        cursor.execute(_NOT_IN_SUMS, {"seq": mark.ledger_seq, "decided": mark.decisions_at})
        since: datetime | None = cursor.fetchone()[0]
    return since


def _is_corrected_later(until: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_CORRECTED_LATER, {"until": until})
        return bool(cursor.fetchone()[0])


def _proven(part: _Part) -> Folded:
    head = LedgerHead.objects.values_list("last_seq", flat=True).get(pk=1)
    last = LedgerSeal.objects.filter(last_seq=part.beginning.after).first()
    for seal in part.seals:
        faults = chain_faults(seal, before=last, head=head, beginning=part.beginning)
        for fault in chain(faults, entry_faults(seal)):
            raise LedgerNotSound(f"seal {seal.number}: {fault}")
        last = seal
    folded = fold_from(part.beginning)
    for bounds in ranges(part.beginning.after, part.until):
        fold_kinds(folded, bounds)
        for unfit in fold_balances(folded, bounds):
            raise LedgerNotSound(f"entry {unfit.seq} does not continue the balances of a budget")
    return folded


def _pages(part: _Part) -> Iterator[list[str]]:
    for after in range(part.beginning.after, part.until, PAGE):
        with connection.cursor() as cursor:
            cursor.execute(_ENTRIES, {"after": after, "until": min(after + PAGE, part.until)})
            yield [text for _, text in cursor.fetchall()]


def _end_of_bucket(at: datetime) -> datetime:
    """Sums are kept by whole quarters of an hour: the next one is the first that has all of its entries."""
    seconds, width = int(at.timestamp()), int(BUCKET.total_seconds())
    return datetime.fromtimestamp(seconds - seconds % width + width, tz=at.tzinfo)
