"""The plans that come with the program: first versions, to be published where a plan has none. Facts only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

USD: Final = 100_000_000

_SMALL: Final = ["openai:gpt-4o-mini", "anthropic:claude-haiku-4-5"]
_MEDIUM: Final = ["openai:gpt-4o", "anthropic:claude-sonnet-4-5"]
_LARGE: Final = ["anthropic:claude-opus-4-5", "openai:o3"]

_CHAT: Final = {
    "tier": "small",
    "input_tokens_max": 32_000,
    "output_tokens_max": 2_000,
    "output_tokens_p99": 900,
    "context_target_tokens": 8_000,
    "timeouts": {
        "sla_ms": 10_000,
        "overhead_ms": 500,
        "model_ms": 2_500,
        "model_calls": 2,
        "tools": {"search": 3_000},
        "margin_ms": 1_500,
    },
    "fallback": "interim_message",
}
_ANALYSIS: Final = {
    "tier": "medium",
    "pattern": "soft",
    "iterations_max": 25,
    "input_tokens_max": 128_000,
    "output_tokens_max": 8_000,
    "context_target_tokens": 32_000,
    "fallback": "partial_result",
}
_DEEP: Final = {
    "tier": "large",
    "iterations_max": 60,
    "input_tokens_max": 200_000,
    "output_tokens_max": 16_000,
    "context_target_tokens": 100_000,
    "priority": "high",
    "fallback": "escalate",
}
_TWO_TIERS: Final = {
    "tiers": {"small": _SMALL, "medium": _MEDIUM},
    "classes": {"chat": _CHAT, "analysis": _ANALYSIS},
    "default_class": "chat",
    "hint_confidence_min_ppm": 700_000,
}
_THREE_TIERS: Final = {
    **_TWO_TIERS,
    "low_water": {},
    "tiers": {"small": _SMALL, "medium": _MEDIUM, "large": _LARGE},
    "classes": {"chat": _CHAT, "analysis": _ANALYSIS, "deep": _DEEP},
}
_READ_ONLY_TOOLS: Final = {
    "default": "deny",
    "rules": [
        {"pattern": f"*{ending}", "verdict": "allow"}
        for ending in (".read", ".get", ".list", ".search", "_read", "_get", "_list", "_search")
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CataloguePlan:
    """Version 1 of a plan. `price` is a month's, in USD_MICROCENTS."""

    code: str
    name: str
    price: int
    defaults: Mapping[str, Any]


def _money(allocated: int, period: str) -> list[dict[str, Any]]:
    return [{"unit": "USD_MICROCENTS", "allocated": allocated, "period": period}]


def _template(name: str, amount: int, *, is_default: bool = False) -> dict[str, Any]:
    return {"name": name, "unit": "USD_MICROCENTS", "amount": amount, "is_default": is_default}


def _requests(per_minute: int) -> list[dict[str, Any]]:
    bucket = {"level": "tenant", "counts": "requests", "capacity": per_minute, "per_minute": per_minute}
    return [{"name": "tenant_requests", **bucket}]


_TEMPLATES: Final = [
    _template("code-review", 5 * USD),
    _template("deep-analysis", 30 * USD),
    _template("chat", 1 * USD),
]

CATALOGUE: Final = (
    CataloguePlan(
        code="trial",
        name="Trial",
        price=0,
        defaults={
            "budgets": _money(5 * USD, "DAY"),
            "run_templates": _TEMPLATES,
            "limits": {"input_tokens_max": 64_000, "output_tokens_max": 4_000, "runs_per_day_max": 200},
            "run": {
                "iterations_max": 25,
                "tokens_max": 500_000,
                "wall_seconds_max": 1_800,
                "fallback": "partial_result",
            },
            "rate": _requests(120),
            "tools": _READ_ONLY_TOOLS,
            "routing": _TWO_TIERS,
            "models": [*_SMALL, *_MEDIUM],
            "priority": "normal",
            "on_exhaustion": {"session": ["shorter"], "month": ["notice", "upgrade_prompt"]},
            "share_weight": 1,
        },
    ),
    CataloguePlan(
        code="free",
        name="Free",
        price=0,
        defaults={
            "budgets": _money(10 * USD, "MONTH"),
            "run_templates": [_template("session", 1 * USD, is_default=True)],
            "limits": {
                "input_tokens_max": 16_000,
                "output_tokens_max": 2_000,
                "runs_per_day_max": 50,
                "concurrent_runs_max": 5,
            },
            "run": {
                "iterations_max": 12,
                "tokens_max": 100_000,
                "wall_seconds_max": 600,
                "fallback": "interim_message",
            },
            "rate": _requests(30),
            "tools": _READ_ONLY_TOOLS,
            "routing": {
                **_TWO_TIERS,
                "tiers": {"small": _SMALL},
                "classes": {"chat": _CHAT},
            },
            "models": _SMALL,
            "priority": "low",
            "on_exhaustion": {"session": ["shorter", "cached"], "month": ["notice", "upgrade_prompt"]},
            "share_weight": 1,
        },
    ),
    CataloguePlan(
        code="starter",
        name="Starter",
        price=60 * USD,
        defaults={
            "budgets": _money(50 * USD, "MONTH"),
            "run_templates": [_template("session", 2 * USD, is_default=True)],
            "limits": {
                "input_tokens_max": 64_000,
                "output_tokens_max": 8_000,
                "runs_per_day_max": 250,
                "concurrent_runs_max": 20,
            },
            "run": {
                "iterations_max": 25,
                "tokens_max": 500_000,
                "wall_seconds_max": 1_800,
                "fallback": "interim_message",
            },
            "rate": _requests(120),
            "routing": {**_TWO_TIERS, "low_water": {}},
            "models": [*_SMALL, *_MEDIUM],
            "priority": "normal",
            "on_exhaustion": {"session": ["shorter", "cheaper"], "month": ["cheaper", "notice", "upgrade_prompt"]},
            "share_weight": 2,
        },
    ),
    CataloguePlan(
        code="pro",
        name="Pro",
        price=590 * USD,
        defaults={
            "budgets": _money(500 * USD, "MONTH"),
            "run_templates": [_template("session", 10 * USD, is_default=True)],
            "limits": {
                "input_tokens_max": 200_000,
                "output_tokens_max": 16_000,
                "runs_per_day_max": 1_000,
                "concurrent_runs_max": 100,
            },
            "run": {
                "iterations_max": 60,
                "tokens_max": 2_000_000,
                "wall_seconds_max": 7_200,
                "fallback": "partial_result",
            },
            "rate": _requests(600),
            "routing": _THREE_TIERS,
            "models": [*_SMALL, *_MEDIUM, *_LARGE],
            "priority": "normal",
            "on_exhaustion": {"session": ["cheaper"], "month": ["cheaper", "notice", "admin_notice"]},
            "share_weight": 5,
        },
    ),
    # What a customer agrees on stands in its own policies; this is where such a one begins.
    CataloguePlan(
        code="enterprise",
        name="Enterprise",
        price=7_500 * USD,
        defaults={
            "budgets": _money(200 * USD, "DAY"),
            "run_templates": _TEMPLATES,
            "limits": {"input_tokens_max": 200_000, "output_tokens_max": 32_000},
            "run": {
                "iterations_max": 100,
                "tokens_max": 10_000_000,
                "wall_seconds_max": 86_400,
                "fallback": "escalate",
            },
            "routing": _THREE_TIERS,
            "priority": "high",
            "on_exhaustion": {"session": ["cheaper"], "month": ["overage", "admin_notice"]},
            "share_weight": 10,
        },
    ),
)
