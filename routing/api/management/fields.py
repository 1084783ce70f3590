"""What answers of the rules' part of the management API have in common."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from kernel.http.serialized import Fields
from routing.selectors.effective_limits import EffectiveLimit


@extend_schema_field(OpenApiTypes.ANY)
class AnyValue(serializers.Field[Any, Any, Any, Any]):
    """Any JSON value, in answers only."""

    def to_representation(self, value: Any) -> Any:
        return value


class EffectiveLimitFields(Fields):
    """One limit that holds."""

    name = serializers.CharField(help_text="Dotted, like limits.input_tokens_max.")
    value = AnyValue(help_text="A number, a word, a list or an object, by the kind of the limit.")
    unit = serializers.CharField(allow_null=True, help_text="For amounts of a budget; else null.")
    place = serializers.CharField(help_text="Where it comes from, like: plan pro v2.")


def limit_facts(limit: EffectiveLimit | None) -> dict[str, Any] | None:
    """The limit as answers show it; None for none."""
    if limit is None:
        return None
    return {"name": limit.name, "value": limit.value, "unit": limit.unit, "place": limit.place}
