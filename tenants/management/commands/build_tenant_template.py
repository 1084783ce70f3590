"""``manage.py build_tenant_template``: write the script of a tenant's schema anew after a migration was added."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from kernel.owner import acting_as_owner
from tenants.services.template import TEMPLATE_NAME, build_template, read_template


class Command(BaseCommand):
    help = "Write tenants/sql/tenant_schema.sql from the migrations."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="Write nothing; fail when the file is out of date.")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        with acting_as_owner():
            script = build_template()
        if check:
            if script != read_template():
                raise CommandError(
                    "The tenant template is older than the migrations: run manage.py build_tenant_template."
                )
            return
        Path(__file__).resolve().parents[2].joinpath("sql", TEMPLATE_NAME).write_text(script)
        self.stdout.write(f"Wrote tenants/sql/{TEMPLATE_NAME}.")
