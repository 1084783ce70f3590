"""`/ops/system/`: whether the platform's own parts work."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from kernel.metrics.recent import Recent, recent_decisions
from kernel.pages.moments import duration_text
from kernel.tenancy import in_public
from telemetry.selectors.outbox import waiting_events
from tenants.selectors.marks import Mark, marks
from tenants.selectors.platform_state import queue_state, seconds_since, versions
from tenants.selectors.standing import standing_totals
from tenants.selectors.verifications import unsound_books, verification_totals

#: A quiet tenant is not visited, a busy one every minute at least: older than this, somebody should look.
_LAG_WARN_S: Final = 300
#: Books are to be proven every night.
_PROOF_AGE_MAX: Final = timedelta(days=2)
_UNSOUND_MAX: Final = 10
_REASONS_MAX: Final = 5
_MARKS: Final = {
    "expiry": "Expiry of holds",
    "rollups": "Sums of the books",
    "webhooks": "Webhooks",
    "evidence": "Evidence spans",
    "periods": "New periods",
    "seals": "Seals",
}


@page(Act.SEE_PLATFORM)
def system(request: HttpRequest) -> HttpResponse:
    """Seven queries, one more where books are unsound, and two trips to Valkey."""
    now = datetime.now(UTC)
    queues, totals = queue_state(), standing_totals(now=now)
    lag_s = seconds_since(totals.oldest_as_of, now=now)
    with in_public():
        waiting = waiting_events()
    proven = verification_totals()
    context = {
        "section": "system",
        "place": place_of(request),
        "now": now,
        "queues": queues,
        "totals": totals,
        "lag": duration_text(lag_s * 1000) if lag_s is not None else "",
        "is_lagging": lag_s is not None and lag_s > _LAG_WARN_S,
        "unnoted": max(totals.tenants - totals.noted, 0),
        "waiting": waiting,
        "waiting_age": _since(waiting.since, now=now),
        "recent": _recent_words(recent_decisions(now_s=now.timestamp())),
        "marks": [(_MARKS.get(mark.name, mark.name), mark, *_late(mark)) for mark in marks()],
        "proven": proven,
        "proof_is_old": proven.oldest_at is not None and now - proven.oldest_at > _PROOF_AGE_MAX,
        "unsound": unsound_books(limit=_UNSOUND_MAX) if proven.unsound else (),
        "versions": versions(),
    }
    return render(request, "tenants/system.html", context)


def _since(at: datetime | None, *, now: datetime) -> str:
    seconds = seconds_since(at, now=now)
    return "" if seconds is None else duration_text(seconds * 1000)


def _late(mark: Mark) -> tuple[str, bool]:
    """How late the work is, in words, and whether somebody should look; no word where it is not a second."""
    return duration_text(int(mark.lag_s) * 1000) if mark.lag_s >= 1 else "", mark.lag_s > _LAG_WARN_S


def _recent_words(recent: Recent | None) -> dict[str, Any] | None:
    """The last minutes as the page says them; None while Valkey is away."""
    if recent is None:
        return None
    return {
        "minutes": recent.minutes,
        "decisions": recent.decisions,
        "p50": _milliseconds(recent.p50_s),
        "p99": _milliseconds(recent.p99_s),
        "refused": recent.refused[:_REASONS_MAX],
    }


def _milliseconds(seconds: float | None) -> str:
    # Taken from buckets, so a third digit would say more than is known.
    return "" if seconds is None else f"{seconds * 1000:.{1 if seconds < 0.01 else 0}f} ms"
