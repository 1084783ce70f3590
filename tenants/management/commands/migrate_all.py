"""``manage.py migrate_all``: bring the shared schema and every tenant's schema up to date."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from kernel.owner import acting_as_owner, prepare_database
from tenants.services.migrating import PUBLIC, schemas_behind
from tenants.services.roles import schemas_without_role, settle_role


class Command(BaseCommand):
    help = "Migrate the shared schema, then every tenant's that is behind, as the owner of the schemas."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--shared", action="store_true", help="Only the shared schema.")

    def handle(self, *args: Any, shared: bool, verbosity: int, **options: Any) -> None:
        prepare_database()
        with acting_as_owner():
            for name in schemas_behind():
                if shared and name != PUBLIC:
                    continue
                call_command("migrate_schemas", schema_name=name, interactive=False, verbosity=verbosity)
                if name != PUBLIC:
                    settle_role(name)
            for name in [] if shared else schemas_without_role():
                settle_role(name)
