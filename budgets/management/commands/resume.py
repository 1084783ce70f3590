"""``manage.py resume acme``: lift a kill switch that `kill` or somebody else has thrown."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from budgets.management.switch_options import add_switch_arguments, level_of, named, refusals_in_words, tag_of
from budgets.services.switches import lift_switch
from kernel.actor import Actor
from tenants.services.platform_switches import lift_platform_switch

_ACTOR = Actor(name="resume", actor_type="system")


class Command(BaseCommand):
    help = "Lift a kill switch. Safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        add_switch_arguments(parser)
        parser.add_argument("--reason", default="", help="Kept in the audit trail.")

    def handle(
        self,
        *args: Any,
        tenant: str | None,
        platform: bool,
        level: str | None,
        name: str,
        reason: str,
        **options: Any,
    ) -> None:
        tag = tag_of(tenant, is_platform=platform)
        what = level_of(level, is_platform=platform)
        terms: dict[str, Any] = {"level": what, "name": name, "reason": reason, "actor": _ACTOR}
        with refusals_in_words(tenant):
            lifted = lift_platform_switch(**terms) if tag is None else lift_switch(tag=tag, **terms)
        which = named(what, name, tenant=tenant)
        self.stdout.write(f"Resumed {which}." if lifted else f"No switch was thrown on {which}; nothing has changed.")
