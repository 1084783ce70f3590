"""Bodies that must be refused with a sentence that says what to mend, and leave no trace in the books or the log."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kernel.money import AMOUNT_MAX
from tests.plugins.live_api import LiveApi
from tests.support.api_client import Answer, ApiClient, amount
from tests.support.books import Books
from tests.support.scenes import last_seq

CANARY = "canary-51c2"
KIB_64 = 64 * 1024


@pytest.fixture(autouse=True)
def nothing_is_booked(standing_books: Books) -> Iterator[None]:
    budget, seq = standing_books.budget(), last_seq(standing_books)
    yield
    after = standing_books.budget()
    assert (after.reserved, after.spent, after.debt) == (budget.reserved, budget.spent, budget.debt)
    assert last_seq(standing_books) == seq


@pytest.fixture(scope="module", autouse=True)
def vast(standing_books: Books) -> None:
    """A budget so large that the next sum leaves 64 bits."""
    standing_books.add_budget("/workspace:vast", allocated=AMOUNT_MAX, spent=2**62)


@pytest.fixture(scope="module")
def reservation_id(standing_api: ApiClient) -> str:
    """A reservation for the operations that need one."""
    return standing_api.reserved()


def reservation(**fields: Any) -> dict[str, Any]:
    whole = {
        "idempotency_key": CANARY,
        "subject": {"tenant": "globex"},
        "action": {"kind": "llm.completion", "name": CANARY},
        "estimate": amount(10),
        "dry_run": True,
    }
    return {name: value for name, value in (whole | fields).items() if value is not ...}


def as_text(marker: str, text: str, **fields: Any) -> str:
    """The body as JSON text, with the bare `text` in place of the string `marker`."""
    return json.dumps(reservation(**fields)).replace(f'"{marker}"', text)


def post(api: ApiClient, content: str | bytes, **headers: str) -> Answer:
    return api.call(
        "POST",
        "/v1/reservations",
        content=content,
        headers={"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()},
    )


def nested(depth: int) -> str:
    """An object with lists in lists, `depth` of them."""
    return '{"a": ' + "[" * depth + "]" * depth + "}"


class TestAmounts:
    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("-1", "must be at least 0"),
            (str(AMOUNT_MAX + 1), "must be at most 9223372036854775807"),
            ("18446744073709551616", "must be at most 9223372036854775807"),
            ("1" + "0" * 400, "must be at most 9223372036854775807"),
            ("1" + "0" * 5000, "is too large"),
            ("1e3", "must be an integer"),
            ("1.0", "must be an integer"),
            ("0.1", "must be an integer"),
            ("1e400", "is too large"),
            ('"5"', "must be an integer, not a string"),
            ("true", "must be an integer, not a boolean"),
            ("null", "must be an integer, not null"),
            ("[1]", "must be an integer, not a list"),
            ("{}", "must be an integer, not an object"),
            ("NaN", "not well-formed JSON"),
            ("Infinity", "not well-formed JSON"),
            ("-Infinity", "not well-formed JSON"),
            ("01", "not well-formed JSON"),
            ("+1", "not well-formed JSON"),
            ("0x10", "not well-formed JSON"),
            ("1_000", "not well-formed JSON"),
            ("٣", "not well-formed JSON"),
        ],
        ids=lambda value: value[:24],
    )
    def test_money_is_an_integer_from_0_to_2_63_minus_1(
        self, standing_api: ApiClient, text: str, sentence: str
    ) -> None:
        answer = post(standing_api, as_text("X", text, estimate={"unit": "USD_MICROCENTS", "amount": "X"}))

        assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_REQUEST")
        assert sentence in answer.json()["message"]

    @pytest.mark.parametrize("text", ["0", "-0", str(2**53 + 1), str(AMOUNT_MAX)])
    def test_every_such_integer_is_understood(self, standing_api: ApiClient, text: str) -> None:
        body = as_text("X", text, estimate={"unit": "USD_MICROCENTS", "amount": "X"}, idempotency_key=f"k{text}")

        answer = post(standing_api, body)

        assert answer.json()["decision"] == ("ALLOW" if int(text) <= 1_000_000 else "DENY")

    def test_a_sum_that_overflows_is_refused_by_name(self, standing_api: ApiClient) -> None:
        answer = standing_api.event(
            subject={"tenant": "globex", "workspace": "vast"},
            actual=amount(AMOUNT_MAX),
            overage_policy="ALLOW_WITH_OVERDRAFT",
        )

        assert answer.status_code == 409
        assert answer.json()["error"] in {"OVERDRAFT_LIMIT_EXCEEDED", "BUDGET_EXCEEDED"}


class TestJson:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b" ",
            b"{",
            b'{"idempotency_key": "',
            b"[]",
            b"null",
            b"0",
            b'"text"',
            b"{}",
            json.dumps(reservation()).encode()[:-1],
            json.dumps(reservation()).encode() + b"x",
            json.dumps(reservation()).encode() * 2,
            b"\xef\xbb\xbf" + json.dumps(reservation()).encode(),
            json.dumps(reservation()).encode("utf-16"),
            json.dumps(reservation()).encode("utf-16-le"),
            b"\xff" + json.dumps(reservation()).encode(),
            as_text(CANARY, '"a\\u0000b"').encode(),
            as_text(CANARY, '"a\x00b"').encode("latin-1"),
            as_text(CANARY, '"\\ud800"').encode(),
            as_text(CANARY, '"\\udc00\\ud800"').encode(),
            as_text(CANARY, '"\xed\xa0\x80"').encode("latin-1"),
            as_text(CANARY, '"a\nb"').encode(),
            as_text(CANARY, "'a'").encode(),
            b"/* */" + json.dumps(reservation()).encode(),
            json.dumps(reservation()).replace("}", ",}").encode(),
            json.dumps(reservation()).replace("{", '{"idempotency_key": "b", ', 1).encode(),
            json.dumps(reservation()).replace("{", '{"idempotency\\u005fkey": "b", ', 1).encode(),
            as_text("X", '{"a": 1, "a": 2}', metadata="X").encode(),
            as_text("X", '{"a": {"b": 1, "\\u0062": 2}}', metadata="X").encode(),
            as_text("X", '{"a\\u0000": 1}', metadata="X").encode(),
            as_text("X", nested(31), metadata="X").encode(),
            as_text("X", nested(100_000), metadata="X").encode(),
            b'{"a":' * 40_000,
            as_text("X", '{"a": 1e999}', metadata="X").encode(),
            as_text("X", f'{{"a": {"9" * 5000}}}', metadata="X").encode(),
        ],
        ids=lambda content: content[:30],
    )
    def test_only_one_strict_object_in_utf_8_is_read(self, standing_api: ApiClient, content: bytes) -> None:
        answer = post(standing_api, content)

        assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_REQUEST")
        assert answer.json()["message"].endswith(".")

    @pytest.mark.parametrize(
        "content_type",
        [
            "",
            "text/plain",
            "application/xml",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-16",
            "application/json; charset=latin-1",
            "application/jsonp",
            "application/json, text/plain",
            "application/problem+json",
        ],
    )
    def test_only_json_is_read(self, standing_api: ApiClient, content_type: str) -> None:
        answer = post(standing_api, json.dumps(reservation()), Content_Type=content_type)

        assert (answer.status_code, answer.json()["error"]) == (415, "INVALID_REQUEST")

    @pytest.mark.parametrize(
        "content_type", ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"']
    )
    def test_utf_8_may_be_spelt_out(self, standing_api: ApiClient, content_type: str) -> None:
        body = json.dumps(reservation(idempotency_key=f"k{len(content_type)}"))

        assert post(standing_api, body, Content_Type=content_type).status_code == 200

    @pytest.mark.parametrize("depth", [29, 30])
    def test_thirty_two_levels_are_enough(self, standing_api: ApiClient, depth: int) -> None:
        answer = post(standing_api, as_text("X", nested(depth), metadata="X", idempotency_key=f"deep-{depth}"))

        assert answer.status_code == 200


LONG_NAME = "a" * 129
ALLOWED_NAME = "A-z_0.9" + "a" * 121
FIELDS: list[tuple[str, dict[str, Any]]] = [
    ("idempotency_key", {"idempotency_key": ...}),
    ("idempotency_key", {"idempotency_key": ""}),
    ("idempotency_key", {"idempotency_key": "a" * 257}),
    ("idempotency_key", {"idempotency_key": "a b"}),
    ("idempotency_key", {"idempotency_key": "💩"}),
    ("idempotency_key", {"idempotency_key": 1}),
    ("idempotency_key", {"idempotency_key": None}),
    ("subject", {"subject": ...}),
    ("subject", {"subject": {}}),
    ("subject", {"subject": "acme"}),
    ("subject", {"subject": {"dimensions": {"run": "1"}}}),
    ("subject.tenant", {"subject": {"tenant": ""}}),
    ("subject.tenant", {"subject": {"tenant": LONG_NAME}}),
    ("subject.agent", {"subject": {"agent": "a/b"}}),
    ("subject.agent", {"subject": {"agent": "a:b"}}),
    ("subject.agent", {"subject": {"agent": "a b"}}),
    ("subject.agent", {"subject": {"agent": "a\n"}}),
    ("subject.agent", {"subject": {"agent": "İstanbul"}}),
    ("subject.agent", {"subject": {"agent": "а"}}),  # Cyrillic
    ("subject.agent", {"subject": {"agent": "e\u0301"}}),
    ("subject.agent", {"subject": {"agent": "a\u200d"}}),
    ("subject.agent", {"subject": {"agent": None}}),
    ("subject.team", {"subject": {"tenant": "globex", "team": "a"}}),
    ("subject.dimensions", {"subject": {"agent": "a", "dimensions": {f"d{n}": "x" for n in range(17)}}}),
    ("subject.dimensions", {"subject": {"agent": "a", "dimensions": {"": "x"}}}),
    ("subject.dimensions", {"subject": {"agent": "a", "dimensions": {LONG_NAME: "x"}}}),
    ("subject.dimensions", {"subject": {"agent": "a", "dimensions": {"d": "x" * 257}}}),
    ("subject.dimensions", {"subject": {"agent": "a", "dimensions": {"d": 1}}}),
    ("subject.dimensions", {"subject": {"agent": "a", "dimensions": ["d"]}}),
    ("subject.dimensions.run", {"subject": {"agent": "a", "dimensions": {"run": "a b"}}}),
    ("action", {"action": ...}),
    ("action.name", {"action": {"kind": "a"}}),
    ("action.kind", {"action": {"kind": "a" * 65, "name": "b"}}),
    ("action.name", {"action": {"kind": "a", "name": "b" * 257}}),
    ("action.tags", {"action": {"kind": "a", "name": "b", "tags": ["t"] * 11}}),
    ("action.tags", {"action": {"kind": "a", "name": "b", "tags": ["t" * 65]}}),
    ("action.tags", {"action": {"kind": "a", "name": "b", "tags": "t"}}),
    ("estimate", {"estimate": ...}),
    ("estimate.unit", {"estimate": {"amount": 1}}),
    ("estimate.amount", {"estimate": {"unit": "TOKENS"}}),
    ("estimate.currency", {"estimate": {"unit": "TOKENS", "amount": 1, "currency": "USD"}}),
    ("ttl_ms", {"ttl_ms": 999}),
    ("ttl_ms", {"ttl_ms": 86_400_001}),
    ("ttl_ms", {"ttl_ms": 1000.5}),
    ("grace_period_ms", {"grace_period_ms": -1}),
    ("grace_period_ms", {"grace_period_ms": 60_001}),
    ("overage_policy", {"overage_policy": "ALLOW"}),
    ("overage_policy", {"overage_policy": "reject"}),
    ("dry_run", {"dry_run": "true"}),
    ("dry_run", {"dry_run": 1}),
    ("observe_mode", {"observe_mode": "LOUD"}),
    ("metadata", {"metadata": []}),
    ("metadata", {"metadata": {"a": "x" * KIB_64}}),
    ("actual", {"actual": amount(1)}),
    ("allocated", {"allocated": 1}),
    ("reservation_id", {"reservation_id": "rsv_1"}),
    ("tenant_id", {"tenant_id": "initech"}),
    ("__class__", {"__class__": "x"}),
]


class TestFields:
    @pytest.mark.parametrize(("field", "fields"), FIELDS, ids=lambda value: str(value)[:50])
    def test_the_refusal_names_the_field(self, standing_api: ApiClient, field: str, fields: dict[str, Any]) -> None:
        answer = post(standing_api, json.dumps(reservation(**fields)))

        body = answer.json()
        assert (answer.status_code, body["error"]) == (400, "INVALID_REQUEST"), answer.text
        assert body["details"]["field"].startswith(field)
        assert CANARY not in answer.text

    @pytest.mark.parametrize(
        "fields",
        [
            {"idempotency_key": "a" * 256},
            {"idempotency_key": "!~"},
            {"subject": {"agent": ALLOWED_NAME}},
            {"subject": dict.fromkeys(("workspace", "app", "workflow", "agent", "toolset"), ALLOWED_NAME)},
            {"subject": {"agent": "a", "dimensions": {f"d{n}": "x" * 256 for n in range(16)}}},
            {"subject": {"agent": "a", "dimensions": {"a" * 128: "💩\u202e'; DROP TABLE budget; --"}}},
            {"subject": {"agent": "a", "dimensions": {}}},
            {"action": {"kind": "", "name": "", "tags": ["t" * 64] * 10}},
            {"action": {"kind": "a" * 64, "name": "b" * 256, "policy_keys": {"risk": "high"}}},
            {"ttl_ms": 1_000, "grace_period_ms": 0},
            {"ttl_ms": 86_400_000, "grace_period_ms": 60_000},
            {"observe_mode": "ENFORCE"},
            {"metadata": {"a": "x" * (KIB_64 - 20)}},
            {"metadata": {"a": None, "b": [1.5, -0.0, 2**63, -(2**63), 10**300, 1e300]}},
        ],
        ids=lambda value: str(value)[:50],
    )
    def test_the_last_that_is_allowed_is_taken(self, standing_api: ApiClient, fields: dict[str, Any]) -> None:
        body = reservation(idempotency_key=f"k-{hash(str(fields))}") | fields

        answer = post(standing_api, json.dumps(body))

        assert answer.status_code == 200, answer.text

    @pytest.mark.parametrize("unit", ["EUR", "usd_microcents", "", 5, None])
    def test_an_unknown_unit_is_named_with_those_there_are(self, standing_api: ApiClient, unit: Any) -> None:
        answer = post(standing_api, json.dumps(reservation(estimate={"unit": unit, "amount": 1})))

        body = answer.json()
        assert (answer.status_code, body["error"]) in {(400, "UNIT_MISMATCH"), (400, "INVALID_REQUEST")}
        assert body["details"]["field"] == "estimate.unit"
        assert "USD_MICROCENTS" in answer.text or not isinstance(unit, str)


#: Each operation with a body that it would take.
OPERATIONS: dict[str, Callable[[str], tuple[str, dict[str, Any]]]] = {
    "decide": lambda target: ("/v1/decide", reservation(dry_run=...)),
    "reserve": lambda target: ("/v1/reservations", reservation()),
    "commit": lambda target: (f"/v1/reservations/{target}/commit", {"idempotency_key": "k", "actual": amount(1)}),
    "release": lambda target: (f"/v1/reservations/{target}/release", {"idempotency_key": "k"}),
    "extend": lambda target: (f"/v1/reservations/{target}/extend", {"idempotency_key": "k", "extend_by_ms": 1}),
    "event": lambda target: ("/v1/events", reservation(estimate=..., dry_run=..., actual=amount(1))),
}


@pytest.mark.parametrize("operation", OPERATIONS)
class TestEveryOperation:
    def test_refuses_a_field_that_it_does_not_know(
        self, standing_api: ApiClient, reservation_id: str, operation: str
    ) -> None:
        path, body = OPERATIONS[operation](reservation_id)

        answer = standing_api.post(path, body | {"surprise": 1})

        assert (answer.status_code, answer.json()["details"]) == (400, {"field": "surprise"})

    def test_refuses_a_null(self, standing_api: ApiClient, reservation_id: str, operation: str) -> None:
        path, body = OPERATIONS[operation](reservation_id)
        for field in body:
            answer = standing_api.post(path, body | {field: None})

            assert (answer.status_code, answer.json()["details"]["field"]) == (400, field)

    def test_refuses_a_body_without_a_key(self, standing_api: ApiClient, reservation_id: str, operation: str) -> None:
        path, body = OPERATIONS[operation](reservation_id)
        del body["idempotency_key"]

        answer = standing_api.post(path, body)

        assert (answer.status_code, answer.json()["details"]) == (400, {"field": "idempotency_key"})

    @pytest.mark.parametrize("header", ["other", "", "K", "k ,k", "k,k"])
    def test_refuses_another_key_in_the_header(
        self, standing_api: ApiClient, reservation_id: str, operation: str, header: str
    ) -> None:
        path, body = OPERATIONS[operation](reservation_id)

        answer = standing_api.post(path, body, headers={"X-Idempotency-Key": header})

        assert (answer.status_code, answer.json()["details"]) == (400, {"field": "idempotency_key"})

    def test_reads_no_body_without_a_key_of_ours(self, api_url: str, reservation_id: str, operation: str) -> None:
        path, _ = OPERATIONS[operation](reservation_id)
        with ApiClient(api_url, "wm_live_x") as stranger:
            answer = stranger.call("POST", path, content=b"{")

        assert answer.status_code == 401


class TestTheLog:
    def test_nothing_of_what_was_sent_here_is_printed(self, live_api: LiveApi, standing_books: Books) -> None:
        printed = live_api.printed()

        assert CANARY not in printed
        assert standing_books.key.token not in printed
