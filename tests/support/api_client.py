"""A plain HTTP client of the runtime plane that believes no answer it has not checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import httpx

from tests.support import contract as contract_file
from tests.support.contract import Violation, check_balance, first_null

type Answer = httpx.Response

_REQUEST_ID: Final = re.compile(r"req_[0-9a-f]{32}")
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_RUNTIME_PATH: Final = re.compile(r"/v1/(decide|reservations|events|balances)\b.*")
_UNIT: Final = "USD_MICROCENTS"


def amount(number: int, unit: str = _UNIT) -> dict[str, Any]:
    return {"unit": unit, "amount": number}


@dataclass(slots=True)
class ApiClient:
    """Calls the api process with one key. Every answer is held against the contract before the test sees it.

    Bodies are given as `fields` that replace those of a request that would be accepted; a field of `...` is left out.
    """

    base_url: str
    token: str | None = None
    slug: str = "acme"
    headers: Mapping[str, str] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    _http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        headers = {"User-Agent": "contract-tests"} | dict(self.headers)
        if self.token is not None:
            headers["X-Cycles-API-Key"] = self.token
        self._http = httpx.Client(base_url=self.base_url, headers=headers, timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    # ── the nine operations ──────────────────────────────────────────────────────────────────────────
    def decide(self, *, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
        return self.post("/v1/decide", self._cost("estimate", fields), headers=headers)

    def reserve(self, *, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
        return self.post("/v1/reservations", self._cost("estimate", fields), headers=headers)

    def event(self, *, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
        return self.post("/v1/events", self._cost("actual", fields), headers=headers)

    def commit(self, reservation_id: str, *, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
        return self._settle(reservation_id, "commit", {"actual": amount(1)} | fields, headers)

    def release(self, reservation_id: str, *, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
        return self._settle(reservation_id, "release", fields, headers)

    def extend(self, reservation_id: str, *, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
        return self._settle(reservation_id, "extend", {"extend_by_ms": 1_000} | fields, headers)

    def reservation(self, reservation_id: str) -> Answer:
        return self.get(f"/v1/reservations/{reservation_id}")

    def reservations(self, **parameters: Any) -> Answer:
        return self.get("/v1/reservations", parameters)

    def balances(self, **parameters: Any) -> Answer:
        return self.get("/v1/balances", parameters or {"tenant": self.slug})

    # ── what they are made of ────────────────────────────────────────────────────────────────────────
    def reserved(self, number: int = 10, **fields: Any) -> str:
        """The id of a reservation that was let through."""
        answer = self.reserve(estimate=amount(number), **fields)
        assert answer.status_code == 200, answer.text
        reservation_id: str = answer.json()["reservation_id"]
        return reservation_id

    def get(self, path: str, parameters: Mapping[str, Any] | None = None, **options: Any) -> Answer:
        return self.call("GET", path, params=parameters, **options)

    def post(self, path: str, body: object, *, headers: Mapping[str, str] | None = None) -> Answer:
        return self.call("POST", path, json=body, headers=headers)

    def call(self, method: str, path: str, **options: Any) -> Answer:
        answer = self._http.request(method, path, **options)
        self.answers.append(answer)
        check(answer)
        return answer

    def _cost(self, price: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        usual = {
            "idempotency_key": uuid4().hex,
            "subject": {"tenant": self.slug},
            "action": {"kind": "llm.completion", "name": "openai:gpt-4o-mini"},
            price: amount(10),
        }
        return {name: value for name, value in (usual | dict(fields)).items() if value is not ...}

    def _settle(
        self, reservation_id: str, verb: str, fields: Mapping[str, Any], headers: Mapping[str, str] | None
    ) -> Answer:
        body = {"idempotency_key": uuid4().hex} | dict(fields)
        return self.post(
            f"/v1/reservations/{reservation_id}/{verb}",
            {name: value for name, value in body.items() if value is not ...},
            headers=headers,
        )


def check(answer: Answer) -> None:
    """Raises `Violation` where an answer of the api plane breaks what holds for every one of them."""
    request, path = answer.request, answer.request.url.path
    headers, status = answer.headers, answer.status_code
    if not _REQUEST_ID.fullmatch(headers.get("X-Request-Id", "")):
        raise Violation(f"{request.method} {path} {status} has no X-Request-Id.")
    if not _TRACE_ID.fullmatch(headers.get("X-Cycles-Trace-Id", "")):
        raise Violation(f"{request.method} {path} {status} has no X-Cycles-Trace-Id.")
    if status == 500 or status > 503:
        raise Violation(f"{request.method} {path} answered {status}: {answer.text}")
    if request.method == "HEAD":
        return
    if headers.get("Content-Type") != "application/json":
        raise Violation(f"{request.method} {path} {status} is {headers.get('Content-Type')}, not JSON.")
    body = answer.json()
    if (where := first_null(body)) is not None:
        raise Violation(f"{request.method} {path} {status} has a null at {where}.")
    if _RUNTIME_PATH.fullmatch(path) and status < 400 and "X-Cycles-Tenant" not in headers:
        raise Violation(f"{request.method} {path} {status} has no X-Cycles-Tenant.")
    if status >= 400 and "error" in body:
        _check_error(answer, body)
    for balance in body.get("balances", []):
        check_balance(balance)
    if "has_more" in body and body["has_more"] != ("next_cursor" in body):
        raise Violation(f"has_more and next_cursor contradict each other: {answer.text}")
    is_own_path = path.startswith(("/v1/x-watermaster/", "/actuator/", "/healthz", "/readyz"))
    if contract_file.IS_AT_HAND and not is_own_path:
        contract_file.contract().check_body(request.method, path, status, body)


def _check_error(answer: Answer, body: dict[str, Any]) -> None:
    if body["request_id"] != answer.headers["X-Request-Id"]:
        raise Violation("request_id of the body is not the header's.")
    if body.get("trace_id", answer.headers["X-Cycles-Trace-Id"]) != answer.headers["X-Cycles-Trace-Id"]:
        raise Violation("trace_id of the body is not the header's.")
    is_published_client = any(name in answer.request.headers["User-Agent"] for name in ("httpx", "runcycles"))
    if not is_published_client and "trace_id" not in body:
        raise Violation(f"An error without trace_id: {answer.text}")
    if answer.status_code in {429, 503} and not answer.headers.get("Retry-After", "").isdecimal():
        raise Violation(f"{answer.status_code} without Retry-After in whole seconds.")
