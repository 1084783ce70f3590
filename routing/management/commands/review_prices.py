"""``manage.py review_prices``: list the proposed prices, approve or reject them."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from kernel.actor import Actor
from routing.selectors.prices import proposals
from routing.services.price_approval import NotProposed, PriceDatesOverlap, approve_prices, reject_prices
from routing.services.price_report import proposal_text


class Command(BaseCommand):
    help = "List the prices that wait for a decision, with their rates in USD per 1,000,000 tokens; or decide on them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--provider", action="append", default=[], dest="providers", help="Only this; repeatable.")
        parser.add_argument("--model", action="append", default=[], dest="models", help="Only this; repeatable.")
        decision = parser.add_mutually_exclusive_group()
        decision.add_argument("--approve", action="store_true", help="Put them in force.")
        decision.add_argument("--reject", action="store_true", help="They are not proposed again.")
        parser.add_argument("--by", default="", help="Who decides: a name for the audit trail.")
        parser.add_argument("--reason", default="", help="Why, for the audit trail.")

    def handle(
        self,
        *args: Any,
        providers: list[str],
        models: list[str],
        approve: bool,
        reject: bool,
        by: str,
        reason: str,
        **options: Any,
    ) -> None:
        waiting = proposals(providers=providers, models=models)
        if not waiting:
            self.stdout.write("No price waits for a decision.")
            return
        if not approve and not reject:
            for version in waiting:
                self.stdout.write(proposal_text(version))
            return
        if not by or not reason:
            raise CommandError("A decision needs --by and --reason.")
        actor = Actor(name=by, actor_type="admin", reason=reason)
        decide = approve_prices if approve else reject_prices
        try:
            count = decide([version.pk for version in waiting], actor=actor, now=datetime.now(UTC))
        except (NotProposed, PriceDatesOverlap) as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(f"{count:,} prices {'approved' if approve else 'rejected'}.")
