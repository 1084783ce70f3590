"""``manage.py verify_rollups``: prove that every rollup is what the ledger says, while traffic runs."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from budgets.services.rollups_proof import rollup_differences
from kernel.ids import parse_tag
from tenants.selectors.directory import TenantLine, directory_page, tenant_by_slug, tenant_by_tag

_PAGE = 500


class Command(BaseCommand):
    help = "Compare every rollup with the ledger, as far as it was followed; fails at the first difference."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="Only this tenant, by its slug or its tag.")

    def handle(self, *args: Any, tenant: str | None, **options: Any) -> None:
        read = 0
        for line in _tenants() if tenant is None else [_tenant(tenant)]:
            read += 1
            try:
                difference = next(rollup_differences(line.tag), None)
            except DatabaseError as error:
                # Not proven is not sound.
                raise CommandError(f"{line.slug} could not be read: {str(error).strip()}") from None
            if difference is not None:
                raise CommandError(f"{line.slug}: {difference}.")
        self.stdout.write(f"{read} of {read} tenants: no difference.")


def _tenants() -> Iterator[TenantLine]:
    after: str | None = ""
    while after is not None:
        page = directory_page(after=after, limit=_PAGE)
        yield from (line for line in page.tenants if line.has_books)
        after = page.next_after


def _tenant(name: str) -> TenantLine:
    tag = parse_tag(name)
    line = tenant_by_slug(name) or (tenant_by_tag(tag) if tag else None)
    if line is None or not line.has_books:
        raise CommandError(f"There is no tenant {name} with books.")
    return line
