"""``manage.py verify_ledger``: prove that the books of every tenant add up, while traffic runs."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from budgets.management.chosen_tenants import chosen_tenants
from budgets.services.verifying import verify_books
from tenants.selectors.directory import TenantLine


class Command(BaseCommand):
    help = "Prove invariants I1-I6 and I8 on the live books; fails with the first difference of each tenant."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="Only this tenant, by its slug or its tag.")
        parser.add_argument(
            "--all", action="store_true", dest="shows_all", help="Print every difference, not only the first."
        )

    def handle(self, *args: Any, tenant: str | None, shows_all: bool, **options: Any) -> None:
        read, unsound = 0, []
        for line in chosen_tenants(tenant):
            read += 1
            if not self._is_sound(line, shows_all=shows_all):
                unsound.append(line.slug)
        if unsound:
            raise CommandError(f"The books of {len(unsound)} of {read} tenants do not add up: {', '.join(unsound)}.")
        self.stdout.write(f"{read} of {read} tenants: no difference.")

    def _is_sound(self, tenant: TenantLine, *, shows_all: bool) -> bool:
        try:
            found = verify_books(tag=tenant.tag)
        except DatabaseError as error:
            # Not proven is not sound; the other tenants are still looked at.
            self.stdout.write(f"{tenant.slug}: could not be read: {str(error).strip()}")
            return False
        counts = f"{found.entries:,} entries, {found.budgets:,} budgets, {found.reservations:,} reservations"
        verdict = "no difference" if not found.differences else f"{len(found.differences)} differences"
        self.stdout.write(f"{tenant.slug}: {counts}: {verdict}.")
        for difference in found.differences if shows_all else found.differences[:1]:
            self.stdout.write(f"  {difference}")
        return not found.differences
