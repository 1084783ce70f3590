"""Kill switches of one tenant: thrown and lifted under its ledger head, read by every decision in its own transaction.

So when `throw_switch` returns, nothing that it forbids is under way: what held the head before it is in the books, and
whoever takes the head after it reads the switch. No process has to be told.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db import connection, transaction

from budgets.models import KillSwitch
from budgets.scopes import LEVELS
from budgets.selectors.switches import SwitchLine, covered_holds, line_of
from budgets.services.guards import require_not_closed
from budgets.services.holds import release_holds
from budgets.services.journal import Journal, open_journal
from kernel import stops
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.stops import InvalidSwitch, Stop
from kernel.switches import SwitchLevel, SwitchMode
from kernel.tenancy import in_tenant
from telemetry.services import audit, outbox
from tenants.services.provisioning import set_directory_stop

#: A stop is worth waiting for: so long it stands in line for the books, where others would have given up.
WAIT_SECONDS_MAX: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """What became of the switch. `is_changed`: it did not say so already. `holds_released` counts reservations."""

    switch: SwitchLine
    is_changed: bool
    holds_released: int = 0


def throw_switch(*, tag: Tag, stop: Stop, actor: Actor) -> Switched:
    """Stop a part of the tenant from the next transaction on, until the stop ends or is lifted. Safe to repeat.

    Running work may settle, unless the mode is CANCEL_HOLDS: then what the switch covers and is held is given back in
    the same transaction. Thrown again with another mode, reason or end, the switch is changed.

    Raises `InvalidSwitch`, `TenantIsClosed`.
    """
    _require_of_a_tenant(stop.level)
    with in_tenant(tag), _patience(), open_journal(actor=replace(actor, reason=stop.reason)) as journal:
        require_not_closed(journal)
        thrown = stops.throw(KillSwitch, stop, actor=actor.name, now=journal.now)
        released = 0
        if stop.mode == SwitchMode.CANCEL_HOLDS:
            released = release_holds(journal, covered_holds(level=stop.level, name=thrown.switch.name))
        if thrown.is_changed or released:
            event = "kill_switch.thrown" if thrown.before is None else "kill_switch.changed"
            after = stops.facts_of(thrown.switch) | {"holds_released": released}
            _leave_trace(journal, event, thrown.switch, before=thrown.before, after=after)
        line = line_of(thrown.switch)
    _tell_directory(tag, line)
    return Switched(switch=line, is_changed=thrown.is_changed, holds_released=released)


def lift_switch(*, tag: Tag, level: SwitchLevel, name: str = "", reason: str = "", actor: Actor) -> SwitchLine | None:
    """Let that part work again; the switch that was lifted, None where none was thrown. Safe to repeat.

    Raises `InvalidSwitch`, `TenantIsClosed`.
    """
    _require_of_a_tenant(level)
    with in_tenant(tag), _patience(), open_journal(actor=replace(actor, reason=reason or actor.reason)) as journal:
        require_not_closed(journal)
        lifted = stops.lift(KillSwitch, level=level, name=name, actor=actor.name, now=journal.now)
        if lifted is None:
            return None
        after = {"lifted_at": journal.now.isoformat()}
        _leave_trace(journal, "kill_switch.lifted", lifted, before=stops.facts_of(lifted), after=after)
        line = line_of(lifted)
    _tell_directory(tag, line)
    return line


def _tell_directory(tag: Tag, switch: SwitchLine) -> None:
    # Lists of many tenants look there; what counts is the switch in the tenant's own schema.
    if switch.level == SwitchLevel.TENANT:
        is_lifted = switch.lifted_at is not None
        stopped_at, ends_at = (None, None) if is_lifted else (switch.thrown_at, switch.ends_at)
        set_directory_stop(tag, stopped_at=stopped_at, ends_at=ends_at)


@contextmanager
def _patience() -> Iterator[None]:
    """The transaction of the block, which waits for its lock longer than others do."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            milliseconds = [f"{WAIT_SECONDS_MAX * 1000}ms"] * 2
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)", milliseconds
            )
        yield


def _require_of_a_tenant(level: SwitchLevel) -> None:
    if level == SwitchLevel.PLATFORM:
        raise InvalidSwitch("level", "must be one of a tenant's; the platform has switches of its own")


def _leave_trace(
    journal: Journal, event_type: str, switch: KillSwitch, *, before: Mapping[str, Any] | None, after: Mapping[str, Any]
) -> None:
    root = f"tenant:{journal.head.slug}"
    # Everything up to this entry was decided before the switch, everything after it has read it.
    facts = {**after, "ledger_seq": journal.head.last_seq}
    audit.record(actor=journal.actor, action=event_type, target=str(switch), at=journal.now, before=before, after=facts)
    content = {"tenant_id": journal.head.slug, "level": switch.level, "name": switch.name, **facts}
    # An agent's path depends on what it runs in, so only the outermost level has a path of its own.
    scope_path = f"{root}/{switch.level}:{switch.name}" if switch.level == LEVELS[0] else root
    event = outbox.Event(event_type=event_type, content=content, scope_path=scope_path)
    outbox.announce(event, actor=journal.actor, at=journal.now)
