"""Kill switches of the platform: the platform itself, a model, a provider. Every tenant's decisions read them.

What is promised: a decision that reads its switches after `throw_platform_switch` has committed is refused, in every
tenant and every process. A decision reads them once it has its tenant's ledger head, so what waited for the head sees
the switch too. What is not: unlike a tenant's own switch, this one takes no ledger head (there are thousands), so a
decision that had read its switches a moment before may still commit a moment after; it lasts no longer than that one
transaction. `budgets.services.platform_stops` goes through the heads where that matters.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from kernel import stops
from kernel.actor import Actor
from kernel.stops import InvalidSwitch, Stop
from kernel.switches import SwitchLevel
from kernel.tenancy import in_public
from telemetry.services import audit, outbox
from tenants.models import PlatformSwitch

_LEVELS: Final = (SwitchLevel.PLATFORM, SwitchLevel.MODEL, SwitchLevel.PROVIDER)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSwitched:
    """The switch as it stands now. `is_changed`: it did not say so already."""

    switch: PlatformSwitch
    is_changed: bool


def throw_platform_switch(*, stop: Stop, actor: Actor) -> PlatformSwitched:
    """Stop it for every tenant, until the stop ends or is lifted. Safe to repeat.

    Thrown again with another mode, reason or end, the switch is changed. Holds are given back by
    `budgets.services.platform_stops` alone, tenant by tenant. Raises `InvalidSwitch`.
    """
    _require_of_the_platform(stop.level)
    with _switches_held() as now:
        thrown = stops.throw(PlatformSwitch, stop, actor=actor.name, now=now)
        if thrown.is_changed:
            event = "kill_switch.thrown" if thrown.before is None else "kill_switch.changed"
            after = stops.facts_of(thrown.switch)
            who = replace(actor, reason=stop.reason)
            _leave_trace(event, thrown.switch, actor=who, at=now, before=thrown.before, after=after)
    return PlatformSwitched(switch=thrown.switch, is_changed=thrown.is_changed)


def lift_platform_switch(
    *, level: SwitchLevel, name: str = "", reason: str = "", actor: Actor
) -> PlatformSwitch | None:
    """Let it work again; the switch that was lifted, None where none was thrown. Safe to repeat.

    Raises `InvalidSwitch`.
    """
    _require_of_the_platform(level)
    with _switches_held() as now:
        lifted = stops.lift(PlatformSwitch, level=level, name=name, actor=actor.name, now=now)
        if lifted is not None:
            who = replace(actor, reason=reason or actor.reason)
            before, after = stops.facts_of(lifted), {"lifted_at": now.isoformat()}
            _leave_trace("kill_switch.lifted", lifted, actor=who, at=now, before=before, after=after)
    return lifted


def _require_of_the_platform(level: SwitchLevel) -> None:
    if level not in _LEVELS:
        raise InvalidSwitch("level", f"must be one of {', '.join(_LEVELS)}")


@contextmanager
def _switches_held() -> Iterator[datetime]:
    """One transaction in the shared schema that alone changes switches, and the database's clock in it.

    Decisions read the table meanwhile: the lock keeps writers out, and no reader.
    """
    with in_public(), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE platform_switch IN SHARE ROW EXCLUSIVE MODE")
            cursor.execute("SELECT date_trunc('milliseconds', clock_timestamp())")
            now: datetime = cursor.fetchone()[0]
        yield now


def _leave_trace(
    event_type: str,
    switch: PlatformSwitch,
    *,
    actor: Actor,
    at: datetime,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
) -> None:
    audit.record(actor=actor, action=event_type, target=str(switch), at=at, before=before, after=after)
    content = {"level": switch.level, "name": switch.name, **after}
    outbox.announce(outbox.Event(event_type=event_type, content=content), actor=actor, at=at)
