"""What requests for webhooks hold, as the protocol has it."""

from collections.abc import Mapping
from typing import Any, Final

from rest_framework import serializers

from kernel.http.serialized import Fields, FreeObject, Integer, Text
from telemetry.event_names import CATEGORIES
from telemetry.webhook_states import WebhookStatus

_HEADER_LENGTH_MAX: Final = 4_096
_COUNT_MAX: Final = 2**31 - 1
#: Names of the protocol, and the columns that they are kept in.
_RETRY: Final = ("max_retries", "initial_delay_ms", "backoff_multiplier", "max_delay_ms")


class Number(serializers.FloatField):
    """A JSON number."""

    default_error_messages = {"invalid": "must be a number"}

    def to_internal_value(self, data: Any) -> float:
        if type(data) not in {int, float}:
            self.fail("invalid")
        return super().to_internal_value(data)


class RetryPolicyFields(Fields):
    max_retries = Integer(max_value=10, required=False, help_text="After the first attempt; 5 when left out.")
    initial_delay_ms = Integer(min_value=100, max_value=60_000, required=False, help_text="1000 when left out.")
    backoff_multiplier = Number(min_value=1, max_value=10, required=False, help_text="2 when left out.")
    max_delay_ms = Integer(min_value=1_000, max_value=3_600_000, required=False, help_text="60000 when left out.")


class ThresholdFields(Fields):
    budget_utilization = serializers.ListField(child=Number(min_value=0, max_value=1), max_length=20, required=False)
    burn_rate_multiplier = Number(min_value=1.5, required=False)
    burn_rate_window_seconds = Integer(min_value=60, max_value=86_400, required=False)
    denial_rate_threshold = Number(min_value=0, max_value=1, required=False)
    expiry_rate_threshold = Number(min_value=0, max_value=1, required=False)
    auth_failure_rate_threshold = Number(min_value=0, max_value=1, required=False)
    rate_window_seconds = Integer(min_value=60, max_value=86_400, required=False)


class WebhookUpdateFields(Fields):
    """What changes; what is left out stays. A new signing_secret: the one before signs too for another 24 hours."""

    name = Text(max_length=256, allow_blank=True, required=False)
    description = Text(max_length=1024, allow_blank=True, required=False)
    url = Text(max_length=2048, required=False)
    event_types = serializers.ListField(child=Text(max_length=128), max_length=100, required=False)
    event_categories = serializers.ListField(child=Text(max_length=32), max_length=len(CATEGORIES), required=False)
    scope_filter = Text(max_length=1024, allow_blank=True, required=False, help_text="Like tenant:acme/workspace:*")
    thresholds = ThresholdFields(required=False)
    signing_secret = Text(max_length=256, required=False)
    headers = serializers.DictField(
        child=Text(max_length=_HEADER_LENGTH_MAX, allow_blank=True), required=False, help_text="Sent with each message."
    )
    retry_policy = RetryPolicyFields(required=False)
    disable_after_failures = Integer(min_value=1, max_value=_COUNT_MAX, required=False)
    status = serializers.ChoiceField(choices=[WebhookStatus.ACTIVE.value, WebhookStatus.PAUSED.value], required=False)
    metadata = FreeObject(required=False)


class NewWebhookFields(WebhookUpdateFields):
    """A receiver, and what it is to hear of."""

    url = Text(max_length=2048, help_text="https, at a public address.")
    event_types = serializers.ListField(child=Text(max_length=128), min_length=1, max_length=100)
    # Every subscription begins active.
    status = None  # type: ignore[assignment]


class WebhookFields(Fields):
    """A subscription, without its secret; header values are masked."""

    subscription_id = serializers.CharField()
    tenant_id = serializers.CharField()
    name = serializers.CharField(required=False)
    description = serializers.CharField(required=False)
    url = serializers.CharField()
    event_types = serializers.ListField(child=serializers.CharField())
    event_categories = serializers.ListField(child=serializers.CharField(), required=False)
    scope_filter = serializers.CharField(required=False)
    thresholds = ThresholdFields(required=False)
    headers = serializers.DictField(child=serializers.CharField(), required=False)
    status = serializers.ChoiceField(choices=WebhookStatus.values)
    retry_policy = RetryPolicyFields()
    disable_after_failures = serializers.IntegerField()
    consecutive_failures = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField(required=False)
    last_triggered_at = serializers.DateTimeField(required=False)
    last_success_at = serializers.DateTimeField(required=False)
    last_failure_at = serializers.DateTimeField(required=False)
    metadata = FreeObject(required=False)


class NewlyMadeFields(Fields):
    subscription = WebhookFields()
    signing_secret = serializers.CharField(help_text="Keep it now: it cannot be shown again.")


def changes_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that a request sets, and beside them `status`, `secret` and `headers`."""
    changes = {name: value for name, value in values.items() if name not in {"retry_policy", "signing_secret"}}
    changes |= {name: value for name, value in values.get("retry_policy", {}).items() if name in _RETRY}
    if "signing_secret" in values:
        changes["secret"] = values["signing_secret"]
    return changes
