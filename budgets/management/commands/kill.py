"""``manage.py kill acme --reason …``: stop a tenant, a part of it, or the platform, from the operator's own shell."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError

from budgets.management.switch_options import add_switch_arguments, level_of, named, tag_of
from budgets.services.guards import TenantIsClosed
from budgets.services.platform_stops import stop_platform
from budgets.services.switches import throw_switch
from kernel.actor import Actor
from kernel.stops import InvalidSwitch
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
        terms: dict[str, Any] = {
            "level": what,
            "name": name,
            "mode": SwitchMode.CANCEL_HOLDS if cancel_holds else SwitchMode.STOP_NEW,
            "reason": reason,
            "ends_at": until,
            "actor": _ACTOR,
        }
        failed = 0
        try:
            if tag is None:
                stopped = stop_platform(**terms)
                switch, released, failed = stopped.switch, stopped.holds_released, stopped.tenants_failed
            else:
                switched = throw_switch(tag=tag, **terms)
                switch, released = switched.switch, switched.holds_released
        except InvalidSwitch as error:
            raise CommandError(f"{error.field} {error}.") from None
        except TenantIsClosed:
            raise CommandError(f"{tenant} is closed, and nothing of it works any more.") from None
        except OperationalError:
            raise CommandError("The database is away, or others hold the books. Repeat the command.") from None
        end = "until it is resumed" if switch.ends_at is None else f"until {switch.ends_at.isoformat()}"
        self.stdout.write(f"Stopped {named(what, switch.name, tenant=tenant)} {end}; {released} holds given back.")
        if failed:
            raise CommandError(f"{failed} tenants could not be reached and may still hold money. Repeat the command.")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    # Without an offset it is UTC, like every time that is printed.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
