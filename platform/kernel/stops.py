"""Throwing and lifting kill switches: the same for a tenant's and for the platform's.

Whoever calls holds the lock under which switches of that schema are changed, so that a look and a write are one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kernel.switches import Switch, SwitchLevel, SwitchMode

#: What an ended switch was lifted by.
ENDED: Final = "its end"

_SCOPE_NAME: Final = (re.compile(r"[a-z0-9_.-]{1,128}"), "1 to 128 characters out of a-z 0-9 _ . -")
_PRINTABLE: Final = (re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,256}"), "1 to 256 characters, none of them control")
_NAMES: Final[Mapping[SwitchLevel, tuple[re.Pattern[str], str]]] = {
    SwitchLevel.PLATFORM: (re.compile(""), "left out: there is one platform"),
    SwitchLevel.TENANT: (re.compile(""), "left out: the address names the tenant"),
    SwitchLevel.WORKSPACE: _SCOPE_NAME,
    SwitchLevel.APP: _SCOPE_NAME,
    SwitchLevel.WORKFLOW: _SCOPE_NAME,
    SwitchLevel.AGENT: _SCOPE_NAME,
    SwitchLevel.TOOLSET: _SCOPE_NAME,
    SwitchLevel.TOOL: _PRINTABLE,
    SwitchLevel.KEY: (re.compile(r"[0-9A-Za-z]{16}"), "the id of a key: 16 letters and digits"),
    SwitchLevel.MODEL: _PRINTABLE,
    SwitchLevel.PROVIDER: _SCOPE_NAME,
}
_KEPT_AS_THEY_ARE: Final = {SwitchLevel.TOOL, SwitchLevel.KEY}


class InvalidSwitch(Exception):
    """Nothing that can be stopped so. The text ends a sentence that begins with `field`."""

    def __init__(self, field: str, must: str) -> None:
        super().__init__(must)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """What is to be stopped, how and until when; without `ends_at` until somebody lifts it."""

    level: SwitchLevel
    name: str = ""
    mode: SwitchMode = SwitchMode.STOP_NEW
    reason: str
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Throw[S: Switch]:
    """The switch as it stands now, and what it said `before`; None where it was not thrown."""

    switch: S
    before: dict[str, str | None] | None

    @property
    def is_changed(self) -> bool:
        return self.before != facts_of(self.switch)


def name_in(level: SwitchLevel, name: str) -> str:
    """The name as switches of this level have it. Raises `InvalidSwitch`."""
    known = name if level in _KEPT_AS_THEY_ARE else name.lower()
    pattern, rule = _NAMES[level]
    if not pattern.fullmatch(known):
        raise InvalidSwitch("name", f"must be {rule}")
    return known


def throw[S: Switch](switches: type[S], stop: Stop, *, actor: str, now: datetime) -> Throw[S]:
    """Throw the switch, or give one that is thrown another mode, reason or end. Raises `InvalidSwitch`."""
    name = name_in(stop.level, stop.name)
    if not stop.reason.strip():
        raise InvalidSwitch("reason", "must not be empty")
    if stop.ends_at is not None and stop.ends_at <= now:
        raise InvalidSwitch("ends_at", "must be later than now")
    thrown = thrown_switch(switches, level=stop.level, name=name, now=now)
    terms = {"mode": stop.mode, "reason": stop.reason, "ends_at": stop.ends_at}
    if thrown is None:
        thrown = switches(level=stop.level, name=name, actor=actor, thrown_at=now, **terms)
        thrown.save(force_insert=True)
        return Throw(switch=thrown, before=None)
    before = facts_of(thrown)
    changed = {field: value for field, value in terms.items() if getattr(thrown, field) != value}
    if changed:
        # Whose words stand there now; the audit trail has the others.
        thrown.actor = actor
        for field, value in changed.items():
            setattr(thrown, field, value)
        thrown.save(update_fields=[*changed, "actor"])
    return Throw(switch=thrown, before=before)


def lift[S: Switch](switches: type[S], *, level: SwitchLevel, name: str, actor: str, now: datetime) -> S | None:
    """Lift the switch; None where it was not thrown. Raises `InvalidSwitch`."""
    thrown = thrown_switch(switches, level=level, name=name_in(level, name), now=now)
    if thrown is not None:
        _close(thrown, at=now, by=actor)
    return thrown


def thrown_switch[S: Switch](switches: type[S], *, level: SwitchLevel, name: str, now: datetime) -> S | None:
    """The switch that stops this now. One whose end has come is closed first: it counts as lifted."""
    found: S | None = switches._default_manager.filter(level=level, name=name, lifted_at=None).first()
    if found is not None and found.ends_at is not None and found.ends_at <= now:
        _close(found, at=found.ends_at, by=ENDED)
        return None
    return found


def facts_of(switch: Switch) -> dict[str, str | None]:
    """What a switch says, as the audit trail and events show it."""
    return {
        "mode": switch.mode,
        "reason": switch.reason,
        "ends_at": None if switch.ends_at is None else switch.ends_at.isoformat(),
    }


def _close(switch: Switch, *, at: datetime, by: str) -> None:
    switch.lifted_at, switch.lifted_by = at, by
    switch.save(update_fields=["lifted_at", "lifted_by"])
