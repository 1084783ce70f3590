"""Every limit that holds for a tenant, over the management API."""

from datetime import UTC, datetime

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import answer
from kernel.http.described import described
from kernel.http.serialized import Fields
from routing.api.management.fields import EffectiveLimitFields, limit_facts
from routing.api.management.policies import PolicyView
from routing.selectors.effective_limits import effective_limits


class EffectiveLimitListFields(Fields):
    at = serializers.DateTimeField()
    limits = EffectiveLimitFields(many=True)


class EffectiveLimits(PolicyView):
    @described(
        name="list_effective_limits",
        summary="Every limit that holds now, with the place that it comes from",
        tag="policies",
        answer=EffectiveLimitListFields,
        refusals={404: "NOT_FOUND: no such tenant."},
    )
    def get(self, request: Request, slug: str) -> Response:
        self.tenant(slug)
        self.require_whole_tenant()
        now = datetime.now(UTC)
        limits = effective_limits(tag=self.tenant_with_books(slug).tag)
        return answer(EffectiveLimitListFields, {"at": now, "limits": [limit_facts(limit) for limit in limits]})
