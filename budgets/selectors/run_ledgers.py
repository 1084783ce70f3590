"""The ledger of one run, and whether it adds up, of the tenant whose schema the connection is in.

The ledger has no index over runs: every call of the hot path would pay for it. What belongs to a run lies close
together, so a search walks from its first entry on, until it has found what settled each of its reservations.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Subquery

from budgets.models import Budget, Decision, LedgerEntry, LedgerHead, Reservation
from budgets.models.choices import EntryKind, ReservationStatus
from budgets.models.ledger import DELTA_FIELDS
from budgets.selectors.decisions import DecisionLine, denials_of_run
from kernel.sql_files import read_sql

STEP: Final = 5_000
SECONDS_MAX: Final = 0.5
RESERVATIONS_MAX: Final = 2_000
_SETTLING: Final = (EntryKind.COMMIT, EntryKind.RELEASE, EntryKind.EXPIRE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry:
    """One entry. Amounts in `unit`, of the budgets of its path alike; `left` is what the tightest of them had after."""

    seq: int
    at: datetime
    kind: EntryKind
    unit: str
    step: str
    scope_path: str
    held: int
    spent: int
    released: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLedger:
    """`is_balanced` is computed: nothing is held that is neither settled nor open, and each charge is what was booked.

    `is_cut`: not everything was found in time, and nothing is said of the balance. Amounts by unit.
    """

    entries: tuple[RunEntry, ...]
    denials: tuple[DecisionLine, ...]
    held: dict[str, int]
    spent: dict[str, int]
    released: dict[str, int]
    budget: Budget | None
    calls: int
    started_at: datetime | None
    last_at: datetime | None
    is_balanced: bool
    is_cut: bool


def run_ledger(run_id: str) -> RunLedger | None:
    """Everything booked for the run; None for a run that asked for nothing. Four queries where it was short."""
    of_run = Reservation.objects.filter(run_id=run_id).order_by("created_at", "id")
    made_first = Decision.objects.filter(pk__in=of_run.values("pk")[:1]).values("ledger_seq")[:1]
    last_seq = LedgerHead.objects.filter(pk=1).values("last_seq")
    # Both are asked once for all rows, and spare a query.
    found = list(of_run.annotate(first_seq=Subquery(made_first), last_seq=Subquery(last_seq))[: RESERVATIONS_MAX + 1])
    reservations: list[Reservation] = [*found]
    budgets = list(Budget.objects.filter(run_id=run_id).order_by("unit"))
    if not reservations and not budgets:
        denials = denials_of_run(run_id, since=None)
        return _ledger([], [], [], denials, is_cut=False) if denials else None
    is_cut = len(reservations) > RESERVATIONS_MAX
    first, last = (found[0].first_seq, found[0].last_seq) if found else (None, last_seq.get()["last_seq"])
    entries, is_complete = _entries(reservations, budgets, first=first, last=last)
    since = min([*(one.created_at for one in reservations[:1]), *(budget.created_at for budget in budgets)])
    denials = denials_of_run(run_id, since=since)
    return _ledger(reservations, budgets, entries, denials, is_cut=is_cut or not is_complete)


def _entries(
    reservations: Sequence[Reservation], budgets: Sequence[Budget], *, first: int | None, last: int
) -> tuple[list[LedgerEntry], bool]:
    """The entries in their order, and whether all were found. `first` and `last` are numbers in the ledger.

    Of a run that is old enough some were archived, or all.
    """
    ids = [one.pk for one in reservations]
    # Where its first decision is forgotten, or it has no reservation, the newest entries are looked through.
    after = first - 1 if first else max(last - STEP * 4, 0)
    ends_at = time.monotonic() + SECONDS_MAX
    found: list[LedgerEntry] = []
    while after < last:
        until = min(after + STEP, last)
        parameters = {
            "after": after,
            "until": until,
            "reservation_ids": ids,
            "budget_ids": [budget.pk for budget in budgets],
        }
        found += LedgerEntry.objects.raw(read_sql("budgets", "run_step"), parameters)
        after = until
        if _is_all(found, reservations, budgets):
            return found, True
        if time.monotonic() > ends_at:
            break
    return found, _is_all(found, reservations, budgets)


def _is_all(entries: Sequence[LedgerEntry], reservations: Sequence[Reservation], budgets: Sequence[Budget]) -> bool:
    settled = {entry.reservation_id for entry in entries if entry.kind in _SETTLING}
    made = {entry.reservation_id for entry in entries if entry.kind == EntryKind.RESERVE}
    is_settled = all(one.pk in settled for one in reservations if one.status != ReservationStatus.ACTIVE)
    is_settled = is_settled and all(one.pk in made for one in reservations)
    folded = _folded(entries)
    return is_settled and all(folded[budget.pk, "spent"] == budget.spent for budget in budgets)


def _folded(entries: Sequence[LedgerEntry]) -> Counter[tuple[UUID, str]]:
    """The changes of each budget, summed up."""
    sums: Counter[tuple[UUID, str]] = Counter()
    for entry in entries:
        for place, budget_id in enumerate(entry.budget_ids):
            for offset, name in enumerate(DELTA_FIELDS):
                sums[budget_id, name] += entry.deltas[place * len(DELTA_FIELDS) + offset]
    return sums


def _is_balanced(
    entries: Sequence[LedgerEntry], reservations: Sequence[Reservation], budgets: Sequence[Budget]
) -> bool:
    folded = _folded(entries)
    open_holds: Counter[UUID] = Counter()
    for one in reservations:
        if one.status == ReservationStatus.ACTIVE:
            open_holds.update(dict.fromkeys(one.budget_ids, one.amount))
    touched = {budget_id for entry in entries for budget_id in entry.budget_ids}
    charged = {entry.reservation_id: entry.charged for entry in entries if entry.kind == EntryKind.COMMIT}
    # What a run's own budget is given when its first reservation opens it is no entry.
    return (
        all(folded[budget_id, "reserved"] == open_holds[budget_id] for budget_id in touched)
        and all(charged.get(one.pk) == one.charged for one in reservations if one.status == ReservationStatus.COMMITTED)
        and all(folded[budget.pk, name] == getattr(budget, name) for budget in budgets for name in DELTA_FIELDS[1:4])
    )


def _ledger(
    reservations: Sequence[Reservation],
    budgets: Sequence[Budget],
    entries: Sequence[LedgerEntry],
    denials: tuple[DecisionLine, ...],
    *,
    is_cut: bool,
) -> RunLedger:
    steps = {one.pk: one for one in reservations}
    lines = tuple(_line(entry, steps) for entry in entries)
    held, spent, released = (_by_unit(lines, name) for name in ("held", "spent", "released"))
    times = [line.at for line in lines] + [denial.at for denial in denials]
    return RunLedger(
        entries=lines,
        denials=denials,
        held=held,
        spent=spent,
        released=released,
        budget=budgets[0] if budgets else None,
        calls=sum(1 for line in lines if line.kind in {EntryKind.COMMIT, EntryKind.EVENT}),
        started_at=min(times, default=None),
        last_at=max(times, default=None),
        is_balanced=not is_cut and _is_balanced(entries, reservations, budgets),
        is_cut=is_cut,
    )


def _by_unit(lines: Sequence[RunEntry], name: str) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for line in lines:
        sums[line.unit] += getattr(line, name)
    return {unit: total for unit, total in sums.items() if unit}


def _line(entry: LedgerEntry, reservations: dict[UUID, Reservation]) -> RunEntry:
    hold = reservations.get(entry.reservation_id) if entry.reservation_id else None
    action = entry.action or (hold.action if hold else None) or {}
    # Every budget of a path changes alike, so the first speaks for all.
    _, reserved, spent, debt, uncovered = entry.deltas[: len(DELTA_FIELDS)] if entry.deltas else (0,) * 5
    used = spent + debt + uncovered
    is_end = entry.kind in _SETTLING
    left = [
        entry.balances[place] - sum(entry.balances[place + 1 : place + 4]) for place in range(0, len(entry.balances), 7)
    ]
    return RunEntry(
        seq=entry.seq,
        at=entry.at,
        kind=EntryKind(entry.kind),
        unit=entry.unit or "",
        step=str(action.get("name") or action.get("kind") or ""),
        scope_path=hold.scope_path if hold else "",
        held=reserved,
        spent=used,
        released=max(-reserved - used, 0) if is_end else 0,
        left=min(left, default=0),
    )
