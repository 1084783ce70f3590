"""``manage.py seed_plans``: the plans that come with the program, and prices for the models that they route to."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from budgets.services.plan_seeding import ensure_plans
from kernel.actor import Actor
from routing.services.catalogue_prices import ensure_catalogue_prices


class Command(BaseCommand):
    help = (
        "Publish the first version of trial, free, starter, pro and enterprise where there is none. With --with-prices"
        " the list prices of their models are approved too, where they have none. Safe to repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--with-prices", action="store_true", help="Approve the list prices of their models.")
        parser.add_argument("--by", default="", help="Who approves: a name for the audit trail.")

    def handle(self, *args: Any, with_prices: bool, by: str, **options: Any) -> None:
        if with_prices and not by:
            raise CommandError("Approving prices needs --by.")
        now = datetime.now(UTC)
        actor = Actor(
            name=by or "seed_plans", actor_type="admin" if by else "system", reason="The plans that come along."
        )
        published = ensure_plans(actor=actor, now=now)
        self.stdout.write(f"Published: {', '.join(published)}." if published else "Every plan is there already.")
        if with_prices:
            self.stdout.write(f"{ensure_catalogue_prices(actor=actor, now=now):,} prices approved.")
