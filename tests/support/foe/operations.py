"""Every operation of both planes' APIs, found by walking their URL confs, with the fields that name something.

An operation that somebody adds is thereby tried, and one that cannot be tried yet fails the tests that try.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

from django.urls import URLPattern, URLResolver
from django.urls.resolvers import RoutePattern
from drf_spectacular.generators import SchemaGenerator

from budgets.api.runtime.openapi import document
from config import urls_api, urls_management
from tests.support.foe.things import Kind

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_ARGUMENT: Final = re.compile(r"<(?:\w+:)?(\w+)>")

#: What a part of an address, a parameter or a field names, wherever it has that name.
KINDS: Final[Mapping[str, Kind]] = {
    "actor": Kind.KEY,
    "alert_id": Kind.ALERT,
    "budget_id": Kind.BUDGET,
    "correlation_id": Kind.REQUEST_ID,
    "cursor": Kind.CURSOR,
    "decision_id": Kind.DECISION,
    "event_id": Kind.EVENT,
    "from_budget_id": Kind.BUDGET,
    "idempotency_key": Kind.IDEMPOTENCY,
    "key_id": Kind.KEY,
    "lease_id": Kind.LEASE,
    "of_decision": Kind.DECISION,
    "reference": Kind.REQUEST_ID,
    "request_id": Kind.REQUEST_ID,
    "reservation_id": Kind.RESERVATION,
    "resource_id": Kind.WORKSPACE,
    "run": Kind.RUN,
    "run_id": Kind.RUN,
    "scope": Kind.SCOPE,
    "scope_filter": Kind.SCOPE,
    "search": Kind.WORKSPACE,
    "seq": Kind.SEQ,
    "slug": Kind.SLUG,
    "subscription_id": Kind.WEBHOOK,
    "target": Kind.WORKSPACE,
    "tenant": Kind.SLUG,
    "tenant_id": Kind.SLUG,
    "to_budget_id": Kind.BUDGET,
    "traceId": Kind.TRACE,
    "trace_id": Kind.TRACE,
    "workspace": Kind.WORKSPACE,
}
#: The same where the name means another thing in one operation.
OF_OPERATIONS: Final[Mapping[tuple[str, str], Kind]] = {
    ("POST /v1/x-watermaster/credentials/lease", "scope"): Kind.CREDENTIAL,
    ("POST /api/v1/tenants/{slug}/run-templates", "name"): Kind.TEMPLATE_TOO,
}
#: The same of a part of an address, where the name means another thing there.
OF_ADDRESSES: Final[Mapping[str, Kind]] = {"name": Kind.TEMPLATE}
#: Texts that lead nowhere: words of a closed list, times, and what a caller may call a thing of its own.
WORDS: Final = frozenset(
    {
        *("action", "action_kinds", "agent", "alert_state", "anchor", "app", "category", "class", "code", "currency"),
        *("description", "endpoint", "ends_at", "event_categories", "event_type", "event_types", "expires_at"),
        *("expires_from", "expires_to", "finalized_from", "finalized_to", "from", "headers", "include", "keep", "kind"),
        *("error_code", "error_code_exclude", "resource_type"),
        *("level", "metadata", "mode", "model", "model_version", "name", "needed", "observe_mode", "operation"),
        *("overage_policy", "period", "permissions", "plan", "policy_keys", "priority", "provider", "reason"),
        *("reason_code", "requested_at", "response_id", "rollover", "runs", "signing_secret", "since", "sort_by"),
        *("sort_dir", "state", "status", "table", "tags", "text", "time_zone", "to", "tool_choice", "tools", "toolset"),
        *("turn_id", "unit", "until", "url", "verdict", "version", "workflow", "capabilities", "input_tokens_source"),
    }
)


class Plane(StrEnum):
    """Which process answers."""

    API = "api"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class Operation:
    """`route` as `/v1/reservations/{reservation_id}`; `view` is the name of the pattern, empty where it has none."""

    plane: Plane
    method: str
    route: str
    view: str = ""

    @property
    def id(self) -> str:
        return f"{self.method.upper()} {self.route}"

    @property
    def arguments(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.route)

    def address(self, values: Mapping[str, str]) -> str:
        """Where it is, with these values for its arguments."""
        return self.route.format_map(values)


def operations(plane: Plane) -> list[Operation]:
    """Everything that a program may send to this plane."""
    patterns = urls_api.urlpatterns if plane is Plane.API else urls_management.operations
    return [
        Operation(plane=plane, method=method, route=route, view=pattern.name or "")
        for route, pattern in _walk(patterns, "/")
        for method in _methods(route, pattern)
    ]


@cache
def description(plane: Plane) -> dict[str, Any]:
    """The plane's own OpenAPI description."""
    if plane is Plane.API:
        return document()
    make_generator: Any = SchemaGenerator
    found: dict[str, Any] = make_generator(patterns=urls_management.operations).get_schema(request=None, public=True)
    return found


def described(operation: Operation) -> dict[str, Any] | None:
    """What the description says of the operation."""
    found: dict[str, Any] | None = description(operation.plane)["paths"].get(operation.route, {}).get(operation.method)
    return found


def parameters_of(operation: Operation) -> list[str]:
    """The names in its query string."""
    found = (described(operation) or {}).get("parameters", [])
    return [parameter["name"] for parameter in found if parameter["in"] == "query" and _is_text(parameter["schema"])]


def takes_body(operation: Operation) -> bool:
    return "requestBody" in (described(operation) or {})


def fields_of(operation: Operation) -> set[str]:
    """The names of all texts in its body, at whatever depth."""
    if not takes_body(operation):
        return set()
    content = (described(operation) or {})["requestBody"]["content"]["application/json"]
    return set(_texts_in(content["schema"], description(operation.plane), seen=()))


def places_in(
    body: Any, operation: Operation, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Kind]]:
    """Where in the operation's body something is named, and of which kind it is."""
    if isinstance(body, Mapping) and "stringValue" in body.get("value", ()):
        # An attribute of a span.
        if (name := body["key"].rpartition(".")[2]) in KINDS:
            yield (*path, "value", "stringValue"), KINDS[name]
    elif isinstance(body, Mapping):
        for name, value in body.items():
            yield from places_in(value, operation, (*path, name))
    elif isinstance(body, list):
        for index, value in enumerate(body):
            yield from places_in(value, operation, (*path, index))
    elif isinstance(body, str):
        name = next((step for step in reversed(path) if isinstance(step, str)), "")
        if kind := OF_OPERATIONS.get((operation.id, name), KINDS.get(name)):
            yield path, kind


def with_value(body: Any, path: Sequence[str | int], value: str) -> Any:
    """A copy of `body` with something else in that place."""
    if not path:
        return value
    here, rest = path[0], path[1:]
    if isinstance(body, list):
        return [with_value(old, rest, value) if index == here else old for index, old in enumerate(body)]
    return {name: with_value(old, rest, value) if name == here else old for name, old in body.items()}


def _walk(patterns: Sequence[URLPattern | URLResolver], before: str) -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        assert isinstance(pattern.pattern, RoutePattern), f"{pattern!r} is no path()"
        here = before + _ARGUMENT.sub(r"{\1}", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, here)
        else:
            yield here, pattern


def _methods(route: str, pattern: URLPattern) -> list[str]:
    view: Any = getattr(pattern.callback, "cls", None)
    if view is None:
        # A function in front of several views; its description says what they answer.
        return sorted(document()["paths"][route])
    return [method for method in _METHODS if method in view.http_method_names and hasattr(view, method)]


def _texts_in(schema: Any, root: dict[str, Any], *, seen: tuple[str, ...], name: str = "") -> Iterator[str]:
    if reference := schema.get("$ref"):
        if reference not in seen:
            found = root["components"]["schemas"][reference.rpartition("/")[2]]
            yield from _texts_in(found, root, seen=(*seen, reference), name=name)
        return
    for way in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(way, []):
            yield from _texts_in(part, root, seen=seen, name=name)
    if "items" in schema:
        yield from _texts_in(schema["items"], root, seen=seen, name=name)
    for inner, part in schema.get("properties", {}).items():
        yield from _texts_in(part, root, seen=seen, name=inner)
    if name and _is_text(schema):
        yield name


def _is_text(schema: Any) -> bool:
    """Whether any text will do; those of a closed list name nothing of anybody's."""
    return schema.get("type") == "string" and "enum" not in schema and schema.get("format") != "date-time"
