"""``manage.py drop_decisions``: export old decisions that had no effect, then drop them. Run it as the owner."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from budgets.management.chosen_tenants import chosen_tenants
from budgets.services.retention import KEPT_MIN, ExportDiffers, NotFollowedYet, TooYoung, drop_decisions
from kernel.owner import acting_as_owner


class Command(BaseCommand):
    help = "Export refusals, decide answers and dry runs older than so many days into a folder, then drop them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--older-than-days", type=int, required=True, help=f"At least {KEPT_MIN.days}.")
        parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="Where the files go; it exists.")
        parser.add_argument("--tenant", help="Only this tenant, by its slug or its tag.")

    def handle(self, *args: Any, older_than_days: int, to: Path, tenant: str | None, **options: Any) -> None:
        if not to.is_dir():
            raise CommandError(f"There is no folder {to}.")
        now = datetime.now(UTC)
        before = now - timedelta(days=older_than_days)
        lines = list(chosen_tenants(tenant))
        with acting_as_owner():
            for line in lines:
                try:
                    done = drop_decisions(tag=line.tag, slug=line.slug, before=before, now=now, folder=to)
                except TooYoung:
                    raise CommandError(f"Decisions are kept for {KEPT_MIN.days} days at least.") from None
                except NotFollowedYet:
                    self.stdout.write(f"{line.slug}: nothing dropped, the rollups have not followed so far yet.")
                except ExportDiffers as error:
                    raise CommandError(f"{line.slug}: nothing dropped. {error}") from None
                else:
                    where = f", kept in {done.path}" if done.path else ""
                    self.stdout.write(f"{line.slug}: {done.decisions:,} decisions dropped{where}.")
