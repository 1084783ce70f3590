"""``manage.py verify_rollups``: prove that every rollup is what the ledger says, while traffic runs."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from budgets.management.chosen_tenants import chosen_tenants
from budgets.services.verifying import verify_rollups


class Command(BaseCommand):
    help = "Compare every rollup with the ledger, as far as it was followed; fails at the first difference."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="Only this tenant, by its slug or its tag.")

    def handle(self, *args: Any, tenant: str | None, **options: Any) -> None:
        read = 0
        for line in chosen_tenants(tenant):
            read += 1
            try:
                differences = verify_rollups(tag=line.tag)
            except DatabaseError as error:
                # Not proven is not sound.
                raise CommandError(f"{line.slug} could not be read: {str(error).strip()}") from None
            if differences:
                raise CommandError(f"{line.slug}: {differences[0]}.")
        self.stdout.write(f"{read} of {read} tenants: no difference.")
