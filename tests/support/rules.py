"""A small rule book for tests, and how to put it in force."""

from typing import Any

from budgets.services.journal import open_journal
from budgets.services.ruleset import publish
from kernel.tenancy import in_tenant
from tests.support.books import TEST_ACTOR, Books

SMALL = {
    "provider": "openai",
    "model": "gpt-4o-mini",
    "context_window": 128_000,
    "price": {"input": 15_000_000, "output": 60_000_000},
}
LARGE = {
    "provider": "openai",
    "model": "gpt-4o",
    "context_window": 128_000,
    "price": {"input": 250_000_000, "output": 1_000_000_000},
}
RULES: dict[str, Any] = {
    "classes": {
        "chat": {"tier": "small", "output_tokens_max": 1_000},
        "deep": {"tier": "large", "output_tokens_max": 4_000},
    },
    "default_class": "chat",
    "tiers": {"small": ["openai:gpt-4o-mini"], "large": ["openai:gpt-4o"]},
    "models": {"openai:gpt-4o-mini": SMALL, "openai:gpt-4o": LARGE},
}


def rule(books: Books, **parts: Any) -> None:
    with in_tenant(books.tenant.tag), open_journal(actor=TEST_ACTOR) as journal:
        publish(journal, document=RULES | parts)


def denying(*kinds: str) -> dict[str, Any]:
    """Actions of these kinds are denied."""
    return {"policies": [{"id": "p1", "denied": list(kinds)}]}


def allowing(*kinds: str) -> dict[str, Any]:
    """Actions of these kinds only are allowed."""
    return {"policies": [{"id": "p1", "allowed": list(kinds)}]}


def quota(limit: int, *, window: str = "per_day_tumbling", **parts: Any) -> dict[str, Any]:
    """One quota on actions."""
    return {"quotas": [{"id": "q1", "policy_id": "p1", "window": window, "limit": limit} | parts]}
