"""``manage.py migrate_all``: bring the shared schema and every tenant's schema up to date."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from kernel.owner import acting_as_owner, prepare_database


class Command(BaseCommand):
    help = "Migrate the shared schema, then every tenant's, as the owner of the schemas."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--shared", action="store_true", help="Only the shared schema.")

    def handle(self, *args: Any, shared: bool, verbosity: int, **options: Any) -> None:
        prepare_database()
        with acting_as_owner():
            call_command("migrate_schemas", shared=True, interactive=False, verbosity=verbosity)
            if not shared:
                call_command("migrate_schemas", tenant=True, interactive=False, verbosity=verbosity)
