"""``manage.py create_platform_key NAME``: the first key of the management API; every other one can be had with it."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts.keys.services.keys import LIFETIME_DEFAULT, PLATFORM_PERMISSIONS, create_key
from kernel.actor import Actor
from kernel.ids import PLATFORM_TAG
from kernel.tenancy import in_public


class Command(BaseCommand):
    help = "Create a platform key, good for a year. Its token is printed once and stored nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="Whose it is or what for, as the audit trail will show it.")
        parser.add_argument("--read-only", action="store_true", help="It may look at everything and change nothing.")

    def handle(self, *args: Any, name: str, read_only: bool, **options: Any) -> None:
        now = datetime.now(UTC)
        permissions = {"platform:read"} if read_only else PLATFORM_PERMISSIONS
        with in_public():
            issued = create_key(
                tag=PLATFORM_TAG,
                name=name,
                permissions=sorted(permissions),
                expires_at=now + LIFETIME_DEFAULT,
                actor=Actor(name="create_platform_key", actor_type="system"),
                now=now,
            )
        self.stdout.write(f"Platform key {issued.key.key_id}, good until {issued.key.expires_at:%Y-%m-%d %H:%M %Z}.")
        self.stdout.write(f"Token (shown once): {issued.token}")
