"""``manage.py verify_archives``: prove that every archive file is there and is what was written, while traffic runs."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from budgets.management.chosen_tenants import chosen_tenants
from kernel.ids import PLATFORM_TAG, Tag
from kernel.pages.amounts import counted_text
from kernel.tenancy import in_public, in_tenant
from telemetry.services.archives_proof import prove_archives


class Command(BaseCommand):
    help = "Read every archive file of all tenants and of the platform again; fails with each that is not sound."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="Only this tenant, by its slug or its tag.")

    def handle(self, *args: Any, tenant: str | None, **options: Any) -> None:
        read, broken = 0, []
        for name, tag, schema in _owners(tenant):
            read += 1
            if not self._is_sound(name, tag, schema):
                broken.append(name)
        if broken:
            raise CommandError(f"The archives of {len(broken)} of {read} are not sound: {', '.join(broken)}.")
        self.stdout.write(f"{read} of {read}: sound.")

    def _is_sound(self, name: str, tag: Tag, schema: AbstractContextManager[Any]) -> bool:
        try:
            with schema:
                proven = prove_archives(tag)
        except (DatabaseError, ValueError) as error:
            # Not proven is not sound; the others are still looked at.
            self.stdout.write(f"{name}: could not be read: {str(error).strip()}")
            return False
        verdict = counted_text(len(proven.faults), "fault") if proven.faults else "sound"
        self.stdout.write(
            f"{name}: {counted_text(proven.files, 'file')}, {counted_text(proven.rows, 'row')}: {verdict}."
        )
        for fault in proven.faults:
            self.stdout.write(f"  {fault}")
        return not proven.faults


def _owners(tenant: str | None) -> Iterator[tuple[str, Tag, AbstractContextManager[Any]]]:
    """Name, tag and schema of everybody who has archives; of one tenant alone where it is named."""
    for line in chosen_tenants(tenant):
        yield line.slug, line.tag, in_tenant(line.tag)
    if tenant is None:
        yield "the platform", PLATFORM_TAG, in_public()
