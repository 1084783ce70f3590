"""Who calls the management API: a platform key, or a tenant's own."""

from dataclasses import dataclass
from typing import Any, Final

from django.db import ProgrammingError
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from psycopg.errors import InvalidSchemaName, UndefinedTable
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.keys.selectors.keys import VerifiedKey, verified_key
from accounts.keys.tokens import ParsedKey, parse_token
from kernel.http.errors import error_of_status
from kernel.ids import PLATFORM_TAG, Tag
from kernel.tenancy import in_public, in_tenant

_HEADERS: Final = ("HTTP_X_CYCLES_API_KEY", "HTTP_X_ADMIN_API_KEY")
_BEARER: Final = "Bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """A key that was good when it was checked. A platform key speaks for every tenant, any other for that of `tag`."""

    parsed: ParsedKey
    key: VerifiedKey

    @property
    def is_platform(self) -> bool:
        return self.parsed.tag == PLATFORM_TAG

    @property
    def tag(self) -> Tag:
        return self.parsed.tag

    def may(self, permission: str) -> bool:
        return permission in self.key.permissions

    def covers(self, *, permissions: list[str], scope_filter: list[str]) -> bool:
        """Whether it has these rights itself: a key hands out no more than it has, the platform's excepted."""
        if self.is_platform:
            return True
        mine = self.key.scope_filter
        is_within = not mine or (
            bool(scope_filter)
            and all(any(scope == own or scope.startswith(f"{own}/") for own in mine) for scope in scope_filter)
        )
        return is_within and self.key.permissions.issuperset(permissions)


class KeyAuthentication(BaseAuthentication):
    """By X-Cycles-API-Key, X-Admin-API-Key or Authorization: Bearer. Sent more than once they must be the same key."""

    def authenticate(self, request: Request) -> tuple[Caller, ParsedKey]:
        parsed = parse_token(_token(request.META))
        key = current_key(parsed) if parsed is not None else None
        if parsed is None or key is None:
            raise error_of_status(401)
        return Caller(parsed=parsed, key=key), parsed


def current_key(parsed: ParsedKey) -> VerifiedKey | None:
    """The key as its row says now, read where it lives."""
    try:
        with in_public() if parsed.tag == PLATFORM_TAG else in_tenant(parsed.tag):
            return verified_key(parsed)
    except ProgrammingError as error:
        # A genuine tag without a schema: the tenant is only half made, or its database is another one.
        if isinstance(error.__cause__, (UndefinedTable, InvalidSchemaName)):
            return None
        raise


def _token(headers: dict[str, Any]) -> str:
    tokens = {headers[name] for name in _HEADERS if name in headers}
    if (authorization := headers.get("HTTP_AUTHORIZATION")) is not None:
        tokens.add(authorization.removeprefix(_BEARER) if authorization.startswith(_BEARER) else "")
    return tokens.pop() if len(tokens) == 1 else ""


class _Scheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = KeyAuthentication
    name = ["TenantKey", "PlatformKey", "Bearer"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return [
            {
                "type": "apiKey",
                "in": "header",
                "name": "X-Cycles-API-Key",
                "description": "A tenant's key: its own tenant, by its permissions, within its scopes.",
            },
            {
                "type": "apiKey",
                "in": "header",
                "name": "X-Admin-API-Key",
                "description": "A platform key: every tenant; what it changes is audited as admin_on_behalf_of.",
            },
            {"type": "http", "scheme": "bearer", "description": "Either key."},
        ]
