"""``manage.py planner FILE``: what an agent's traffic costs, from its budget table."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from routing.services.plan_file import FILE_BYTES_MAX, read_plan_file
from routing.services.plan_file_numbers import InvalidPlan
from routing.services.plan_report import plan_document, plan_text
from routing.services.planner import CannotPlan, make_plan
from routing.services.timeouts import TimeoutsDoNotFit


class Command(BaseCommand):
    help = (
        "Print what the traffic of a budget table costs a turn, a day and in 30 days: expected, at worst under the"
        " caps, and with everything on the large model. Reads a TOML file; examples/ has some. Touches no database."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.toml")
        parser.add_argument("--json", action="store_true", dest="as_json", help="The figures for programs.")

    def handle(self, *args: Any, file: Path, as_json: bool, **options: Any) -> None:
        try:
            with file.open("rb") as stream:
                # A byte more than allowed is enough to be refused.
                raw = stream.read(FILE_BYTES_MAX + 1)
            plan = make_plan(read_plan_file(raw))
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
        except (InvalidPlan, CannotPlan, TimeoutsDoNotFit) as error:
            raise CommandError(f"{file}: {error}") from None
        self.stdout.write(json.dumps(plan_document(plan), indent=2) if as_json else plan_text(plan))
