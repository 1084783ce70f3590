"""Who calls: read from the key's own text, without a query.

Whether the key is good, the call that does the work finds out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from django.http import HttpRequest

from accounts.keys.permissions import Permission
from accounts.keys.selectors.keys import verified_key
from accounts.keys.tokens import parse_token
from budgets.services import engine
from kernel.http.errors import ProtocolError, error_of_status, unavailable
from kernel.http.planes import closes_shared_connections
from kernel.ids import PLATFORM_TAG, Tag, WireId, WirePrefix, parse_wire_id
from kernel.logs.context import tenant_now
from kernel.tenancy import in_public
from tenants.selectors.directory import tenant_by_slug


@dataclass(frozen=True, slots=True)
class Caller:
    """The tenant that a key belongs to, and what the books compare: the key's id and the digest of its secret
    (PostgreSQL's hex).

    An operator's key was checked already (`is_operator`); the tenant is then the one that the request is about.
    """

    tag: Tag
    key_id: str
    digest: str = field(repr=False)
    is_operator: bool = False

    def credentials(self) -> dict[str, Any]:
        """What an operation or a query says of its caller."""
        if self.is_operator:
            return {"is_trusted": True, "actor": self.key_id, "actor_type": "admin_on_behalf_of"}
        return {"key_id": self.key_id, "digest": self.digest}


def read_caller(request: HttpRequest) -> Caller:
    """The caller of `request`. Refuses with 401 what cannot be a tenant's key of ours."""
    parsed = parse_token(request.META.get("HTTP_X_CYCLES_API_KEY", ""))
    if parsed is None or parsed.tag == PLATFORM_TAG:
        raise error_of_status(401)
    tenant_now.set(parsed.tag)
    return Caller(tag=parsed.tag, key_id=parsed.key_id, digest="\\x" + parsed.digest.hex())


def is_operators(request: HttpRequest) -> bool:
    """Whether `request` comes with an operator's key."""
    return "HTTP_X_ADMIN_API_KEY" in request.META


def read_operator(request: HttpRequest, permission: Permission) -> str:
    """The id of the operator's key (header X-Admin-API-Key), checked in the shared schema. Refuses with 401 or 403."""
    parsed = parse_token(request.META["HTTP_X_ADMIN_API_KEY"])
    if parsed is None or parsed.tag != PLATFORM_TAG:
        raise error_of_status(401)
    with _shared_schema():
        key = verified_key(parsed)
    if key is None:
        raise error_of_status(401)
    if permission not in key.permissions:
        raise error_of_status(403)
    return key.key_id


def caller_for_id(request: HttpRequest, permission: Permission, prefix: WirePrefix, text: str) -> tuple[Caller, WireId]:
    """Who asks about the id in `text`: its tenant's key, or an operator, for whom the id itself names the tenant."""
    if not is_operators(request):
        caller = read_caller(request)
        with key_first(caller):
            return caller, own_id(caller, prefix, text)
    key_id = read_operator(request, permission)
    wire_id = parse_wire_id(prefix, text)
    if wire_id is None:
        raise error_of_status(404)
    return Caller(tag=wire_id.tag, key_id=key_id, digest="", is_operator=True), wire_id


def operator_for_slug(key_id: str, slug: str) -> Caller:
    """The operator whose key (checked already) is `key_id`, asking about the tenant `slug`. Refuses with 404."""
    with _shared_schema():
        tenant = tenant_by_slug(slug)
    if tenant is None:
        raise error_of_status(404)
    return Caller(tag=tenant.tag, key_id=key_id, digest="", is_operator=True)


@contextmanager
def _shared_schema() -> Iterator[None]:
    with closes_shared_connections(), in_public():
        yield


@contextmanager
def key_first(caller: Caller) -> Iterator[None]:
    """Refuse what is wrong with a request only to a caller whose key is good: another one is told that, and no more."""
    try:
        yield
    except ProtocolError:
        if not caller.is_operator and not is_key_good(caller):
            raise error_of_status(401) from None
        raise


def is_key_good(caller: Caller) -> bool:
    """What the books say of the key now. Refuses with 503 when they cannot be asked."""
    try:
        answer = engine.read(caller.tag, "key", msgspec.json.encode(caller.credentials()))
    except engine.EngineUnavailable:
        raise unavailable("The books are not available. Repeat the request in a moment.") from None
    except engine.UnknownTenant:
        return False
    return bool(msgspec.json.decode(answer)["status"] == "OK")


def own_id(caller: Caller, prefix: WirePrefix, text: str) -> WireId:
    """The id in `text` if it was made for the caller's tenant. Refuses with 404; with 403 where it is another tenant's
    reservation, for which the protocol says so.

    Neither needs a query, so neither tells whether anything is there.
    """
    wire_id = parse_wire_id(prefix, text)
    if wire_id is None:
        raise error_of_status(404)
    if wire_id.tag != caller.tag:
        raise error_of_status(403 if prefix == "rsv" else 404)
    return wire_id
