"""Operators on the runtime plane: they may list, read and release any tenant's reservations, and it is written down."""

from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest

from accounts.keys.models import ApiKey, Permission
from accounts.keys.tokens import mint_key
from kernel.ids import PLATFORM_TAG, mint_wire_id
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.support.books import Books


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=1_000)
    return books


def operator_key(*permissions: Permission) -> str:
    minted = mint_key(PLATFORM_TAG)
    with in_public():
        ApiKey.objects.create(
            key_id=minted.key_id,
            digest=minted.digest,
            pepper_version=minted.pepper_version,
            permissions=list(permissions),
            created_at=datetime.now(UTC),
        )
    return minted.token


class TestOperatorKeys:
    def test_an_operator_releases_a_hung_reservation_and_the_trail_says_so(self, books: Books, api_url: str) -> None:
        hold = books.ask("reserve", amount=600)
        reservation_id = mint_wire_id("rsv", books.tenant.tag, hold.id)
        headers = {"X-Admin-API-Key": operator_key(Permission.PLATFORM_READ, Permission.PLATFORM_WRITE)}

        listed = httpx.get(f"{api_url}/v1/reservations?tenant=acme", headers=headers).json()["reservations"]
        response = httpx.post(
            f"{api_url}/v1/reservations/{reservation_id}/release",
            headers=headers,
            json={"idempotency_key": str(uuid4()), "reason": "[INCIDENT_FORCE_RELEASE]"},
        )

        assert [row["reservation_id"] for row in listed] == [reservation_id]
        assert response.status_code == 200, response.text
        assert books.budget().reserved == 0
        with in_tenant(books.tenant.tag):
            entry = AuditEntry.objects.get(action="reservation.release")
        assert entry.actor_type == "admin_on_behalf_of"
        assert entry.reason == "[INCIDENT_FORCE_RELEASE]"

    def test_an_operators_list_needs_a_tenant(self, books: Books, api_url: str) -> None:
        headers = {"X-Admin-API-Key": operator_key(Permission.PLATFORM_READ)}

        assert httpx.get(f"{api_url}/v1/reservations", headers=headers).status_code == 400

    def test_reading_rights_do_not_release(self, books: Books, api_url: str) -> None:
        hold = books.ask("reserve", amount=600)
        headers = {"X-Admin-API-Key": operator_key(Permission.PLATFORM_READ)}

        response = httpx.post(
            f"{api_url}/v1/reservations/{mint_wire_id('rsv', books.tenant.tag, hold.id)}/release",
            headers=headers,
            json={"idempotency_key": str(uuid4())},
        )

        assert response.status_code == 403
        assert books.budget().reserved == 600

    def test_a_tenants_key_is_no_operators_key(self, books: Books, api_url: str) -> None:
        headers = {"X-Admin-API-Key": books.key.token}

        assert httpx.get(f"{api_url}/v1/reservations?tenant=acme", headers=headers).status_code == 401
