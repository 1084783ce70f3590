"""``manage.py create_operator EMAIL``: somebody who may sign in to the console."""

import sys
from datetime import UTC, datetime
from getpass import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import OperatorRole
from accounts.services.operators import EmailTaken, InvalidEmail, WeakPassword, create_operator


class Command(BaseCommand):
    help = "Create an operator. The password is generated and printed once, unless --password-stdin is given."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--role", choices=OperatorRole.values, default=OperatorRole.OWNER.value)
        parser.add_argument(
            "--password-stdin",
            action="store_true",
            help="Read the password from standard input (asked for at a terminal).",
        )

    def handle(self, *args: Any, email: str, role: str, password_stdin: bool, **options: Any) -> None:
        password = _read_password() if password_stdin else None
        try:
            operator = create_operator(email=email, role=OperatorRole(role), password=password, now=datetime.now(UTC))
        except InvalidEmail:
            raise CommandError(f"{email} is not an e-mail address.") from None
        except EmailTaken:
            raise CommandError(f"Somebody signs in as {email} already.") from None
        except WeakPassword as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{operator.email} may sign in as {operator.role.value}.")
        if password is None:
            self.stdout.write(f"Password (shown once): {operator.password}")


def _read_password() -> str:
    text = getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline()
    password = text.rstrip("\r\n")
    if not password:
        raise CommandError("Standard input held no password.")
    return password
