"""Calling the management API as somebody."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import Client

from accounts.keys.services.keys import PLATFORM_PERMISSIONS, TENANT_PERMISSIONS, IssuedKey, create_key
from kernel.actor import Actor
from kernel.ids import PLATFORM_TAG
from kernel.tenancy import in_public, in_tenant
from tenants.models import Tenant

SCENE = Actor(name="scene", actor_type="system")


@dataclass(slots=True)
class Caller:
    """Somebody with a key, or without one."""

    token: str | None = None
    header: str = "X-Cycles-API-Key"
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The test client's response to a request below `/api/v1/`, or to a path that begins with a slash.

        `body` goes as JSON, bytes as they are.
        """
        if self.token is not None:
            headers.setdefault(self.header, self.token)
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        content_type = "" if body is None else "application/json"
        where = path if path.startswith("/") else f"/api/v1/{path}"
        return self.client.generic(method.upper(), where, raw, content_type, headers=headers)

    def get(self, path: str, **headers: str) -> Any:
        return self.send("get", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("post", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: Any) -> Any:
        return self.send("patch", path, body)

    def delete(self, path: str) -> Any:
        return self.send("delete", path)


def tenant_key(tenant: Tenant, *, permissions: list[str] | None = None, scopes: list[str] | None = None) -> IssuedKey:
    """A key of the tenant: with every permission a tenant's key can have, unless named."""
    with in_tenant(tenant.tag):
        return create_key(
            tag=tenant.tag,
            name="test",
            permissions=sorted(TENANT_PERMISSIONS) if permissions is None else permissions,
            scope_filter=scopes or [],
            expires_at=datetime.now(UTC) + timedelta(days=1),
            actor=SCENE,
            now=datetime.now(UTC),
        )


def platform_key(*, permissions: list[str] | None = None) -> IssuedKey:
    with in_public():
        return create_key(
            tag=PLATFORM_TAG,
            name="olive",
            permissions=sorted(PLATFORM_PERMISSIONS) if permissions is None else permissions,
            expires_at=datetime.now(UTC) + timedelta(days=1),
            actor=SCENE,
            now=datetime.now(UTC),
        )


def as_tenant(tenant: Tenant, *, permissions: list[str] | None = None, scopes: list[str] | None = None) -> Caller:
    return Caller(token=tenant_key(tenant, permissions=permissions, scopes=scopes).token)


def as_platform(*, permissions: list[str] | None = None) -> Caller:
    return Caller(token=platform_key(permissions=permissions).token, header="X-Admin-API-Key")
