"""The worker's visits to one tenant's evidence: count its spans at the tenant's prices, and forget old ones."""

from collections.abc import Callable
from datetime import datetime

from budgets.services.evidence import SETTLES_AFTER
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from routing.services.observed_costs import observed_costs
from telemetry.evidence.selectors.rollups import oldest_uncounted
from telemetry.evidence.services.counting import count_spans
from telemetry.evidence.services.forgetting import Keeping, forget_spans
from telemetry.findings.services.standing import end_visit, note_evidence
from telemetry.services.archiving import alone


def visit_evidence(*, tag: Tag, ends_at: datetime, now: datetime, has_time: Callable[[], bool]) -> bool:
    """Count what has settled by `now`; whether that is all. `ends_at` is what the visit was given out with."""
    with in_tenant(tag):
        is_done = count_spans(
            prices=lambda calls: observed_costs(tag, calls), until=now - SETTLES_AFTER, has_time=has_time
        )
        waits_since = oldest_uncounted()
    due_at = None if waits_since is None else max(waits_since + SETTLES_AFTER, now)
    end_visit(tag=tag, ends_at=ends_at, due_at=due_at)
    return is_done


def sweep_evidence(*, tag: Tag, keeping: Keeping, now: datetime, has_time: Callable[[], bool]) -> int:
    """See that nothing of one tenant was left uncounted because its note was lost, and forget what is old."""
    forgotten = 0
    with in_tenant(tag):
        waits_since = oldest_uncounted()
    # First, because what stands in the way of forgetting does not keep anything from being counted.
    if waits_since is not None:
        note_evidence(tag=tag, due_at=waits_since + SETTLES_AFTER, leaks=0, foreign=0, now=waits_since)
    with in_tenant(tag), alone(tag) as is_alone:
        if is_alone:
            forgotten = forget_spans(owner=tag, keeping=keeping, now=now, has_time=has_time)
    return forgotten
