"""A tenant's keys over the management API. A key hands out no more than it has itself."""

from datetime import UTC, datetime

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.fields import (
    IssuedKeyFields,
    KeyFields,
    KeyListFields,
    NewKeyFields,
    RotationFields,
    key_facts,
)
from accounts.keys.api.refusals import require_covered
from accounts.keys.api.views import answer
from accounts.keys.selectors.keys import key_by_id, keys
from accounts.keys.services.keys import LIFETIME_DEFAULT, KeyNotFound, create_key, revoke_key, rotate_key
from budgets.api.management.views import TenantView
from budgets.scopes import InvalidScope, read_scope_path
from budgets.services.guards import require_tenant_not_closed
from kernel.http.described import described
from kernel.http.errors import invalid_request
from kernel.http.serialized import ReasonFields

_TAG = "keys"
_NOT_FOUND = "NOT_FOUND: no such tenant or key."


class Keys(TenantView):
    @described(
        name="list_keys",
        summary="All keys of the tenant that the caller's own scopes cover",
        tag=_TAG,
        answer=KeyListFields,
        refusals={404: "NOT_FOUND: no such tenant."},
    )
    def get(self, request: Request, slug: str) -> Response:
        now = datetime.now(UTC)
        with self.reading(slug):
            found = [
                key_facts(key, now=now)
                for key in keys().order_by("created_at", "key_id")
                if self.caller.covers(permissions=[], scope_filter=key.scope_filter)
            ]
        return answer(KeyListFields, {"keys": found})

    @described(
        name="create_key",
        summary="A new key, its token shown once",
        tag=_TAG,
        body=NewKeyFields,
        answer=IssuedKeyFields,
        status=201,
        refusals={404: "NOT_FOUND: no such tenant.", 409: "TENANT_CLOSED."},
    )
    def post(self, request: Request, slug: str) -> Response:
        values, now = self.body(NewKeyFields), datetime.now(UTC)
        tenant = self.tenant(slug)
        scopes = _scopes(values["scope_filter"], slug=slug)
        require_covered(self.caller.covers(permissions=values["permissions"], scope_filter=scopes))
        with self.writing(slug, reason=values["reason"]) as actor:
            require_tenant_not_closed()
            issued = create_key(
                tag=tenant.tag,
                name=values["name"],
                permissions=values["permissions"],
                scope_filter=scopes,
                expires_at=values.get("expires_at", now + LIFETIME_DEFAULT),
                actor=actor,
                now=now,
            )
        return answer(IssuedKeyFields, {"key": key_facts(issued.key, now=now), "token": issued.token}, status=201)


class KeyRotate(TenantView):
    @described(
        name="rotate_key",
        summary="A new secret, shown once; the one before works on for a while",
        tag=_TAG,
        body=RotationFields,
        answer=IssuedKeyFields,
        refusals={404: _NOT_FOUND, 409: "The key is revoked, or TENANT_CLOSED."},
    )
    def post(self, request: Request, slug: str, key_id: str) -> Response:
        values, now = self.body(RotationFields), datetime.now(UTC)
        tenant = self.tenant(slug)
        with self.writing(slug, reason=values["reason"]) as actor:
            require_tenant_not_closed()
            key = key_by_id(key_id)
            if key is None or not self.caller.covers(permissions=[], scope_filter=key.scope_filter):
                raise KeyNotFound(key_id)
            # Whoever gets the new secret has the key's rights.
            require_covered(self.caller.covers(permissions=key.permissions, scope_filter=key.scope_filter))
            issued = rotate_key(
                tag=tenant.tag, key_id=key_id, overlap=RotationFields.overlap(values), actor=actor, now=now
            )
        return answer(IssuedKeyFields, {"key": key_facts(issued.key, now=now), "token": issued.token})


class KeyRevoke(TenantView):
    @described(
        name="revoke_key",
        summary="The key, which is good for nothing from now on. Safe to repeat",
        tag=_TAG,
        body=ReasonFields,
        answer=KeyFields,
        refusals={404: _NOT_FOUND, 409: "TENANT_CLOSED."},
    )
    def post(self, request: Request, slug: str, key_id: str) -> Response:
        values, now = self.body(ReasonFields), datetime.now(UTC)
        with self.writing(slug, reason=values["reason"]) as actor:
            require_tenant_not_closed()
            key = key_by_id(key_id)
            if key is None or not self.caller.covers(permissions=[], scope_filter=key.scope_filter):
                raise KeyNotFound(key_id)
            key = revoke_key(key_id=key_id, actor=actor, now=now)
        return answer(KeyFields, key_facts(key, now=now))


def _scopes(scope_filter: list[str], *, slug: str) -> list[str]:
    try:
        return [read_scope_path(scope, slug=slug).text for scope in scope_filter]
    except InvalidScope as refusal:
        raise invalid_request(f"scope_filter {refusal}.", field="scope_filter") from None
