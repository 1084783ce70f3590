"""Alerts as lists show them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from budgets.console.wording import path_within_tenant
from budgets.models.choices import AlertKind, AlertState, ChannelKind, Severity
from budgets.selectors.alerts import AlertLine
from kernel.pages.bars import Tone

KIND_WORDS: Final[Mapping[AlertKind, str]] = {
    AlertKind.BUDGET_THRESHOLD: "Budget use",
    AlertKind.LOW_WATER: "Low-water mark",
    AlertKind.EXHAUSTION_FORECAST: "Runs out soon",
    AlertKind.BURN_RATE: "Unusual spend",
    AlertKind.DENIAL_SPIKE: "Many denials",
    AlertKind.ROUTER_ACCURACY: "Router accuracy",
    AlertKind.KEY_EXPIRING: "Key expires",
    AlertKind.CREDENTIAL_EXPIRING: "Credential expires",
    AlertKind.LEDGER_DIFFERENCE: "Ledger differs",
    AlertKind.EVIDENCE_LEAK: "Evidence of a leak",
    AlertKind.WEBHOOK_PAUSED: "Webhook paused",
    AlertKind.CREDENTIAL_UNHEALTHY: "Credential fails",
    AlertKind.USAGE_DIFFERENCE: "Usage differs",
}
CHANNEL_WORDS: Final[Mapping[ChannelKind, str]] = {
    ChannelKind.EMAIL: "Mail",
    ChannelKind.SLACK: "Slack",
    ChannelKind.WEBHOOK: "Webhook",
}
_SEVERITIES: Final[Mapping[Severity, Tone]] = {
    Severity.NOTICE: Tone.INFO,
    Severity.WARNING: Tone.WARN,
    Severity.CRITICAL: Tone.BAD,
}
_ENDINGS: Final[Mapping[AlertState, tuple[str, Tone]]] = {
    AlertState.RECOVERED: ("Recovered", Tone.GOOD),
    AlertState.RESOLVED: ("Resolved", Tone.CALM),
}


@dataclass(frozen=True, slots=True)
class AlertRow:
    """`scope` is empty where the alert is about no part of the tenant; `ending` while it is open."""

    alert: AlertLine
    kind: str
    scope: str
    severity: str
    tone: Tone
    ending: tuple[str, Tone] | None


def alert_rows(alerts: Iterable[AlertLine]) -> list[AlertRow]:
    return [
        AlertRow(
            alert=one,
            kind=KIND_WORDS[one.kind],
            scope=path_within_tenant(one.scope_path) if one.scope_path else "",
            severity=one.severity.label,
            tone=_SEVERITIES[one.severity],
            ending=_ENDINGS.get(one.state),
        )
        for one in alerts
    ]
