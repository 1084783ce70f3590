"""Pausing, resuming or deleting many subscriptions at once, over the protocol's management endpoint."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import Refusals
from budgets.api.webhooks.base import NOT_FOUND, TAG
from budgets.api.webhooks.subscriptions import AdminOwnerView, matching
from kernel.http.described import described
from kernel.http.errors import AdminErrorCode, ErrorCode, ProtocolError
from kernel.http.serialized import Fields, Integer, OneOf, Text
from telemetry.services.webhooks.bulk import (
    MATCHED_MAX,
    BulkAction,
    BulkOutcome,
    BulkRequest,
    CountMismatch,
    KeyUsedOtherwise,
    TooManyMatched,
    act_on_many,
)
from telemetry.webhook_states import WebhookStatus

_MISMATCH = "COUNT_MISMATCH, IDEMPOTENCY_MISMATCH or TENANT_CLOSED. Nothing was done."


class BulkFilterFields(Fields):
    """Which subscriptions, all of them one owner's, as in the list: every part that is given must hold."""

    tenant_id = Text(max_length=63, required=False, help_text="Left out, or __system__: the platform's own.")
    status = OneOf(choices=WebhookStatus.values, required=False)
    event_type = Text(max_length=128, required=False)
    search = Text(max_length=128, required=False, help_text="A part of the URL or of the subscription_id.")

    def validate(self, attrs: Mapping[str, Any]) -> Mapping[str, Any]:
        if not attrs:
            raise serializers.ValidationError(code="min_properties")
        return attrs


class BulkFields(Fields):
    filter = BulkFilterFields()
    action = OneOf(choices=[action.value for action in BulkAction])
    expected_count = Integer(required=False, help_text="Nothing is done where another number matches.")
    idempotency_key = Text(min_length=1, max_length=128, help_text="For 15 minutes the same answer is given again.")


class RowFields(Fields):
    id = serializers.CharField()
    error_code = serializers.CharField(required=False)
    message = serializers.CharField(required=False)
    reason = serializers.CharField(required=False)


class BulkOutcomeFields(Fields):
    action = serializers.ChoiceField(choices=[action.value for action in BulkAction])
    total_matched = serializers.IntegerField()
    succeeded = RowFields(many=True)
    failed = RowFields(many=True)
    skipped = RowFields(many=True)
    idempotency_key = serializers.CharField()


def _count_mismatch(refusal: CountMismatch) -> ProtocolError:
    message = f"{refusal} subscriptions match, not so many as expected. Look at them again."
    return ProtocolError(
        AdminErrorCode.COUNT_MISMATCH, message, status=409, details={"total_matched": int(str(refusal))}
    )


def _too_many(refusal: TooManyMatched) -> ProtocolError:
    message = f"{refusal} subscriptions match, and at most {MATCHED_MAX} are changed at once. Narrow the filter."
    return ProtocolError(ErrorCode.LIMIT_EXCEEDED, message, status=400, details={"total_matched": int(str(refusal))})


class AdminWebhookBulk(AdminOwnerView):
    refusals: ClassVar[Refusals] = {
        **AdminOwnerView.refusals,
        CountMismatch: _count_mismatch,
        TooManyMatched: _too_many,
        KeyUsedOtherwise: lambda _: ProtocolError(
            ErrorCode.IDEMPOTENCY_MISMATCH, "The idempotency_key was sent with another request. Make a new one."
        ),
    }

    @described(
        name="bulk_action_webhooks",
        summary="Pause, resume or delete all subscriptions of the platform's or of a tenant's that match",
        tag=TAG,
        body=BulkFields,
        answer=BulkOutcomeFields,
        refusals={404: NOT_FOUND, 409: _MISMATCH},
    )
    def post(self, request: Request) -> Response:
        values = self.body(BulkFields)
        asked = dict(values["filter"])
        owner = self.admin_owner(asked)
        action = BulkAction(values["action"])
        with self.changing(owner) as (actor, now):
            wanted = BulkRequest(
                action=action,
                asked=asked,
                matching=matching(asked, owner),
                expected_count=values.get("expected_count"),
                idempotency_key=values["idempotency_key"],
            )
            done = act_on_many(wanted, owner=owner, actor=actor, now=now)
        return Response(_facts(done, action, values["idempotency_key"]))


def _facts(done: BulkOutcome, action: BulkAction, idempotency_key: str) -> dict[str, Any]:
    disabled = "It was given up because it failed too often: resume it by itself once it answers."
    return {
        "action": action,
        "total_matched": done.total,
        "succeeded": _rows(done.succeeded),
        "failed": _rows(done.failed, error_code="INVALID_TRANSITION", message=disabled),
        "skipped": _rows(done.skipped, reason="ALREADY_IN_TARGET_STATE"),
        "idempotency_key": idempotency_key,
    }


def _rows(ids: Sequence[str], **more: str) -> list[dict[str, str]]:
    return [{"id": each, **more} for each in ids]
