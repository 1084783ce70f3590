"""Stopping just those whom a shared namespace or cache key reached."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from budgets.selectors.evidence_reach import Reached
from budgets.services.guards import TenantIsClosed
from budgets.services.switches import throw_switch
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.stops import InvalidSwitch, Stop
from kernel.switches import SwitchLevel, SwitchMode


class Extent(StrEnum):
    AGENTS = "agents"
    TENANTS = "tenants"


@dataclass(frozen=True, slots=True)
class StoppedPart:
    """`name` is the agent's, empty for the whole tenant. `is_stopped` False: such a stop cannot be thrown there."""

    tag: Tag
    name: str
    is_stopped: bool


def stop_reached(
    reached: list[Reached], *, extent: Extent, reason: str, mode: SwitchMode, actor: Actor
) -> list[StoppedPart]:
    """A kill switch for each agent that used it, or for each tenant as a whole. Safe to repeat.

    Each switch is a transaction of its own in its tenant's books: cut off, the rest is stopped by doing it again.
    """
    parts = []
    for each in reached:
        for level, name in _parts(each, extent):
            stop = Stop(level=level, name=name, mode=mode, reason=reason)
            parts.append(StoppedPart(each.tag, name, is_stopped=_is_stopped(each.tag, stop, actor)))
    return parts


def _parts(each: Reached, extent: Extent) -> Iterator[tuple[SwitchLevel, str]]:
    if extent == Extent.TENANTS:
        yield SwitchLevel.TENANT, ""
    else:
        yield from ((SwitchLevel.AGENT, agent) for agent in each.agents)


def _is_stopped(tag: Tag, stop: Stop, actor: Actor) -> bool:
    try:
        throw_switch(tag=tag, stop=stop, actor=actor)
    except (InvalidSwitch, TenantIsClosed):
        # An agent's name in a span is what its author typed, and need not be one that a scope may have.
        return False
    return True
