"""The first platform key, made by the command."""

import io

import pytest
from django.core.management import call_command

from accounts.keys.selectors.keys import VerifiedKey, verified_key
from accounts.keys.tokens import parse_token
from kernel.tenancy import in_public
from telemetry.models import AuditEntry


def create(*arguments: str) -> VerifiedKey:
    """The key whose token the command has printed last."""
    said = io.StringIO()
    call_command("create_platform_key", *arguments, stdout=said)
    parsed = parse_token(said.getvalue().split()[-1])
    assert parsed is not None
    with in_public():
        key = verified_key(parsed)
    assert key is not None
    return key


@pytest.mark.usefixtures("database")
class TestCreatePlatformKey:
    def test_prints_a_token_that_works(self) -> None:
        assert create("set-up").permissions == {"platform:read", "platform:write"}

    def test_makes_one_that_changes_nothing(self) -> None:
        assert create("dashboard", "--read-only").permissions == {"platform:read"}

    def test_is_written_down(self) -> None:
        key = create("set-up")

        with in_public():
            entry = AuditEntry.objects.get(action="api_key.created", target=key.key_id)
        assert entry.actor == "create_platform_key"
