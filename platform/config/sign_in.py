"""What the environment says about signing in and about mail, turned into values that the settings use."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def operator_second_factor_is_required(environ: Mapping[str, str], *, is_local: bool) -> bool:
    """`WATERMASTER_OPERATOR_MFA`: required or optional. A local run without TLS starts with optional."""
    value = environ.get("WATERMASTER_OPERATOR_MFA", "").strip().lower() or ("optional" if is_local else "required")
    if value not in {"required", "optional"}:
        raise ImproperlyConfigured(f"WATERMASTER_OPERATOR_MFA is required or optional, so {value!r} is not understood.")
    return value == "required"


def identity_providers(environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """The OpenID Connect providers: `OIDC_PROVIDERS` as a JSON list, or one from `OIDC_NAME` and its like; or none.

    Each has a name, an issuer, a client_id and a client_secret; an `id` stands in its addresses and is made of the
    name where none is given. Raises `ImproperlyConfigured` where one is incomplete.
    """
    if text := environ.get("OIDC_PROVIDERS", ""):
        try:
            given = json.loads(text)
        except ValueError:
            raise ImproperlyConfigured("OIDC_PROVIDERS is no JSON.") from None
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            raise ImproperlyConfigured("OIDC_PROVIDERS is a JSON list of objects.")
    elif issuer := environ.get("OIDC_ISSUER", ""):
        given = [
            {
                "name": environ.get("OIDC_NAME", "") or "Single sign-on",
                "issuer": issuer,
                "client_id": environ.get("OIDC_CLIENT_ID", ""),
                "client_secret": environ.get("OIDC_CLIENT_SECRET", ""),
            }
        ]
    else:
        return []
    providers = [_provider(each) for each in given]
    if len({each["provider_id"] for each in providers}) != len(providers):
        raise ImproperlyConfigured("Two OIDC providers have the same id.")
    return providers


def _provider(given: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for name in ("name", "issuer", "client_id", "client_secret") if not given.get(name)]
    if missing:
        raise ImproperlyConfigured(f"An OIDC provider needs {', '.join(missing)}.")
    plain = "".join(sign if sign.isalnum() and sign.isascii() else "-" for sign in str(given["name"]).lower())
    return {
        "provider_id": str(given.get("id") or plain.strip("-") or "oidc"),
        "name": str(given["name"]),
        "client_id": str(given["client_id"]),
        "secret": str(given["client_secret"]),
        "settings": {"server_url": str(given["issuer"]).rstrip("/"), "oauth_pkce_enabled": True},
    }


def mail_server(environ: Mapping[str, str]) -> dict[str, Any]:
    """Django's mailer from `EMAIL_URL`: smtp://user:password@host:port, smtps:// for TLS from the start, and `?tls=1`
    for STARTTLS. Without it nothing is mailed.
    """
    url = environ.get("EMAIL_URL", "")
    if not url:
        return {"BACKEND": "django.core.mail.backends.dummy.EmailBackend"}
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ImproperlyConfigured("EMAIL_URL begins with smtp:// or smtps:// and names a host.")
    is_tls = parts.scheme == "smtps"
    return {
        "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "OPTIONS": {
            "host": parts.hostname,
            "port": parts.port or (465 if is_tls else 25),
            "username": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
            "use_ssl": is_tls,
            "use_tls": not is_tls and dict(parse_qsl(parts.query)).get("tls") == "1",
            "timeout": 10,
        },
    }
