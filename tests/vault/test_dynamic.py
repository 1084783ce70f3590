"""Secrets that an engine of OpenBao makes for each lease: real logins of a real PostgreSQL, gone when they end."""

from collections.abc import Iterator
from typing import Final

import hvac  # type: ignore[import-untyped]
import psycopg
import pytest
from pytest_django import Settings

from kernel.embedded.layout import SUPERUSER
from kernel.ids import Tag, mint_tag
from tests.plugins.servers import LAYOUT, USES_EMBEDDED
from vault.backends.door import FetchFailed
from vault.backends.openbao import OpenBao
from vault.backends.options import CredentialOptions, OpenBaoOptions
from vault.kinds import BackEnd, Health
from vault.locations import Location
from vault.services.fetching import fetch, probe

pytestmark = [
    pytest.mark.usefixtures("database"),
    pytest.mark.skipif(not USES_EMBEDDED, reason="makes logins, which is for a server of the tests alone"),
]

READER: Final = Location(path="logins/creds/{tenant}-reader")
_MAKE: Final = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
_END: Final = 'DROP ROLE IF EXISTS "{{name}}"'


@pytest.fixture
def tag(bao: hvac.Client, bao_address: str, settings: Settings) -> Iterator[Tag]:
    """A tenant with a role of its own in the engine `logins`."""
    tag = mint_tag()
    bao.sys.enable_secrets_engine("database", path="logins")
    bao.secrets.database.configure(
        name="pg",
        plugin_name="postgresql-database-plugin",
        allowed_roles=[f"{tag}-reader"],
        connection_url=f"postgresql:///postgres?host={LAYOUT.socket_folder}&user={SUPERUSER}",
        verify_connection=True,
        mount_point="logins",
    )
    bao.secrets.database.create_role(
        name=f"{tag}-reader",
        db_name="pg",
        creation_statements=[_MAKE],
        revocation_statements=[_END],
        default_ttl="5m",
        max_ttl="1h",
        mount_point="logins",
    )
    settings.CREDENTIALS = CredentialOptions(
        openbao=OpenBaoOptions(address=bao_address, token=bao.token, dynamic_mounts=("logins",))
    )
    yield tag
    bao.sys.revoke_prefix("logins")
    bao.sys.disable_secrets_engine("logins")


@pytest.fixture
def door(tag: Tag, settings: Settings) -> OpenBao:
    return OpenBao(settings.CREDENTIALS.openbao, back_end=BackEnd.DYNAMIC)


def can_sign_in(user: str) -> bool:
    """Whether the login is there."""
    with psycopg.connect(f"host={LAYOUT.socket_folder} user={SUPERUSER} dbname=postgres") as connection:
        row = connection.execute("SELECT count(*) FROM pg_roles WHERE rolname = %s", [user]).fetchone()
        return bool(row and row[0])


def test_is_made_anew_for_each_lease_and_ends_with_it(door: OpenBao, tag: Tag) -> None:
    first, second = (fetch(tag=tag, back_end=BackEnd.DYNAMIC, location=READER) for _ in range(2))

    users = [fetched.secret.reveal()["username"] for fetched in (first, second)]
    assert users[0] != users[1]
    assert all(can_sign_in(user) for user in users)
    assert first.lease_seconds == 300
    assert "lease_id" not in repr(first)

    door.give_back(tag=tag, lease_id=first.lease_id)
    assert [can_sign_in(user) for user in users] == [False, True]


def test_is_prolonged(door: OpenBao, tag: Tag) -> None:
    fetched = fetch(tag=tag, back_end=BackEnd.DYNAMIC, location=READER)

    assert door.renew(tag=tag, lease_id=fetched.lease_id, seconds=900) == 900


def test_of_another_tenants_role_cannot_be_named(tag: Tag) -> None:
    with pytest.raises(FetchFailed) as failure:
        fetch(tag=mint_tag(), back_end=BackEnd.DYNAMIC, location=READER)

    assert failure.value.health in {Health.NOT_THERE, Health.GARBAGE}


def test_of_an_engine_that_is_not_set_up_is_refused(tag: Tag) -> None:
    for location in (Location(path="database/creds/{tenant}-reader"), Location(path="sys/creds/{tenant}-reader")):
        assert probe(tag=tag, back_end=BackEnd.DYNAMIC, location=location) == Health.NOT_SET_UP
        with pytest.raises(FetchFailed):
            fetch(tag=tag, back_end=BackEnd.DYNAMIC, location=location)


def test_is_looked_at_without_making_a_login(tag: Tag) -> None:
    before = logins()

    assert probe(tag=tag, back_end=BackEnd.DYNAMIC, location=READER) == Health.GOOD
    assert logins() == before


def logins() -> int:
    with psycopg.connect(f"host={LAYOUT.socket_folder} user={SUPERUSER} dbname=postgres") as connection:
        row = connection.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-%'").fetchone()
        assert row is not None
        return int(row[0])
