"""How an operation of the management API is described: what it takes, what it answers, how it refuses."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from drf_spectacular.utils import OpenApiResponse, extend_schema

from kernel.http.serialized import ErrorFields, Fields

_ALWAYS: Final[Mapping[int, str]] = {
    400: "INVALID_REQUEST: a field or parameter is wrong; `details.field` names it.",
    401: "UNAUTHORIZED: no key, or one that is unknown, expired or revoked.",
    403: "FORBIDDEN: the key lacks the permission, or is confined to other scopes.",
    503: "INTERNAL_ERROR: the database does not answer or is busy. Repeat the request; `Retry-After` says when.",
}


def described(
    *,
    name: str,
    summary: str,
    tag: str,
    answer: type[Fields] | None,
    body: type[Fields] | None = None,
    query: type[Fields] | None = None,
    status: int = 200,
    refusals: Mapping[int, str] | None = None,
) -> Callable[[Any], Any]:
    """The description of one operation. `refusals` are those beside the ones that every operation has."""
    described_refusals = {
        code: OpenApiResponse(ErrorFields, description=text) for code, text in {**_ALWAYS, **(refusals or {})}.items()
    }
    success = OpenApiResponse(answer, description=summary) if answer else OpenApiResponse(description=summary)
    return extend_schema(
        operation_id=name,
        summary=summary,
        tags=[tag],
        request=body,
        parameters=[query] if query else [],
        responses={status: success, **described_refusals},
    )
