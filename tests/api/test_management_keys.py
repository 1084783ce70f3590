"""Keys over the management API: shown once, no more rights than the one who hands them out, gone at once."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections, transaction

from accounts.keys.services.keys import revoke_key
from accounts.keys.tokens import parse_token
from budgets.models import LedgerHead
from budgets.services import engine
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.management import SCENE, Caller, as_platform, as_tenant, tenant_key

KEYS = "tenants/acme/keys"


@pytest.fixture
def ada(acme: Tenant) -> Caller:
    return as_tenant(acme)


@pytest.fixture
def olive(database: None) -> Caller:
    return as_platform()


def make(caller: Caller, **fields: Any) -> Any:
    return caller.post(KEYS, {"name": "agents", "permissions": ["reservations:create"]} | fields)


class TestCreate:
    def test_shows_the_token_once(self, ada: Caller, acme: Tenant) -> None:
        made = make(ada).json()

        token, key = made["token"], made["key"]
        assert Caller(token=token).get("tenants/acme").status_code == 403
        listed = {row["key_id"]: row for row in ada.get(KEYS).json()["keys"]}
        assert listed[key["key_id"]] == key
        assert token.split("_")[4] not in str(listed)
        assert (key["permissions"], key["scope_filter"], key["status"]) == (["reservations:create"], [], "ACTIVE")

    def test_works_on_the_runtime_plane_at_once(self, ada: Caller, acme: Tenant) -> None:
        books = Books(acme)
        books.add_budget(allocated=100)
        parsed = parse_token(make(ada).json()["token"])
        assert parsed is not None

        answer = engine.submit(
            acme.tag,
            books.operation("reserve", amount=1, key_id=parsed.key_id, digest="\\x" + parsed.digest.hex()),
        )

        assert answer.status == "OK"

    def test_lasts_a_year_unless_it_is_said(self, ada: Caller) -> None:
        default = datetime.fromisoformat(make(ada).json()["key"]["expires_at"])

        assert abs(default - datetime.now(UTC) - timedelta(days=365)) < timedelta(minutes=1)
        assert make(ada, expires_at=None).json()["key"]["expires_at"] is None

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"permissions": []}, "permissions"),
            ({"permissions": ["all"]}, "permissions[0]"),
            ({"permissions": ["platform:read"]}, "permissions[0]"),
            ({"permissions": "budgets:read"}, "permissions"),
            ({"scope_filter": ["tenant:initech"]}, "scope_filter"),
            ({"scope_filter": ["workspace:a"]}, "scope_filter"),
            ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
            ({"expires_at": "soon"}, "expires_at"),
            ({"expires_at": 5}, "expires_at"),
            ({"digest": "x"}, "digest"),
            ({"name": None}, "name"),
        ],
    )
    def test_says_what_to_mend(self, ada: Caller, fields: dict[str, Any], field: str) -> None:
        response = make(ada, **fields)

        assert (response.status_code, response.json()["details"]["field"]) == (400, field)


class TestHandingOut:
    """A key makes and renews no key that may do more than itself."""

    def test_no_permission_that_it_lacks(self, acme: Tenant) -> None:
        clerk = as_tenant(acme, permissions=["keys:write", "keys:read", "budgets:read"])

        assert make(clerk, permissions=["budgets:read"]).status_code == 201
        assert make(clerk, permissions=["budgets:read", "budgets:write"]).status_code == 403

    def test_no_scope_that_it_is_kept_from(self, acme: Tenant) -> None:
        clerk = as_tenant(acme, scopes=["tenant:acme/workspace:a"])

        assert make(clerk, scope_filter=["tenant:acme/workspace:a/agent:x"]).status_code == 201
        for scopes in ([], ["tenant:acme"], ["tenant:acme/workspace:ab"], ["tenant:acme/workspace:a", "tenant:acme"]):
            assert make(clerk, scope_filter=scopes).status_code == 403, scopes

    def test_no_new_secret_of_a_key_that_may_do_more(self, acme: Tenant) -> None:
        strong = tenant_key(acme).key.key_id
        clerk = as_tenant(acme, permissions=["keys:write"])

        assert clerk.post(f"{KEYS}/{strong}/rotate").status_code == 403

    def test_a_confined_key_sees_and_ends_its_own_kind_alone(self, acme: Tenant) -> None:
        wide = tenant_key(acme).key.key_id
        narrow = tenant_key(acme, scopes=["tenant:acme/workspace:a/agent:x"]).key.key_id
        clerk = as_tenant(acme, scopes=["tenant:acme/workspace:a"])

        listed = {row["key_id"] for row in clerk.get(KEYS).json()["keys"]}
        assert narrow in listed
        assert wide not in listed
        assert clerk.post(f"{KEYS}/{wide}/revoke").status_code == 404
        assert clerk.post(f"{KEYS}/{wide}/rotate").status_code == 404
        assert clerk.post(f"{KEYS}/{narrow}/revoke").status_code == 200

    def test_the_platform_hands_out_what_is_asked_for(self, olive: Caller, acme: Tenant) -> None:
        assert make(olive, permissions=["budgets:write"]).status_code == 201
        with in_tenant(acme.tag):
            assert AuditEntry.objects.get(action="api_key.created").actor_type == "admin_on_behalf_of"

    def test_a_platform_key_hands_out_no_more_than_it_has(self, database: None) -> None:
        writer = as_platform(permissions=["platform:write"])

        assert writer.post("platform-keys", {"name": "x", "permissions": ["platform:write"]}).status_code == 201
        assert writer.post("platform-keys", {"name": "x", "permissions": ["platform:read"]}).status_code == 403


class TestRotate:
    def test_lets_both_tokens_work_for_a_while(self, ada: Caller, acme: Tenant) -> None:
        first = tenant_key(acme)

        rotated = ada.post(f"{KEYS}/{first.key.key_id}/rotate").json()

        until = datetime.fromisoformat(rotated["key"]["previous_secret_expires_at"])
        assert abs(until - datetime.now(UTC) - timedelta(hours=24)) < timedelta(minutes=1)
        for token in (first.token, rotated["token"]):
            assert Caller(token=token).get("tenants/acme").status_code == 200

    def test_can_end_the_old_token_at_once(self, ada: Caller, acme: Tenant) -> None:
        first = tenant_key(acme)

        rotated = ada.post(f"{KEYS}/{first.key.key_id}/rotate", {"overlap_seconds": 0}).json()

        assert Caller(token=first.token).get("tenants/acme").status_code == 401
        assert Caller(token=rotated["token"]).get("tenants/acme").status_code == 200

    @pytest.mark.parametrize(("overlap", "status"), [(604_800, 200), (604_801, 400), (-1, 400), (1.5, 400), ("1", 400)])
    def test_overlaps_for_seven_days_at_most(self, ada: Caller, acme: Tenant, overlap: Any, status: int) -> None:
        key_id = tenant_key(acme).key.key_id

        assert ada.post(f"{KEYS}/{key_id}/rotate", {"overlap_seconds": overlap}).status_code == status

    def test_of_a_revoked_key_is_refused(self, ada: Caller, acme: Tenant) -> None:
        key_id = tenant_key(acme).key.key_id
        ada.post(f"{KEYS}/{key_id}/revoke")

        assert ada.post(f"{KEYS}/{key_id}/rotate").status_code == 409


class TestRevoke:
    def test_counts_at_once(self, ada: Caller, acme: Tenant) -> None:
        key = tenant_key(acme)
        assert Caller(token=key.token).get("tenants/acme").status_code == 200

        response = ada.post(f"{KEYS}/{key.key.key_id}/revoke", {"reason": "lost"})

        assert response.json()["status"] == "REVOKED"
        assert Caller(token=key.token).get("tenants/acme").status_code == 401
        with in_tenant(acme.tag):
            assert AuditEntry.objects.get(action="api_key.revoked").reason == "lost"

    def test_a_key_may_end_itself(self, ada: Caller, acme: Tenant) -> None:
        own_id = (ada.token or "").split("_")[3]

        assert ada.post(f"{KEYS}/{own_id}/revoke").status_code == 200
        assert ada.get(KEYS).status_code == 401

    def test_does_not_know_keys_of_others(self, ada: Caller, acme: Tenant, initech: Tenant) -> None:
        theirs = tenant_key(initech)

        assert ada.post(f"{KEYS}/{theirs.key.key_id}/revoke").status_code == 404
        assert Caller(token=theirs.token).get("tenants/initech").status_code == 200

    def test_between_the_door_and_the_books_stops_the_write(self, acme: Tenant) -> None:
        """The request has passed the door and waits for the ledger head; the key is revoked before it gets it."""
        key = tenant_key(acme)
        answers: list[int] = []

        def ask() -> None:
            try:
                body = {"scope": "tenant:acme", "unit": "TOKENS", "allocated": {"unit": "TOKENS", "amount": 1}}
                answers.append(Caller(token=key.token).post("tenants/acme/budgets", body).status_code)
            finally:
                connections.close_all()

        asking = threading.Thread(target=ask)
        with in_tenant(acme.tag), transaction.atomic():
            LedgerHead.objects.select_for_update().get(pk=1)
            asking.start()
            _wait_until_somebody_waits()
            revoke_key(key_id=key.key.key_id, actor=SCENE, now=datetime.now(UTC))
        asking.join()

        assert answers == [401]
        assert as_tenant(acme).get("tenants/acme/budgets").json()["budgets"] == []


def _wait_until_somebody_waits() -> None:
    with connections["default"].cursor() as cursor:
        for _ in range(300):
            cursor.execute(
                "SELECT count(*), pg_sleep(0.005) FROM pg_locks"
                " WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
            )
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody waits")


class TestPlatformKeys:
    def test_are_made_rotated_and_revoked(self, olive: Caller) -> None:
        made = olive.post("platform-keys", {"name": "ci", "permissions": ["platform:read"], "reason": "ci"}).json()
        key_id = made["key"]["key_id"]
        reader = Caller(token=made["token"])
        assert reader.get("tenants").status_code == 200
        assert reader.post("tenants", {"slug": "x", "name": "x"}).status_code == 403

        rotated = olive.post(f"platform-keys/{key_id}/rotate", {"overlap_seconds": 0}).json()
        assert reader.get("tenants").status_code == 401
        assert Caller(token=rotated["token"]).get("tenants").status_code == 200

        assert olive.post(f"platform-keys/{key_id}/revoke").json()["status"] == "REVOKED"
        assert Caller(token=rotated["token"]).get("tenants").status_code == 401
        listed = {row["key_id"]: row["status"] for row in olive.get("platform-keys").json()["keys"]}
        assert listed[key_id] == "REVOKED"
        with in_public():
            actions = AuditEntry.objects.filter(target=key_id).order_by("at").values_list("action", "actor_type")
            assert list(actions) == [
                ("api_key.created", "admin"),
                ("api_key.rotated", "admin"),
                ("api_key.revoked", "admin"),
            ]

    def test_that_do_not_exist_are_404(self, olive: Caller, acme: Tenant) -> None:
        tenants_own = tenant_key(acme).key.key_id
        for key_id in ("0123456789abcdef", tenants_own):
            assert olive.post(f"platform-keys/{key_id}/rotate").status_code == 404
            assert olive.post(f"platform-keys/{key_id}/revoke").status_code == 404

    def test_have_no_scopes(self, olive: Caller) -> None:
        body = {"name": "x", "permissions": ["platform:read"], "scope_filter": ["tenant:acme"]}

        assert olive.post("platform-keys", body).status_code == 400
