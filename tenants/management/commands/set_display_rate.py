"""``manage.py set_display_rate INR 84.10 --as-of 2026-11-20 --source ECB``: let pages show amounts in ₹ as well."""

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from kernel.actor import Actor
from tenants.services.display_rates import InvalidDisplayRate, micros_of, set_display_rate

_ACTOR = Actor(name="set_display_rate", actor_type="system", reason="A rate was set from the command line.")


class Command(BaseCommand):
    help = "Say what a dollar is worth in another currency, for showing amounts. What is booked stays in USD."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("currency", help="Its three letters, as INR.")
        parser.add_argument("rate", help="So much of it for 1 USD, as 84.10; six decimals at most.")
        parser.add_argument("--as-of", type=date.fromisoformat, help="The day whose rate it is; today if left out.")
        parser.add_argument("--source", default="the operator", help="Who says so; pages state it.")

    def handle(self, *args: Any, currency: str, rate: str, as_of: date | None, source: str, **options: Any) -> None:
        now = datetime.now(UTC)
        day = as_of or now.date()
        try:
            set_display_rate(
                currency=currency.upper(),
                micros_per_usd=micros_of(Decimal(rate)),
                as_of=day,
                source=source,
                actor=_ACTOR,
                now=now,
            )
        except InvalidOperation:
            raise CommandError(f"{rate} is not a number.") from None
        except InvalidDisplayRate as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(f"1 USD is shown as {rate} {currency.upper()}, the rate of {day}.")
