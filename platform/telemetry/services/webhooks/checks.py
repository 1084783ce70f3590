"""What must hold of every subscription that is kept, however it came about."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final

from telemetry.event_names import CATEGORIES, TENANT_CATEGORIES, TEST_EVENT, is_event_type, is_for_tenants
from telemetry.event_owner import Owner
from telemetry.models import WebhookSubscription
from telemetry.services.webhooks.addresses import InvalidUrl, read_url
from telemetry.services.webhooks.rules import address_rules

_SECRET_LENGTH_MIN: Final = 16
_SECRET_LENGTH_MAX: Final = 256
_HEADERS_MAX: Final = 20
_HEADER_LENGTH_MAX: Final = 4_096
_STARS_MAX: Final = 4
_SCOPE_LENGTH_MAX: Final = 1_024
_SELECTORS_MAX: Final = 100
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e\t]*")
_STANDARD_SECRET: Final = re.compile(r"whsec_[A-Za-z0-9+/]{22,}={0,2}")
#: Ours to set: what frames the message, and what it is checked by.
_RESERVED: Final = frozenset(
    {
        *("host", "content-length", "content-type", "transfer-encoding", "connection", "keep-alive", "upgrade"),
        *("te", "trailer", "expect", "proxy-authorization", "proxy-connection", "user-agent", "traceparent"),
    }
)
_RESERVED_BEGINNINGS: Final = ("webhook-", "x-cycles-")


class InvalidWebhook(Exception):
    """A field of the subscription is wrong: the text ends a sentence that begins with the field's name."""

    def __init__(self, field: str, must: str) -> None:
        super().__init__(must)
        self.field = field


def require_valid(
    subscription: WebhookSubscription, *, owner: Owner, secret: str | None, headers: Mapping[str, str] | None
) -> None:
    """Raises `InvalidWebhook`. `secret` and `headers` are those that are set now, None where they stay as they are."""
    try:
        read_url(subscription.url, address_rules())
    except InvalidUrl as refusal:
        raise InvalidWebhook("url", str(refusal)) from None
    _require_selectors(subscription, owner)
    scope = subscription.scope_filter
    if len(scope) > _SCOPE_LENGTH_MAX or scope.count("*") > _STARS_MAX or "[" in scope:
        raise InvalidWebhook("scope_filter", f"must be a scope path with at most {_STARS_MAX} signs *")
    if secret is not None:
        _require_secret(secret)
    if headers is not None:
        _require_headers(headers)


def _require_selectors(subscription: WebhookSubscription, owner: Owner) -> None:
    types, categories = subscription.event_types, subscription.event_categories
    if not types and not categories:
        raise InvalidWebhook("event_types", "must name an event, or event_categories must name a category")
    if len(types) > _SELECTORS_MAX or not all(map(is_event_type, types)) or TEST_EVENT in types:
        raise InvalidWebhook("event_types", "must be events of the protocol, or names that begin with custom.")
    if not set(categories) <= set(CATEGORIES):
        raise InvalidWebhook("event_categories", f"must be some of {', '.join(CATEGORIES)}")
    if owner.is_platform:
        return
    # A tenant owns the address and the secret, so what it may not see must not be selected either.
    if not all(map(is_for_tenants, types)):
        raise InvalidWebhook("event_types", "must be events of a budget, a reservation or the tenant")
    if not set(categories) <= TENANT_CATEGORIES:
        raise InvalidWebhook("event_categories", "must be some of budget, reservation, tenant")


def _require_secret(secret: str) -> None:
    is_good = _SECRET_LENGTH_MIN <= len(secret) <= _SECRET_LENGTH_MAX and secret.isascii() and secret.isprintable()
    if not is_good or (secret.startswith("whsec_") and not _is_standard(secret)):
        raise InvalidWebhook(
            "signing_secret", f"must have {_SECRET_LENGTH_MIN} to {_SECRET_LENGTH_MAX} characters, behind whsec_ base64"
        )


def _is_standard(secret: str) -> bool:
    if not _STANDARD_SECRET.fullmatch(secret):
        return False
    try:
        # As those who sign and verify read it: with or without the signs at its end.
        base64.b64decode(secret.removeprefix("whsec_") + "==")
    except binascii.Error:
        return False
    return True


def _require_headers(headers: Mapping[str, str]) -> None:
    if len(headers) > _HEADERS_MAX:
        raise InvalidWebhook("headers", f"must be at most {_HEADERS_MAX}")
    for name, value in headers.items():
        lowered = name.lower()
        if not _HEADER_NAME.fullmatch(name) or lowered in _RESERVED or lowered.startswith(_RESERVED_BEGINNINGS):
            raise InvalidWebhook("headers", "holds a name that is no header's, or one that is set by us")
        if len(value) > _HEADER_LENGTH_MAX or not _HEADER_VALUE.fullmatch(value):
            raise InvalidWebhook("headers", "holds a value that cannot be sent")
