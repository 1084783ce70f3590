"""The runtime plane's own description, in OpenAPI 3.1: served to callers, and what the fuzzer tests it by."""

from functools import cache
from typing import Any, Final

import msgspec
from django.http import HttpRequest, HttpResponse

from budgets.api.runtime.openapi_operations import OPERATIONS, OperationDoc
from budgets.api.runtime.openapi_schemas import component_name, components
from kernel.http.drf import ProtocolView
from kernel.http.errors import ErrorBody, error_of_status

type Json = dict[str, Any]

_TENANT_KEY: Final = "TenantKey"
_OPERATOR_KEY: Final = "OperatorKey"
_STATUS_BODY: Final[Json] = {
    "type": "object",
    "required": ["status"],
    "additionalProperties": False,
    "properties": {"status": {"enum": ["UP", "OUT_OF_SERVICE"]}},
}
_RESPONSE_HEADERS: Final[Json] = {
    "X-Request-Id": {
        "description": "Of this request alone.",
        "required": True,
        "schema": {"type": "string", "pattern": "^req_[0-9a-f]{32}$"},
    },
    "X-Cycles-Trace-Id": {
        "description": "Of the whole trace.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
}
_MEANING: Final = {
    409: "The books refuse it, or the idempotency key was used with another payload.",
    410: "The reservation has expired.",
}
_CORRELATION: Final[list[Json]] = [
    {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}
    for name, description in (
        ("traceparent", "W3C Trace Context; a malformed one is ignored."),
        ("X-Cycles-Trace-Id", "32 hex digits, where there is no traceparent; a malformed one is ignored."),
    )
]


@cache
def document() -> Json:
    """The whole description as plain JSON data."""
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Watermaster runtime plane",
            "version": "1",
            "description": "Budgets for agents: hold a cost, act, book what it was. Amounts are integers.",
        },
        "paths": paths,
        "components": {
            "schemas": components(),
            "securitySchemes": {
                _TENANT_KEY: {"type": "apiKey", "in": "header", "name": "X-Cycles-API-Key"},
                _OPERATOR_KEY: {"type": "apiKey", "in": "header", "name": "X-Admin-API-Key"},
            },
        },
    }


@cache
def _encoded() -> bytes:
    return msgspec.json.encode(document())


class OpenApiView(ProtocolView):
    """GET /v1/x-watermaster/openapi.json: without a key, for there is nothing of anybody's in it."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(_encoded(), content_type="application/json")


def _operation(operation: OperationDoc) -> Json:
    described: Json = {
        "operationId": operation.operation_id,
        "summary": operation.summary,
        "security": _security(operation),
        "parameters": _parameters(operation),
        "responses": {str(operation.success): _success(operation)}
        | {str(status): _refusal(operation, status) for status in sorted(operation.refusals)},
    }
    if operation.description:
        described["description"] = operation.description
    if operation.request is not None:
        described["requestBody"] = {"required": True, "content": _json(_reference(operation.request))}
    return described


def _security(operation: OperationDoc) -> list[dict[str, list[str]]]:
    if not operation.needs_key:
        return []
    keys = (_TENANT_KEY, _OPERATOR_KEY) if operation.is_open_to_operators else (_TENANT_KEY,)
    return [{key: []} for key in keys]


def _parameters(operation: OperationDoc) -> list[Json]:
    parameters: list[Json] = []
    if "{reservation_id}" in operation.path:
        identifier = {"type": "string", "minLength": 1, "maxLength": 128}
        parameters.append({"name": "reservation_id", "in": "path", "required": True, "schema": identifier})
    if operation.request is not None and "idempotency_key" in _field_names(operation.request):
        same = {"type": "string", "pattern": "^[!-~]{1,256}$"}
        text = "If it is sent, the same as idempotency_key of the body."
        parameters.append({"name": "X-Idempotency-Key", "in": "header", "description": text, "schema": same})
    parameters += [
        {
            "name": parameter.name,
            "in": "query",
            "description": f"{parameter.description} Blank means unset.",
            "allowEmptyValue": True,
            "schema": parameter.schema,
        }
        for parameter in operation.parameters
    ]
    return parameters + _CORRELATION


def _success(operation: OperationDoc) -> Json:
    schema: Json = {"type": "object"} if operation.path.endswith("openapi.json") else _STATUS_BODY
    if operation.answer is not None:
        schema = _reference(operation.answer)
    headers = dict(_RESPONSE_HEADERS)
    if operation.needs_key:
        headers["X-Cycles-Tenant"] = {"description": "Whose books.", "required": True, "schema": {"type": "string"}}
    return {"description": operation.summary + ".", "headers": headers, "content": _json(schema)}


def _refusal(operation: OperationDoc, status: int) -> Json:
    headers = dict(_RESPONSE_HEADERS)
    if status == 503:
        headers["Retry-After"] = {"description": "Seconds.", "required": True, "schema": {"type": "integer"}}
    description = _MEANING.get(status) or error_of_status(status).message
    is_health = not operation.needs_key and status == 503
    schema = {"anyOf": [_STATUS_BODY, _reference(ErrorBody)]} if is_health else _reference(ErrorBody)
    return {"description": description, "headers": headers, "content": _json(schema)}


def _reference(struct: type) -> Json:
    return {"$ref": f"#/components/schemas/{component_name(struct)}"}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _field_names(struct: type) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct)}
