"""``manage.py verify_seals``: prove that no sealed ledger entry was changed or removed, while traffic runs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from budgets.management.chosen_tenants import chosen_tenants
from budgets.services.seals_proof import SealHead, seal_head
from budgets.services.verifying import verify_seals
from kernel.ids import Tag


class Command(BaseCommand):
    help = "Prove every seal of the ledger and the entries under it; fails with the first broken one of each tenant."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="Only this tenant, by its slug or its tag.")
        parser.add_argument(
            "--heads-to", type=Path, metavar="FILE", help="Write each tenant's last seal there, to be kept elsewhere."
        )
        parser.add_argument(
            "--heads-from", type=Path, metavar="FILE", help="The seals that were kept must still be in the chains."
        )

    def handle(
        self, *args: Any, tenant: str | None, heads_to: Path | None, heads_from: Path | None, **options: Any
    ) -> None:
        known = _read(heads_from) if heads_from else {}
        read, broken, heads = 0, [], []
        for line in chosen_tenants(tenant):
            read += 1
            try:
                faults = verify_seals(tag=line.tag, known=known.get(line.tag))
                head = seal_head(line.tag)
            except DatabaseError as error:
                # Not proven is not sound; the other tenants are still looked at.
                self.stdout.write(f"{line.slug}: could not be read: {str(error).strip()}")
                broken.append(line.slug)
                continue
            sealed = f"sealed to entry {head.last_seq:,}" if head else "nothing is sealed yet"
            self.stdout.write(f"{line.slug}: {sealed}: {faults[0] if faults else 'no difference'}.")
            if faults:
                broken.append(line.slug)
            if head is not None:
                heads.append(head)
        if broken:
            raise CommandError(f"The seals of {len(broken)} of {read} tenants are broken: {', '.join(broken)}.")
        if heads_to is not None:
            lines = [json.dumps({"tag": head.tag, "last_seq": head.last_seq, "hash": head.hash}) for head in heads]
            heads_to.write_text("".join(f"{line}\n" for line in lines))
        self.stdout.write(f"{read} of {read} tenants: no difference.")


def _read(path: Path) -> Mapping[Tag, SealHead]:
    try:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return {Tag(row["tag"]): SealHead(Tag(row["tag"]), int(row["last_seq"]), str(row["hash"])) for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{path} has no heads that can be read: {error}") from None
