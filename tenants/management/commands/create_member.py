"""``manage.py create_member --tenant SLUG --email EMAIL``: somebody who may sign in to a tenant's pages."""

import sys
from datetime import UTC, datetime
from getpass import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.selectors.memberships import MemberRole
from accounts.services.members import LastOwner, add_member
from accounts.services.operators import InvalidEmail, WeakPassword
from kernel.actor import Actor
from tenants.selectors.directory import tenant_by_slug


class Command(BaseCommand):
    help = (
        "Make somebody a member of a tenant. Somebody new gets a password, which is generated and printed once"
        " unless --password-stdin is given; somebody known keeps theirs."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="The tenant's slug.")
        parser.add_argument("--email", required=True)
        parser.add_argument("--role", choices=MemberRole.values, default=MemberRole.OWNER.value)
        parser.add_argument(
            "--password-stdin",
            action="store_true",
            help="Read the password from standard input (asked for at a terminal).",
        )

    def handle(self, *args: Any, tenant: str, email: str, role: str, password_stdin: bool, **options: Any) -> None:
        found = tenant_by_slug(tenant)
        if found is None or not found.has_books:
            raise CommandError(f"There is no tenant {tenant}.")
        password = _read_password() if password_stdin else None
        try:
            generated = add_member(
                tag=found.tag,
                email=email,
                role=MemberRole(role),
                password=password,
                actor=Actor(name="manage.py create_member", actor_type="system"),
                now=datetime.now(UTC),
            )
        except InvalidEmail:
            raise CommandError(f"{email} is not an e-mail address.") from None
        except WeakPassword as error:
            raise CommandError(str(error)) from None
        except LastOwner:
            raise CommandError(f"{email} is the last owner of {tenant}. Make somebody else an owner first.") from None
        self.stdout.write(f"{email} may sign in to {tenant} as {role}.")
        if generated:
            self.stdout.write(f"Password (shown once): {generated}")


def _read_password() -> str:
    text = getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline()
    password = text.rstrip("\r\n")
    if not password:
        raise CommandError("Standard input held no password.")
    return password
