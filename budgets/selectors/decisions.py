"""Decisions of the tenant whose schema the connection is in: lists of them, newest first."""

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from budgets.models import Decision
from budgets.models.choices import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLine:
    """One decision in a list. `failed_scope` is the scope that refused, where one did.

    `would_deny` is the refusal that shadow mode let through.
    """

    id: UUID
    at: datetime
    endpoint: str
    verdict: Verdict
    reason_code: str | None
    scope_path: str | None
    failed_scope: str | None
    unit: str | None
    amount: int | None
    run_id: str | None
    api_key_id: str | None
    would_deny: str | None


@dataclass(frozen=True, slots=True)
class DecisionPage:
    """Decisions, newest first; `next_before` is where the next page begins, None on the last one."""

    decisions: tuple[DecisionLine, ...]
    next_before: UUID | None


_COLUMNS = tuple(field.name for field in fields(DecisionLine))


def recent_decisions(*, before: UUID | None = None, limit: int) -> DecisionPage:
    """All decisions in order of their ids, which are made in order of time. One query."""
    found = Decision.objects.order_by("-id")
    if before is not None:
        found = found.filter(id__lt=before)
    return _page(found, limit)


def recent_denials(
    *, since: datetime | None = None, reason_code: str | None = None, before: UUID | None = None, limit: int
) -> DecisionPage:
    """Refused calls in order of time. One query along their index, two from the second page on."""
    found = Decision.objects.filter(verdict=Verdict.DENY).order_by("-at", "-id")
    if since is not None:
        found = found.filter(at__gte=since)
    if reason_code is not None:
        found = found.filter(reason_code=reason_code)
    if before is not None:
        last_at = Decision.objects.filter(pk=before).values_list("at", flat=True).first()
        if last_at is None:
            return DecisionPage(decisions=(), next_before=None)
        found = found.filter(Q(at__lt=last_at) | Q(at=last_at, id__lt=before))
    return _page(found, limit)


def denials_of_run(run_id: str, *, since: datetime | None, limit: int = 50) -> tuple[DecisionLine, ...]:
    """The newest calls of a run that were refused since it began. One query, along the index of refusals."""
    found = Decision.objects.filter(verdict=Verdict.DENY, run_id=run_id).order_by("-at", "-id")
    if since is not None:
        found = found.filter(at__gte=since)
    return tuple(_line(decision) for decision in found.only(*_COLUMNS)[:limit])


def _page(found: QuerySet[Decision], limit: int) -> DecisionPage:
    lines = [_line(decision) for decision in found.only(*_COLUMNS)[: limit + 1]]
    return DecisionPage(decisions=tuple(lines[:limit]), next_before=lines[limit - 1].id if len(lines) > limit else None)


def _line(decision: Decision) -> DecisionLine:
    return DecisionLine(
        id=decision.id,
        at=decision.at,
        endpoint=decision.endpoint,
        verdict=Verdict(decision.verdict),
        reason_code=decision.reason_code,
        scope_path=decision.scope_path,
        failed_scope=decision.failed_scope,
        unit=decision.unit,
        amount=decision.amount,
        run_id=decision.run_id,
        api_key_id=decision.api_key_id,
        would_deny=decision.would_deny,
    )
