"""What others have found about a tenant and keep beside its books: receivers that were given up, credentials that fail,
spans that should not be. They lie below this app and cannot tell it, so it looks.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time
from typing import Final
from urllib.parse import urlsplit

from budgets.models.choices import AlertKind, Severity
from budgets.services.alert_findings import Finding
from budgets.services.alert_rules import Rules
from budgets.services.evidence_findings import TOLD, evidence_finding
from telemetry.evidence.selectors.notes import notes_since
from telemetry.selectors.webhooks import SUBSCRIPTIONS_MAX, subscriptions
from telemetry.webhook_states import WebhookStatus
from vault.selectors.references import Health, reference_lines

_REFERENCES_MAX: Final = 500
_NOTES_MAX: Final = 1_000
#: Nobody has looked yet, or nobody has set it up: that is no failure.
_FINE: Final = frozenset({Health.UNKNOWN, Health.GOOD, Health.NOT_SET_UP})


def neighbour_findings(*, rules: Rules, scope_path: str, now: datetime) -> Iterator[Finding]:
    """Of the tenant whose schema the connection is in. At most three queries."""
    if rules.thresholds(AlertKind.WEBHOOK_PAUSED):
        yield from _receivers(scope_path)
    if rules.thresholds(AlertKind.CREDENTIAL_UNHEALTHY):
        yield from _credentials(scope_path, now)
    if rules.thresholds(AlertKind.EVIDENCE_LEAK):
        yield from _leaks(scope_path, now)


def _receivers(scope_path: str) -> Iterator[Finding]:
    # Whoever closes a tenant takes its receivers with it.
    gone = subscriptions().filter(status=WebhookStatus.DISABLED).exclude(status_reason="tenant_closed")
    for each in gone[:SUBSCRIPTIONS_MAX]:
        # The rest of the address may hold a secret.
        host = urlsplit(each.url).hostname or "a receiver"
        yield Finding(
            kind=AlertKind.WEBHOOK_PAUSED,
            subject=f"webhook:{each.pk}",
            period="",
            severity=Severity.WARNING,
            summary=f"Events no longer go to {host}: it failed too often. Resume its webhook once it answers again.",
            scope_path=scope_path,
            facts={"subscription_id": str(each.pk), "reason": each.status_reason},
        )


def _credentials(scope_path: str, now: datetime) -> Iterator[Finding]:
    for line in reference_lines(limit=_REFERENCES_MAX):
        health = line.health_now(now=now)
        if not line.is_revoked and health not in _FINE:
            yield Finding(
                kind=AlertKind.CREDENTIAL_UNHEALTHY,
                subject=f"credential:{line.id}",
                period="",
                severity=Severity.WARNING,
                summary=f"The credential {line.name} for {line.scope} cannot be handed out: {health.label.lower()}.",
                scope_path=scope_path,
                facts={"reference_id": str(line.id), "health": health},
            )


def _leaks(scope_path: str, now: datetime) -> Iterator[Finding]:
    """Of today (UTC), as they are noted; once a day, and by nobody but people said to be over."""
    today = now.astimezone(UTC).date()
    notes = notes_since(datetime.combine(today, time(), UTC), limit=_NOTES_MAX)
    for kind in TOLD:
        count = sum(note.count for note in notes if note.kind == kind)
        if count:
            yield evidence_finding(kind, spans=count, scope_path=scope_path, now=now)
