"""How an alert is told by webhook: the protocol's event where it has one, else one below `custom.`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from budgets.models import Alert
from budgets.models.choices import AlertKind
from telemetry.services.outbox import Event

_PPM: Final = 1_000_000
#: Kinds for which the protocol has no event. Its consumers ignore names that they do not know.
_OWN: Final[Mapping[AlertKind, str]] = {
    AlertKind.LOW_WATER: "custom.budget.low_water",
    AlertKind.EXHAUSTION_FORECAST: "custom.budget.exhaustion_forecast",
    AlertKind.ROUTER_ACCURACY: "custom.router.accuracy_low",
    AlertKind.KEY_EXPIRING: "custom.api_key.expiring",
    AlertKind.CREDENTIAL_EXPIRING: "custom.credential.expiring",
    AlertKind.LEDGER_DIFFERENCE: "custom.ledger.difference",
    AlertKind.EVIDENCE_LEAK: "custom.evidence.leak",
    AlertKind.WEBHOOK_PAUSED: "custom.webhook.auto_paused",
    AlertKind.CREDENTIAL_UNHEALTHY: "custom.credential.unhealthy",
    AlertKind.USAGE_DIFFERENCE: "custom.usage.difference",
}


def event_of(alert: Alert, *, is_rising: bool = True) -> Event:
    """What the outbox is to tell of an alert that has opened, or with `is_rising` false of one that has recovered."""
    kind = AlertKind(alert.kind)
    event_type, content = _EVENTS[kind](alert) if kind in _EVENTS else (_OWN[kind], dict(alert.facts))
    if kind == AlertKind.BUDGET_THRESHOLD:
        content["direction"] = "rising" if is_rising else "falling"
        if not is_rising:
            event_type = "budget.threshold_crossed"
    return Event(event_type=event_type, content=content | _own_words(alert), scope_path=alert.scope_path)


def _own_words(alert: Alert) -> dict[str, Any]:
    return {"alert_id": str(alert.pk), "summary": alert.summary}


def _threshold(alert: Alert) -> tuple[str, dict[str, Any]]:
    facts = alert.facts
    event_type = "budget.exhausted" if alert.threshold >= _PPM else "budget.threshold_crossed"
    taken = facts["reserved"] + facts["spent"] + facts["debt"]
    return event_type, {
        "scope": alert.scope_path,
        "unit": alert.unit,
        "threshold": alert.threshold / _PPM,
        "utilization": (facts["reserved"] + facts["spent"]) / facts["allocated"],
        "allocated": facts["allocated"],
        "remaining": facts["allocated"] - taken,
        "spent": facts["spent"],
        "reserved": facts["reserved"],
    }


def _burn_rate(alert: Alert) -> tuple[str, dict[str, Any]]:
    facts = alert.facts
    content = {
        "scope": alert.scope_path,
        "unit": alert.unit,
        "current_rate": facts["spent_hour"] / 60,
        "baseline_rate": facts["mean_hour"] / 60,
        "multiplier": facts["spent_hour"] / facts["mean_hour"],
        "window_seconds": 3_600,
    }
    if facts.get("lasts_s") is not None:
        content["projected_exhaustion_minutes"] = facts["lasts_s"] / 60
    return "budget.burn_rate_anomaly", content


def _denial_spike(alert: Alert) -> tuple[str, dict[str, Any]]:
    facts = alert.facts
    return "reservation.denial_rate_spike", {
        "metric": "denial_rate",
        "current_rate": facts["denied_hour"] / 60,
        "threshold_rate": facts["asked_hour"] * alert.threshold / _PPM / 60,
        "window_seconds": 3_600,
        "sample_count": facts["asked_hour"],
    }


_EVENTS: Final[Mapping[AlertKind, Callable[[Alert], tuple[str, dict[str, Any]]]]] = {
    AlertKind.BUDGET_THRESHOLD: _threshold,
    AlertKind.BURN_RATE: _burn_rate,
    AlertKind.DENIAL_SPIKE: _denial_spike,
}
