"""What proves that a stop works, in the books of the tenant whose schema the connection is in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Count, Sum

from budgets.models import Decision
from budgets.models.choices import Verdict
from budgets.selectors.switches import SwitchLine, covered_holds, line_of, thrown_switches
from kernel.switches import SwitchLevel
from telemetry.selectors.trail import facts_since

#: What lets new work begin; the others settle what runs.
_BEGINNINGS: Final = ("admit", "reserve", "decide", "event")
#: By so much the clock that made an id may be ahead of the database's.
_CLOCK_SKEW: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class LastAllowed:
    """The last call of the tenant that was let through before the stop."""

    id: UUID
    at: datetime
    endpoint: str


@dataclass(frozen=True, slots=True)
class Held:
    """What a stop covers and is still held, in one unit."""

    unit: str
    amount: int
    holds: int


@dataclass(frozen=True, slots=True)
class StopProof:
    """`holds_released` were given back by the stop itself, since it was thrown."""

    switch: SwitchLine
    last_allowed: LastAllowed | None
    held: tuple[Held, ...]
    holds_released: int


def stop_proof(*, level: SwitchLevel, name: str, now: datetime) -> StopProof | None:
    """None where nothing of that name is stopped. Four queries."""
    switch = thrown_switches(now=now).filter(level=level, name=name).first()
    if switch is None:
        return None
    line = line_of(switch)
    return StopProof(
        switch=line,
        last_allowed=last_allowed(until=line.thrown_at),
        held=held_by(level=level, name=name),
        holds_released=_released(str(switch), since=line.thrown_at),
    )


def last_allowed(*, until: datetime) -> LastAllowed | None:
    """The newest call that was let through up to a moment. Ids are in order of time, so it is read from the end."""
    newest = Decision.objects.filter(id__lte=_last_id(until + _CLOCK_SKEW), endpoint__in=_BEGINNINGS)
    found = newest.exclude(verdict=Verdict.DENY).order_by("-id").values_list("id", "at", "endpoint").first()
    return LastAllowed(*found) if found else None


def held_by(*, level: SwitchLevel, name: str) -> tuple[Held, ...]:
    """What a switch of this level and name covers and is held now, by unit."""
    rows = covered_holds(level=level, name=name).values_list("unit").annotate(Sum("amount"), Count("pk"))
    return tuple(Held(unit, int(amount), count) for unit, amount, count in rows.order_by("unit"))


def _released(target: str, *, since: datetime) -> int:
    trail = facts_since(since, target=target, actions="kill_switch.")
    return sum(int(facts.get("holds_released") or 0) for facts in trail)


def _last_id(at: datetime) -> UUID:
    """The greatest id that can have been made at that millisecond."""
    return UUID(int=(int(at.timestamp() * 1000) << 80) | ((1 << 80) - 1))
