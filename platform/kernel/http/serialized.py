"""The serializers' part of the management API: strict fields, and refusals that say which field to mend.

Strict means: an integer is a JSON integer and no string, no boolean and no 1.0; unknown fields are refused; a
refusal never repeats a value.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from django.http import HttpRequest, QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from kernel.http.errors import AdminErrorCode, ErrorCode, ProtocolError, invalid_request
from kernel.http.explain import join
from kernel.http.json_body import decode_object, read_json_body
from kernel.money import AMOUNT_MAX, Unit

METADATA_BYTES_MAX: Final = 64 * 1024


class Integer(serializers.IntegerField):
    """A JSON integer, at most 64 bits."""

    default_error_messages = {"invalid": "must be an integer"}

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"min_value": 0, "max_value": AMOUNT_MAX} | options)

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return int(data)


class Text(serializers.CharField):
    """A JSON string, kept as it is."""

    default_error_messages = {"invalid": "must be a string"}

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False} | options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """True or false, and no other spelling of it."""

    default_error_messages = {"invalid": "must be true or false"}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return bool(data)


class OneOf(serializers.ChoiceField):
    """One of a closed list of names."""

    refusal_code = "invalid"

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in self.choices:
            must = f"must be one of {', '.join(map(str, self.choices))}"
            raise serializers.ValidationError(must, code=self.refusal_code)
        return data


class UnitName(OneOf):
    """What an amount counts."""

    refusal_code = "unit_mismatch"

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"choices": [unit.value for unit in Unit]} | options)


@extend_schema_field(OpenApiTypes.OBJECT)
class FreeObject(serializers.Field[Any, Any, Any, Any]):
    """Any JSON object of at most 64 KiB."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be an object", code="invalid")
        if len(json.dumps(data, ensure_ascii=False).encode()) > METADATA_BYTES_MAX:
            raise serializers.ValidationError("must be at most 64 KiB as JSON", code="invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class Fields(serializers.Serializer[Any]):
    """A request's or an answer's fields; as a request it refuses those that it does not have."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({"": [ErrorDetail("must be an object", code="invalid")]})
        for name in data:
            if name not in self.fields:
                refusal = ErrorDetail("is not a field of this request; remove it", code="unknown")
                raise serializers.ValidationError({str(name): [refusal]})
        values: dict[str, Any] = super().to_internal_value(data)
        return values


class ReasonFields(Fields):
    """Why it is done; kept in the audit trail."""

    reason = Text(max_length=512, default="", allow_blank=True)


class AmountFields(Fields):
    """So many of a unit, 0 to 2^63-1. 1 USD is 10^8 USD_MICROCENTS."""

    unit = UnitName()
    amount = Integer()


class SignedAmountFields(Fields):
    """So many of a unit; below zero where more is owed than there is."""

    unit = UnitName()
    amount = Integer(min_value=-AMOUNT_MAX)


class ErrorFields(Fields):
    """What every refusal looks like."""

    error = serializers.ChoiceField(choices=[code.value for code in (*ErrorCode, *AdminErrorCode)])
    message = serializers.CharField(help_text="What is wrong and what to mend.")
    request_id = serializers.CharField()
    trace_id = serializers.CharField(required=False)
    details = FreeObject(required=False, help_text="Which field, what was short, by how much.")


def read_body(request: HttpRequest, fields: type[Fields]) -> dict[str, Any]:
    """The checked body of `request`, or a ProtocolError. Left out altogether, it is an empty object."""
    is_left_out = request.META.get("CONTENT_LENGTH") in {None, "", "0"} and "HTTP_TRANSFER_ENCODING" not in request.META
    return check({} if is_left_out else decode_object(read_json_body(request)), fields)


def read_query(parameters: QueryDict, fields: type[Fields]) -> dict[str, Any]:
    """The checked query string. Blank means unset, unknown parameters are ignored, one given twice is refused."""
    known: dict[str, Any] = {}
    for name, field in fields().fields.items():
        values = [value for value in parameters.getlist(name) if value.strip()]
        if len(values) > 1:
            raise invalid_request(f"The query parameter {name} is given twice. Keep one.", field=name)
        if values:
            is_number = isinstance(field, serializers.IntegerField) and values[0].isascii() and values[0].isdecimal()
            known[name] = int(values[0][:20]) if is_number else values[0]
    return check(known, fields)


def check(values: Mapping[str, Any], fields: type[Fields]) -> dict[str, Any]:
    """The values as the fields have them, or a ProtocolError (400) about the first that is wrong."""
    serializer = fields(data=values)
    if serializer.is_valid():
        checked: dict[str, Any] = serializer.validated_data
        return checked
    path, detail = _first_refusal(serializer.errors, "")
    must = _MUST.get(detail.code, str(detail)) if detail.code is not None else str(detail)
    if detail.code == "unit_mismatch":
        details = {"field": path, "expected_units": [unit.value for unit in Unit]}
        raise ProtocolError(ErrorCode.UNIT_MISMATCH, f"{path} {must}.", details=details)
    raise invalid_request(f"{path or 'The body'} {must.rstrip('.')}.", field=path or None)


#: DRF's codes, as the end of a sentence that begins with the field. A message of our own ends the sentence itself.
_MUST: Final[Mapping[str, str]] = {
    "required": "is missing",
    "null": "must not be null",
    "blank": "must not be empty",
    "empty": "must not be empty",
    "not_a_list": "must be a list",
    "max_length": "is too long",
    "min_length": "is too short",
    "min_properties": "must name something",
    "max_value": "is too large",
    "min_value": "is too small",
    "null_characters_not_allowed": "holds a NUL character",
    "surrogate_characters_not_allowed": "holds half a character",
    "date": "must be a date, like 2026-01-31",
    "datetime": "must be a time with its offset, like 2026-01-31T09:30:00Z",
    "overflow": "must be a time with its offset, like 2026-01-31T09:30:00Z",
    "make_aware": "must be a time with its offset, like 2026-01-31T09:30:00Z",
}


def _first_refusal(errors: Any, path: str) -> tuple[str, ErrorDetail]:
    if isinstance(errors, ErrorDetail):
        return path, errors
    if isinstance(errors, Mapping):
        for name, nested in errors.items():
            if nested:
                here = path if name in {"", "non_field_errors"} else _step(path, name)
                return _first_refusal(nested, here)
    for index, nested in enumerate(errors):
        if nested:
            return _first_refusal(nested, path if isinstance(nested, ErrorDetail) else f"{path}[{index}]")
    return path, ErrorDetail("is not valid", code="invalid")


def _step(path: str, name: Any) -> str:
    return f"{path}[{name}]" if isinstance(name, int) else join(path, str(name))
