"""Rules for the tenants of the load, compiled from policies as those of any tenant are, and put in force."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from bench.asks import CLASSES
from bench.customers import ACTOR
from budgets.models.choices import PolicyKind
from budgets.services.action_policy import ActionPolicy, ActionQuota, Policy, RiskClass, RiskClassQuota, Window
from budgets.services.action_rules import action_rules
from budgets.services.journal import open_journal
from budgets.services.ruleset import publish
from kernel.tenancy import in_tenant
from routing.pricing.book import PriceBook, layer_of
from routing.pricing.price import Price, PriceSource
from routing.rules.effective import PolicySource
from routing.services.compiling import Sources, compile_ruleset

if TYPE_CHECKING:
    from kernel.ids import Tag

#: No run of the load comes near it.
ENDLESS: Final = 10**12
RULES: Final = (
    *(("*.delete", "deny"), ("*.archive", "gated"), ("payments.create", "gated"), ("payments.*", "deny")),
    *(("shell.*", "deny"), ("database.read", "allow"), ("database.*", "deny"), ("files.create", "gated")),
    *(("files.update", "deny"), ("email.create", "allow"), ("email.*", "gated"), ("slack.read", "allow")),
    *(("slack.*", "gated"), ("github.create", "gated"), ("github.update", "deny"), ("jira.update", "gated")),
    *(("refunds.create", "gated"), ("billing.update", "deny"), ("browser.*", "gated"), ("inventory.export", "deny")),
)

_MILLION: Final = 10**6
_CENT: Final = 10**6
#: Provider, model, cents for a million tokens in and out, window; in pairs from the small tier to the large one.
_MODELS: Final = (
    ("openai", "gpt-4o-mini", 15, 60, 128_000),
    ("google", "gemini-2.0-flash", 10, 40, 1_048_576),
    ("openai", "gpt-4.1-mini", 40, 160, 1_047_576),
    ("anthropic", "claude-haiku-4.5", 100, 500, 200_000),
    ("openai", "gpt-4.1", 200, 800, 1_047_576),
    ("anthropic", "claude-sonnet-4.5", 300, 1_500, 200_000),
)
_NAMES: Final = tuple(f"{provider}:{model}" for provider, model, *_ in _MODELS)
_TIERS: Final = {"small": _NAMES[:2], "medium": _NAMES[2:4], "large": _NAMES[4:]}
_PATTERNS: Final = ("hard", "soft", "cascade")


def rule_all(tag: "Tag", slug: str) -> None:
    """A whole rule book: 3 classes over 3 tiers of 6 models, run limits, 20 rules on tools, 2 quotas on actions, the
    low-water mark, and a rate limit that the load does not reach.
    """
    policies: dict[PolicyKind, dict[str, Any]] = {
        PolicyKind.LIMITS: {
            "limits": {
                "input_tokens_max": 100_000,
                "output_tokens_max": 8_000,
                "runs_per_day_max": ENDLESS,
                "concurrent_runs_max": ENDLESS,
            },
            "run": {"iterations_max": 25, "tokens_max": 2_000_000, "wall_seconds_max": 3_600, "fallback": "escalate"},
            "rate": [_bucket(capacity=ENDLESS, per_minute=ENDLESS)],
        },
        PolicyKind.ROUTING: {
            "tiers": {tier: list(names) for tier, names in _TIERS.items()},
            "classes": {
                name: _traffic_class(tier, pattern)
                for name, tier, pattern in zip(CLASSES, _TIERS, _PATTERNS, strict=True)
            },
            "default_class": CLASSES[1],
            "hint_confidence_min_ppm": 800_000,
            "models": {name: {"capabilities": ["tools", "streaming", "json"]} for name in _NAMES},
            "low_water": {},
        },
        PolicyKind.TOOLS: {
            "default": "allow",
            "rules": [{"pattern": pattern, "verdict": verdict} for pattern, verdict in RULES],
        },
    }
    # The api lets nobody save a quota that a few minutes of the load do not reach, so this part is made without it.
    _publish(tag, _compiled(slug, policies) | {"actions": action_rules(_actions(), slug=slug)})


def limit_rate(tag: "Tag", slug: str, *, per_second: int) -> None:
    """No rule but a rate limit on the tenant's requests, with bursts of a second's worth."""
    limits = {"rate": [_bucket(capacity=per_second, per_minute=60 * per_second)]}
    _publish(tag, _compiled(slug, {PolicyKind.LIMITS: limits}))


def _compiled(slug: str, policies: dict[PolicyKind, dict[str, Any]]) -> dict[str, Any]:
    sources = {kind: PolicySource(version=1, document=document) for kind, document in policies.items()}
    book = PriceBook(layers={PriceSource.LIST: layer_of(_price(*model) for model in _MODELS)}, multipliers={})
    return compile_ruleset(Sources(slug=slug, plan=None, policies=sources, book=book))


def _publish(tag: "Tag", document: dict[str, Any]) -> None:
    with in_tenant(tag), open_journal(actor=ACTOR) as journal:
        publish(journal, document=document)


def _bucket(*, capacity: int, per_minute: int) -> dict[str, Any]:
    return {
        "name": "requests",
        "level": "tenant",
        "counts": "requests",
        "capacity": capacity,
        "per_minute": per_minute,
    }


def _traffic_class(tier: str, pattern: str) -> dict[str, Any]:
    return {
        "tier": tier,
        "pattern": pattern,
        "iterations_max": 20,
        "input_tokens_max": 32_000,
        "output_tokens_max": 1_000,
        "output_tokens_p99": 400,
        "priority": "normal",
        "context_target_tokens": 16_000,
        "timeouts": {
            "sla_ms": 25_000,
            "model_ms": 6_000,
            "model_calls": 3,
            "overhead_ms": 500,
            "margin_ms": 1_500,
            "tools": {"crm.read": 3_000, "orders.read": 1_200},
        },
        "fallback": "interim_message",
    }


def _price(provider: str, model: str, cents_in: int, cents_out: int, window: int) -> Price:
    standard = {
        "input": cents_in * _CENT,
        "cached_input": cents_in * _CENT // 10,
        "cache_write": cents_in * _CENT * 5 // 4,
        "output": cents_out * _CENT,
    }
    plain = Price(
        provider=provider,
        model=model,
        source=PriceSource.LIST,
        version="bench",
        rates={"standard": standard, "batch": {kind: rate // 2 for kind, rate in standard.items()}},
        tool_fees={"web_search": _CENT},
        context_window=window,
    )
    if window < _MILLION:
        return plain
    longer = {"standard_long": {kind: rate * 2 for kind, rate in standard.items()}}
    return replace(plain, long_context_from=200_000, rates={**plain.rates, **longer})


def _actions() -> ActionPolicy:
    everywhere = Policy(
        id="everywhere",
        denied_action_kinds=("db.drop", "fs.wipe"),
        action_quotas=(ActionQuota(action_kind="llm.completion", max_calls=ENDLESS, window=Window.PER_DAY),),
        risk_class_quotas=(
            RiskClassQuota(risk_class=RiskClass.SIDE_EFFECT, max_calls=ENDLESS, window=Window.PER_HOUR),
        ),
    )
    return ActionPolicy(policies=(everywhere,), risk_classes={"db.write": RiskClass.LOCAL_MUTATION})
