"""A body for every operation that takes one, such as the tenant's own program would send it."""

import time
from collections.abc import Mapping
from typing import Any, Final

from tests.support.foe.things import Kind, Things

_AMOUNT: Final = {"unit": "USD_MICROCENTS", "amount": 1}
_WHY: Final = {"reason": "Somebody wants to know"}
_TABLE: Final = "agent = 'support'\n"

_TENANT: Final = "/api/v1/tenants/{slug}"
_BUDGET: Final = f"{_TENANT}/budgets/{{budget_id}}"


def bodies_of(own: Things) -> Mapping[str, Any]:
    """By the operation's id, with every field that names something; of the tenant's own things."""
    return _of_the_runtime(own) | _of_tenants(own) | _of_operators(own)


def _of_the_runtime(own: Things) -> dict[str, Any]:
    subject = {
        "tenant": own[Kind.SLUG],
        "workspace": own[Kind.WORKSPACE],
        "dimensions": {"run": own[Kind.RUN]},
    }
    once = {"idempotency_key": own[Kind.IDEMPOTENCY]}
    asked = once | {"subject": subject, "action": {"kind": "llm.completion", "name": "gpt-4o-mini"}}
    reservation = "/v1/reservations/{reservation_id}"
    return {
        "POST /v1/decide": asked | {"estimate": _AMOUNT},
        "POST /v1/reservations": asked | {"estimate": _AMOUNT},
        "POST /v1/events": asked | {"actual": _AMOUNT},
        f"POST {reservation}/commit": once | {"actual": _AMOUNT},
        f"POST {reservation}/release": once,
        f"POST {reservation}/extend": once | {"extend_by_ms": 1_000},
        "POST /v1/x-watermaster/admit": asked
        | {
            "estimate": _AMOUNT,
            "run": {"run_id": own[Kind.RUN]},
            "attempt": {"n": 2, "of_decision": own[Kind.DECISION]},
        },
        "POST /v1/x-watermaster/settle": once
        | {
            "reservation_id": own[Kind.RESERVATION],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            "endpoint": "chat.completions",
            "model": "gpt-4o-mini",
        },
        "POST /v1/x-watermaster/tools": {"subject": subject, "tools": [{"name": "search"}]},
        "POST /v1/x-watermaster/credentials/lease": {"scope": own[Kind.CREDENTIAL], "decision_id": own[Kind.DECISION]},
        "POST /v1/x-watermaster/credentials/renew": {"lease_id": own[Kind.LEASE]},
        "POST /v1/x-watermaster/credentials/give-back": {"lease_id": own[Kind.LEASE]},
        "POST /otlp/v1/traces": spans_body(own),
    }


def spans_body(own: Things) -> Any:
    """Spans as JSON, which say of themselves whose they are and to what they belong."""
    now = time.time_ns()
    attributes = {
        "watermaster.tenant": own[Kind.SLUG],
        "watermaster.decision_id": own[Kind.DECISION],
        "watermaster.run_id": own[Kind.RUN],
        "gen_ai.operation.name": "chat",
    }
    span = {
        "traceId": own[Kind.TRACE],
        "spanId": "00f067aa0ba902b7",
        "name": "chat",
        "startTimeUnixNano": str(now - 10**9),
        "endTimeUnixNano": str(now),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def _of_tenants(own: Things) -> dict[str, Any]:
    webhook = {"url": "https://hooks.invalid/foe", "event_types": ["budget.funded"], "scope_filter": own[Kind.SCOPE]}
    return {
        f"POST {_TENANT}/keys": _WHY
        | {"name": "x", "permissions": ["budgets:read"], "scope_filter": [own[Kind.SCOPE]]},
        f"POST {_TENANT}/keys/{{key_id}}/rotate": _WHY,
        f"POST {_TENANT}/keys/{{key_id}}/revoke": _WHY,
        f"POST {_TENANT}/budgets": _WHY | {"scope": own[Kind.SCOPE], "unit": "CREDITS", "allocated": _credits(1)},
        f"PATCH {_BUDGET}": _WHY | {"overdraft_limit": _AMOUNT},
        f"POST {_BUDGET}/freeze": _WHY,
        f"POST {_BUDGET}/unfreeze": _WHY,
        f"POST {_BUDGET}/close": _WHY,
        f"POST {_BUDGET}/fund": _WHY
        | {"operation": "CREDIT", "amount": _AMOUNT, "idempotency_key": own[Kind.IDEMPOTENCY]},
        f"POST {_TENANT}/reallocations": _WHY
        | {
            "from_budget_id": own[Kind.BUDGET],
            "to_budget_id": own[Kind.BUDGET_TOO],
            "amount": _AMOUNT,
            "idempotency_key": own[Kind.IDEMPOTENCY],
        },
        f"POST {_TENANT}/reallocations/{{seq}}/undo": _WHY,
        f"POST {_TENANT}/run-templates": _WHY | {"name": own[Kind.TEMPLATE_TOO], "amount": _AMOUNT},
        f"PATCH {_TENANT}/run-templates/{{name}}": _WHY | {"amount": _AMOUNT},
        f"POST {_TENANT}/alerts/{{alert_id}}/resolve": _WHY,
        f"POST {_TENANT}/shadow/enforce": _WHY,
        f"POST {_TENANT}/router/labels": {"labels": [{"decision_id": own[Kind.DECISION], "needed": "small"}]},
        f"POST {_TENANT}/router/train": _WHY | {"examples": [{"text": "Hello", "class": "chat"}]},
        f"POST {_TENANT}/router/classify": {"text": "Hello"},
        f"POST {_TENANT}/policies/tools/test": {"tools": ["search"], "scope": own[Kind.SCOPE]},
        "POST /api/v1/planner": {"table": _TABLE},
        "POST /v1/webhooks": webhook,
        "PATCH /v1/webhooks/{subscription_id}": {"scope_filter": own[Kind.SCOPE]},
        "POST /v1/webhooks/{subscription_id}/replay": {"event_types": ["budget.funded"]},
    }


def _of_operators(own: Things) -> dict[str, Any]:
    """What no tenant's key may do, whatever it names."""
    webhook = {"url": "https://hooks.invalid/foe", "event_types": ["budget.funded"], "scope_filter": own[Kind.SCOPE]}
    stop = _WHY | {"level": "tenant"}
    again = _WHY | {"idempotency_key": own[Kind.IDEMPOTENCY]}
    admin = "/v1/admin/webhooks"
    return {
        "POST /api/v1/platform-keys": _WHY | {"name": "x", "permissions": ["platform:read"]},
        "POST /api/v1/platform-keys/{key_id}/rotate": _WHY,
        "POST /api/v1/platform-keys/{key_id}/revoke": _WHY,
        "POST /api/v1/switches": _WHY | {"level": "platform"},
        "POST /api/v1/switches/lift": _WHY | {"level": "platform"},
        "POST /api/v1/tenants": _WHY | {"slug": own[Kind.SLUG], "name": "x"},
        f"PATCH {_TENANT}": _WHY | {"extensions_max": 1},
        f"PATCH {_TENANT}/keeping": _WHY | {"kind": "ledger", "keep": "days", "days": 400},
        f"POST {_TENANT}/suspend": _WHY,
        f"POST {_TENANT}/resume": _WHY,
        f"POST {_TENANT}/close": _WHY,
        f"POST {_TENANT}/switches": stop,
        f"POST {_TENANT}/switches/lift": stop,
        f"POST {_TENANT}/ledger/{{seq}}/correct": again | {"amount": _AMOUNT},
        f"POST {_TENANT}/ledger/{{seq}}/reprice": again,
        "PUT /api/v1/pools": _WHY | {"name": "openai:gpt-4o"},
        "POST /api/v1/plans": _WHY | {"code": "x", "name": "x", "price": _AMOUNT, "document": {}},
        f"PUT {_TENANT}/subscription": _WHY | {"plan": "pro"},
        f"PUT {_TENANT}/policies/{{kind}}": _WHY | {"document": {"default": "allow"}},
        f"POST {_TENANT}/policies/{{kind}}/versions/{{version}}/restore": _WHY,
        f"POST {admin}": webhook,
        f"POST {admin}/bulk-action": {
            "filter": {"tenant_id": own[Kind.SLUG], "search": own[Kind.WORKSPACE]},
            "action": "PAUSE",
            "idempotency_key": own[Kind.IDEMPOTENCY],
        },
        f"PATCH {admin}/{{subscription_id}}": {"scope_filter": own[Kind.SCOPE]},
        f"POST {admin}/{{subscription_id}}/replay": {"event_types": ["budget.funded"]},
    }


def _credits(number: int) -> dict[str, Any]:
    return {"unit": "CREDITS", "amount": number}
