"""Pricing a settled call anew over the management API."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import Refusals, answer
from budgets.api.management.fields import IdempotencyKey, NeededReasonFields, amount
from budgets.api.management.refusals import REFUSALS, conflict
from budgets.api.management.views import TenantView
from budgets.api.requests import require_same_key
from kernel.http.described import described
from kernel.http.errors import invalid_request
from kernel.http.serialized import AmountFields, Fields, Flag, OneOf
from kernel.money import Unit
from routing.pricing.charge import AmountTooLarge
from routing.pricing.kinds import Mode
from routing.services.repricing import NotPriced, Repricing, quote, reprice_charge


class RepricingFields(NeededReasonFields):
    """Which price counts: the one of the moment of the call, by the price book as it says now."""

    idempotency_key = IdempotencyKey()
    requested_at = serializers.DateTimeField(
        required=False, help_text="When the call was made; when its reservation was made, if left out."
    )
    mode = OneOf(choices=list(Mode), required=False, help_text="How it was served, where the entry has it wrong.")
    is_preview = Flag(default=False, help_text="Answer what it would come to, and change nothing.")


class RepricedFields(Fields):
    """What the call costs. `ledger_seq` is the correction's entry; null where nothing was written."""

    ledger_seq = serializers.IntegerField(allow_null=True)
    corrects = serializers.IntegerField()
    previous_amount = AmountFields()
    amount = AmountFields()
    warnings = serializers.ListField(child=serializers.CharField(), help_text="Sentences; kept with the entry.")


class ChargeRepricing(TenantView):
    refusals: ClassVar[Refusals] = {
        **REFUSALS,
        NotPriced: lambda _: conflict("The charge was booked as an amount, without usage. Correct the amount."),
        AmountTooLarge: lambda _: conflict("The usage at this price is more than an amount can be, 2^63 - 1."),
    }

    @described(
        name="reprice_charge",
        summary="What the call costs at the price of its own time, and what to look at",
        tag="money",
        body=RepricingFields,
        answer=RepricedFields,
        refusals={
            404: "NOT_FOUND: no such tenant, or no entry with this number that booked a charge.",
            409: "It was not priced, cannot be given back, TENANT_CLOSED or IDEMPOTENCY_MISMATCH.",
        },
    )
    def post(self, request: Request, slug: str, seq: int) -> Response:
        values, now = self.body(RepricingFields), datetime.now(UTC)
        require_same_key(request.META.get("HTTP_X_IDEMPOTENCY_KEY"), values["idempotency_key"])
        requested_at = values.get("requested_at")
        if requested_at is not None and requested_at > now:
            raise invalid_request("requested_at must not be later than now.", field="requested_at")
        repricing = Repricing(
            seq=seq,
            idempotency_key=values["idempotency_key"],
            requested_at=requested_at,
            mode=Mode(values["mode"]) if "mode" in values else None,
        )
        tag = self.tenant_with_books(slug).tag
        found = quote(tag=tag, repricing=repricing, now=now)
        if values["is_preview"]:
            return _answer(seq, None, found.record.amount, found.amount, found.warnings)
        actor = self.actor(reason=values["reason"], on_behalf=True)
        repriced = reprice_charge(tag=tag, repricing=repricing, actor=actor, now=now)
        corrected = repriced.corrected
        before = found.record.amount if corrected is None else corrected.amount_before
        response = _answer(
            seq, None if corrected is None else corrected.seq, before, repriced.amount, repriced.warnings
        )
        if corrected is not None and corrected.is_replay:
            response.headers["X-Watermaster-Replayed"] = "true"
        return response


def _answer(seq: int, ledger_seq: int | None, before: int, after: int, warnings: tuple[str, ...]) -> Response:
    facts: dict[str, Any] = {
        "ledger_seq": ledger_seq,
        "corrects": seq,
        "previous_amount": amount(Unit.USD_MICROCENTS, before),
        "amount": amount(Unit.USD_MICROCENTS, after),
        "warnings": list(warnings),
    }
    return answer(RepricedFields, facts)
