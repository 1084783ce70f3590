"""``manage.py drop_decisions``: archive old decisions that had no effect, then drop them, now and not in its turn."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from budgets.management.chosen_tenants import chosen_tenants
from budgets.services.retention import KEPT_MIN, NotFollowedYet, TooYoung, drop_decisions
from kernel.archives import ArchiveDamaged, ExportDiffers
from kernel.tenancy import in_tenant
from telemetry.services.archiving import alone, database_now, folder_of


class Command(BaseCommand):
    help = "Archive refusals, decide answers and dry runs older than so many days, then drop them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--older-than-days", type=int, required=True, help=f"At least {KEPT_MIN.days}.")
        parser.add_argument("--tenant", help="Only this tenant, by its slug or its tag.")

    def handle(self, *args: Any, older_than_days: int, tenant: str | None, **options: Any) -> None:
        # Nothing is old by this machine's clock alone.
        now = min(datetime.now(UTC), database_now())
        before = now - timedelta(days=older_than_days)
        for line in list(chosen_tenants(tenant)):
            with in_tenant(line.tag), alone(line.tag) as is_alone:
                if not is_alone:
                    self.stdout.write(f"{line.slug}: nothing dropped, a worker is at it.")
                    continue
                try:
                    rows, _ = drop_decisions(tag=line.tag, before=before, now=now, has_time=lambda: True)
                except TooYoung:
                    raise CommandError(f"Decisions are kept for {KEPT_MIN.days} days at least.") from None
                except NotFollowedYet:
                    self.stdout.write(f"{line.slug}: nothing dropped, the rollups have not followed so far yet.")
                except (ArchiveDamaged, ExportDiffers, OSError) as error:
                    raise CommandError(f"{line.slug}: nothing dropped. {error}") from None
                else:
                    where = f", kept in {folder_of(line.tag)}" if rows else ""
                    self.stdout.write(f"{line.slug}: {rows:,} decisions dropped{where}.")
