"""What is found about a tenant as a whole: how long its money lasts, how fast it goes, how much is refused. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from budgets.models.choices import AlertKind, Severity
from budgets.services.alert_findings import Finding, Key
from budgets.services.alert_rules import Rules
from budgets.services.alert_spans import LASTS, span_text
from kernel.pages.amounts import amount_text, share_text

#: Fewer refusals than this in an hour are no spike; it is over below half of them.
DENIED_MIN: Final = 20
#: Less than this share of the allocation in an hour is no unusual spend, however quiet the week was.
UNUSUAL_MIN_PPM: Final = 10_000
_PPM: Final = 1_000_000
#: What is open recovers below four fifths of what opens it.
_LEAVE: Final = (4, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSight:
    """How the tenant stands: its own budget in `unit`, which is empty without one, and its last hour.

    `period` names the period that is under way, or the local day where the budget has none; `day` is the local day.
    """

    as_of: datetime
    scope_path: str
    unit: str
    allocated: int
    remaining: int
    period: str
    period_ends_at: datetime
    day: str
    day_ends_at: datetime
    spent_hour: int
    mean_hour: int
    calls_hour: int
    denied_hour: int
    denied_causes: Mapping[str, int]
    exhausts_at: datetime | None
    top_agent: str

    @property
    def lasts_s(self) -> int | None:
        """Seconds until nothing remains; None where the period ends first, or nobody spends."""
        return None if self.exhausts_at is None else max(int((self.exhausts_at - self.as_of).total_seconds()), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiringKey:
    """A key that works, and until when."""

    key_id: str
    name: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiringCredential:
    """A reference that is handed out, and until when."""

    reference_id: str
    name: str
    scope: str
    expires_at: datetime


def tenant_findings(sight: TenantSight, *, rules: Rules, is_open: frozenset[Key]) -> Iterator[Finding]:
    """Forecast, unusual spend, refusals."""
    for kind, judge in _JUDGES:
        for threshold in rules.thresholds(kind):
            if (found := judge(sight, threshold, is_open)) is not None:
                yield found


def key_findings(keys: Iterable[ExpiringKey], *, rules: Rules, now: datetime) -> Iterator[Finding]:
    """Keys that expire within one of the rule's times; the shortest one warns."""
    thresholds = rules.thresholds(AlertKind.KEY_EXPIRING)
    for key in keys:
        name = f"{key.name} ({key.key_id})" if key.name else key.key_id
        for threshold in thresholds:
            if (key.expires_at - now).total_seconds() > threshold:
                continue
            yield Finding(
                kind=AlertKind.KEY_EXPIRING,
                subject=f"key:{key.key_id}",
                threshold=threshold,
                period=key.expires_at.isoformat(),
                period_ends_at=key.expires_at,
                severity=Severity.WARNING if threshold == thresholds[0] else Severity.NOTICE,
                summary=f"The key {name} expires within {span_text(threshold)}. Make a new one in time.",
                facts={"key_id": key.key_id, "expires_at": key.expires_at.isoformat()},
            )


def credential_findings(credentials: Iterable[ExpiringCredential], *, rules: Rules, now: datetime) -> Iterator[Finding]:
    """References that expire within one of the rule's times; the shortest one warns."""
    thresholds = rules.thresholds(AlertKind.CREDENTIAL_EXPIRING)
    for each in credentials:
        for threshold in thresholds:
            if (each.expires_at - now).total_seconds() > threshold:
                continue
            yield Finding(
                kind=AlertKind.CREDENTIAL_EXPIRING,
                subject=f"credential:{each.reference_id}",
                threshold=threshold,
                period=each.expires_at.isoformat(),
                period_ends_at=each.expires_at,
                severity=Severity.WARNING if threshold == thresholds[0] else Severity.NOTICE,
                summary=f"The credential {each.name} for {each.scope} expires within {span_text(threshold)}."
                " Add its successor in time.",
                facts={"reference_id": each.reference_id, "expires_at": each.expires_at.isoformat()},
            )


def _forecast(sight: TenantSight, threshold: int, is_open: frozenset[Key]) -> Finding | None:
    lasts_s = sight.lasts_s
    # What is used up already has an alert of its own.
    if lasts_s is None or sight.remaining <= 0:
        return None
    left = amount_text(sight.remaining, sight.unit)
    found = Finding(
        kind=AlertKind.EXHAUSTION_FORECAST,
        threshold=threshold,
        severity=Severity.WARNING,
        summary=f"The tenant's own budget lasts {span_text(lasts_s)} more at the pace of the last hour: {left} left.",
        facts={"lasts_s": lasts_s, "remaining": sight.remaining, "spent_hour": sight.spent_hour},
        **_of_tenant(sight) | {"period": sight.period, "period_ends_at": sight.period_ends_at},
    )
    ratio, whole = LASTS if found.key in is_open else (1, 1)
    return found if lasts_s * whole <= threshold * ratio else None


def _burn_rate(sight: TenantSight, threshold: int, is_open: frozenset[Key]) -> Finding | None:
    if sight.mean_hour <= 0:
        return None
    times = sight.spent_hour / sight.mean_hour
    spent, mean = (amount_text(amount, sight.unit) for amount in (sight.spent_hour, sight.mean_hour))
    agent = f", most of it by agent {sight.top_agent}" if sight.top_agent else ""
    found = Finding(
        kind=AlertKind.BURN_RATE,
        threshold=threshold,
        severity=Severity.WARNING,
        summary=f"{spent} were spent in the last hour, {times:.1f} times the mean of seven days ({mean}){agent}.",
        facts={"spent_hour": sight.spent_hour, "mean_hour": sight.mean_hour, "lasts_s": sight.lasts_s},
        **_of_tenant(sight),
    )
    if found.key in is_open:
        share, whole = _LEAVE
        return found if sight.spent_hour * _PPM * whole >= threshold * sight.mean_hour * share else None
    is_much = sight.spent_hour * _PPM >= sight.allocated * UNUSUAL_MIN_PPM
    return found if is_much and sight.spent_hour * _PPM >= threshold * sight.mean_hour else None


def _denials(sight: TenantSight, threshold: int, is_open: frozenset[Key]) -> Finding | None:
    asked = sight.denied_hour + sight.calls_hour
    if not asked:
        return None
    share = share_text(sight.denied_hour * 100 // asked * 10_000)
    worst = max(sight.denied_causes, key=lambda code: (sight.denied_causes[code], code), default="")
    cause = f", most often {worst}" if worst else ""
    found = Finding(
        kind=AlertKind.DENIAL_SPIKE,
        threshold=threshold,
        severity=Severity.WARNING,
        summary=f"{share} of the calls of the last hour were refused, {sight.denied_hour:,} of {asked:,}{cause}.",
        facts={"denied_hour": sight.denied_hour, "asked_hour": asked, "causes": dict(sight.denied_causes)},
        **_of_tenant(sight),
    )
    share_left, whole = _LEAVE if found.key in is_open else (1, 1)
    least = DENIED_MIN // 2 if found.key in is_open else DENIED_MIN
    is_spike = sight.denied_hour * _PPM * whole >= threshold * asked * share_left
    return found if sight.denied_hour >= least and is_spike else None


def _of_tenant(sight: TenantSight) -> dict[str, Any]:
    return {
        "subject": "tenant",
        "period": sight.day,
        "period_ends_at": sight.day_ends_at,
        "scope_path": sight.scope_path,
        "unit": sight.unit,
    }


_JUDGES: Final = (
    (AlertKind.EXHAUSTION_FORECAST, _forecast),
    (AlertKind.BURN_RATE, _burn_rate),
    (AlertKind.DENIAL_SPIKE, _denials),
)
