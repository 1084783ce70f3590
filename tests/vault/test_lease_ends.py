"""Leases over HTTP that are prolonged and given back, and what is left of them at the store: logins of PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import hvac  # type: ignore[import-untyped]
import psycopg
import pytest
from pytest_django import Settings

from accounts.keys.models import Permission
from budgets.models import Reservation
from kernel.embedded.layout import SUPERUSER
from kernel.ids import uuid7
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.plugins.live_api import database_url, free_port, run_database, start_api, stop_api
from tests.plugins.servers import LAYOUT, USES_EMBEDDED
from tests.support.books import TEST_ACTOR, Books
from tests.support.bursts import until
from tests.vault.conftest import ROOT_TOKEN, BaoServer
from tests.vault.test_leasing import add, decided, hold, lease, reason
from vault.backends.options import CredentialOptions, OpenBaoOptions
from vault.kinds import BackEnd
from vault.locations import Location
from vault.models import CredentialLease, CredentialReference
from vault.selectors.due import tags_due
from vault.services.lease_ends import KEPT, end_left_at_store
from vault.services.leasing import LIVE_MAX
from vault.services.references import revoke_reference
from vault.tasks import check_references_of_tenant

pytestmark = pytest.mark.skipif(not USES_EMBEDDED, reason="makes logins, which is for a server of the tests alone")

RENEW: Final = "/v1/x-watermaster/credentials/renew"
GIVE_BACK: Final = "/v1/x-watermaster/credentials/give-back"
SLACK: Final = Location(path="wm/{tenant}/slack", key="token")
#: What the engine gives by itself, and what it gives at most.
STORE_SECONDS, STORE_SECONDS_MAX = 300, 400
_MAKE: Final = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"


@pytest.fixture(scope="module")
def url(django_db_setup: None, bao_server: BaoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An api process that is signed in to OpenBao, and may ask its engine `loans`."""
    port, folder = free_port(), tmp_path_factory.mktemp("leases")
    environment = {"VAULT_ADDR": bao_server.address, "VAULT_TOKEN": ROOT_TOKEN, "VAULT_DYNAMIC_MOUNTS": "loans"}
    process = start_api(port, output=folder / "output", servers=run_database() | environment)
    yield f"http://127.0.0.1:{port}"
    stop_api(process)


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10**9)
    return books


@pytest.fixture
def slack(books: Books, bao: hvac.Client) -> CredentialReference:
    bao.secrets.kv.v2.create_or_update_secret(f"wm/{books.tenant.tag}/slack", {"token": "xoxb-kept"})
    return add(books)


@pytest.fixture
def orders(books: Books, bao: hvac.Client, settings: Settings) -> Iterator[CredentialReference]:
    """A reference to logins that are made for each lease."""
    tag = books.tenant.tag
    bao.sys.enable_secrets_engine("database", path="loans")
    bao.secrets.database.configure(
        name="pg",
        plugin_name="postgresql-database-plugin",
        allowed_roles=[f"{tag}-reader"],
        connection_url=f"postgresql:///postgres?host={LAYOUT.socket_folder}&user={SUPERUSER}",
        verify_connection=True,
        mount_point="loans",
    )
    bao.secrets.database.create_role(
        name=f"{tag}-reader",
        db_name="pg",
        creation_statements=[_MAKE],
        revocation_statements=['DROP ROLE IF EXISTS "{{name}}"'],
        default_ttl=f"{STORE_SECONDS}s",
        max_ttl=f"{STORE_SECONDS_MAX}s",
        mount_point="loans",
    )
    settings.CREDENTIALS = CredentialOptions(
        openbao=OpenBaoOptions(address=bao.url, token=ROOT_TOKEN, dynamic_mounts=("loans",))
    )
    yield add(
        books,
        location=Location(path="loans/creds/{tenant}-reader"),
        name="Orders",
        provider="orders",
        scope="orders:read",
        back_end=BackEnd.DYNAMIC,
        tools="orders.*",
    )
    bao.sys.revoke_prefix("loans")
    bao.sys.disable_secrets_engine("loans")


def post(url: str, path: str, books: Books, lease_id: str, *, token: str | None = None, **more: Any) -> httpx.Response:
    headers = {"X-Cycles-API-Key": books.key.token if token is None else token}
    return httpx.post(f"{url}{path}", json={"lease_id": lease_id} | more, headers=headers)


def leased(url: str, books: Books, scope: str = "slack:write", **fields: Any) -> dict[str, Any]:
    tool = f"{scope.partition(':')[0]}.post"
    answer = lease(url, books, decided(url, books, tool, **fields), scope)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def can_sign_in(user: str) -> bool:
    with psycopg.connect(f"host={LAYOUT.socket_folder} user={SUPERUSER} dbname=postgres") as connection:
        row = connection.execute("SELECT count(*) FROM pg_roles WHERE rolname = %s", [user]).fetchone()
        return bool(row and row[0])


def is_waited_for(stranger: psycopg.Connection[Any]) -> bool:
    with psycopg.connect(database_url("owner")) as looker:
        row = looker.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))",
            [stranger.info.backend_pid],
        ).fetchone()
    return bool(row and row[0])


def trail(books: Books) -> list[str]:
    with in_tenant(books.tenant.tag):
        found = AuditEntry.objects.filter(action__startswith="credential.").exclude(action="credential.added")
        return list(found.order_by("at", "id").values_list("action", flat=True))


def end_all(books: Books) -> int:
    return end_left_at_store(tag=books.tenant.tag, has_time=lambda: True)


@pytest.mark.usefixtures("slack")
class TestRenew:
    def test_lasts_as_long_as_the_hold_does_by_then(self, books: Books, url: str) -> None:
        admitted = hold(url, books, ttl_ms=60_000)
        body = lease(url, books, admitted["decision_id"]).json()
        reservation = admitted["reservation"]
        answer = httpx.post(
            f"{url}/v1/reservations/{reservation['reservation_id']}/extend",
            json={"idempotency_key": str(uuid7()), "extend_by_ms": 120_000},
            headers={"X-Cycles-API-Key": books.key.token},
        )
        assert answer.status_code == 200, answer.text

        renewed = post(url, RENEW, books, body["lease_id"])

        assert renewed.status_code == 200, renewed.text
        assert renewed.json() == {
            "lease_id": body["lease_id"],
            "scope": "slack:write",
            "expires_at_ms": answer.json()["expires_at_ms"],
        }
        assert renewed.json()["expires_at_ms"] > body["expires_at_ms"]
        assert trail(books) == ["credential.leased", "credential.renewed"]

    def test_lasts_for_a_quarter_of_an_hour_at_most(self, books: Books, url: str) -> None:
        body = leased(url, books, ttl_ms=3_600_000)

        renewed = post(url, RENEW, books, body["lease_id"])

        left = renewed.json()["expires_at_ms"] / 1000 - datetime.now(UTC).timestamp()
        assert 800 < left <= 900

    @pytest.mark.parametrize("settlement", ["commit", "release"])
    def test_ends_with_the_decision(self, books: Books, url: str, settlement: str) -> None:
        admitted = hold(url, books)
        body = lease(url, books, admitted["decision_id"]).json()
        more = {"actual": {"unit": "USD_MICROCENTS", "amount": 1}} if settlement == "commit" else {}
        httpx.post(
            f"{url}/v1/reservations/{admitted['reservation']['reservation_id']}/{settlement}",
            json={"idempotency_key": str(uuid7())} | more,
            headers={"X-Cycles-API-Key": books.key.token},
        ).raise_for_status()

        assert reason(post(url, RENEW, books, body["lease_id"])) == (410, "DECISION_OVER")

    def test_of_what_was_revoked_or_has_expired_or_is_over_is_refused(
        self, books: Books, slack: CredentialReference, url: str
    ) -> None:
        first, second, third = (leased(url, books)["lease_id"] for _ in range(3))
        post(url, GIVE_BACK, books, first)
        with in_tenant(books.tenant.tag):
            CredentialLease.objects.filter(pk=second).update(expires_at=datetime.now(UTC))

        assert reason(post(url, RENEW, books, first)) == (410, "LEASE_OVER")
        assert reason(post(url, RENEW, books, second)) == (410, "LEASE_OVER")
        with in_tenant(books.tenant.tag):
            CredentialReference.objects.filter(pk=slack.pk).update(expires_at=datetime.now(UTC))
        assert reason(post(url, RENEW, books, third)) == (403, "REFERENCE_EXPIRED")
        with in_tenant(books.tenant.tag):
            revoke_reference(reference_id=slack.pk, actor=TEST_ACTOR, now=datetime.now(UTC))
        assert reason(post(url, RENEW, books, third)) == (404, "NO_REFERENCE")

    def test_of_a_reference_that_leads_elsewhere_is_refused(
        self, books: Books, slack: CredentialReference, url: str
    ) -> None:
        body = leased(url, books)
        with in_tenant(books.tenant.tag):
            CredentialReference.objects.filter(pk=slack.pk).update(path="wm/{tenant}/other")

        assert reason(post(url, RENEW, books, body["lease_id"])) == (404, "NO_REFERENCE")


@pytest.mark.usefixtures("slack")
@pytest.mark.parametrize("path", [RENEW, GIVE_BACK])
class TestWhose:
    def test_anothers_is_as_one_that_never_was(self, books: Books, initech: Tenant, url: str, path: str) -> None:
        body, others = leased(url, books), Books(initech)

        theirs = post(url, path, others, body["lease_id"])
        nobodys = post(url, path, others, str(uuid7()))

        assert reason(theirs) == reason(nobodys) == (404, "NO_LEASE")
        assert theirs.json()["message"] == nobodys.json()["message"]
        assert trail(books) == ["credential.leased"]

    def test_needs_a_key_that_may_spend_and_reaches_the_scope(self, books: Books, url: str, path: str) -> None:
        body = leased(url, books)
        reader = books.add_key(permissions=[Permission.BALANCES_READ])
        elsewhere = books.add_key(scope_filter=["tenant:acme/workspace:other"])

        for key in (reader, elsewhere):
            assert post(url, path, books, body["lease_id"], token=key.token).status_code == 403
        assert post(url, path, books, body["lease_id"], token="wm_live_x").status_code == 401
        assert trail(books) == ["credential.leased"]

    @pytest.mark.parametrize("lease_id", ["", "x", "0" * 36, 7, None])
    def test_refuses_what_is_no_lease(self, books: Books, url: str, path: str, lease_id: Any) -> None:
        assert post(url, path, books, lease_id).status_code == 400
        assert post(url, path, books, str(uuid7()), decision_id="x").status_code == 400


@pytest.mark.usefixtures("slack")
class TestGiveBack:
    def test_ends_it_and_may_be_repeated(self, books: Books, url: str) -> None:
        body = leased(url, books)

        answers = [post(url, GIVE_BACK, books, body["lease_id"]) for _ in range(2)]

        assert [answer.json() for answer in answers] == [{"lease_id": body["lease_id"], "status": "GIVEN_BACK"}] * 2
        assert trail(books) == ["credential.leased", "credential.given_back"]
        assert reason(post(url, RENEW, books, body["lease_id"])) == (410, "LEASE_OVER")

    def test_may_come_after_the_decision(self, books: Books, url: str) -> None:
        admitted = hold(url, books)
        body = lease(url, books, admitted["decision_id"]).json()
        with in_tenant(books.tenant.tag):
            Reservation.objects.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))

        assert post(url, GIVE_BACK, books, body["lease_id"]).status_code == 200


@pytest.mark.usefixtures("slack")
class TestLimit:
    def test_is_so_many_live_ones_of_a_decision(self, books: Books, url: str) -> None:
        decision_id = decided(url, books)
        live = [lease(url, books, decision_id).json()["lease_id"] for _ in range(LIVE_MAX)]

        refused = lease(url, books, decision_id)
        assert reason(refused) == (429, "TOO_MANY_LEASES")
        assert refused.json()["details"]["limit"] == LIVE_MAX
        assert lease(url, books, decided(url, books)).status_code == 200

        post(url, GIVE_BACK, books, live[0])
        assert lease(url, books, decision_id).status_code == 200

    def test_holds_for_those_who_ask_at_once(self, books: Books, url: str) -> None:
        decision_id = decided(url, books)
        for _ in range(LIVE_MAX - 2):
            lease(url, books, decision_id)

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: lease(url, books, decision_id).status_code, range(4)))

        assert sorted(answers) == [200, 200, 429, 429]


@pytest.mark.usefixtures("orders")
class TestStore:
    def test_is_told_to_keep_what_it_made_and_says_for_how_long(self, books: Books, url: str) -> None:
        body = leased(url, books, "orders:read", ttl_ms=3_600_000)
        made = body["expires_at_ms"]

        renewed = post(url, RENEW, books, body["lease_id"]).json()

        # A quarter of an hour was asked for; the engine gives so much in all.
        left = renewed["expires_at_ms"] / 1000 - datetime.now(UTC).timestamp()
        assert STORE_SECONDS < left <= STORE_SECONDS_MAX
        assert renewed["expires_at_ms"] > made
        assert can_sign_in(body["values"]["username"])

    def test_ends_it_at_once_when_it_is_given_back(self, books: Books, url: str) -> None:
        first, second = (leased(url, books, "orders:read") for _ in range(2))

        post(url, GIVE_BACK, books, first["lease_id"])

        until(lambda: not can_sign_in(first["values"]["username"]))
        assert can_sign_in(second["values"]["username"])
        assert reason(post(url, RENEW, books, first["lease_id"])) == (410, "LEASE_OVER")
        with in_tenant(books.tenant.tag):
            assert CredentialLease.objects.get(pk=first["lease_id"]).store_lease_id == ""

    def test_that_ended_it_by_itself_is_believed(self, books: Books, bao: hvac.Client, url: str) -> None:
        body = leased(url, books, "orders:read")
        bao.sys.revoke_prefix("loans")

        assert reason(post(url, RENEW, books, body["lease_id"])) == (410, "LEASE_OVER")

    def test_is_told_by_the_worker_of_what_is_over(
        self, books: Books, orders: CredentialReference, initech: Tenant, url: str
    ) -> None:
        over, revoked = (leased(url, books, "orders:read") for _ in range(2))
        tag, old = books.tenant.tag, datetime.now(UTC) - timedelta(minutes=10)
        with in_tenant(tag):
            CredentialReference.objects.update(checked_at=datetime.now(UTC))

        def is_due() -> bool:
            return list(tags_due([initech.tag, tag], before=old)) == [tag]

        assert not is_due()
        with in_tenant(tag):
            CredentialLease.objects.filter(pk=over["lease_id"]).update(expires_at=datetime.now(UTC))
        assert is_due()
        check_references_of_tenant(tag=tag)

        until(lambda: not can_sign_in(over["values"]["username"]))
        assert can_sign_in(revoked["values"]["username"])
        assert not is_due()
        with in_tenant(tag):
            revoke_reference(reference_id=orders.pk, actor=TEST_ACTOR, now=datetime.now(UTC))
        assert is_due()
        assert end_all(books) == 1
        until(lambda: not can_sign_in(revoked["values"]["username"]))
        assert end_all(books) == 0

    def test_that_has_prolonged_what_was_given_back_meanwhile_is_told_all_the_same(
        self, books: Books, url: str
    ) -> None:
        body = leased(url, books, "orders:read", ttl_ms=3_600_000)
        lease_id, tag = body["lease_id"], books.tenant.tag
        with psycopg.connect(database_url("owner")) as stranger, ThreadPoolExecutor(1) as pool:
            stranger.execute(f'SET search_path = "{books.tenant.schema_name}"'.encode())
            stranger.execute("UPDATE credential_lease SET ended_at = now() WHERE id = %s", [lease_id])
            renewing = pool.submit(post, url, RENEW, books, lease_id)
            until(lambda: is_waited_for(stranger))
            stranger.commit()
            assert reason(renewing.result()) == (410, "LEASE_OVER")

        # The store would have ended it by then; it does not any more.
        with in_tenant(tag):
            row = CredentialLease.objects.get(pk=lease_id)
        assert row.store_ends_at is not None
        made = body["expires_at_ms"] / 1000
        assert row.store_ends_at.timestamp() >= made + STORE_SECONDS_MAX - STORE_SECONDS

    def test_that_will_not_end_one_ends_the_others(self, books: Books, bao: hvac.Client, url: str) -> None:
        tag = books.tenant.tag
        make: dict[str, Any] = {"name": f"{tag}-stuck", "db_name": "pg", "mount_point": "loans"}
        make |= {"creation_statements": [_MAKE], "default_ttl": "200s", "max_ttl": "200s"}
        bao.secrets.database.create_role(**make, revocation_statements=["SELECT 1 / 0"])
        bao.secrets.database.configure(
            name="pg",
            plugin_name="postgresql-database-plugin",
            allowed_roles=["*"],
            connection_url=f"postgresql:///postgres?host={LAYOUT.socket_folder}&user={SUPERUSER}",
            mount_point="loans",
        )
        add(
            books,
            location=Location(path="loans/creds/{tenant}-stuck"),
            name="Stuck",
            provider="orders",
            scope="stuck:read",
            back_end=BackEnd.DYNAMIC,
            tools="stuck.*",
        )
        for _ in range(4):
            leased(url, books, "stuck:read")
        body = leased(url, books, "orders:read")
        with in_tenant(tag):
            CredentialLease.objects.update(ended_at=datetime.now(UTC))

        ended = end_all(books)
        bao.secrets.database.create_role(**make, revocation_statements=['DROP ROLE IF EXISTS "{{name}}"'])

        assert ended == 1
        until(lambda: not can_sign_in(body["values"]["username"]))
        assert end_all(books) == 4

    def test_that_is_away_is_told_at_the_next_visit(self, books: Books, url: str, settings: Settings) -> None:
        body = leased(url, books, "orders:read")
        with in_tenant(books.tenant.tag):
            CredentialLease.objects.update(ended_at=datetime.now(UTC))
        there = settings.CREDENTIALS
        settings.CREDENTIALS = CredentialOptions(openbao=OpenBaoOptions(address="http://127.0.0.1:9", token="t"))

        assert end_all(books) == 0
        assert can_sign_in(body["values"]["username"])
        settings.CREDENTIALS = there
        assert end_all(books) == 1


class TestForgetting:
    def test_of_a_lease_comes_a_week_after_its_end(self, acme: Tenant) -> None:
        now = datetime.now(UTC)
        with in_tenant(acme.tag):
            for age in (KEPT - timedelta(minutes=1), KEPT + timedelta(days=2)):
                CredentialLease.objects.create(
                    reference_id=uuid7(),
                    decision_id=uuid7(),
                    path="wm/{tenant}/x",
                    leased_at=now - age,
                    expires_at=now - age,
                )
        assert list(tags_due([acme.tag], before=now)) == [acme.tag]

        end_left_at_store(tag=acme.tag, has_time=lambda: True)

        with in_tenant(acme.tag):
            assert CredentialLease.objects.count() == 1
