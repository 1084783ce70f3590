"""``manage.py create_tenant SLUG``: a tenant from the operator's own shell, with a first key if that is asked for."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.keys.services.keys import LIFETIME_DEFAULT, TENANT_PERMISSIONS, create_key
from budgets.services.lifecycle import create_tenant
from kernel.actor import Actor
from kernel.tenancy import in_tenant
from tenants.selectors.plans import latest_plan
from tenants.services.provisioning import InvalidSlug, NewTenant, SlugTaken, UnknownTimeZone

_ACTOR = Actor(name="create_tenant", actor_type="system")


class Command(BaseCommand):
    help = "Create a tenant; repeated with the same details, one that was cut off half-way is completed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="1 to 63 of a-z 0-9 _ . -; the first segment of every scope path, for good.")
        parser.add_argument("--name", help="How people call it; the slug when left out.")
        parser.add_argument("--time-zone", default="UTC", help="Where its days begin, like Europe/Berlin.")
        parser.add_argument("--plan", help="The code of a plan, whose latest version it starts on.")
        parser.add_argument("--key", action="store_true", help="Make a key with all of a tenant's permissions, too.")

    def handle(
        self, *args: Any, slug: str, name: str | None, time_zone: str, plan: str | None, key: bool, **options: Any
    ) -> None:
        now = datetime.now(UTC)
        starts_on = latest_plan(plan) if plan is not None else None
        if plan is not None and starts_on is None:
            raise CommandError(f"There is no plan {plan}.")
        try:
            tenant = create_tenant(
                NewTenant(slug=slug, name=name or slug, time_zone=time_zone, plan=starts_on), now=now, actor=_ACTOR
            )
        except InvalidSlug:
            raise CommandError("A slug is 1 to 63 of a-z 0-9 _ . - and begins with a letter or digit.") from None
        except SlugTaken:
            raise CommandError(f"There is, or was, a tenant {slug}.") from None
        except UnknownTimeZone:
            raise CommandError(f"{time_zone} is not in the time zone database; Europe/Berlin would be.") from None
        self.stdout.write(f"Tenant {tenant.slug} is ready{f' on {starts_on}' if starts_on else ''}.")
        if key:
            with in_tenant(tenant.tag):
                issued = create_key(
                    tag=tenant.tag,
                    name="first",
                    permissions=sorted(TENANT_PERMISSIONS),
                    expires_at=now + LIFETIME_DEFAULT,
                    actor=_ACTOR,
                    now=now,
                )
            self.stdout.write(f"API key (shown once): {issued.token}")
