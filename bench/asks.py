"""What an agent's runtime asks beyond a plain reserve: an admission, and which of its tools it may offer.

Plain data, for the load that sends it; `bench.rulebook` has the rules that judge it.
"""

from typing import Any, Final

#: The traffic classes, each as likely as the others, and how sure the runtime's router says it is.
CLASSES: Final = ("faq", "order-status", "dispute")
CONFIDENCE: Final = 0.93
INPUT_TOKENS: Final = 1_800
MAX_OUTPUT_TOKENS: Final = 600
#: Requests of one run, after which a client begins the next.
REQUESTS_A_RUN: Final = 10
RUN_STAND_IN: Final = "r" * 32
#: Tools of a runtime that offers many: so many services with so many calls each.
SERVICES: Final = (
    *("zendesk", "crm", "orders", "refunds", "billing", "shipping", "inventory", "catalogue", "calendar", "email"),
    *("slack", "github", "jira", "wiki", "search", "browser", "files", "shell", "database", "payments"),
)
CALLS: Final = ("read", "list", "search", "count", "export", "create", "update", "archive", "restore", "delete")
TOOLS: Final = tuple(f"{service}.{call}" for service in SERVICES for call in CALLS)
#: What one request offers the model.
OFFERED: Final = (
    *("zendesk.read", "zendesk.update", "crm.read", "crm.search", "orders.read"),
    *("orders.list", "refunds.create", "shipping.read", "email.create", "database.delete"),
)


def admit_body(subject: dict[str, str], action: dict[str, str], idempotency_key: str, name: str) -> dict[str, object]:
    """An admission of class `name` without an estimate: the class chooses the model, and its price is held."""
    return {
        "idempotency_key": idempotency_key,
        "subject": subject,
        "action": action,
        "run": {"run_id": RUN_STAND_IN, "turn_id": "turn-1"},
        "request": {
            "endpoint": "chat.completions",
            "stream": True,
            "input_tokens": INPUT_TOKENS,
            "input_tokens_source": "tokenizer",
            "max_output_tokens": MAX_OUTPUT_TOKENS,
            "tools": list(OFFERED),
            "capabilities": ["tools"],
            "class_hint": {"class": name, "confidence": CONFIDENCE},
        },
    }


def tools_body(subject: dict[str, str]) -> dict[str, object]:
    """The schemas of all tools, as OpenAI has them."""
    return {"subject": subject, "tools": [_schema(name) for name in TOOLS], "tool_choice": "auto"}


def _schema(name: str) -> dict[str, Any]:
    service, _, call = name.partition(".")
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": f"{call.capitalize()} in {service} on behalf of the customer who is asking.",
            "parameters": {
                "type": "object",
                "properties": {
                    "id": {"type": "string", "description": f"What {service} calls the thing."},
                    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
                },
                "required": ["id"],
            },
        },
    }
