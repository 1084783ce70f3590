"""Runs of the tenant whose schema the connection is in, the latest at work first."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from budgets.models import Reservation, Ruleset, Run


class RunState(StrEnum):
    """RUNNING: its lease has not ended. STOPPED: it came to one of its limits. OVER: neither."""

    RUNNING = "running"
    STOPPED = "stopped"
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """What the books count of a run. `lease_until` is about when it was last at work."""

    run_id: str
    state: RunState
    started_at: datetime
    lease_until: datetime
    iterations: int
    tokens: int
    gave_up_code: str | None
    gave_up_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs: in one state, of one agent, that began from `since` on and before `until`. None for all."""

    state: RunState | None = None
    agent: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunPage:
    """`next_before` is the run id to ask from for the next page, None on the last one."""

    runs: tuple[RunLine, ...]
    next_before: str | None


def run_page(wanted: RunFilter, *, now: datetime, before: str | None = None, limit: int) -> RunPage:
    """Runs behind the one with the id `before`. One query, two from the second page on."""
    found = _matching(wanted, now=now)
    if before is not None:
        last = Run.objects.filter(pk=before).values_list("lease_until", flat=True).first()
        if last is None:
            return RunPage((), None)
        found = found.filter(Q(lease_until__lt=last) | Q(lease_until=last, run_id__lt=before))
    lines = [_line(run, now=now) for run in found[: limit + 1]]
    return RunPage(tuple(lines[:limit]), next_before=lines[limit - 1].run_id if len(lines) > limit else None)


def run_line(run_id: str, *, now: datetime) -> tuple[RunLine, dict[str, int]] | None:
    """The run, and what the rules allow it: `iterations_max`, `tokens_max`, `wall_seconds_max` where there is a limit.

    One query.
    """
    rules = Ruleset.objects.filter(pk=1).values("document__run")[:1]
    run = Run.objects.annotate(rules=Subquery(rules)).filter(pk=run_id).first()
    if run is None:
        return None
    limits = {name: limit for name, limit in (run.rules or {}).items() if name.endswith("_max")}
    return _line(run, now=now), {name: limit for name, limit in limits.items() if isinstance(limit, int)}


def _matching(wanted: RunFilter, *, now: datetime) -> QuerySet[Run]:
    found = Run.objects.order_by("-lease_until", "-run_id")
    if wanted.state == RunState.RUNNING:
        found = found.filter(lease_until__gt=now, gave_up_at=None)
    elif wanted.state == RunState.STOPPED:
        found = found.exclude(gave_up_at=None)
    elif wanted.state == RunState.OVER:
        found = found.filter(lease_until__lte=now, gave_up_at=None)
    if wanted.since is not None:
        # A lease ends after its run began: this part has an index.
        found = found.filter(lease_until__gte=wanted.since, started_at__gte=wanted.since)
    if wanted.until is not None:
        found = found.filter(started_at__lt=wanted.until)
    if wanted.agent:
        of_agent: Q = Q(scope_path__endswith=f"/agent:{wanted.agent}") | Q(
            scope_path__contains=f"/agent:{wanted.agent}/"
        )
        held: QuerySet[Any] = Reservation.objects.filter(of_agent, run_id=OuterRef("run_id"))
        found = found.filter(Exists(held))
    return found


def _line(run: Run, *, now: datetime) -> RunLine:
    state = RunState.RUNNING if run.lease_until > now else RunState.OVER
    return RunLine(
        run_id=run.run_id,
        state=RunState.STOPPED if run.gave_up_at is not None else state,
        started_at=run.started_at,
        lease_until=run.lease_until,
        iterations=run.iterations,
        tokens=run.tokens,
        gave_up_code=run.gave_up_code,
        gave_up_at=run.gave_up_at,
    )
