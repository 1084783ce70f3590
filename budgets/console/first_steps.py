"""The one command that fills an empty list, to be pasted into a shell that holds the key."""

import json
from typing import Any, Final

from django.conf import settings

_ONE_DOLLAR: Final = {"unit": "USD_MICROCENTS", "amount": 100_000_000}
_ONE_CENT: Final = {"unit": "USD_MICROCENTS", "amount": 1_000_000}
_RUNTIME_PERMISSIONS: Final = [
    "reservations:create",
    "reservations:commit",
    "reservations:release",
    "reservations:extend",
    "balances:read",
]


def create_tenant() -> str:
    return _manage("tenants", {"slug": "acme", "name": "Acme Corporation", "time_zone": "UTC"})


def create_budget(slug: str) -> str:
    """A dollar a day for the whole tenant."""
    return _manage(
        f"tenants/{slug}/budgets",
        {"scope": f"tenant:{slug}", "unit": "USD_MICROCENTS", "allocated": _ONE_DOLLAR, "period": "DAY"},
    )


def create_key(slug: str) -> str:
    return _manage(f"tenants/{slug}/keys", {"name": "first", "permissions": _RUNTIME_PERMISSIONS})


def reserve(slug: str) -> str:
    """A cent, held for a minute."""
    body = {
        "idempotency_key": "first",
        "subject": {"tenant": slug},
        "action": {"kind": "llm.completion", "name": "first"},
        "estimate": _ONE_CENT,
    }
    return _post(f"http://127.0.0.1:{settings.API_PORT}/v1/reservations", "X-Cycles-API-Key: $API_KEY", body)


def send_spans() -> str:
    """What leads an OpenTelemetry exporter here."""
    return (
        f"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:{settings.API_PORT}/otlp"
        " OTEL_EXPORTER_OTLP_HEADERS=x-cycles-api-key=wm_live_… python agent.py"
    )


def _manage(path: str, body: dict[str, Any]) -> str:
    return _post(f"{settings.CONSOLE_URL}/api/v1/{path}", "X-Admin-API-Key: $PLATFORM_API_KEY", body)


def _post(url: str, key_header: str, body: dict[str, Any]) -> str:
    return f"curl -sS {url} \\\n  -H \"{key_header}\" -H 'Content-Type: application/json' \\\n  -d '{json.dumps(body)}'"
