"""What others have found about a tenant and keep beside its books: receivers that were given up, credentials that fail,
spans that should not be. They lie below this app and cannot tell it, so it looks.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from urllib.parse import urlsplit

from budgets.models.choices import AlertKind, Severity
from budgets.services.alert_findings import Finding
from budgets.services.alert_rules import Rules
from budgets.services.evidence_findings import TOLD, evidence_finding
from telemetry.evidence.kinds import NoteKind
from telemetry.evidence.selectors.notes import notes_since
from telemetry.selectors.webhooks import SUBSCRIPTIONS_MAX, subscriptions
from telemetry.webhook_states import WebhookStatus
from vault.selectors.references import Health, reference_lines

_REFERENCES_MAX: Final = 500
_NOTES_MAX: Final = 1_000
#: Nobody has looked yet, or nobody has set it up: that is no failure.
_FINE: Final = frozenset({Health.UNKNOWN, Health.GOOD, Health.NOT_SET_UP})


def neighbour_findings(
    *, rules: Rules, scope_path: str, now: datetime, looked_at: datetime | None
) -> Iterator[Finding]:
    """Of the tenant whose schema the connection is in. `looked_at` is the last look's time. At most three queries."""
    if rules.thresholds(AlertKind.WEBHOOK_PAUSED):
        yield from _receivers(scope_path)
    if rules.thresholds(AlertKind.CREDENTIAL_UNHEALTHY):
        yield from _credentials(scope_path, now)
    if rules.thresholds(AlertKind.EVIDENCE_LEAK):
        yield from _leaks(scope_path, (looked_at or now - timedelta(days=1)).astimezone(UTC).date())


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


def _leaks(scope_path: str, since: date) -> Iterator[Finding]:
    """Of the last look's day (UTC) and of those behind it; once a day, and by nobody but people said to be over."""
    counts: Counter[tuple[date, NoteKind]] = Counter()
    for note in notes_since(datetime.combine(since, time(), UTC), limit=_NOTES_MAX):
        if note.kind in TOLD:
            counts[note.day, note.kind] += note.count
    for (day, kind), count in sorted(counts.items()):
        at = datetime.combine(day, time(), UTC)
        yield evidence_finding(kind, spans=count, scope_path=scope_path, now=at)
