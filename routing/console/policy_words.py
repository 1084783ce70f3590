"""Policies in words: what each kind decides, and what one version says in a line."""

from typing import Any, Final

from budgets.services.policies import PolicyKind
from kernel.pages.amounts import counted_text
from routing.console.limit_words import plain_value

KIND_WORDS: Final = {
    PolicyKind.LIMITS: "Limits in place of the plan's",
    PolicyKind.TOOLS: "Which tools may be called",
    PolicyKind.ACTIONS: "Which actions may be done, and how often",
    PolicyKind.ROUTING: "Tiers, classes and models",
    PolicyKind.SHADOW: "What is judged and blocks nothing",
    PolicyKind.ROUTER_SWITCH: "Sending everything to one tier",
}
FIELDS_OF: Final = {
    PolicyKind.LIMITS: "limits, run, rate, priority, on_exhaustion, share_weight, models",
    PolicyKind.TOOLS: "default, rules",
    PolicyKind.ACTIONS: "policies, risk_classes",
    PolicyKind.ROUTING: "tiers, fallbacks, classes, default_class, models, low_water, hint_confidence_min_ppm",
    PolicyKind.SHADOW: "is_on, checks, scopes, enforce_from",
    PolicyKind.ROUTER_SWITCH: "is_on, tier",
}


def summary_words(version: Any) -> str:
    """What the newest version says, in one line."""
    if version is None or not version.document:
        return "the plan's own"
    document = version.document
    match PolicyKind(version.kind):
        case PolicyKind.TOOLS:
            return plain_value("tools", document)
        case PolicyKind.ACTIONS:
            return counted_text(len(document.get("policies", ())), "action rule")
        case PolicyKind.SHADOW | PolicyKind.ROUTER_SWITCH:
            return "on" if document.get("is_on") else "in part" if set(document) - {"is_on", "tier"} else "off"
    return ", ".join(name.replace("_", " ") for name in document)
