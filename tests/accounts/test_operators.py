"""Making operators, by the service and by the command."""

import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from accounts.models import OperatorRole, User
from accounts.services.operators import EmailTaken, InvalidEmail, WeakPassword, create_operator, generate_password
from tests.support.owner import delete_shared

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ADDRESS = "ada@example.test"


@pytest.fixture(autouse=True)
def nobody(database: None) -> Iterator[None]:
    yield
    delete_shared(User.objects.filter(email__endswith="@example.test"))


def create(email: str = ADDRESS, password: str | None = None) -> str:
    return create_operator(email=email, role=OperatorRole.OWNER, password=password, now=NOW).password


class TestCreateOperator:
    def test_keeps_only_an_argon2_hash_of_the_password(self) -> None:
        password = create()
        user = User.objects.get(email=ADDRESS)

        assert user.password.startswith("argon2$argon2id$")
        assert user.check_password(password)
        assert password not in user.password

    def test_generates_a_password_of_its_own_each_time(self) -> None:
        assert len({generate_password() for _ in range(50)}) == 50

    def test_writes_addresses_in_lower_case(self) -> None:
        create(email=" Ada@Example.TEST ")

        assert User.objects.get().email == ADDRESS

    def test_refuses_a_second_one_at_an_address(self) -> None:
        create()

        with pytest.raises(EmailTaken):
            create(email="ADA@example.test")

    @pytest.mark.parametrize("email", ["", "ada", "ada@", "a b@example.test", f"{'a' * 245}@example.test"])
    def test_refuses_what_is_no_address(self, email: str) -> None:
        with pytest.raises(InvalidEmail):
            create(email=email)

    @pytest.mark.parametrize("password", ["short", "elevenchars", "password1234", "ada@example.test"])
    def test_refuses_weak_passwords(self, password: str) -> None:
        with pytest.raises(WeakPassword):
            create(password=password)

    def test_takes_twelve_characters(self) -> None:
        create(password="twelve-chars")

    def test_never_shows_the_password_by_accident(self) -> None:
        made = create_operator(email=ADDRESS, role=OperatorRole.VIEWER, password=None, now=NOW)

        assert made.password not in repr(made)


class TestUser:
    @pytest.mark.parametrize("change", [{"email": "Ada@example.test"}, {"operator_role": "king"}])
    def test_the_database_refuses_what_the_service_would_not_write(self, change: dict[str, str]) -> None:
        create()

        with pytest.raises(IntegrityError), transaction.atomic():
            User.objects.update(**change)


class TestCommand:
    def test_prints_a_generated_password_once(self) -> None:
        out = io.StringIO()

        call_command("create_operator", ADDRESS, stdout=out)

        password = out.getvalue().split("Password (shown once): ")[1].strip()
        assert User.objects.get(email=ADDRESS).check_password(password)
        assert User.objects.get(email=ADDRESS).operator_role == OperatorRole.OWNER

    def test_reads_the_password_from_standard_input_and_keeps_silent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        out = io.StringIO()
        monkeypatch.setattr(sys, "stdin", io.StringIO("the-sluice-opens-at-dawn\n"))

        call_command("create_operator", ADDRESS, "--role", "viewer", "--password-stdin", stdout=out)

        assert "sluice" not in out.getvalue()
        assert User.objects.get(email=ADDRESS).check_password("the-sluice-opens-at-dawn")

    @pytest.mark.parametrize(("email", "stdin"), [("ada", "x" * 12), (ADDRESS, ""), (ADDRESS, "short\n")])
    def test_refuses_in_one_sentence(self, monkeypatch: pytest.MonkeyPatch, email: str, stdin: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))

        with pytest.raises(CommandError):
            call_command("create_operator", email, "--password-stdin")
        assert not User.objects.exists()
