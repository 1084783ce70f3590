"""The exporter of opentelemetry-sdk, and two published instrumentations of the same client, against the api plane."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import openai
import pytest
from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai import OpenAIInstrumentor as Traceloop
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from kernel.tenancy import in_tenant
from routing.models import PriceVersion
from routing.services.evidence_visits import visit_evidence
from telemetry.evidence.models import Span
from telemetry.evidence.selectors.rollups import SumLine, sums_since
from telemetry.findings.models import EvidenceStanding
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.model_server import MODEL, SECRET_WORDS, USAGE, model_server
from tests.support.owner import delete_shared
from tests.support.prices import listed, put_in_force

#: In USD_MICROCENTS, at $1 and $4 for 1,000,000 tokens.
COST = USAGE["prompt_tokens"] * 100 + USAGE["completion_tokens"] * 400


@pytest.fixture
def books(acme: Tenant) -> Iterator[Books]:
    put_in_force(listed(MODEL), now=datetime.now(UTC))
    yield Books(acme)
    delete_shared(PriceVersion.objects.filter(model=MODEL), EvidenceStanding.objects.filter(tag=acme.tag))


class Watched(SpanExporter):
    """The real exporter, whose results are kept."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self.exporter = exporter
        self.results: list[SpanExportResult] = []

    def export(self, spans: Any) -> SpanExportResult:
        result = self.exporter.export(spans)
        self.results.append(result)
        return result

    def shutdown(self) -> None:
        self.exporter.shutdown()  # type: ignore[no-untyped-call]  # of the library


def exporter_to(url: str, books: Books, compression: Compression) -> Watched:
    headers = {"x-cycles-api-key": books.key.token}
    return Watched(OTLPSpanExporter(f"{url}/otlp/v1/traces", headers=headers, compression=compression))


def call_a_model(watched: Watched, instrumentors: list[Any], *, calls: int) -> None:
    """Through the OpenAI client, within a span of our own."""
    provider = TracerProvider(resource=Resource.create({"service.name": "checkout", "tenant.id": "acme"}))
    provider.add_span_processor(BatchSpanProcessor(watched))
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=provider)
    try:
        with model_server() as address, provider.get_tracer("agent").start_as_current_span("turn"):
            client = openai.OpenAI(base_url=address, api_key="nothing")
            for _ in range(calls):
                client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": SECRET_WORDS}])
    finally:
        for instrumentor in reversed(instrumentors):
            instrumentor.uninstrument()
        provider.shutdown()


def calls_counted(tenant: Tenant) -> tuple[SumLine, list[Span]]:
    now = datetime.now(UTC) + timedelta(minutes=1)
    visit_evidence(tag=tenant.tag, ends_at=now, now=now, has_time=lambda: True)
    with in_tenant(tenant.tag):
        (line,) = [each for each in sums_since(now - timedelta(hours=1), limit=50) if each.kind == "inference"]
        return line, list(Span.objects.order_by("started_at"))


@pytest.mark.parametrize(
    ("instrumentors", "seen"),
    [
        ([OpenInference], 1),
        ([Traceloop], 1),
        ([OpenInference, Traceloop], 2),
        ([Traceloop, OpenInference], 2),
    ],
    ids=lambda each: "-".join(type(one()).__module__.split(".")[0] for one in each) if isinstance(each, list) else "",
)
def test_each_call_is_counted_and_billed_once(instrumentors: list[Any], seen: int, api_url: str, books: Books) -> None:
    watched = exporter_to(api_url, books, Compression.Gzip)

    call_a_model(watched, [each() for each in instrumentors], calls=3)

    assert set(watched.results) == {SpanExportResult.SUCCESS}
    line, spans = calls_counted(books.tenant)
    assert (line.spans, line.repeats) == (3, 3 * (seen - 1))
    assert (line.provider, line.subject, line.cost) == ("openai", MODEL, 3 * COST)
    assert (line.tokens_input, line.tokens_output, line.unpriced) == (300, 30, 0)
    assert len(spans) == 1 + 3 * seen
    assert {span.service for span in spans} == {"checkout"}
    assert len({span.trace_id for span in spans}) == 1


def test_the_two_together_keep_nothing_of_what_was_said(api_url: str, books: Books) -> None:
    call_a_model(exporter_to(api_url, books, Compression.NoCompression), [OpenInference(), Traceloop()], calls=1)

    with in_tenant(books.tenant.tag):
        rows = [str(row) for row in Span.objects.values_list()]
    assert len(rows) == 3
    assert not any(SECRET_WORDS in row or "answered" in row for row in rows)


def test_an_exporter_with_a_wrong_key_is_told_so(api_url: str, books: Books) -> None:
    watched = Watched(OTLPSpanExporter(f"{api_url}/otlp/v1/traces", headers={"x-cycles-api-key": "nothing"}))

    call_a_model(watched, [Traceloop()], calls=1)

    assert set(watched.results) == {SpanExportResult.FAILURE}
    with in_tenant(books.tenant.tag):
        assert not Span.objects.exists()
