"""POST /otlp/v1/traces: what runtimes saw, as OpenTelemetry exporters send it.

The key decides whose it is. It may report what was used (reservations:commit), for that is what spans do. One request
is read at a time in a process, and a few others wait a moment: decisions come first. Who sends slowly keeps nobody's
turn, and one tenant takes a part of the places only.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from django.http import HttpRequest, HttpResponse

from accounts.keys.permissions import Permission
from accounts.keys.selectors.keys import verified_key
from accounts.keys.tokens import parse_token
from budgets.api.otlp.answers import JSON, PROTOBUF, answer_to
from budgets.api.runtime.caller import is_key_good, read_caller
from budgets.models.choices import TenantStatus
from budgets.selectors.standing import whose_books
from budgets.services.evidence import keep_evidence
from kernel.actor import Actor
from kernel.http.correlation import correlation_of
from kernel.http.drf import ProtocolView
from kernel.http.errors import ErrorCode, ProtocolError, error_of_status, invalid_request, unavailable
from kernel.http.json_body import is_too_deep, too_deep
from kernel.http.packed_body import read_packed_body
from kernel.http.planes import closes_shared_connections
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from telemetry.evidence.otlp.plain_json import read_json
from telemetry.evidence.otlp.protobuf import read_protobuf
from telemetry.evidence.otlp.sent import SPANS_MAX, Malformed, Sent, TooManySpans
from telemetry.evidence.reading import Owner

#: Of a body, in bytes: as it is sent, and unpacked. JSON takes several times its length while it is read.
SENT_MAX: Final = 4 * 1024 * 1024
UNPACKED_MAX: Final = 16 * 1024 * 1024
UNPACKED_JSON_MAX: Final = 8 * 1024 * 1024
#: How long a request waits for its turn before its exporter is told to come again.
WAIT_SECONDS_MAX: Final = 1.0

#: Requests in this process at once, each with a thread and with as much memory as it may send; and of one tenant.
AT_ONCE_MAX: Final = 32
AT_ONCE_OF_TENANT_MAX: Final = 8

_turn: Final = threading.BoundedSemaphore(1)
_places: Final[Counter[Tag]] = Counter()
_places_lock: Final = threading.Lock()


@contextmanager
def place(tag: Tag) -> Iterator[None]:
    """One of the places in this process. Refuses with 503 at once where none is free."""
    with _places_lock:
        if _places.total() >= AT_ONCE_MAX or _places[tag] >= AT_ONCE_OF_TENANT_MAX:
            raise unavailable("Too many requests with spans at once. Send these again in a moment.")
        _places[tag] += 1
    try:
        yield
    finally:
        with _places_lock:
            _places[tag] -= 1
            if not _places[tag]:
                del _places[tag]


@contextmanager
def turn() -> Iterator[None]:
    """The one turn to read spans. Refuses with 503 after a moment."""
    if not _turn.acquire(timeout=WAIT_SECONDS_MAX):
        raise unavailable("Other spans are being read. Send these again in a moment.")
    try:
        yield
    finally:
        _turn.release()


class TracesView(ProtocolView):
    """POST /otlp/v1/traces"""

    def post(self, request: HttpRequest) -> HttpResponse:
        caller = read_caller(request)
        # Before a byte is read: a stranger may not have us unpack anything.
        if not is_key_good(caller):
            raise error_of_status(401)
        content_type = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if content_type not in {PROTOBUF, JSON}:
            raise error_of_status(415)
        with place(caller.tag):
            body = read_packed_body(request, sent_max=SENT_MAX)
            with turn():
                raw = body.unpacked(size_max=UNPACKED_JSON_MAX if content_type == JSON else UNPACKED_MAX)
                sent = _read(raw, content_type)
                with closes_shared_connections():
                    owner, actor = _reporter(request, caller.tag)
                    recorded = keep_evidence(sent, owner=owner, actor=actor, now=datetime.now(UTC))
        response = answer_to(recorded, content_type=content_type)
        response.headers["X-Cycles-Tenant"] = owner.slug
        return response


def _read(raw: bytes, content_type: str) -> Sent:
    if content_type == JSON and is_too_deep(raw):
        raise too_deep()
    try:
        return read_json(raw) if content_type == JSON else read_protobuf(raw)
    except TooManySpans:
        raise ProtocolError(
            ErrorCode.INVALID_REQUEST, f"Send at most {SPANS_MAX:,} spans in a request.", status=413
        ) from None
    except Malformed as error:
        raise invalid_request(str(error)) from None


def _reporter(request: HttpRequest, tag: Tag) -> tuple[Owner, Actor]:
    """Whose spans these are and who sends them. Refuses with 401, 403, or 409 where the tenant is closed."""
    parsed = parse_token(request.META.get("HTTP_X_CYCLES_API_KEY", ""))
    with in_tenant(tag):
        key = verified_key(parsed) if parsed is not None else None
        if key is None:
            raise error_of_status(401)
        if Permission.RESERVATIONS_COMMIT not in key.permissions:
            raise error_of_status(403)
        whose = whose_books()
    if whose.status == TenantStatus.CLOSED:
        raise ProtocolError(ErrorCode.TENANT_CLOSED, "The tenant is closed.")
    correlation = correlation_of(request)
    actor = Actor(
        name=key.key_id,
        actor_type="api_key",
        request_id=correlation.request_id,
        trace_id=correlation.trace_id,
        source_ip=request.META.get("REMOTE_ADDR") or "",
    )
    return Owner(tag=tag, slug=whose.slug), actor
