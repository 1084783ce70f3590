"""The proof that a tenant's books add up: invariants I1-I6 and I8 (and L1-L14 where they say more), on live data.

What changes is read once, in one short repeatable-read snapshot: the head, the budgets, and sums over the
reservations. What is written once and never changed, the entries up to that head, is read after it in ranges, each a
short statement, so that no old snapshot stands beside the hot rows. Traffic goes on meanwhile and makes no difference.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from budgets.models.ledger import BALANCE_FIELDS
from budgets.selectors.audit_rows import Row, ranges, read, rows
from budgets.selectors.ledger_beginning import Beginning, hash_of_openings, ledger_beginning, openings
from budgets.selectors.ledger_fold import ZERO, Folded, fold_balances, fold_from, fold_kinds
from kernel.ids import Tag
from kernel.tenancy import in_tenant

#: A look during which more of the ledger was archived is made again, so many times.
_LOOKS_MAX: Final = 3
#: The state that a kind of entry leaves its reservation in.
_ENDS: Final = {"COMMIT": "COMMITTED", "RELEASE": "RELEASED", "EXPIRE": "EXPIRED"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the books do not add up: the invariant that is broken, where, and how."""

    invariant: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.where}: {self.what}"


@dataclass(slots=True)
class Audit:
    """What was read, and the differences in the order in which they were found."""

    entries: int = 0
    budgets: int = 0
    reservations: int = 0
    differences: list[Difference] = field(default_factory=list)

    def differ(self, invariant: str, where: str, what: str) -> None:
        self.differences.append(Difference(invariant, where, what))


@dataclass(frozen=True, slots=True)
class _Snapshot:
    beginning: Beginning
    last_seq: int
    greatest_seq: int
    budgets: Mapping[UUID, Row]
    reservations: Mapping[str, Row]


def audit(tag: Tag) -> list[Difference]:
    """The differences in the books of the tenant `tag`; none when they add up."""
    return examine(tag).differences


def examine(tag: Tag) -> Audit:
    """The audit of the tenant `tag`, with what was read. Safe beside traffic and archiving; changes nothing.

    What was archived of the ledger is in it as the opening that stands in its place, as the archive's signature says.
    """
    with in_tenant(tag):
        for _ in range(_LOOKS_MAX):
            found, beginning = _examine(tag)
            if not found.differences or ledger_beginning().after == beginning.after:
                break
    return found


def _examine(tag: Tag) -> tuple[Audit, Beginning]:
    found = Audit()
    snapshot = _snapshot()
    found.budgets = len(snapshot.budgets)
    found.reservations = sum(row["number"] for row in snapshot.reservations.values())
    _check_head(found, snapshot)
    _check_opening(found, snapshot, tag)
    folded = _fold(found, snapshot)
    _check_budgets(found, snapshot, folded)
    _check_reservations(found, snapshot, folded)
    _check_ancestors(found, snapshot, folded)
    _check_answers(found, snapshot, folded)
    return found, snapshot.beginning


def _snapshot() -> _Snapshot:
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        beginning = ledger_beginning()
        (head,) = rows("audit_head")
        budgets = {row["id"]: row for row in rows("audit_budgets")}
        reservations = {row["status"]: row for row in rows("audit_reservations")}
    # A ledger of which all was archived has no entry left.
    return _Snapshot(beginning, head["last_seq"], max(head["greatest_seq"], beginning.after), budgets, reservations)


def _check_head(found: Audit, snapshot: _Snapshot) -> None:
    if snapshot.last_seq != snapshot.greatest_seq:
        found.differ("L8", "head", f"says seq {snapshot.last_seq}, the last entry has {snapshot.greatest_seq}")


def _check_opening(found: Audit, snapshot: _Snapshot, tag: Tag) -> None:
    file = snapshot.beginning.file
    if file is None:
        return
    if not file.is_sound(owner=tag):
        found.differ("L9", file.name, "what is noted of the archive was changed")
    if hash_of_openings(openings(file)) != file.facts["openings"]:
        found.differ("I2", file.name, "the opening balances are not those that the archive closed with")


def _fold(found: Audit, snapshot: _Snapshot) -> Folded:
    folded = fold_from(snapshot.beginning)
    for bounds in ranges(snapshot.beginning.after, max(snapshot.last_seq, snapshot.greatest_seq)):
        here = fold_kinds(folded, bounds)
        found.entries += here
        if here != bounds["until"] - bounds["after"]:
            found.differ(
                "L8", f"seq {bounds['after'] + 1} to {bounds['until']}", f"{here} entries: the numbers have a gap"
            )
        for unfit in fold_balances(folded, bounds):
            name = _name(snapshot, unfit.budget)
            found.differ("I2", f"seq {unfit.seq}", f"does not continue the balances of {name}")
        for row in (*read("audit_entries", bounds), *read("audit_postings", bounds)):
            found.differ(row["invariant"], f"seq {row['seq']}", f"{row['kind']}: not true that it {row['name']}")
    for row in read("audit_rollovers"):
        found.differ(
            "L14", f"seq {row['seq']}", f"opens a period of {_name(snapshot, row['budget_id'])} that was open before"
        )
    return folded


def _check_budgets(found: Audit, snapshot: _Snapshot, folded: Folded) -> None:
    for budget, row in snapshot.budgets.items():
        entries = folded.balances.get(budget, ZERO)
        for name, value in zip(BALANCE_FIELDS, entries, strict=True):
            if row[name] != value:
                found.differ("I2", _name(snapshot, budget), f"{name} is {row[name]}, its entries come to {value}")
        if row["held"] != row["reserved"]:
            found.differ(
                "I3", _name(snapshot, budget), f"reserved is {row['reserved']}, active reservations hold {row['held']}"
            )


def _check_reservations(found: Audit, snapshot: _Snapshot, folded: Folded) -> None:
    """Every reservation has one RESERVE, and one settlement if and only if it is settled.

    That their kinds agree, `audit_entries` has seen. Here entries and reservations are compared by number and by a sum
    over ids; what differs is then looked for by name.
    """
    number = sum(row["number"] for row in snapshot.reservations.values())
    expected = {"RESERVE": (number, sum((row["fingerprint"] for row in snapshot.reservations.values()), Decimal(0)))}
    for kind, status in _ENDS.items():
        row = snapshot.reservations.get(status, {})
        expected[kind] = row.get("number", 0), row.get("fingerprint", Decimal(0))
    expected["EXTEND"] = (
        sum(row["extensions"] for row in snapshot.reservations.values()),
        sum((row["extensions_fingerprint"] for row in snapshot.reservations.values()), Decimal(0)),
    )
    differing = [kind for kind, sums in expected.items() if folded.kinds.get(kind, (0, Decimal(0))) != sums]
    if not differing:
        return
    for kind in differing:
        found.differ(
            "I5",
            "reservations",
            f"call for {expected[kind][0]} {kind} entries, there are {folded.kinds[kind][0]}, or of others",
        )
    for row in read("audit_settlements", {"begins_after": snapshot.beginning.after}):
        found.differ(
            "I5",
            f"reservation {row['id']}",
            f"is {row['status'] or 'missing'} with entries {row['kinds'] or 'of no kind'}",
        )


def _check_ancestors(found: Audit, snapshot: _Snapshot, folded: Folded) -> None:
    """What passes a budget passes every budget above it, so that a parent has spent what was charged under it."""
    by_path = {(row["scope_path"], row["unit"]): budget for budget, row in snapshot.budgets.items()}
    below: list[UUID] = []
    above: list[UUID] = []
    since: list[int] = []
    for budget, row in snapshot.budgets.items():
        for path in _paths_above(row["scope_path"]):
            parent = by_path.get((path, row["unit"]))
            if parent is not None and budget in folded.first_seq and parent in folded.first_seq:
                below.append(budget)
                above.append(parent)
                since.append(max(folded.first_seq[budget], folded.first_seq[parent]))
    if below:
        for bounds in ranges(snapshot.beginning.after, snapshot.last_seq):
            for row in read("audit_ancestors", {**bounds, "below": below, "above": above, "since": since}):
                found.differ("I8", f"seq {row['seq']}", f"{row['kind']}: passes by {_name(snapshot, row['above'])}")


def _check_answers(found: Audit, snapshot: _Snapshot, folded: Folded) -> None:
    for row in read("audit_keys"):
        found.differ("I6", f"{row['endpoint']} key {row['idempotency_key']}", f"has {row['number']} effects or answers")
    (decisions,) = read("audit_decisions", {"until": snapshot.last_seq})
    reserves = folded.kinds["RESERVE"][0]
    if not decisions["number"] == decisions["entries"] == reserves:
        found.differ(
            "I6",
            "decisions",
            f"{decisions['number']} claim {decisions['entries']} entries, there are {reserves} RESERVE entries",
        )
    if decisions["denied"]:
        found.differ("I6", "decisions", f"{decisions['denied']} refusals claim an effect")


def _paths_above(path: str) -> Iterator[str]:
    while (cut := path.rfind("/")) > 0:
        path = path[:cut]
        yield path


def _name(snapshot: _Snapshot, budget: UUID) -> str:
    row = snapshot.budgets.get(budget)
    return f"{row['scope_path']} {row['unit']}" if row else f"budget {budget}, which does not exist"
