"""``manage.py train_router acme examples.jsonl``: train a tenant's router from more examples than a request holds."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from budgets.services.guards import TenantIsClosed
from kernel.actor import Actor
from routing.services.classifier_training import EXAMPLES_MAX, CannotTrain, Example
from routing.services.router_training import train_router
from tenants.selectors.directory import tenant_by_slug

_ACTOR = Actor(name="train_router", actor_type="system")


class Command(BaseCommand):
    help = 'Train a tenant\'s router from a file with one {"text": …, "class": …} a line.'

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="The tenant's slug.")
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, tenant: str, file: Path, **options: Any) -> None:
        line = tenant_by_slug(tenant)
        if line is None or not line.has_books:
            raise CommandError(f"There is no tenant {tenant} with books.")
        try:
            examples = list(_read(file))
            model = train_router(tag=line.tag, examples=examples, actor=_ACTOR)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
        except CannotTrain as error:
            raise CommandError(str(error)) from None
        except TenantIsClosed:
            raise CommandError(f"{tenant} is closed.") from None
        share = model.accuracy_ppm / 1_000_000
        self.stdout.write(
            f"Version {model.version} from {model.examples:,} examples:"
            f" the tier was right in {share:.1%} of those held out."
        )


def _read(file: Path) -> Iterator[Example]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if number > EXAMPLES_MAX:
                raise CommandError(f"{file} has more than {EXAMPLES_MAX:,} lines.")
            try:
                example = json.loads(line)
                yield Example(text=str(example["text"]), label=str(example["class"]))
            except (ValueError, KeyError, TypeError):
                raise CommandError(f'{file}, line {number}: {{"text": …, "class": …}} is expected.') from None
