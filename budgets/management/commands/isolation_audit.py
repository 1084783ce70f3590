"""``manage.py isolation_audit``: how the tenant flows through each surface of the running system."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from budgets.isolation.database import database_surfaces
from budgets.isolation.doors import door_surfaces
from budgets.isolation.files import file_surfaces
from budgets.isolation.roles import role_surfaces
from budgets.isolation.secrets import secret_surfaces
from budgets.isolation.surface import Verdict
from budgets.isolation.traffic import traffic_surfaces
from budgets.selectors.standing import whose_books
from kernel.tenancy import in_tenant
from tenants.selectors.tags import tenant_tags


class Command(BaseCommand):
    help = "List for each surface whether it is isolated, leaky or unknown; fails unless all are isolated."

    def handle(self, *args: Any, **options: Any) -> None:
        tenants = []
        for tag in tenant_tags():
            with in_tenant(tag):
                tenants.append((tag, whose_books().slug))
        tags = [tag for tag, _ in tenants]
        surfaces = [
            *database_surfaces(tags),
            *role_surfaces(tags),
            *door_surfaces(tags),
            *secret_surfaces(tenants),
            *file_surfaces(tenants),
            *traffic_surfaces(tenants, now=datetime.now(UTC)),
        ]
        for surface in surfaces:
            self.stdout.write(f"{surface.verdict:<9} {surface.name} ({surface.seen})")
            for offender in surface.offenders:
                self.stdout.write(f"          {offender}")
        wanting = [surface for surface in surfaces if surface.verdict != Verdict.ISOLATED]
        if wanting:
            raise CommandError(f"{len(wanting)} of {len(surfaces)} surfaces are not known to be isolated.")
        self.stdout.write(f"{len(surfaces)} of {len(surfaces)} surfaces are isolated.")
