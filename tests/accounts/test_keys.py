"""API keys of a tenant and of the platform: shown once, good at once, rotated with overlap, gone at once."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import override_settings

from accounts.keys.models import ApiKey, Permission
from accounts.keys.selectors.keys import VerifiedKey, verified_key
from accounts.keys.services import keys
from accounts.keys.services.keys import IssuedKey
from accounts.keys.tokens import parse_token
from budgets.services import engine
from kernel.actor import Actor
from kernel.ids import PLATFORM_TAG
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry, OutboxEvent
from tenants.models import Tenant
from tests.support.books import Books

ADA = Actor(name="ada", actor_type="api_key", request_id="req_1", source_ip="127.0.0.1")
SECOND = timedelta(seconds=1)


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


@pytest.fixture
def issued(acme: Tenant) -> IssuedKey:
    return make(acme)


def make(tenant: Tenant, *, expires_at: datetime | None = None, now: datetime | None = None) -> IssuedKey:
    with in_tenant(tenant.tag):
        return keys.create_key(
            tag=tenant.tag,
            name="agents",
            permissions=[Permission.RESERVATIONS_CREATE],
            scope_filter=[],
            expires_at=expires_at,
            actor=ADA,
            now=now or datetime.now(UTC),
        )


def rotate(
    tenant: Tenant, key: IssuedKey, *, overlap: timedelta = keys.OVERLAP_DEFAULT, ago: timedelta = timedelta(0)
) -> IssuedKey:
    with in_tenant(tenant.tag):
        return keys.rotate_key(
            tag=tenant.tag, key_id=key.key.key_id, overlap=overlap, actor=ADA, now=datetime.now(UTC) - ago
        )


def verify(tenant: Tenant, token: str) -> VerifiedKey | None:
    parsed = parse_token(token)
    assert parsed is not None
    with in_tenant(tenant.tag):
        return verified_key(parsed)


class TestCreate:
    def test_makes_a_key_that_is_good_at_once(self, acme: Tenant, issued: IssuedKey) -> None:
        verified = verify(acme, issued.token)

        assert verified == VerifiedKey(
            key_id=issued.key.key_id, name="agents", permissions=frozenset({"reservations:create"}), scope_filter=()
        )

    def test_stores_neither_the_token_nor_its_secret(self, acme: Tenant, issued: IssuedKey) -> None:
        secret = issued.token.split("_")[4].encode()
        with in_tenant(acme.tag):
            row = ApiKey.objects.filter(key_id=issued.key.key_id).values().get()

        assert secret not in repr(row).encode()
        assert issued.token not in repr(issued)

    def test_is_written_down_without_the_secret(self, acme: Tenant, issued: IssuedKey) -> None:
        with in_tenant(acme.tag):
            entry = AuditEntry.objects.get(action="api_key.created")
            event = OutboxEvent.objects.get(event_type="api_key.created")

        assert (entry.actor, entry.actor_type, entry.target) == ("ada", "api_key", issued.key.key_id)
        assert event.payload["data"]["permissions"] == ["reservations:create"]
        assert issued.token.split("_")[4] not in f"{entry.after}{event.payload}"

    @pytest.mark.parametrize("permissions", [[], ["platform:read"], ["reservations:create", "platform:write"], ["all"]])
    def test_grants_a_tenant_nothing_of_the_platform(self, acme: Tenant, permissions: list[str]) -> None:
        with in_tenant(acme.tag), pytest.raises(keys.PermissionNotGrantable):
            keys.create_key(
                tag=acme.tag, name="", permissions=permissions, expires_at=None, actor=ADA, now=datetime.now(UTC)
            )

    def test_grants_the_platform_nothing_of_a_tenant(self, database: None) -> None:
        with in_public(), pytest.raises(keys.PermissionNotGrantable):
            keys.create_key(
                tag=PLATFORM_TAG,
                name="",
                permissions=["budgets:read"],
                expires_at=None,
                actor=ADA,
                now=datetime.now(UTC),
            )

    def test_refuses_an_expiry_that_is_now(self, acme: Tenant) -> None:
        now = datetime.now(UTC)

        with pytest.raises(keys.ExpiryInThePast):
            make(acme, expires_at=now, now=now)

    def test_takes_an_expiry_a_microsecond_later(self, acme: Tenant) -> None:
        now = datetime.now(UTC)

        assert make(acme, expires_at=now + timedelta(microseconds=1), now=now).key.expires_at is not None


class TestExpiry:
    def test_ends_a_key_on_time(self, acme: Tenant) -> None:
        past = datetime.now(UTC) - 2 * SECOND
        key = make(acme, expires_at=past + SECOND, now=past)

        assert verify(acme, key.token) is None

    def test_leaves_a_key_alone_until_then(self, acme: Tenant) -> None:
        key = make(acme, expires_at=datetime.now(UTC) + 60 * SECOND)

        assert verify(acme, key.token) is not None


class TestRotate:
    def test_lets_both_secrets_work_during_the_overlap(self, acme: Tenant, issued: IssuedKey) -> None:
        rotated = rotate(acme, issued)

        assert rotated.token != issued.token
        assert rotated.key.key_id == issued.key.key_id
        assert verify(acme, rotated.token) == verify(acme, issued.token) is not None

    def test_ends_the_old_secret_on_time(self, acme: Tenant, issued: IssuedKey) -> None:
        rotated = rotate(acme, issued, overlap=SECOND, ago=2 * SECOND)

        assert verify(acme, issued.token) is None
        assert verify(acme, rotated.token) is not None

    def test_without_overlap_ends_the_old_secret_at_once(self, acme: Tenant, issued: IssuedKey) -> None:
        rotate(acme, issued, overlap=timedelta(0))

        assert verify(acme, issued.token) is None

    def test_a_second_time_ends_the_oldest_secret(self, acme: Tenant, issued: IssuedKey) -> None:
        second = rotate(acme, issued)
        third = rotate(acme, issued)

        assert verify(acme, issued.token) is None
        assert verify(acme, second.token) is not None
        assert verify(acme, third.token) is not None

    def test_overlaps_for_seven_days_at_most(self, acme: Tenant, issued: IssuedKey) -> None:
        rotate(acme, issued, overlap=timedelta(days=7))

        with pytest.raises(keys.OverlapTooLong):
            rotate(acme, issued, overlap=timedelta(days=7, microseconds=1))
        with pytest.raises(keys.OverlapTooLong):
            rotate(acme, issued, overlap=timedelta(microseconds=-1))

    def test_refuses_a_revoked_key(self, acme: Tenant, issued: IssuedKey) -> None:
        with in_tenant(acme.tag):
            keys.revoke_key(key_id=issued.key.key_id, actor=ADA, now=datetime.now(UTC))

        with pytest.raises(keys.KeyIsRevoked):
            rotate(acme, issued)

    def test_works_for_a_key_made_under_an_earlier_root_secret(self, acme: Tenant) -> None:
        with override_settings(WATERMASTER_SECRET="e" * 40):
            early = make(acme)
        with override_settings(WATERMASTER_SECRET="l" * 40, WATERMASTER_SECRET_FALLBACKS=["e" * 40]):
            late = rotate(acme, early)

            assert verify(acme, late.token) is not None
            assert verify(acme, early.token) is not None


class TestRevoke:
    def test_ends_both_secrets_at_once(self, acme: Tenant, issued: IssuedKey) -> None:
        rotated = rotate(acme, issued)

        with in_tenant(acme.tag):
            keys.revoke_key(key_id=issued.key.key_id, actor=ADA, now=datetime.now(UTC))

        assert verify(acme, issued.token) is None
        assert verify(acme, rotated.token) is None

    def test_counts_for_the_engine_from_the_next_call_on(self, books: Books) -> None:
        books.add_budget(allocated=100)
        assert books.ask("reserve", amount=1).status == "OK"

        with in_tenant(books.tenant.tag):
            keys.revoke_key(key_id=books.key.key_id, actor=ADA, now=datetime.now(UTC))

        assert books.ask("reserve", amount=1).status == "UNAUTHORIZED"

    def test_twice_is_written_down_once(self, acme: Tenant, issued: IssuedKey) -> None:
        with in_tenant(acme.tag):
            first = keys.revoke_key(key_id=issued.key.key_id, actor=ADA, now=datetime.now(UTC))
            second = keys.revoke_key(key_id=issued.key.key_id, actor=ADA, now=datetime.now(UTC))

            assert first.revoked_at == second.revoked_at
            assert OutboxEvent.objects.filter(event_type="api_key.revoked").count() == 1

    def test_does_not_know_a_key_of_another_tenant(self, initech: Tenant, issued: IssuedKey) -> None:
        with in_tenant(initech.tag), pytest.raises(keys.KeyNotFound):
            keys.revoke_key(key_id=issued.key.key_id, actor=ADA, now=datetime.now(UTC))


class TestRotatedKeyInTheEngine:
    def test_takes_the_old_secret_only_during_the_overlap(self, books: Books, issued: IssuedKey) -> None:
        books.add_budget(allocated=100)

        def reserve(token: str) -> str:
            parsed = parse_token(token)
            assert parsed is not None
            answer = engine.submit(
                books.tenant.tag,
                books.operation("reserve", amount=1, key_id=parsed.key_id, digest="\\x" + parsed.digest.hex()),
            )
            return answer.status

        rotated = rotate(books.tenant, issued)
        assert (reserve(issued.token), reserve(rotated.token)) == ("OK", "OK")

        last = rotate(books.tenant, rotated, overlap=SECOND, ago=2 * SECOND)
        assert (reserve(rotated.token), reserve(last.token)) == ("UNAUTHORIZED", "OK")


class TestPlatformKey:
    def test_lives_in_the_shared_schema(self, acme: Tenant) -> None:
        with in_public():
            issued = keys.create_key(
                tag=PLATFORM_TAG,
                name="olive",
                permissions=[Permission.PLATFORM_READ],
                expires_at=None,
                actor=ADA,
                now=datetime.now(UTC),
            )
            parsed = parse_token(issued.token)
            assert parsed is not None
            assert parsed.tag == PLATFORM_TAG
            assert verified_key(parsed) is not None
        with in_tenant(acme.tag):
            assert verified_key(parsed) is None
