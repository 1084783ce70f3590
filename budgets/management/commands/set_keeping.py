"""``manage.py set_keeping``: for how long a tenant's rows are kept, in the place of what its plan says, or as it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from budgets.models import KeptKind
from budgets.services.keeping_terms import KEPT_WORDS, DaysOutOfRange, drop_keeping, set_keeping
from kernel.actor import Actor
from tenants.selectors.directory import tenant_by_slug


class Command(BaseCommand):
    help = "Keep a tenant's decisions, events or ledger for so many days, for ever, or as its plan says."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=KeptKind.values)
        parser.add_argument("days", help="A number of days, forever, or plan for what the plan says.")
        parser.add_argument("--tenant", required=True, help="By its slug.")
        parser.add_argument("--by", required=True, help="Who says so, for the audit trail.")
        parser.add_argument("--reason", required=True, help="Why, for the audit trail.")

    def handle(self, *args: Any, kind: str, days: str, tenant: str, by: str, reason: str, **options: Any) -> None:
        line = tenant_by_slug(tenant)
        if line is None or not line.has_books:
            raise CommandError(f"There is no tenant {tenant}.")
        if days not in {"forever", "plan"} and not days.isdecimal():
            raise CommandError("The second argument is a number of days, forever, or plan.")
        actor = Actor(name=by, actor_type="admin", reason=reason)
        term, kept = None if days in {"forever", "plan"} else int(days), KeptKind(kind)
        try:
            if days == "plan":
                is_new = drop_keeping(tag=line.tag, kind=kept, actor=actor)
            else:
                is_new = set_keeping(tag=line.tag, kind=kept, days=term, actor=actor)
        except DaysOutOfRange as error:
            raise CommandError(str(error)) from None
        said = {"forever": "for ever", "plan": "as the plan says"}.get(days) or f"for {term:,} days"
        self.stdout.write(f"{tenant}: {KEPT_WORDS[kept]} kept {said}{'' if is_new else ', as before'}.")
