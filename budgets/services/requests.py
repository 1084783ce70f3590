"""Asking for more money, and answering: in one transaction with the money and with the platform's list of requests."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from budgets.models import Budget, BudgetRequest
from budgets.models.choices import BudgetStatus, RequestState
from budgets.services.funding import Funding, FundingOperation, fund
from budgets.services.guards import BudgetIsClosed
from budgets.services.journal import BudgetNotFound
from budgets.services.payloads import PayloadDiffers
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.money import Unit
from kernel.tenancy import in_tenant
from telemetry.services import audit
from tenants.services.open_requests import drop_open_request, note_open_request


class RequestNotFound(Exception):
    """The tenant has no request with this id."""


class RequestAnswered(Exception):
    """Somebody has answered it before, otherwise; the exception's text is the state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for: `amount` of `unit` more at `scope_path`. The id is the form's own."""

    id: UUID
    scope_path: str
    unit: Unit
    amount: int


def ask_for_money(*, tag: Tag, asked: Asked, actor: Actor, now: datetime) -> bool:
    """Put the request before the operators; False where this id has asked for the same before.

    Raises `PayloadDiffers` where the id has asked for something else, here or in another tenant, `BudgetNotFound` or
    `BudgetIsClosed`.
    """
    with transaction.atomic(), in_tenant(tag):
        budget = Budget.objects.filter(scope_path=asked.scope_path, unit=asked.unit).first()
        if budget is None:
            raise BudgetNotFound(asked.scope_path)
        if budget.status == BudgetStatus.CLOSED:
            raise BudgetIsClosed(asked.scope_path)
        kept, is_new = BudgetRequest.objects.get_or_create(
            id=asked.id,
            defaults={
                "scope_path": asked.scope_path,
                "unit": asked.unit,
                "amount": asked.amount,
                "reason": actor.reason,
                "asked_by": actor.name,
                "asked_at": now,
            },
        )
        if not is_new:
            before = (kept.scope_path, kept.unit, kept.amount, kept.reason)
            if before != (asked.scope_path, asked.unit, asked.amount, actor.reason):
                raise PayloadDiffers
            return False
        after = {"scope": asked.scope_path, "unit": asked.unit, "amount": asked.amount}
        audit.record(actor=actor, action="budget_request.made", target=str(asked.id), at=now, after=after)
        is_noted = note_open_request(
            id=asked.id,
            tag=tag,
            scope_path=asked.scope_path,
            unit=asked.unit,
            amount=asked.amount,
            reason=actor.reason,
            asked_by=actor.name,
            asked_at=now,
        )
        if not is_noted:
            raise PayloadDiffers
    return True


def grant_request(*, tag: Tag, request_id: UUID, amount: int, actor: Actor, now: datetime) -> bool:
    """Give the budget `amount` more and answer the request; False where it was granted so before.

    All of it happens, or nothing. Raises `RequestNotFound`, `RequestAnswered` and what `fund` raises.
    """
    with transaction.atomic(), in_tenant(tag):
        request = _locked(request_id)
        if request.state == RequestState.GRANTED and request.granted == amount:
            return False
        _require_open(request)
        budget = Budget.objects.filter(scope_path=request.scope_path, unit=request.unit).first()
        if budget is None:
            raise BudgetNotFound(request.scope_path)
        funding = Funding(
            operation=FundingOperation.CREDIT,
            unit=Unit(request.unit),
            amount=amount,
            idempotency_key=f"request-{request_id}",
            metadata={"request_id": str(request_id)},
        )
        fund(budget_id=budget.pk, funding=funding, actor=actor)
        _answer(request, RequestState.GRANTED, tag=tag, granted=amount, actor=actor, now=now)
    return True


def decline_request(*, tag: Tag, request_id: UUID, actor: Actor, now: datetime) -> bool:
    """Answer with no and the actor's reason; False where it was declined before.

    Raises `RequestNotFound` or `RequestAnswered`.
    """
    with transaction.atomic(), in_tenant(tag):
        request = _locked(request_id)
        if request.state == RequestState.DECLINED:
            return False
        _require_open(request)
        _answer(request, RequestState.DECLINED, tag=tag, granted=None, actor=actor, now=now)
    return True


def _locked(request_id: UUID) -> BudgetRequest:
    request = BudgetRequest.objects.select_for_update().filter(pk=request_id).first()
    if request is None:
        raise RequestNotFound(str(request_id))
    return request


def _require_open(request: BudgetRequest) -> None:
    if request.state != RequestState.OPEN:
        raise RequestAnswered(request.state)


def _answer(
    request: BudgetRequest, state: RequestState, *, tag: Tag, granted: int | None, actor: Actor, now: datetime
) -> None:
    request.state, request.granted = state, granted
    request.answer, request.answered_by, request.answered_at = actor.reason, actor.name, now
    request.save(update_fields=["state", "granted", "answer", "answered_by", "answered_at"])
    facts = {"scope": request.scope_path, "unit": request.unit, "asked_for": request.amount, "granted": granted}
    audit.record(actor=actor, action=f"budget_request.{state.lower()}", target=str(request.pk), at=now, after=facts)
    drop_open_request(id=request.pk, tag=tag)
