"""Shadow mode in words, and the spans of time that its pages look back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest

from accounts.console.place import place_of
from budgets.console.wording import path_within_tenant
from budgets.services.shadow_policy import ShadowPolicy, read_shadow_policy
from kernel.pages.bars import Tone
from routing.console.acts import asked

SPANS: Final[Mapping[str, timedelta]] = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
DEFAULT_SPAN: Final = "7d"
_SPAN_WORDS: Final = {"24h": "24 h", "7d": "7 days", "30d": "30 days"}


@dataclass(frozen=True, slots=True)
class ShadowState:
    """Whether anything is in shadow, as a chip and in words."""

    word: str
    tone: Tone
    words: str
    is_any: bool
    enforce_from: datetime | None


def shadow_state(document: Mapping[str, Any] | None, *, slug: str, now: datetime) -> ShadowState:
    """What a tenant's newest shadow policy says, where it has one."""
    policy = read_shadow_policy(document or {}, slug=slug)
    if not policy.is_any or policy.is_over(now):
        return ShadowState("Enforced", Tone.GOOD, "everything is enforced", False, None)
    until = policy.enforce_from if isinstance(policy.enforce_from, datetime) else None
    if policy.is_on:
        return ShadowState("In shadow", Tone.WARN, "nothing of the tenant is blocked", True, until)
    return ShadowState("In part", Tone.WARN, _parts(policy), True, until)


def _parts(policy: ShadowPolicy) -> str:
    parts = []
    if policy.checks:
        parts.append(f"checks: {', '.join(map(str, policy.checks))}")
    if policy.scopes:
        parts.append(f"scopes: {', '.join(map(path_within_tenant, policy.scopes))}")
    return "; ".join(parts)


def asked_span(request: HttpRequest) -> str:
    within = asked(request, "within")
    return within if within in SPANS else DEFAULT_SPAN


def span_context(span: str) -> dict[str, object]:
    return {"within": span, "span": _SPAN_WORDS[span], "spans": list(_SPAN_WORDS.items())}


def shadow_frame(request: HttpRequest) -> dict[str, object]:
    """What each of a tenant's pages about shadow mode is given."""
    place = place_of(request)
    return {
        "section": "tenants" if place.is_ops else "limits",
        "tab": "limits",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
    }
