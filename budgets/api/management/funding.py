"""Money over the management API: the protocol's five funding operations, and moves between siblings."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import answer
from budgets.api.management.fields import IdempotencyKey, amount, number_in
from budgets.api.management.views import TenantView
from budgets.api.requests import require_same_key
from budgets.models import LedgerEntry
from budgets.services.funding import Funded, Funding, FundingOperation, fund
from budgets.services.reallocation import Reallocated, ReallocationNotFound, reallocate, undo_reallocation
from kernel.http.described import described
from kernel.http.errors import invalid_request
from kernel.http.serialized import AmountFields, Fields, FreeObject, OneOf, ReasonFields, SignedAmountFields
from kernel.money import Unit

_TAG = "money"
_REFUSALS = {
    403: "FORBIDDEN: the key lacks the permission, or the tenant is suspended.",
    404: "NOT_FOUND: no such tenant or budget.",
    409: "BUDGET_EXCEEDED, BUDGET_FROZEN, BUDGET_CLOSED, TENANT_CLOSED or IDEMPOTENCY_MISMATCH.",
}


class FundingFields(ReasonFields):
    """One operation. CREDIT and REPAY_DEBT repay debt first, DEBIT takes only what is free, RESET sets the allocation,

    RESET_SPENT begins the period anew with `spent` already used.
    """

    operation = OneOf(choices=[operation.value for operation in FundingOperation])
    amount = AmountFields()
    spent = AmountFields(required=False, help_text="For RESET_SPENT alone, refused elsewhere; 0 when left out.")
    idempotency_key = IdempotencyKey()
    metadata = FreeObject(required=False)


class FundedFields(Fields):
    """What it did. A repeated request gets this answer again, with the header X-Watermaster-Replayed."""

    operation = serializers.CharField()
    budget_id = serializers.UUIDField()
    ledger_seq = serializers.IntegerField()
    previous_allocated = AmountFields()
    new_allocated = AmountFields()
    previous_remaining = SignedAmountFields()
    new_remaining = SignedAmountFields()
    previous_debt = AmountFields()
    new_debt = AmountFields()
    previous_spent = AmountFields()
    new_spent = AmountFields()
    timestamp = serializers.DateTimeField()


class ReallocationFields(ReasonFields):
    """A move between two budgets right below the same scope, in the same unit."""

    from_budget_id = serializers.UUIDField()
    to_budget_id = serializers.UUIDField()
    amount = AmountFields()
    idempotency_key = IdempotencyKey()


class ReallocatedFields(Fields):
    """What was moved. `ledger_seq` is its number, by which it can be undone."""

    ledger_seq = serializers.IntegerField()
    from_budget_id = serializers.UUIDField()
    to_budget_id = serializers.UUIDField()
    amount = AmountFields()
    from_remaining = SignedAmountFields()
    to_remaining = SignedAmountFields()
    undoes = serializers.IntegerField(allow_null=True)
    timestamp = serializers.DateTimeField()


class BudgetFund(TenantView):
    @described(
        name="fund_budget",
        summary="What the operation did to the budget, once for a key of the tenant",
        tag=_TAG,
        body=FundingFields,
        answer=FundedFields,
        refusals=_REFUSALS,
    )
    def post(self, request: Request, slug: str, budget_id: UUID) -> Response:
        values = self.body(FundingFields)
        require_same_key(request.META.get("HTTP_X_IDEMPOTENCY_KEY"), values["idempotency_key"])
        unit, operation = values["amount"]["unit"], FundingOperation(values["operation"])
        if "spent" in values and operation != FundingOperation.RESET_SPENT:
            raise invalid_request("spent is for RESET_SPENT alone; leave it out.", field="spent")
        funding = Funding(
            operation=operation,
            unit=Unit(unit),
            amount=values["amount"]["amount"],
            spent=number_in(unit, values.get("spent"), field="spent"),
            idempotency_key=values["idempotency_key"],
            metadata=values.get("metadata"),
        )
        with self.writing(slug, reason=values["reason"]) as actor:
            self.budget_in_reach(budget_id)
            funded = fund(budget_id=budget_id, funding=funding, actor=actor)
        return _replayed(answer(FundedFields, _funded_facts(funded)), is_replay=funded.is_replay)


class Reallocations(TenantView):
    @described(
        name="reallocate",
        summary="What was moved, once for a key of the tenant. The sum never changes",
        tag=_TAG,
        body=ReallocationFields,
        answer=ReallocatedFields,
        refusals=_REFUSALS,
    )
    def post(self, request: Request, slug: str) -> Response:
        values = self.body(ReallocationFields)
        require_same_key(request.META.get("HTTP_X_IDEMPOTENCY_KEY"), values["idempotency_key"])
        with self.writing(slug, reason=values["reason"]) as actor:
            for name in ("from_budget_id", "to_budget_id"):
                self.budget_in_reach(values[name])
            moved = reallocate(
                giver_id=values["from_budget_id"],
                receiver_id=values["to_budget_id"],
                unit=Unit(values["amount"]["unit"]),
                amount=values["amount"]["amount"],
                idempotency_key=values["idempotency_key"],
                actor=actor,
            )
        return _replayed(answer(ReallocatedFields, _reallocated_facts(moved)), is_replay=moved.is_replay)


class ReallocationUndo(TenantView):
    @described(
        name="undo_reallocation",
        summary="What was moved back, while the receiver had it free and the period lasted. Safe to repeat",
        tag=_TAG,
        body=ReasonFields,
        answer=ReallocatedFields,
        refusals=_REFUSALS | {409: f"{_REFUSALS[409]} Or a new period or a reset came in between."},
    )
    def post(self, request: Request, slug: str, seq: int) -> Response:
        values = self.body(ReasonFields)
        with self.writing(slug, reason=values["reason"]) as actor:
            moved = LedgerEntry.objects.filter(seq=seq).first()
            if moved is None:
                raise ReallocationNotFound(str(seq))
            for budget_id in moved.budget_ids:
                self.budget_in_reach(budget_id)
            undone = undo_reallocation(seq=seq, actor=actor)
        return _replayed(answer(ReallocatedFields, _reallocated_facts(undone)), is_replay=undone.is_replay)


def _replayed(response: Response, *, is_replay: bool) -> Response:
    if is_replay:
        response.headers["X-Watermaster-Replayed"] = "true"
    return response


def _funded_facts(funded: Funded) -> dict[str, Any]:
    amounts = {
        f"{when}_{name}": amount(funded.unit, balances[name])
        for when, balances in (("previous", funded.previous), ("new", funded.new))
        for name in ("allocated", "remaining", "debt", "spent")
    }
    return {
        "operation": funded.operation,
        "budget_id": funded.budget_id,
        "ledger_seq": funded.seq,
        "timestamp": funded.at,
        **amounts,
    }


def _reallocated_facts(moved: Reallocated) -> dict[str, Any]:
    return {
        "ledger_seq": moved.seq,
        "from_budget_id": moved.giver_id,
        "to_budget_id": moved.receiver_id,
        "amount": amount(moved.unit, moved.amount),
        "from_remaining": amount(moved.unit, moved.giver_remaining),
        "to_remaining": amount(moved.unit, moved.receiver_remaining),
        "undoes": moved.undoes,
        "timestamp": moved.at,
    }
