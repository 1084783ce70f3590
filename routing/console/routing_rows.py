"""Tiers, traffic classes and tool rules as pages show them."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import UNSET

from budgets.selectors.usage import UsageSums
from budgets.services.routing_policy import RoutingPolicy, TierName
from budgets.services.rule_parts import as_document
from budgets.services.tool_policy import ToolPolicy
from kernel.pages.amounts import counted_text
from kernel.pages.bars import Tone
from kernel.pages.moments import duration_text
from routing.console.limit_words import plain_value
from routing.rules.effective import EffectiveRules
from routing.services.compiled_routes import timeouts_of

_CAPS = {
    "input_tokens_max": "input",
    "output_tokens_max": "output",
    "iterations_max": "iterations",
    "context_target_tokens": "context target",
}
VERDICTS = {"allow": ("Allowed", Tone.GOOD), "deny": ("Denied", Tone.BAD), "gated": ("Needs approval", Tone.WARN)}


@dataclass(frozen=True, slots=True)
class TierRow:
    """`refused` are models that the tenant's plan does not allow."""

    name: str
    models: tuple[str, ...]
    refused: tuple[str, ...]
    falls_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """`observed` is what calls of the class used of late, where that is known."""

    name: str
    tier: str
    pattern: str
    caps: str
    priority: str
    longest: str
    fallback: str
    is_default: bool
    observed: UsageSums | None = None


@dataclass(frozen=True, slots=True)
class ToolRow:
    position: int
    pattern: str
    verdict: str
    tone: Tone


def tier_rows(policy: RoutingPolicy, rules: EffectiveRules | None = None) -> list[TierRow]:
    rows = []
    for tier in TierName:
        models = policy.tiers.get(tier, ())
        usable = models if rules is None else rules.usable(models)
        falls_to = policy.fallbacks.get(tier)
        if models or falls_to:
            refused = tuple(name for name in models if name not in usable)
            rows.append(TierRow(str(tier), tuple(usable), refused, str(falls_to or "")))
    return rows


def class_rows(policy: RoutingPolicy, observed: Mapping[str, UsageSums] | None = None) -> list[ClassRow]:
    rows = []
    for name, traffic in policy.classes.items():
        plain = as_document(traffic)
        timeouts = timeouts_of(traffic)
        caps = [f"{words} {plain_value(cap, plain[cap])}" for cap, words in _CAPS.items() if cap in plain]
        longest = "—"
        if timeouts is not None:
            longest = f"{duration_text(timeouts.total_ms)} of {duration_text(timeouts.sla_ms)}"
        rows.append(
            ClassRow(
                name=name,
                tier=str(traffic.tier),
                pattern=str(traffic.pattern),
                caps=", ".join(caps) or "none",
                priority=plain.get("priority", "the tenant's"),
                longest=longest,
                fallback=plain_value("fallback", plain["fallback"]) if "fallback" in plain else "—",
                is_default=policy.default_class is not UNSET and policy.default_class == name,
                observed=None if observed is None else observed.get(name),
            )
        )
    return rows


def tool_rows(policy: ToolPolicy) -> list[ToolRow]:
    """The rules in the order in which they are asked, the default last."""
    rules = [(rule.pattern, str(rule.verdict)) for rule in policy.rules]
    return [
        ToolRow(position, pattern, *VERDICTS[verdict])
        for position, (pattern, verdict) in enumerate([*rules, ("every other tool", str(policy.default))], start=1)
    ]


def rules_text(policy: ToolPolicy) -> str:
    """`others denied; 3 rules`."""
    return f"{counted_text(len(policy.rules), 'rule')}, others {VERDICTS[str(policy.default)][0].lower()}"
