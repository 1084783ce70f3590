"""The proof that the sums are those of the books: every row, and the amounts once more from what the budgets did.

The sums and their mark are read in one snapshot. What they were made of is never changed, so it is read after it in
ranges, each a short statement. Traffic and roll-ups go on meanwhile and make no difference.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import Sum

from budgets.models import DecisionRollup, LedgerHead, RollupMark, UsageDay, UsageRollup
from budgets.selectors.ledger_times import last_seq_before
from kernel.ids import Tag
from kernel.sql_files import read_sql
from kernel.tenancy import in_tenant

#: Entries read by one statement.
RANGE: Final = 20_000
#: A look during which more of the books was archived is made again, so many times.
_LOOKS_MAX: Final = 3
_USAGE_KEYS: Final = ("bucket_at", "scope_path", "model", "tool", "traffic_class", "unit")
_DECISION_KEYS: Final = (
    "bucket_at",
    "scope_path",
    "endpoint",
    "action_kind",
    "action_name",
    "traffic_class",
    "verdict",
    "reason_code",
    "would_deny",
)

type _Key = tuple[Any, ...]
type _Sums = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RollupDifference:
    """One sum that is not what the books come to."""

    table: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.table} {self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class _Snapshot:
    mark: RollupMark
    usage: dict[_Key, _Sums]
    days: dict[_Key, _Sums]
    decisions: dict[_Key, _Sums]
    charges: dict[str, _Sums]


def rollup_differences(tag: Tag) -> list[RollupDifference]:
    """The differences of the tenant `tag`; none where the sums are right up to their mark."""
    for _ in range(_LOOKS_MAX):
        seen = _kept_since(tag)
        found = list(_differences(tag))
        if not found or _kept_since(tag) == seen:
            break
    return found


def _kept_since(tag: Tag) -> tuple[Any, ...] | None:
    """From when on the books can be counted: further on once more of them was archived."""
    with in_tenant(tag):
        return RollupMark.objects.filter(pk=1).values_list("entries_kept_since", "decisions_kept_since").first()


def _differences(tag: Tag) -> Iterator[RollupDifference]:
    with in_tenant(tag):
        snapshot = _snapshot()
        zone = ZoneInfo(LedgerHead.objects.values_list("time_zone", flat=True).get(pk=1))
        usage: dict[_Key, _Sums] = {}
        charges: dict[str, _Sums] = {}
        kept_since = snapshot.mark.entries_kept_since
        first = 0 if kept_since is None else last_seq_before(kept_since)
        for bounds in _ranges(first, snapshot.mark.ledger_seq):
            _merge(usage, _rows("usage_of_entries", bounds), _USAGE_KEYS)
            _merge(charges, _rows("ledger_charges", bounds), ("unit",))
        mark = snapshot.mark
        counted = _rows(
            "decisions_rolled_up",
            {
                "ledger_seq": mark.ledger_seq,
                "decisions_at": mark.decisions_at,
                "decision_ids": mark.decision_ids,
            },
        )
        decisions: dict[_Key, _Sums] = {}
        _merge(decisions, counted, _DECISION_KEYS)
    yield from _compared("charges", snapshot.charges, charges)
    yield from _compared("usage_rollup", _kept(snapshot.usage, kept_since), usage)
    # The days of what was archived are those of its quarters.
    archived = {key: sums for key, sums in snapshot.usage.items() if kept_since is not None and key[0] < kept_since}
    yield from _compared("usage_day", snapshot.days, _by_days(archived | usage, zone))
    since = mark.decisions_kept_since
    yield from _compared("decision_rollup", _kept(snapshot.decisions, since), _kept(decisions, since))


def _snapshot() -> _Snapshot:
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = '60s'")
        usage: dict[_Key, _Sums] = {}
        days: dict[_Key, _Sums] = {}
        decisions: dict[_Key, _Sums] = {}
        charges: dict[Any, _Sums] = {}
        _merge(usage, UsageRollup.objects.values().iterator(), _USAGE_KEYS)
        _merge(days, UsageDay.objects.values().iterator(), ("day", *_USAGE_KEYS[1:]))
        _merge(decisions, DecisionRollup.objects.values().iterator(), _DECISION_KEYS)
        sums = {name: Sum(name) for name in ("calls", "charged", "uncovered")}
        mark = RollupMark.objects.filter(pk=1).first() or RollupMark(id=1)
        charged = UsageRollup.objects.filter(calls__gt=0) | UsageRollup.objects.filter(corrections__gt=0)
        if mark.entries_kept_since is not None:
            charged = charged.filter(bucket_at__gte=mark.entries_kept_since)
        _merge(charges, charged.values("unit").annotate(**sums), ("unit",))
    return _Snapshot(mark=mark, usage=usage, days=days, decisions=decisions, charges=charges)


def _compared(table: str, noted: Mapping[Any, _Sums], counted: Mapping[Any, _Sums]) -> Iterator[RollupDifference]:
    for key in sorted(noted.keys() | counted.keys()):
        where = " ".join(str(word) for word in key if word != "")
        if key not in noted:
            yield RollupDifference(table, where, "is missing")
        elif key not in counted:
            yield RollupDifference(table, where, "has nothing in the books")
        else:
            for name, value in counted[key].items():
                if noted[key][name] != value:
                    yield RollupDifference(table, where, f"{name} is {noted[key][name]}, the books say {value}")


def _kept(noted: Mapping[_Key, _Sums], since: datetime | None) -> Mapping[_Key, _Sums]:
    """Those of which the books still have all."""
    return noted if since is None else {key: sums for key, sums in noted.items() if key[0] >= since}


def _by_days(usage: Mapping[_Key, _Sums], zone: ZoneInfo) -> dict[_Key, _Sums]:
    days: dict[_Key, _Sums] = {}
    for (bucket_at, *words), sums in usage.items():
        _merge(days, [{"day": bucket_at.astimezone(zone).date(), **sums}], ("day",), tuple(words))
    return days


def _merge(into: dict[Any, _Sums], rows: Any, keys: tuple[str, ...], words: _Key = ()) -> None:
    for row in rows:
        key = (*(row.pop(name) for name in keys), *words)
        known = into.get(key)
        into[key] = row if known is None else {name: _added(known[name], value) for name, value in row.items()}


def _added(known: Any, more: Any) -> Any:
    if isinstance(known, list):
        return [a + b for a, b in zip(known, more, strict=True)]
    # The agent, which is a word of the key.
    return known if isinstance(known, str) else Decimal(known) + more


def _ranges(first: int, until: int) -> Iterator[dict[str, int]]:
    for after in range(first, until, RANGE):
        yield {"after": after, "until": min(after + RANGE, until)}


def _rows(name: str, parameters: Mapping[str, Any]) -> list[_Sums]:
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '60s'")
        cursor.execute(read_sql("budgets", name), parameters)
        columns = [column.name for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
