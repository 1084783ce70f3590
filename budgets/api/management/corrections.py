"""Corrections over the management API: a charge comes to another amount, by an entry that names it."""

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import answer
from budgets.api.management.fields import IdempotencyKey, NeededReasonFields, amount
from budgets.api.management.views import TenantView
from budgets.api.requests import require_same_key
from budgets.services.corrections import Corrected, Correction, correct_charge
from kernel.http.described import described
from kernel.http.serialized import AmountFields, Fields
from kernel.money import Unit


class CorrectionFields(NeededReasonFields):
    """What the charge really cost. `charged` follows: what the budgets cannot pay is uncovered."""

    amount = AmountFields()
    idempotency_key = IdempotencyKey()


class CorrectedFields(Fields):
    """The correction's own entry, and what the charge came to before and comes to now."""

    ledger_seq = serializers.IntegerField()
    corrects = serializers.IntegerField(help_text="The entry that booked the charge.")
    previous_amount = AmountFields()
    previous_charged = AmountFields()
    amount = AmountFields()
    charged = AmountFields(help_text="What was paid of it; the rest is uncovered.")
    timestamp = serializers.DateTimeField()


class ChargeCorrection(TenantView):
    @described(
        name="correct_charge",
        summary="What the charge comes to now, once for a key of the tenant",
        tag="money",
        body=CorrectionFields,
        answer=CorrectedFields,
        refusals={
            404: "NOT_FOUND: no such tenant, or no entry with this number that booked a charge.",
            409: "It comes to that already, cannot be given back, TENANT_CLOSED or IDEMPOTENCY_MISMATCH.",
        },
    )
    def post(self, request: Request, slug: str, seq: int) -> Response:
        values = self.body(CorrectionFields)
        require_same_key(request.META.get("HTTP_X_IDEMPOTENCY_KEY"), values["idempotency_key"])
        correction = Correction(
            seq=seq,
            unit=Unit(values["amount"]["unit"]),
            amount=values["amount"]["amount"],
            idempotency_key=values["idempotency_key"],
        )
        with self.writing(slug, reason=values["reason"]) as actor:
            corrected = correct_charge(correction=correction, actor=actor)
        return corrected_response(corrected)


def corrected_response(corrected: Corrected) -> Response:
    unit = corrected.unit
    response = answer(
        CorrectedFields,
        {
            "ledger_seq": corrected.seq,
            "corrects": corrected.corrects,
            "previous_amount": amount(unit, corrected.amount_before),
            "previous_charged": amount(unit, corrected.charged_before),
            "amount": amount(unit, corrected.amount),
            "charged": amount(unit, corrected.charged),
            "timestamp": corrected.at,
        },
    )
    if corrected.is_replay:
        response.headers["X-Watermaster-Replayed"] = "true"
    return response
