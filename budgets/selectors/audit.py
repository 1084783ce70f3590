"""The proof that a tenant's books add up: invariants I1-I6 and I8 (and L1-L14 where they say more), on live data.

What changes is read once, in one short repeatable-read snapshot: the head, the budgets, and sums over the
reservations. What is written once and never changed, the entries up to that head, is read after it in ranges, each a
short statement, so that no old snapshot stands beside the hot rows. Traffic goes on meanwhile and makes no difference.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from budgets.models.ledger import BALANCE_FIELDS
from kernel.ids import Tag
from kernel.sql_files import read_sql
from kernel.tenancy import in_tenant

#: Entries read by one statement.
RANGE = 10_000
#: Differences of one sort that are named; the first ones tell.
NAMED_MAX = 20
_STATEMENT_SECONDS_MAX: Final = 60

#: The state that a kind of entry leaves its reservation in.
_ENDS: Final = {"COMMIT": "COMMITTED", "RELEASE": "RELEASED", "EXPIRE": "EXPIRED"}

type _Row = Mapping[str, Any]
type _Balances = list[Decimal]


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
    last_seq: int
    greatest_seq: int
    budgets: Mapping[UUID, _Row]
    reservations: Mapping[str, _Row]


@dataclass(slots=True)
class _Folded:
    """What the entries come to."""

    balances: dict[UUID, _Balances] = field(default_factory=dict)
    first_seq: dict[UUID, int] = field(default_factory=dict)
    kinds: dict[str, tuple[int, Decimal]] = field(default_factory=lambda: defaultdict(lambda: (0, Decimal(0))))


def audit(tag: Tag) -> list[Difference]:
    """The differences in the books of the tenant `tag`; none when they add up."""
    return examine(tag).differences


def examine(tag: Tag) -> Audit:
    """The audit of the tenant `tag`, with what was read. Safe beside traffic; changes nothing."""
    found = Audit()
    with in_tenant(tag):
        snapshot = _snapshot()
        found.budgets = len(snapshot.budgets)
        found.reservations = sum(row["number"] for row in snapshot.reservations.values())
        _check_head(found, snapshot)
        folded = _fold(found, snapshot)
        _check_budgets(found, snapshot, folded)
        _check_reservations(found, snapshot, folded)
        _check_ancestors(found, snapshot, folded)
        _check_answers(found, snapshot, folded)
    return found


def _snapshot() -> _Snapshot:
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        (head,) = _rows("audit_head")
        budgets = {row["id"]: row for row in _rows("audit_budgets")}
        reservations = {row["status"]: row for row in _rows("audit_reservations")}
    return _Snapshot(head["last_seq"], head["greatest_seq"], budgets, reservations)


def _check_head(found: Audit, snapshot: _Snapshot) -> None:
    if snapshot.last_seq != snapshot.greatest_seq:
        found.differ("L8", "head", f"says seq {snapshot.last_seq}, the last entry has {snapshot.greatest_seq}")


def _fold(found: Audit, snapshot: _Snapshot) -> _Folded:
    folded = _Folded()
    zero = [Decimal(0)] * len(BALANCE_FIELDS)
    for bounds in _ranges(max(snapshot.last_seq, snapshot.greatest_seq)):
        here = 0
        for row in _read("audit_kinds", bounds):
            number, fingerprint = folded.kinds[row["kind"]]
            folded.kinds[row["kind"]] = number + row["number"], fingerprint + row["fingerprint"]
            here += row["number"]
        found.entries += here
        if here != bounds["until"] - bounds["after"]:
            found.differ(
                "L8", f"seq {bounds['after'] + 1} to {bounds['until']}", f"{here} entries: the numbers have a gap"
            )
        for row in _read("audit_fold", bounds):
            budget, opening, (closing,) = row["budget_id"], row["opening"][0], row["closing"]
            name = _name(snapshot, budget)
            if opening != folded.balances.get(budget, zero)[: len(opening)]:
                found.differ("I2", f"seq {row['first_seq']}", f"does not continue the balances of {name}")
            if row["broken_seq"] is not None:
                found.differ("I2", f"seq {row['broken_seq']}", f"does not continue the balances of {name}")
            folded.balances[budget] = closing
            folded.first_seq.setdefault(budget, row["first_seq"])
        for row in (*_read("audit_entries", bounds), *_read("audit_postings", bounds)):
            found.differ(row["invariant"], f"seq {row['seq']}", f"{row['kind']}: not true that it {row['name']}")
    for row in _read("audit_rollovers"):
        found.differ(
            "L14", f"seq {row['seq']}", f"opens a period of {_name(snapshot, row['budget_id'])} that was open before"
        )
    return folded


def _check_budgets(found: Audit, snapshot: _Snapshot, folded: _Folded) -> None:
    zero = [Decimal(0)] * len(BALANCE_FIELDS)
    for budget, row in snapshot.budgets.items():
        entries = folded.balances.get(budget, zero)
        for name, value in zip(BALANCE_FIELDS, entries, strict=True):
            if row[name] != value:
                found.differ("I2", _name(snapshot, budget), f"{name} is {row[name]}, its entries come to {value}")
        if row["held"] != row["reserved"]:
            found.differ(
                "I3", _name(snapshot, budget), f"reserved is {row['reserved']}, active reservations hold {row['held']}"
            )


def _check_reservations(found: Audit, snapshot: _Snapshot, folded: _Folded) -> None:
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
    for row in _read("audit_settlements"):
        found.differ(
            "I5",
            f"reservation {row['id']}",
            f"is {row['status'] or 'missing'} with entries {row['kinds'] or 'of no kind'}",
        )


def _check_ancestors(found: Audit, snapshot: _Snapshot, folded: _Folded) -> None:
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
        for bounds in _ranges(snapshot.last_seq):
            for row in _read("audit_ancestors", {**bounds, "below": below, "above": above, "since": since}):
                found.differ("I8", f"seq {row['seq']}", f"{row['kind']}: passes by {_name(snapshot, row['above'])}")


def _check_answers(found: Audit, snapshot: _Snapshot, folded: _Folded) -> None:
    for row in _read("audit_keys"):
        found.differ("I6", f"{row['endpoint']} key {row['idempotency_key']}", f"has {row['number']} effects or answers")
    (decisions,) = _read("audit_decisions", {"until": snapshot.last_seq})
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


def _ranges(until: int) -> Iterator[dict[str, int]]:
    for after in range(0, until, RANGE):
        yield {"after": after, "until": min(after + RANGE, until)}


def _read(name: str, parameters: Mapping[str, Any] | None = None) -> Sequence[_Row]:
    with transaction.atomic(durable=True):
        return _rows(name, parameters)


def _rows(name: str, parameters: Mapping[str, Any] | None = None) -> Sequence[_Row]:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = '{_STATEMENT_SECONDS_MAX}s'")
        cursor.execute(read_sql("budgets", name), {"at_most": NAMED_MAX, **(parameters or {})})
        columns = [column.name for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
