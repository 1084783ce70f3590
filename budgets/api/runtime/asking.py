"""Questions to the books that change nothing: one call through the door, which checks the key too."""

from typing import Any, Final, Protocol

import msgspec
from django.http import HttpResponse

from budgets.services import engine
from kernel.http.errors import error_of_status, unavailable
from kernel.ids import Tag

_ENCODER: Final = msgspec.json.Encoder()
_STATUS_OF: Final = {"UNAUTHORIZED": 401, "FORBIDDEN": 403, "NOT_FOUND": 404}


class Found(Protocol):
    """What the door answers: OK, or why not."""

    status: str


def ask[T: Found](tag: Tag, call: str, query: dict[str, Any], answer: type[T]) -> T:
    """The answer to `call`, or the refusal: 401, 403, 404, or 503 where the books are away."""
    try:
        found = msgspec.json.decode(engine.read(tag, call, _ENCODER.encode(query)), type=answer)
    except engine.EngineUnavailable:
        raise unavailable("The books are not available. Repeat the request in a moment.") from None
    except engine.UnknownTenant:
        raise error_of_status(401) from None
    if found.status != "OK":
        raise error_of_status(_STATUS_OF[found.status])
    return found


def respond(body: msgspec.Struct, slug: str) -> HttpResponse:
    """`body` to whom the tenant `slug` gave its key."""
    response = HttpResponse(_ENCODER.encode(body), content_type="application/json")
    response.headers["X-Cycles-Tenant"] = slug
    return response
