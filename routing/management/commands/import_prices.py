"""``manage.py import_prices``: propose the list prices of the installed genai-prices, and show what would change."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from kernel.actor import Actor
from routing.services.price_import import import_prices
from routing.services.price_report import import_text
from routing.services.price_source import read_source


class Command(BaseCommand):
    help = (
        "Propose the list prices of the installed package genai-prices (no network) and print the difference to"
        " approve. Nothing is charged by a proposal: approve or reject it with review_prices. Safe to repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--provider", action="append", default=[], dest="providers", help="Only this; repeatable.")
        parser.add_argument("--all", action="store_true", dest="shows_all", help="Print every new model.")

    def handle(self, *args: Any, providers: list[str], shows_all: bool, **options: Any) -> None:
        source = read_source()
        known = {price.provider for price in source.prices}
        if unknown := sorted({name.lower() for name in providers} - known):
            raise CommandError(f"The source has no provider {unknown[0]}. It has: {', '.join(sorted(known))}.")
        actor = Actor(name="import_prices", actor_type="system", reason=f"genai-prices {source.version}")
        imported = import_prices(source, actor=actor, now=datetime.now(UTC), providers=providers)
        self.stdout.write(import_text(imported, shows_all=shows_all))
        if imported.differences or imported.waiting:
            self.stdout.write("\nDecide with: manage.py review_prices --approve --by NAME --reason WHY [--provider …]")
