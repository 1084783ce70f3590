"""Provider pools over the management API: what a provider lets the platform use of a deployment."""

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import KeyedView, Refusals, answer
from budgets.api.management.fields import NeededReasonFields
from budgets.api.management.refusals import REFUSALS
from kernel.http.described import described
from kernel.http.errors import invalid_request
from kernel.http.serialized import Fields, Integer, Text
from routing.services.pools import InvalidPool, Pool, list_pools, set_pool

_TAG = "provider pools"
_REFUSALS: Refusals = {**REFUSALS, InvalidPool: lambda refusal: invalid_request(str(refusal), field="name")}


class PoolFields(Fields):
    """Limits a minute, shared by all tenants by the weights of their plans; 0 is none."""

    name = serializers.CharField(help_text="provider:model, or provider:model@deployment")
    requests_per_minute = serializers.IntegerField()
    tokens_per_minute = serializers.IntegerField()
    is_healthy = serializers.BooleanField()


class PoolListFields(Fields):
    pools = PoolFields(many=True)


class NewPoolFields(NeededReasonFields):
    """What is left out is no limit, and healthy."""

    name = Text(max_length=256, help_text="provider:model, or provider:model@deployment")
    requests_per_minute = Integer(required=False)
    tokens_per_minute = Integer(required=False)
    is_healthy = serializers.BooleanField(required=False)


class Pools(KeyedView):
    http_method_names = ["get", "head", "put"]
    refusals = _REFUSALS

    @described(name="list_pools", summary="Every deployment that has a limit", tag=_TAG, answer=PoolListFields)
    def get(self, request: Request) -> Response:
        return answer(PoolListFields, {"pools": [_facts(pool) for pool in list_pools()]})

    @described(
        name="set_pool",
        summary="Set what a deployment can take, or that nothing is to be sent to it; in force within 2 seconds",
        tag=_TAG,
        body=NewPoolFields,
        answer=PoolFields,
    )
    def put(self, request: Request) -> Response:
        values = self.body(NewPoolFields)
        pool = set_pool(
            name=values["name"],
            requests_per_minute=values.get("requests_per_minute", 0),
            tokens_per_minute=values.get("tokens_per_minute", 0),
            is_healthy=values.get("is_healthy", True),
            actor=self.actor(reason=values["reason"]),
            now=datetime.now(UTC),
        )
        return answer(PoolFields, _facts(pool))


def _facts(pool: Pool) -> dict[str, Any]:
    return {
        "name": pool.name,
        "requests_per_minute": pool.requests_per_minute,
        "tokens_per_minute": pool.tokens_per_minute,
        "is_healthy": pool.is_healthy,
    }
