"""POST /otlp/v1/traces over HTTP: what is kept, and under whose name."""

import gzip
import json
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from accounts.keys.models import Permission
from kernel.tenancy import in_public, in_tenant
from telemetry.evidence.models import EvidenceNote, Span
from telemetry.findings.models import EvidenceStanding
from telemetry.models import AuditEntry, OutboxEvent
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.owner import delete_shared
from tests.support.spans import request_of, span

PROTOBUF = "application/x-protobuf"


@pytest.fixture
def books(acme: Tenant) -> Any:
    yield Books(acme)
    delete_shared(EvidenceStanding.objects.filter(tag=acme.tag))


def send(
    url: str, books: Books, body: bytes | ExportTraceServiceRequest, *, token: str = "", **headers: str
) -> httpx.Response:
    raw = body if isinstance(body, bytes) else body.SerializeToString()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(
        f"{url}/otlp/v1/traces",
        content=raw,
        headers={"X-Cycles-API-Key": token or books.key.token, "Content-Type": PROTOBUF} | named,
        timeout=30,
    )


def kept(tenant: Tenant) -> list[Span]:
    with in_tenant(tenant.tag):
        return list(Span.objects.order_by("started_at", "span_id"))


def told(tenant: Tenant) -> tuple[list[str], list[str]]:
    """What of evidence stands in the trail, and in the outbox."""
    with in_tenant(tenant.tag):
        trail = AuditEntry.objects.filter(action__startswith="evidence.").values_list("action", flat=True)
        events = OutboxEvent.objects.filter(event_type__contains="evidence.").values_list("event_type", flat=True)
        return list(trail), list(events)


def partial(answer: httpx.Response) -> tuple[int, str]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == PROTOBUF
    message = ExportTraceServiceResponse.FromString(answer.content)
    return message.partial_success.rejected_spans, message.partial_success.error_message


class TestSpans:
    def test_are_kept_with_what_they_say(self, api_url: str, books: Books) -> None:
        sent = span(
            "chat gpt-5",
            seconds=1.5,
            gen_ai__operation__name="chat",
            gen_ai__provider__name="OpenAI",
            gen_ai__response__model="gpt-5-2026",
            gen_ai__response__id="chatcmpl-1234567890",
            gen_ai__usage__input_tokens=1_000,
            gen_ai__usage__cache_read__input_tokens=400,
            gen_ai__usage__output_tokens=50,
            gen_ai__usage__reasoning__output_tokens=20,
            gen_ai__response__time_to_first_chunk=0.25,
            gen_ai__agent__name="planner",
            watermaster__tenant="Acme",
            watermaster__prompt_source_tenant="acme",
        )

        answer = send(api_url, books, request_of(sent))

        assert partial(answer) == (0, "")
        assert answer.headers["X-Cycles-Tenant"] == "acme"
        (row,) = kept(books.tenant)
        assert (row.trace_id, row.span_id, row.parent_id) == (sent.trace_id.hex(), sent.span_id.hex(), "")
        assert (row.kind, row.provider, row.model) == ("inference", "openai", "gpt-5-2026")
        assert (row.tokens_input, row.tokens_cached, row.tokens_output, row.tokens_reasoning) == (1_000, 400, 50, 20)
        assert (row.duration_us, row.first_token_us) == (1_500_000, 250_000)
        assert (row.service, row.agent, row.instrumentation) == ("checkout", "planner", "tests")
        assert (row.tenant, row.prompt_source_tenant, row.is_error) == ("acme", "acme", False)
        assert row.is_counted is None

    def test_are_kept_once_however_often_they_are_sent(self, api_url: str, books: Books) -> None:
        body = request_of(span(), span())

        answers = [partial(send(api_url, books, body)) for _ in range(2)]

        assert answers == [(0, ""), (0, "")]
        assert len(kept(books.tenant)) == 2

    def test_come_packed_and_as_json_with_ids_in_hex(self, api_url: str, books: Books) -> None:
        sent = span()
        body = {
            "resourceSpans": [
                {
                    "scopeSpans": [
                        {
                            "spans": [
                                {
                                    "traceId": sent.trace_id.hex().upper(),
                                    "spanId": sent.span_id.hex(),
                                    "name": "search",
                                    "kind": 3,
                                    "startTimeUnixNano": str(sent.start_time_unix_nano),
                                    "endTimeUnixNano": sent.end_time_unix_nano,
                                    "status": {"code": 2},
                                    "attributes": [
                                        {"key": "db.system", "value": {"stringValue": "qdrant"}},
                                        {"key": "db.collection.name", "value": {"stringValue": "docs"}},
                                        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "17"}},
                                        {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}]}}},
                                    ],
                                }
                            ]
                        }
                    ]
                }
            ]
        }

        answer = send(
            api_url,
            books,
            gzip.compress(json.dumps(body).encode()),
            Content_Type="application/json; charset=utf-8",
            Content_Encoding="gzip",
        )

        assert (answer.status_code, answer.json()) == (200, {})
        (row,) = kept(books.tenant)
        assert (row.trace_id, row.kind, row.namespace) == (sent.trace_id.hex(), "retrieval", "docs")
        assert (row.tokens_input, row.is_error) == (17, True)

    def test_of_another_tenant_are_refused_and_told(self, api_url: str, books: Books) -> None:
        foreign = span(tenant="initech", seconds=1)

        rejected, words = partial(send(api_url, books, request_of(span(), foreign, foreign)))

        assert rejected == 2
        assert "2 name another tenant" in words
        assert "initech" not in words
        assert len(kept(books.tenant)) == 1
        with in_tenant(books.tenant.tag):
            note = EvidenceNote.objects.get()
            assert (note.kind, note.about, note.count) == ("foreign", "initech", 2)
        assert told(books.tenant) == (["evidence.foreign_span"], ["custom.evidence.leak"])
        with in_public():
            assert EvidenceStanding.objects.get(tag=books.tenant.tag).foreign_spans == 2

    def test_of_a_resource_of_another_tenant_are_refused(self, api_url: str, books: Books) -> None:
        body = request_of(span(), resource={"tenant.id": "initech"})

        assert partial(send(api_url, books, body))[0] == 1
        assert kept(books.tenant) == []

    @pytest.mark.parametrize(
        "leak",
        [
            {"watermaster__prompt_source_tenant": "initech"},
            {"pinecone__query__namespace": "wm_" + "b" * 20 + "_sales"},
            {"db__collection__name": "docs", "watermaster__namespace_tenant": "initech"},
        ],
    )
    def test_with_a_leak_are_kept_and_told_once_a_day(self, leak: dict[str, Any], api_url: str, books: Books) -> None:
        for _ in range(2):
            assert partial(send(api_url, books, request_of(span(**leak), span()))) == (0, "")

        with in_tenant(books.tenant.tag):
            note = EvidenceNote.objects.get()
            assert (note.kind, note.count) == ("leak", 2)
        assert told(books.tenant) == (["evidence.leak"], ["custom.evidence.leak"])
        with in_public():
            standing = EvidenceStanding.objects.get(tag=books.tenant.tag)
            assert (standing.leaks, standing.foreign_spans) == (2, 0)
            assert standing.due_at is not None

    def test_with_the_tenants_own_namespace_are_no_leak(self, api_url: str, books: Books) -> None:
        own = span(pinecone__query__namespace=f"wm_{books.tenant.tag}_sales", prompt_source_tenant=books.tenant.tag)

        send(api_url, books, request_of(own))

        with in_tenant(books.tenant.tag):
            assert not EvidenceNote.objects.exists()
            assert Span.objects.get().namespace_tenant == "acme"

    def test_of_nobody_are_kept_nowhere(self, api_url: str, books: Books) -> None:
        body = request_of(span())

        assert send(api_url, books, body, token="wm_live_nonsense").status_code == 401
        reads = books.add_key(permissions=[Permission.BALANCES_READ])
        assert send(api_url, books, body, token=reads.token).status_code == 403
        assert kept(books.tenant) == []
