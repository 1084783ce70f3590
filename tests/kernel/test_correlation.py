import re

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from kernel.http.correlation import correlation_of, read_correlation

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER_TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "00f067aa0ba902b7"


class TestReadCorrelation:
    def test_makes_new_ids_where_nothing_was_sent(self) -> None:
        one, two = read_correlation({}), read_correlation({})

        assert re.fullmatch(r"req_[0-9a-f]{32}", one.request_id)
        assert re.fullmatch(r"[0-9a-f]{32}", one.trace_id)
        assert one.trace_flags == "01"
        assert one.request_id != two.request_id
        assert one.trace_id != two.trace_id
        assert one.trace_id not in one.request_id

    @pytest.mark.parametrize("flags", ["00", "01", "ff"])
    def test_takes_trace_and_flags_of_a_traceparent(self, flags: str) -> None:
        read = read_correlation({"HTTP_TRACEPARENT": f"00-{TRACE}-{SPAN}-{flags}"})

        assert (read.trace_id, read.trace_flags) == (TRACE, flags)

    def test_takes_the_flat_header_as_sampled(self) -> None:
        read = read_correlation({"HTTP_X_CYCLES_TRACE_ID": TRACE})

        assert (read.trace_id, read.trace_flags) == (TRACE, "01")

    def test_prefers_the_traceparent(self) -> None:
        headers = {"HTTP_TRACEPARENT": f"00-{TRACE}-{SPAN}-00", "HTTP_X_CYCLES_TRACE_ID": OTHER_TRACE}

        assert read_correlation(headers).trace_id == TRACE

    @pytest.mark.parametrize(
        "traceparent",
        [
            "",
            TRACE,
            f"00-{'0' * 32}-{SPAN}-01",
            f"00-{TRACE}-{'0' * 16}-01",
            f"01-{TRACE}-{SPAN}-01",
            f"ff-{TRACE}-{SPAN}-01",
            f"00-{TRACE.upper()}-{SPAN}-01",
            f"00-{TRACE}-{SPAN}-01-extra",
            f"00-{TRACE}-{SPAN}-1",
            f"00-{TRACE}-{SPAN}-01\n",
            f" 00-{TRACE}-{SPAN}-01",
            f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01",
        ],
    )
    def test_falls_through_a_malformed_traceparent(self, traceparent: str) -> None:
        headers = {"HTTP_TRACEPARENT": traceparent, "HTTP_X_CYCLES_TRACE_ID": OTHER_TRACE}

        assert read_correlation(headers).trace_id == OTHER_TRACE
        assert read_correlation({"HTTP_TRACEPARENT": traceparent}).trace_id != TRACE

    @pytest.mark.parametrize(
        "trace_header", ["", "0" * 32, TRACE.upper(), TRACE[:-1], TRACE + "0", TRACE + "\n", "x\r\nSet-Cookie: a"]
    )
    def test_replaces_a_malformed_flat_header(self, trace_header: str) -> None:
        read = read_correlation({"HTTP_X_CYCLES_TRACE_ID": trace_header})

        assert re.fullmatch(r"[0-9a-f]{32}", read.trace_id)
        assert read.trace_id != trace_header

    @given(st.text(), st.text())
    def test_is_well_formed_whatever_was_sent(self, traceparent: str, trace_header: str) -> None:
        read = read_correlation({"HTTP_TRACEPARENT": traceparent, "HTTP_X_CYCLES_TRACE_ID": trace_header})

        assert re.fullmatch(r"[0-9a-f]{32}", read.trace_id)
        assert re.fullmatch(r"[0-9a-f]{2}", read.trace_flags)


class TestCorrelationOf:
    def test_stays_the_same_for_one_request(self) -> None:
        request = RequestFactory().get("/")

        assert correlation_of(request) == correlation_of(request)
        assert correlation_of(request) != correlation_of(RequestFactory().get("/"))
