"""Where webhooks may lead in this installation. It is said by whoever runs the processes, not over the API."""

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from budgets.api.webhooks.base import TAG, WebhookView
from kernel.http.described import described
from kernel.http.serialized import Fields
from telemetry.services.webhooks.addresses import PRIVATE_NETWORKS
from telemetry.services.webhooks.rules import address_rules


class WebhookSecurityFields(Fields):
    blocked_cidr_ranges = serializers.ListField(
        child=serializers.CharField(), help_text="And whatever else is no public address."
    )
    allowed_url_patterns = serializers.ListField(child=serializers.CharField(), help_text="Empty: any that is public.")
    allow_http = serializers.BooleanField()


class WebhookSecurity(WebhookView):
    @described(
        name="get_webhook_security",
        summary="What webhooks may not lead to; WEBHOOK_OPEN_NETWORKS and WEBHOOK_ALLOW_HTTP say so",
        tag=TAG,
        answer=WebhookSecurityFields,
    )
    def get(self, request: Request) -> Response:
        opened = set(settings.WEBHOOK_OPEN_NETWORKS)
        facts = {
            "blocked_cidr_ranges": [str(network) for network in PRIVATE_NETWORKS if str(network) not in opened],
            "allowed_url_patterns": [],
            "allow_http": address_rules().allow_http,
        }
        return Response(facts)
