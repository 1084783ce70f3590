"""Rights: every route and method against every kind of key, and the table against the addresses."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import URLResolver

from accounts.keys.api.rights import RIGHTS, right_to
from accounts.keys.permissions import Permission
from accounts.keys.services.keys import PLATFORM_PERMISSIONS, TENANT_PERMISSIONS, revoke_key
from config import urls_management
from kernel.ids import uuid7
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.management import SCENE, Caller, as_platform, as_tenant, tenant_key

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def routes() -> Iterator[tuple[str, Any]]:
    """Every operation's path below `/api/v1/` with its pattern."""

    def walk(patterns: list[Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for pattern in patterns:
            here = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, here)
            else:
                yield here.removeprefix("api/v1/") if here.startswith("api/") else f"/{here}", pattern

    yield from walk(urls_management.operations, "")


SAMPLES = {
    "<name:slug>": "acme",
    "<uuid:budget_id>": str(uuid7()),
    "<uuid:alert_id>": str(uuid7()),
    "<slug:key_id>": "0123456789abcdef",
    "<seq:seq>": "999999",
    "<name:name>": "chat",
    "<name:code>": "trial",
    "<policy_kind:kind>": "tools",
    "<seq:version>": "1",
    "<str:subscription_id>": "whsub_unknown",
    "<str:event_id>": "evt_unknown",
}
OPERATIONS = [
    (str(pattern.name), method, path)
    for path, pattern in routes()
    for method in METHODS
    if hasattr(pattern.callback.cls, method.lower()) and method.lower() in pattern.callback.cls.http_method_names
]
CLOSED = [
    (path, method)
    for path, pattern in routes()
    for method in (*METHODS, "OPTIONS")
    if (str(pattern.name), method, path) not in OPERATIONS
]


def sample(path: str, *, slug: str = "acme") -> str:
    for part, value in SAMPLES.items():
        path = path.replace(part, slug if part == "<name:slug>" else value)
    assert "<" not in path
    return path


def is_let_through(status: int) -> bool:
    """Past the door: what then happens is the operation's affair, as long as it is an answer."""
    assert status < 500
    return status not in {401, 403}


class TestTable:
    def test_has_every_operation_and_no_other(self) -> None:
        assert {(name, method) for name, method, _ in OPERATIONS} == set(RIGHTS)

    def test_lets_nobody_read_by_a_right_to_write_or_write_by_a_right_to_read(self) -> None:
        for (_, method), right in RIGHTS.items():
            kind = "read" if method == "GET" else "write"
            assert right.platform == f"platform:{kind}"
            areas = {f"{area}:{kind}" for area in ("budgets", "keys", "policies", "webhooks", "events")}
            of_runtimes = {"reservations:list" if kind == "read" else "reservations:create"}
            assert right.tenant is None or right.tenant in areas | of_runtimes

    def test_asks_for_head_what_it_asks_for_get(self) -> None:
        assert right_to("tenants", "HEAD") == right_to("tenants", "GET")
        assert right_to("tenants", "TRACE") is None


class TestMatrix:
    """Each operation against each permission, alone and all but it."""

    @pytest.mark.parametrize("permission", sorted(TENANT_PERMISSIONS))
    def test_a_tenants_key_with_one_permission(self, acme: Tenant, permission: str) -> None:
        caller = as_tenant(acme, permissions=[permission])
        for name, method, path in OPERATIONS:
            right = RIGHTS[name, method]
            response = caller.send(method, sample(path), {})

            is_enough = permission == right.tenant and not right.also
            assert is_let_through(response.status_code) == is_enough, (name, method)

    @pytest.mark.parametrize("permission", sorted(TENANT_PERMISSIONS))
    def test_a_tenants_key_with_all_but_one_permission(self, acme: Tenant, permission: str) -> None:
        caller = as_tenant(acme, permissions=sorted(TENANT_PERMISSIONS - {Permission(permission)}))
        for name, method, path in OPERATIONS:
            right = RIGHTS[name, method]
            response = caller.send(method, sample(path), {})

            is_enough = right.tenant not in {None, permission} and permission not in right.also
            assert is_let_through(response.status_code) == is_enough, (name, method)

    @pytest.mark.parametrize("permission", sorted(PLATFORM_PERMISSIONS))
    def test_a_platform_key_with_one_permission(self, acme: Tenant, permission: str) -> None:
        caller = as_platform(permissions=[permission])
        for name, method, path in OPERATIONS:
            response = caller.send(method, sample(path), {})

            assert is_let_through(response.status_code) == (permission == RIGHTS[name, method].platform), (name, method)

    def test_nobody_is_let_in_without_a_good_key(self, acme: Tenant) -> None:
        revoked = tenant_key(acme)
        with in_tenant(acme.tag):
            revoke_key(key_id=revoked.key.key_id, actor=SCENE, now=datetime.now(UTC))
        good = tenant_key(acme).token
        bodies = set()
        for token in (None, "", "x", revoked.token, good[:-1], f"{good} x", good.swapcase(), f"{good},{good}"):
            caller = Caller(token=token)
            for name, method, path in OPERATIONS:
                response = caller.send(method, sample(path), {})

                assert response.status_code == 401, (token, name, method)
                assert response.headers["WWW-Authenticate"]
                bodies.add(response.json()["message"])
        assert len(bodies) == 1

    def test_a_stranger_cannot_tell_a_tenant_from_none(self, acme: Tenant, initech: Tenant) -> None:
        stranger = as_tenant(initech)
        for name, method, path in OPERATIONS:
            if "<name:slug>" not in path:
                continue
            answers = []
            for slug in ("acme", "nobody-here"):
                with CaptureQueriesContext(connection) as queries:
                    response = stranger.send(method, sample(path, slug=slug), BODIES.get(name, {}))
                shown = response.json()
                del shown["request_id"], shown["trace_id"]
                texts = [query["sql"].replace(slug, "SLUG") for query in queries.captured_queries]
                answers.append((response.status_code, shown, texts))

            assert answers[0] == answers[1], (name, method)
            assert answers[0][0] == (404 if RIGHTS[name, method].tenant else 403), (name, method)

    def test_a_head_asks_for_what_its_get_asks(self, acme: Tenant) -> None:
        for _, method, path in OPERATIONS:
            if method == "GET":
                assert Caller().send("head", sample(path)).status_code == 401


#: Bodies that pass the first checks, so that a stranger comes as far as possible.
AMOUNT = {"unit": "TOKENS", "amount": 1}
BODIES: dict[str, dict[str, Any]] = {
    "tenant_suspend": {"reason": "x"},
    "tenant_close": {"reason": "x"},
    "tenant_switches": {"level": "tenant", "reason": "x"},
    "tenant_switch_lift": {"level": "tenant"},
    "keys": {"name": "x", "permissions": ["budgets:read"]},
    "shadow_enforcement": {"reason": "x"},
    "router_labels": {"labels": [{"decision_id": "dec_x", "needed": "small"}]},
    "router_training": {"examples": [{"text": "x", "class": "chat"}]},
    "router_classification": {"text": "x"},
    "budgets": {"scope": "tenant:acme", "unit": "TOKENS", "allocated": AMOUNT},
    "budget": {"overdraft_limit": AMOUNT},
    "budget_fund": {"operation": "CREDIT", "amount": AMOUNT, "idempotency_key": "k"},
    "reallocations": {
        "from_budget_id": str(uuid7()),
        "to_budget_id": str(uuid7()),
        "amount": AMOUNT,
        "idempotency_key": "k",
    },
    "run_templates": {"name": "x", "amount": AMOUNT},
    "run_template": {"amount": AMOUNT},
}


class TestClosed:
    def test_a_method_that_an_address_does_not_have_is_405(self, acme: Tenant) -> None:
        olive = as_platform()
        for path, method in CLOSED:
            response = olive.send(method, sample(path), {})

            assert response.status_code == 405, (path, method)
            assert response.json()["error"] == "INVALID_REQUEST"
            assert method not in response.headers["Allow"]

    @pytest.mark.parametrize(
        "path", ["", "tenants/", "nothing", "tenants/ACME", "tenants/a%00b", "tenants/acme/budgets/1", "tenants/a/../b"]
    )
    @pytest.mark.parametrize("method", METHODS)
    def test_an_address_that_leads_nowhere_is_404_in_json(self, database: None, path: str, method: str) -> None:
        response = Caller().send(method, path, {})

        assert response.status_code == 404
        assert response.json()["error"] == "NOT_FOUND"


class TestHeaders:
    def test_any_of_the_three_carries_a_key(self, acme: Tenant) -> None:
        token = tenant_key(acme).token
        for headers in ({"X-Cycles-API-Key": token}, {"X-Admin-API-Key": token}, {"Authorization": f"Bearer {token}"}):
            assert Caller().get("tenants/acme", **headers).status_code == 200

    def test_two_different_keys_are_none(self, acme: Tenant) -> None:
        headers = {"X-Cycles-API-Key": tenant_key(acme).token, "X-Admin-API-Key": tenant_key(acme).token}

        assert Caller().get("tenants/acme", **headers).status_code == 401

    @pytest.mark.parametrize("scheme", ["Basic ", "bearer", "", "Token "])
    def test_another_scheme_is_none(self, acme: Tenant, scheme: str) -> None:
        token = tenant_key(acme).token

        assert Caller().get("tenants/acme", Authorization=f"{scheme}{token}").status_code == 401

    def test_every_answer_can_be_found_again(self, acme: Tenant) -> None:
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        for caller in (as_tenant(acme), Caller()):
            response = caller.get("tenants/acme", **{"X-Cycles-Trace-Id": trace})

            assert response.headers["X-Request-Id"].startswith("req_")
            assert response.headers["X-Cycles-Trace-Id"] == trace
            assert response.headers["Cache-Control"] == "no-store"

    def test_a_session_opens_nothing(self, acme: Tenant) -> None:
        response = Caller().get("tenants/acme", Cookie="sessionid=abc")

        assert response.status_code == 401


class TestGoneTenant:
    def test_a_key_whose_schema_is_gone_is_none(self, acme: Tenant) -> None:
        from tests.support.tenants import drop_tenant

        caller = as_tenant(acme)
        drop_tenant(acme)

        assert caller.get("tenants/acme").status_code == 401


def test_every_permission_of_the_table_exists() -> None:
    for right in RIGHTS.values():
        assert right.platform in set(Permission)
        assert right.tenant is None or right.tenant in set(Permission)
