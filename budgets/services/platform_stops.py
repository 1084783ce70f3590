"""A platform switch with what it means for the tenants' books: every head is passed once, and holds are given back.

Going through the heads is also the barrier that the switch alone does not have: when `stop_platform` returns with
CANCEL_HOLDS and no tenant failed, nothing that it forbids is under way in any tenant.
"""

import logging
from dataclasses import dataclass, replace

from django.db import Error

from budgets.selectors.switches import SwitchLine, covered_holds, line_of
from budgets.services.holds import HoldNotReleased, release_holds
from budgets.services.journal import open_journal
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.stops import Stop
from kernel.switches import SwitchLevel, SwitchMode
from kernel.tenancy import in_tenant, schema_exists
from telemetry.services import audit, outbox
from tenants.selectors.tags import tenant_tags
from tenants.services.platform_switches import throw_platform_switch

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformStopped:
    """What became of it. `tenants_failed` could not be reached and may still hold: repeat the call for them."""

    switch: SwitchLine
    is_changed: bool
    holds_released: int = 0
    tenants_visited: int = 0
    tenants_failed: int = 0


def stop_platform(*, stop: Stop, actor: Actor) -> PlatformStopped:
    """Throw the platform's switch; with CANCEL_HOLDS then give back what it covers, one tenant after the other.

    Safe to repeat and to cut off: the switch stands first, and a repeated call visits every tenant again.
    Raises `InvalidSwitch`.
    """
    thrown = throw_platform_switch(stop=stop, actor=actor)
    released = visited = failed = 0
    if stop.mode == SwitchMode.CANCEL_HOLDS:
        who = replace(actor, reason=stop.reason)
        for tag in tenant_tags():
            visited += 1
            try:
                released += _cancel(tag, level=stop.level, name=thrown.switch.name, actor=who)
            except (Error, HoldNotReleased) as error:
                # One tenant's books must not keep the others' holds. Its text may quote rows, its kind is enough.
                _logger.error("Holds of tenant %s were not cancelled: %s.", tag, type(error).__name__)
                failed += 1
    return PlatformStopped(
        switch=line_of(thrown.switch),
        is_changed=thrown.is_changed,
        holds_released=released,
        tenants_visited=visited,
        tenants_failed=failed,
    )


def _cancel(tag: Tag, *, level: SwitchLevel, name: str, actor: Actor) -> int:
    # A tenant may go while we are on the way.
    if not schema_exists(tag):
        return 0
    with in_tenant(tag), open_journal(actor=actor) as journal:
        released = release_holds(journal, covered_holds(level=level, name=name))
        if released:
            target = f"{level} {name}".rstrip()
            facts = {"level": level, "name": name, "holds_released": released}
            audit.record(actor=actor, action="kill_switch.holds_cancelled", target=target, at=journal.now, after=facts)
            event = outbox.Event(
                event_type="kill_switch.holds_cancelled",
                content={"tenant_id": journal.head.slug, **facts},
                scope_path=f"tenant:{journal.head.slug}",
            )
            outbox.announce(event, actor=actor, at=journal.now)
        return released
