"""Traces, as OpenTelemetry's own library makes them, into its exporter in memory."""

import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from pytest_django import Settings

from budgets.services.decision_notes import drain
from kernel.http.correlation import read_correlation
from kernel.http.watched import WatchMiddleware
from kernel.ids import mint_wire_id
from kernel.logs.context import begin_request, end_request
from kernel.metrics import process
from kernel.metrics.tally import Tally
from kernel.metrics.tasks import _note_begin, _note_end
from kernel.traces.port import listening
from kernel.traces.sdk import Traces
from kernel.traces.start import start_traces
from tenants.models import Tenant
from tests.support.books import Books

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collected:
    """What a collector would have been sent."""

    def __init__(self, *, ratio: float = 1.0) -> None:
        self._memory = InMemorySpanExporter()
        self.traces = Traces(SimpleSpanProcessor(self._memory), component="api", version="1", ratio=ratio)
        listening.sink = self.traces

    def spans(self) -> Sequence[ReadableSpan]:
        drain(Tally())
        return self._memory.get_finished_spans()

    def one(self) -> Any:
        (span,) = self.spans()
        return span


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collected]:
    monkeypatch.setattr(process.current, "drains", [])
    drain(Tally())
    yield Collected()
    listening.sink = None
    end_request()


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=100)
    return books


def ask_within(books: Books, headers: dict[str, str], **fields: Any) -> Any:
    correlation = read_correlation(headers)
    begin_request(correlation)
    return books.ask("reserve", trace_id=correlation.trace_id, request_id=correlation.request_id, **fields)


class TestDecision:
    def test_is_a_span_below_the_callers(self, books: Books, collected: Collected) -> None:
        before = time.time_ns()
        answer = ask_within(books, {"HTTP_TRACEPARENT": f"00-{TRACE}-{PARENT}-01"}, amount=101)

        span = collected.one()

        assert span.name == "decide reserve"
        assert span.kind == SpanKind.SERVER
        assert f"{span.context.trace_id:032x}" == TRACE
        assert f"{span.parent.span_id:016x}" == PARENT
        assert before <= span.start_time < span.end_time <= time.time_ns()
        assert span.attributes["watermaster.tenant"] == books.tenant.tag
        assert span.attributes["watermaster.decision"] == mint_wire_id("dec", books.tenant.tag, answer.id)
        assert span.attributes["watermaster.reason"] == "BUDGET_EXCEEDED"
        assert span.resource.attributes["service.name"] == "watermaster-api"
        assert span.status.status_code == StatusCode.UNSET

    def test_without_a_caller_has_the_trace_that_the_caller_is_told(self, books: Books, collected: Collected) -> None:
        ask_within(books, {"HTTP_X_CYCLES_TRACE_ID": TRACE}, amount=1)
        ask_within(books, {}, amount=1)

        known, new = collected.spans()

        assert known.context is not None
        assert new.context is not None
        assert f"{known.context.trace_id:032x}" == TRACE
        assert known.parent is None
        assert known.context.trace_id != new.context.trace_id

    def test_is_not_sent_where_the_caller_has_not_sampled_it(self, books: Books, collected: Collected) -> None:
        ask_within(books, {"HTTP_TRACEPARENT": f"00-{TRACE}-{PARENT}-00"}, amount=1)

        assert collected.spans() == ()

    def test_is_left_out_by_the_ratio(self, books: Books, collected: Collected) -> None:
        none = Collected(ratio=0.0)
        ask_within(books, {}, amount=1)

        assert none.spans() == ()

    def test_says_nothing_of_what_the_caller_wrote(self, books: Books, collected: Collected) -> None:
        ask_within(
            books, {}, amount=1, metadata={"note": "hunter22"}, action={"kind": "llm.completion", "name": "hunter22"}
        )

        assert "hunter22" not in collected.one().to_json()


class TestRequest:
    def test_is_a_span_by_its_route(self, collected: Collected) -> None:
        request = RequestFactory().get("/accounts/invitation/hunter22/", HTTP_TRACEPARENT=f"00-{TRACE}-{PARENT}-01")
        request.resolver_match = SimpleNamespace(route="accounts/invitation/<str:token>/")  # type: ignore[assignment]

        WatchMiddleware(lambda _: HttpResponse(status=503))(request)

        span = collected.one()
        assert span.name == "GET accounts/invitation/<str:token>/"
        assert span.attributes["http.response.status_code"] == 503
        assert span.status.status_code == StatusCode.ERROR
        assert f"{span.context.trace_id:032x}" == TRACE
        assert "hunter22" not in span.to_json()


class TestTask:
    @pytest.mark.parametrize(("state", "status"), [("SUCCESS", StatusCode.UNSET), ("FAILURE", StatusCode.ERROR)])
    def test_is_a_span_with_its_tenant(self, collected: Collected, state: str, status: StatusCode) -> None:
        _note_begin(task_id="1")
        _note_end(task_id="1", task=SimpleNamespace(name="budgets.expire_tenant"), state=state, kwargs={"tag": "abc"})

        span = collected.one()
        assert (span.name, span.kind) == ("budgets.expire_tenant", SpanKind.CONSUMER)
        assert span.attributes["watermaster.tenant"] == "abc"
        assert span.status.status_code == status


class TestSwitch:
    def test_is_off_where_no_collector_is_named(self) -> None:
        start_traces("api")

        assert listening.sink is None

    def test_is_on_where_one_is(self, settings: Settings) -> None:
        settings.TRACES_ENDPOINT = "http://127.0.0.1:1"
        try:
            start_traces("api")

            assert isinstance(listening.sink, Traces)
        finally:
            assert isinstance(listening.sink, Traces)
            listening.sink.provider.shutdown()
            listening.sink = None

    def test_needs_the_extra(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def missing(name: str) -> None:
            raise ImportError(name="opentelemetry")

        settings.TRACES_ENDPOINT = "http://127.0.0.1:1"
        monkeypatch.setattr("kernel.traces.start.import_module", missing)

        start_traces("api")

        assert listening.sink is None
        assert "watermaster[otel]" in caplog.text
