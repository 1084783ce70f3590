"""The one command that fills an empty list."""

from typing import Final

from django.conf import settings

CREATE_TENANT: Final = 'manage.py create_tenant acme --name "Acme Corporation"'


def create_budget(slug: str) -> str:
    """Opens the tenant's own budget with a dollar, through the management API."""
    body = f'{{"scope": "tenant:{slug}", "unit": "USD_MICROCENTS", "allocated": 100000000}}'
    return _post(_management_url(slug, "budgets"), "X-Admin-API-Key: $KEY", body)


def create_key(slug: str) -> str:
    body = '{"name": "first"}'
    return _post(_management_url(slug, "keys"), "X-Admin-API-Key: $KEY", body)


def reserve(slug: str) -> str:
    """Reserves a cent."""
    body = (
        f'{{"idempotency_key": "first", "subject": {{"tenant": "{slug}"}}, '
        '"action": {"kind": "llm.completion", "name": "first"}, '
        '"estimate": {"unit": "USD_MICROCENTS", "amount": 1000000}}'
    )
    return _post(f"http://127.0.0.1:{settings.API_PORT}/v1/reservations", "X-Cycles-API-Key: $KEY", body)


def _management_url(slug: str, collection: str) -> str:
    return f"http://127.0.0.1:{settings.CONSOLE_PORT}/api/v1/tenants/{slug}/{collection}"


def _post(url: str, key_header: str, body: str) -> str:
    return f"curl -sS {url} \\\n  -H \"{key_header}\" -H 'Content-Type: application/json' \\\n  -d '{body}'"
