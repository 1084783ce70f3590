"""What a receiver checks us by, and the headers that it asked for: sealed wherever they are kept."""

import base64
import json
import secrets
from collections.abc import Mapping
from typing import Final

from kernel.sealing import seal, unseal

_PURPOSE: Final = "webhook"
_SECRET_BYTES: Final = 32


class SecretLost(Exception):
    """It was sealed by a root secret that is not known any more; a new secret mends it."""


def mint_signing_secret() -> str:
    """A secret in the form of Standard Webhooks: `whsec_` and 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def seal_secret(text: str) -> str:
    return seal(text, purpose=_PURPOSE)


def open_secret(sealed: str) -> str:
    """Raises `SecretLost`."""
    text = unseal(sealed, purpose=_PURPOSE)
    if text is None:
        raise SecretLost
    return text


def seal_headers(headers: Mapping[str, str]) -> str:
    return seal_secret(json.dumps(dict(headers))) if headers else ""


def open_headers(sealed: str) -> dict[str, str]:
    """Raises `SecretLost`."""
    if not sealed:
        return {}
    headers: dict[str, str] = json.loads(open_secret(sealed))
    return headers
