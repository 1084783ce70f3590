"""Request and trace ids, on every answer of every address."""

import pytest

from tests.support.api_client import Answer, ApiClient, amount

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = "0af7651916cd43dd8448eb211c80319c"
SPAN = "00f067aa0ba902b7"


def trace(api: ApiClient, path: str = "/v1/balances?tenant=globex", **headers: str) -> str:
    answer = api.get(path, headers={name.replace("_", "-"): text for name, text in headers.items()})
    found: str = answer.headers["X-Cycles-Trace-Id"]
    return found


class TestTraceId:
    def test_comes_from_traceparent(self, standing_api: ApiClient) -> None:
        assert trace(standing_api, traceparent=f"00-{TRACE}-{SPAN}-01") == TRACE

    def test_comes_from_our_header(self, standing_api: ApiClient) -> None:
        assert trace(standing_api, X_Cycles_Trace_Id=TRACE) == TRACE

    def test_traceparent_wins(self, standing_api: ApiClient) -> None:
        found = trace(standing_api, traceparent=f"00-{TRACE}-{SPAN}-00", X_Cycles_Trace_Id=OTHER)

        assert found == TRACE

    @pytest.mark.parametrize(
        "traceparent",
        [
            "nonsense",
            "",
            f"00-{'0' * 32}-{SPAN}-01",
            f"00-{TRACE}-{'0' * 16}-01",
            f"01-{TRACE}-{SPAN}-01",
            f"ff-{TRACE}-{SPAN}-01",
            f"00-{TRACE.upper()}-{SPAN}-01",
            f"00-{TRACE}-{SPAN}",
            f"00-{TRACE}-{SPAN}-01-extra",
            f"00-{TRACE[:-1]}-{SPAN}-01",
            f"00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01",
        ],
    )
    def test_a_malformed_traceparent_is_as_good_as_none(self, standing_api: ApiClient, traceparent: str) -> None:
        assert trace(standing_api, traceparent=traceparent, X_Cycles_Trace_Id=OTHER) == OTHER
        assert trace(standing_api, traceparent=traceparent) != TRACE

    @pytest.mark.parametrize("header", ["nonsense", "", "0" * 32, TRACE.upper(), TRACE[:-1], TRACE + "0"])
    def test_a_malformed_header_is_as_good_as_none(self, standing_api: ApiClient, header: str) -> None:
        assert trace(standing_api, X_Cycles_Trace_Id=header) not in {header, "0" * 32, TRACE}

    def test_is_new_for_each_request_without_one(self, standing_api: ApiClient) -> None:
        assert trace(standing_api) != trace(standing_api)


def refusals(api: ApiClient) -> list[Answer]:
    headers = {"X-Cycles-Trace-Id": TRACE}
    return [
        api.get("/nothing/here", headers=headers),
        api.get("/", headers=headers),
        api.get("/v1/decide", headers=headers),
        api.call("DELETE", "/v1/reservations", headers=headers),
        api.reserve(estimate=amount(10**12), headers=headers),
        api.reserve(ttl_ms=1, headers=headers),
        api.commit("rsv_1", headers=headers),
        api.call("POST", "/v1/decide", content=b"{", headers=headers),
    ]


class TestErrors:
    def test_carry_the_trace_id_in_header_and_body(self, standing_api: ApiClient) -> None:
        for answer in refusals(standing_api):
            assert answer.headers["X-Cycles-Trace-Id"] == answer.json()["trace_id"] == TRACE

    def test_each_has_a_request_id_of_its_own(self, standing_api: ApiClient) -> None:
        found = [answer.json()["request_id"] for answer in refusals(standing_api)]

        assert len(set(found)) == len(found)

    def test_a_request_id_that_was_sent_is_not_taken(self, standing_api: ApiClient) -> None:
        answer = standing_api.get("/nothing", headers={"X-Request-Id": "mine"})

        assert answer.headers["X-Request-Id"] != "mine"

    @pytest.mark.parametrize("name", ["python-httpx/0.28.1", "runcycles/0.5.3"])
    def test_the_published_client_finds_the_trace_id_in_the_header_alone(
        self, standing_api: ApiClient, name: str
    ) -> None:
        agent = {"User-Agent": name, "X-Cycles-Trace-Id": TRACE}

        for answer in (
            standing_api.reserve(estimate=amount(10**12), headers=agent),
            standing_api.get("/no", headers=agent),
        ):
            assert "trace_id" not in answer.json()
            assert answer.headers["X-Cycles-Trace-Id"] == TRACE


class TestHealth:
    @pytest.mark.parametrize(
        "path",
        ["/healthz", "/readyz", "/actuator/health", "/actuator/health/readiness", "/actuator/health/liveness"],
    )
    def test_asks_for_no_key_and_says_up(self, api_url: str, path: str) -> None:
        with ApiClient(api_url) as nobody:
            answer = nobody.get(path)

        assert (answer.status_code, answer.json()) == (200, {"status": "UP"})

    def test_answers_are_never_kept_by_a_cache(self, standing_api: ApiClient) -> None:
        for path in ("/healthz", "/v1/balances?tenant=globex", "/nothing"):
            assert standing_api.get(path).headers["Cache-Control"] == "no-store"
