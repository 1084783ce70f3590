"""Middleware, handlers and DRF doors together, on routes of their own."""

import json
import logging
import re
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import msgspec
import psycopg
import pytest
import yaml
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.test import Client, override_settings
from django.urls import path
from rest_framework.exceptions import NotAuthenticated, Throttled

from kernel.http.drf import ProtocolView, decode
from kernel.http.errors import ErrorCode, ProtocolError, error_of_status, invalid_request, unavailable
from kernel.http.json_body import BODY_BYTES_MAX

CONTRACT = Path(__file__).parents[3] / "shared" / "protocol" / "cycles-protocol-v0.yaml"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SECRET = "wm_live_canary"


class Order(msgspec.Struct, forbid_unknown_fields=True):
    amount: int


class Orders(ProtocolView):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(b'{"raw":true}', content_type="application/json")

    def post(self, request: HttpRequest) -> HttpResponse:
        order = decode(request, Order)
        if order.amount > 100:
            raise ProtocolError(ErrorCode.BUDGET_EXCEEDED, "No room.", details={"scope": "tenant:acme"})
        return HttpResponse(msgspec.json.encode(order), status=201, content_type="application/json")


FAILURES: dict[str, tuple[Exception, int, str]] = {
    "protocol": (ProtocolError(ErrorCode.RESERVATION_EXPIRED, "Too late."), 410, "RESERVATION_EXPIRED"),
    "bad": (invalid_request("Mend it.", field="a"), 400, "INVALID_REQUEST"),
    "limit": (ProtocolError(ErrorCode.LIMIT_EXCEEDED, "Slower.", retry_after_s=7), 429, "LIMIT_EXCEEDED"),
    "busy": (unavailable("Full.", retry_after_s=2), 503, "INTERNAL_ERROR"),
    "missing": (Http404(SECRET), 404, "NOT_FOUND"),
    "forbidden": (PermissionDenied(SECRET), 403, "FORBIDDEN"),
    "suspicious": (SuspiciousOperation(SECRET), 400, "INVALID_REQUEST"),
    "too-big": (RequestDataTooBig(SECRET), 413, "INVALID_REQUEST"),
    "anonymous": (NotAuthenticated(SECRET), 401, "UNAUTHORIZED"),
    "throttled": (Throttled(wait=2.1), 429, "LIMIT_EXCEEDED"),
    "django-database": (OperationalError(SECRET), 503, "INTERNAL_ERROR"),
    "psycopg-database": (psycopg.OperationalError(SECRET), 503, "INTERNAL_ERROR"),
    "bug": (ZeroDivisionError(SECRET), 500, "INTERNAL_ERROR"),
    "deep-bug": (RecursionError(SECRET), 500, "INTERNAL_ERROR"),
}


def plain_failure(request: HttpRequest, name: str) -> HttpResponse:
    raise FAILURES[name][0]


class DrfFailure(ProtocolView):
    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        raise FAILURES[name][0]


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("<h1>Hello</h1>")


def not_allowed(request: HttpRequest) -> HttpResponse:
    return HttpResponseNotAllowed(["PUT"])


def unhealthy(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b'{"status":"DOWN"}', status=503, content_type="application/json")


class FailsInside:
    """A middleware under ours that breaks before any view is reached."""

    def __init__(self, get_response: object) -> None:
        pass

    def __call__(self, request: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError(SECRET)


class Routes:
    urlpatterns: ClassVar = [
        path("orders", Orders.as_view()),
        path("page", page),
        path("not-allowed", not_allowed),
        path("unhealthy", unhealthy),
        path("plain/<name>", plain_failure),
        path("drf/<name>", DrfFailure.as_view()),
    ]
    handler400 = "kernel.http.handlers.bad_request"
    handler403 = "kernel.http.handlers.permission_denied"
    handler404 = "kernel.http.handlers.not_found"
    handler500 = "kernel.http.handlers.server_error"


@pytest.fixture(autouse=True)
def plane() -> Any:
    with override_settings(
        ROOT_URLCONF=Routes, MIDDLEWARE=["kernel.http.middleware.ProtocolMiddleware"], ALLOWED_HOSTS=["testserver"]
    ):
        yield


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture(scope="module")
def error_schema() -> dict[str, Any]:
    """The contract's ErrorResponse; an open schema where the contract is not beside the project."""
    if not CONTRACT.exists():
        return {}
    contract = yaml.load(CONTRACT.read_text(), Loader=yaml.CSafeLoader)
    return {"$ref": "#/components/schemas/ErrorResponse", "components": contract["components"]}


def refused(response: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """The body of a refusal, after a look at everything that all refusals share."""
    body = json.loads(response.content)
    jsonschema.validate(body, schema)
    assert response.headers["Content-Type"] == "application/json"
    assert body["request_id"] == response.headers["X-Request-Id"]
    assert body.get("trace_id", response.headers["X-Cycles-Trace-Id"]) == response.headers["X-Cycles-Trace-Id"]
    assert SECRET not in response.content.decode()
    assert isinstance(body, dict)
    return body


class TestEveryAnswer:
    @pytest.mark.parametrize("address", ["/orders", "/page", "/nowhere", "/plain/bug", "/drf/limit", "/unhealthy"])
    def test_carries_ids_and_closed_headers(self, client: Client, address: str) -> None:
        headers = client.get(address, headers={"X-Cycles-Trace-Id": TRACE}).headers

        assert re.fullmatch(r"req_[0-9a-f]{32}", headers["X-Request-Id"])
        assert headers["X-Cycles-Trace-Id"] == TRACE
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "Set-Cookie" not in headers

    def test_leaves_a_page_and_a_json_answer_as_they_are(self, client: Client) -> None:
        assert client.get("/page").content == b"<h1>Hello</h1>"
        assert client.get("/unhealthy").json() == {"status": "DOWN"}


class TestFailures:
    @pytest.mark.parametrize("door", ["plain", "drf"])
    @pytest.mark.parametrize("name", FAILURES)
    def test_are_all_in_the_protocols_words(
        self, client: Client, error_schema: dict[str, Any], door: str, name: str
    ) -> None:
        _, status, code = FAILURES[name]

        response = client.get(f"/{door}/{name}")

        assert response.status_code == status
        assert refused(response, error_schema)["error"] == code

    @pytest.mark.parametrize(
        ("name", "seconds"), [("limit", "7"), ("busy", "2"), ("throttled", "3"), ("django-database", "1")]
    )
    def test_say_when_to_come_back(self, client: Client, name: str, seconds: str) -> None:
        assert client.get(f"/drf/{name}").headers["Retry-After"] == seconds

    def test_unknown_address(self, client: Client, error_schema: dict[str, Any]) -> None:
        for address in ("/nowhere", f"/{SECRET}", "/orders/%00", "/%2e%2e%2f", "/orders/"):
            response = client.get(address)

            assert response.status_code == 404
            assert refused(response, error_schema)["error"] == "NOT_FOUND"

    @override_settings(DEBUG=True)
    def test_debug_mode_shows_no_page_either(self, client: Client, error_schema: dict[str, Any]) -> None:
        assert refused(client.get("/nowhere"), error_schema)["error"] == "NOT_FOUND"
        assert refused(client.get("/plain/bug"), error_schema)["error"] == "INTERNAL_ERROR"

    @pytest.mark.parametrize("method", ["put", "delete", "patch", "options", "trace"])
    def test_wrong_method(self, client: Client, error_schema: dict[str, Any], method: str) -> None:
        response = getattr(client, method)("/orders")

        assert response.status_code == 405
        assert "POST" in response.headers["Allow"]
        assert refused(response, error_schema)["error"] == "INVALID_REQUEST"

    def test_a_plain_405_keeps_what_is_allowed(self, client: Client, error_schema: dict[str, Any]) -> None:
        response = client.get("/not-allowed")

        assert (response.status_code, response.headers["Allow"]) == (405, "PUT")
        refused(response, error_schema)

    def test_one_in_another_middleware(self, client: Client, error_schema: dict[str, Any]) -> None:
        inner = f"{__name__}.FailsInside"
        with override_settings(MIDDLEWARE=["kernel.http.middleware.ProtocolMiddleware", inner]):
            response = client.get("/orders")

        assert response.status_code == 500
        assert refused(response, error_schema)["error"] == "INTERNAL_ERROR"

    def test_401_says_how_to_identify(self, client: Client) -> None:
        assert client.get("/drf/anonymous").headers["WWW-Authenticate"].startswith("ApiKey")

    def test_an_answer_to_head_has_headers_only(self, client: Client) -> None:
        assert client.head("/drf/bug").content == b""


class TestLog:
    def test_of_a_bug_shows_the_line_and_the_ids_but_no_text(
        self, client: Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            response = client.post(f"/plain/bug?key={SECRET}", SECRET, content_type=SECRET)

        written = "\n".join(record.getMessage() for record in caplog.records if record.name == "watermaster.http")
        assert "builtins.ZeroDivisionError" in written
        assert "in plain_failure" in written
        assert response.headers["X-Request-Id"] in written
        assert SECRET not in caplog.text

    def test_of_an_outage_is_one_line(self, client: Client, caplog: pytest.LogCaptureFixture) -> None:
        client.get("/drf/psycopg-database")

        (record,) = [record for record in caplog.records if record.name == "watermaster.http"]
        assert "psycopg.OperationalError" in record.getMessage()
        assert "\n" not in record.getMessage()

    def test_of_a_refusal_is_empty(self, client: Client, caplog: pytest.LogCaptureFixture) -> None:
        client.post("/orders", b'{"amount":101}', content_type="application/json")

        assert not [record for record in caplog.records if record.name == "watermaster.http"]


class TestProtocolView:
    def test_decodes_a_struct_and_renders_one(self, client: Client) -> None:
        response = client.post("/orders", b'{"amount":5}', content_type="application/json")

        assert (response.status_code, response.content) == (201, b'{"amount":5}')
        assert response.headers["Content-Type"] == "application/json"

    def test_passes_ready_json_through(self, client: Client) -> None:
        assert client.get("/orders").content == b'{"raw":true}'

    def test_answers_json_whatever_is_accepted(self, client: Client) -> None:
        response = client.get("/orders", headers={"Accept": "text/html, image/png;q=0"})

        assert response.content == b'{"raw":true}'

    def test_refuses_with_details(self, client: Client, error_schema: dict[str, Any]) -> None:
        response = client.post("/orders", b'{"amount":101}', content_type="application/json")

        assert response.status_code == 409
        assert refused(response, error_schema)["details"] == {"scope": "tenant:acme"}

    def test_keeps_the_trace_id_in_the_header_for_the_published_client(
        self, client: Client, error_schema: dict[str, Any]
    ) -> None:
        response = client.post(
            "/orders",
            b'{"amount":101}',
            content_type="application/json",
            headers={"User-Agent": "python-httpx/0.28.1", "X-Cycles-Trace-Id": TRACE},
        )

        assert "trace_id" not in refused(response, error_schema)
        assert response.headers["X-Cycles-Trace-Id"] == TRACE

    @pytest.mark.parametrize(
        ("raw", "content_type", "status"),
        [
            (b'{"amount":"5"}', "application/json", 400),
            (b'{"amount":5,"amount":5}', "application/json", 400),
            (b"", "application/json", 400),
            (b'{"amount":5}', "text/plain", 415),
            (b'{"amount":5}', "application/x-www-form-urlencoded", 415),
            (b'{"amount":5}', "multipart/form-data; boundary=x", 415),
            (b" " * (BODY_BYTES_MAX + 1), "application/json", 413),
        ],
    )
    def test_refuses_a_bad_body(
        self, client: Client, error_schema: dict[str, Any], raw: bytes, content_type: str, status: int
    ) -> None:
        response = client.post("/orders", raw, content_type=content_type)

        assert response.status_code == status
        assert refused(response, error_schema)["error"] == "INVALID_REQUEST"

    def test_every_bare_status_has_a_valid_body(self, error_schema: dict[str, Any]) -> None:
        for status in range(400, 600):
            assert error_of_status(status).code in ErrorCode
