"""``manage.py kill acme --reason …``: stop a tenant, a part of it, or the platform, from the operator's own shell."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from budgets.management.switch_options import add_switch_arguments, level_of, named, refusals_in_words, tag_of
from budgets.services.platform_stops import stop_platform
from budgets.services.switches import throw_switch
from kernel.actor import Actor
from kernel.stops import Stop
from kernel.switches import SwitchMode

_ACTOR = Actor(name="kill", actor_type="system")


class Command(BaseCommand):
    help = "Throw a kill switch. Safe to repeat; repeated with other options, the switch is changed."

    def add_arguments(self, parser: CommandParser) -> None:
        add_switch_arguments(parser)
        parser.add_argument("--reason", required=True, help="Shown to every caller that is refused.")
        parser.add_argument("--cancel-holds", action="store_true", help="Give back what running work holds.")
        parser.add_argument("--until", type=_moment, help="It ends by itself then, like 2026-12-01T09:00:00+01:00.")

    def handle(
        self,
        *args: Any,
        tenant: str | None,
        platform: bool,
        level: str | None,
        name: str,
        reason: str,
        cancel_holds: bool,
        until: datetime | None,
        **options: Any,
    ) -> None:
        tag = tag_of(tenant, is_platform=platform)
        what = level_of(level, is_platform=platform)
        mode = SwitchMode.CANCEL_HOLDS if cancel_holds else SwitchMode.STOP_NEW
        stop = Stop(level=what, name=name, mode=mode, reason=reason, ends_at=until)
        failed = 0
        with refusals_in_words(tenant):
            if tag is None:
                stopped = stop_platform(stop=stop, actor=_ACTOR)
                switch, released, failed = stopped.switch, stopped.holds_released, stopped.tenants_failed
            else:
                switched = throw_switch(tag=tag, stop=stop, actor=_ACTOR)
                switch, released = switched.switch, switched.holds_released
        end = "until it is resumed" if switch.ends_at is None else f"until {switch.ends_at.isoformat()}"
        self.stdout.write(f"Stopped {named(what, switch.name, tenant=tenant)} {end}; {released} holds given back.")
        if failed:
            raise CommandError(f"{failed} tenants could not be reached and may still hold money. Repeat the command.")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    # Without an offset it is UTC, like every time that is printed.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
