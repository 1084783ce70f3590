"""What no exporter sends: it is refused or kept in part, and takes neither memory nor time to speak of."""

import gzip
import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psutil
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from kernel.tenancy import in_tenant
from telemetry.evidence.models import EvidenceNote, Span
from telemetry.evidence.otlp.sent import SPANS_MAX
from telemetry.evidence.reading import AGE_MAX, AHEAD_MAX
from telemetry.findings.models import EvidenceStanding
from tenants.models import Tenant
from tests.evidence.test_ingestion import kept, partial, send
from tests.plugins.live_api import LiveApi
from tests.support.books import Books
from tests.support.owner import delete_shared
from tests.support.spans import request_of, span

MB = 1024 * 1024


@pytest.fixture
def books(acme: Tenant) -> Iterator[Books]:
    yield Books(acme)
    delete_shared(EvidenceStanding.objects.filter(tag=acme.tag))


def varint(number: int) -> bytes:
    pieces = bytearray()
    while number > 0x7F:
        pieces.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*pieces, number])


def message(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def spans_of(content: bytes) -> bytes:
    """A request with these bytes as the spans of one scope."""
    return message(1, message(2, content))


def bomb(size: int) -> bytes:
    """So many bytes, packed a thousandfold."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join(packer.compress(bytes(MB)) for _ in range(size // MB)) + packer.flush()


def memory(live_api: LiveApi) -> int:
    """Of the api process and its workers, in bytes."""
    process = psutil.Process(live_api.process.pid)
    return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))


class TestTooMuch:
    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            pytest.param(bomb(512 * MB), {"Content-Encoding": "gzip"}, id="half a gigabyte in half a megabyte"),
            pytest.param(gzip.compress(bytes(17 * MB)), {"Content-Encoding": "gzip"}, id="one too many"),
            pytest.param(gzip.compress(b"") * 200_000, {"Content-Encoding": "gzip"}, id="two hundred thousand streams"),
            pytest.param(bytes(5 * MB), {}, id="more than is read"),
            pytest.param(spans_of(message(2, b"") * 1_000_000), {}, id="a million empty spans"),
            pytest.param(message(1, b"") * 1_000_000, {}, id="a million empty resources"),
            pytest.param(message(1, message(2, b"") * 1_000_000), {}, id="a million empty scopes"),
            pytest.param(
                b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * 999_999 + b"{}]}]}]}",
                {"Content-Type": "application/json"},
                id="a million spans in JSON",
            ),
            pytest.param(
                b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * SPANS_MAX + b"{}]}]}]}",
                {"Content-Type": "application/json"},
                id="one span too many in JSON",
            ),
        ],
    )
    def test_is_refused_and_takes_little_memory(
        self, body: bytes, headers: dict[str, str], live_api: LiveApi, books: Books
    ) -> None:
        send(live_api.url, books, request_of(span()))
        before = memory(live_api)

        answer = send(live_api.url, books, body, **headers)

        assert answer.status_code in {400, 413}
        assert answer.json()["error"] == "INVALID_REQUEST"
        assert memory(live_api) - before < 150 * MB
        assert len(kept(books.tenant)) == 1

    def test_but_as_many_as_are_allowed_are_kept(self, api_url: str, books: Books) -> None:
        assert partial(send(api_url, books, request_of(*(span() for _ in range(SPANS_MAX))))) == (0, "")

        with in_tenant(books.tenant.tag):
            assert Span.objects.count() == SPANS_MAX

    def test_in_one_span_costs_that_span(self, api_url: str, books: Books) -> None:
        good = span("good").SerializeToString()
        # An attribute a pair of bytes, and one of three megabytes.
        many = span("many").SerializeToString() + message(9, b"") * 500_000
        large = span("large").SerializeToString() + message(9, message(1, b"k" * 3 * MB))

        rejected, words = partial(send(api_url, books, spans_of(b"".join(message(2, s) for s in (large, many, good)))))

        assert rejected == 1
        assert "cannot be read" in words
        assert sorted(row.name for row in kept(books.tenant)) == ["good", "many"]


class TestBroken:
    @pytest.mark.parametrize(
        ("body", "headers", "status"),
        [
            pytest.param(request_of(span()).SerializeToString()[:-1], {}, 400, id="cut off"),
            pytest.param(b"\xff" * 20, {}, 400, id="no protobuf"),
            pytest.param(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", {}, 400, id="a length without end"),
            pytest.param(b"\x09\x00", {}, 400, id="half a number"),
            pytest.param(b"\x0b\x0c", {}, 400, id="a group"),
            pytest.param(b"hello", {"Content-Encoding": "gzip"}, 400, id="no gzip"),
            pytest.param(gzip.compress(b"x" * 9_000)[:-9], {"Content-Encoding": "gzip"}, 400, id="half a gzip"),
            pytest.param(gzip.compress(b"") + b"rest", {"Content-Encoding": "gzip"}, 400, id="something behind a gzip"),
            pytest.param(b"x", {"Content-Encoding": "br"}, 415, id="another packing"),
            pytest.param(b"x", {"Content-Type": "text/plain"}, 415, id="another type"),
            pytest.param(b"[]", {"Content-Type": "application/json"}, 400, id="a list"),
            pytest.param(b"{", {"Content-Type": "application/json"}, 400, id="half of JSON"),
            pytest.param(b'{"resourceSpans":7}', {"Content-Type": "application/json"}, 400, id="a number for a list"),
            pytest.param(b'{"x":' * 20_000, {"Content-Type": "application/json"}, 400, id="deep JSON"),
            pytest.param(
                b'{"x":' * 40 + b"1" + b"}" * 40, {"Content-Type": "application/json"}, 400, id="too deep JSON"
            ),
        ],
    )
    def test_body_is_refused_in_the_protocols_words(
        self, body: bytes, headers: dict[str, str], status: int, api_url: str, books: Books
    ) -> None:
        answer = send(api_url, books, body, **headers)

        assert answer.status_code == status
        assert answer.json()["error"] == "INVALID_REQUEST"
        assert kept(books.tenant) == []

    def test_body_of_unannounced_length_is_refused(self, api_url: str, books: Books) -> None:
        answer = httpx.post(
            f"{api_url}/otlp/v1/traces",
            content=iter([b"x"]),
            headers={"X-Cycles-API-Key": books.key.token, "Content-Type": "application/x-protobuf"},
        )

        assert answer.status_code == 411

    def test_body_of_nobody_is_not_unpacked(self, api_url: str, books: Books) -> None:
        answer = send(api_url, books, bomb(64 * MB), token="wm_live_nobody", **{"Content-Encoding": "gzip"})

        assert answer.status_code == 401

    def test_empty_body_says_nothing(self, api_url: str, books: Books) -> None:
        assert partial(send(api_url, books, b"")) == (0, "")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"trace_id": b""},
            {"trace_id": bytes(16)},
            {"trace_id": b"x" * 15},
            {"trace_id": b"x" * 17},
            {"span_id": bytes(8)},
            {"span_id": b"x" * 9},
            {"parent": b"x" * 7},
        ],
    )
    def test_ids_cost_their_span_alone(self, wrong: dict[str, Any], api_url: str, books: Books) -> None:
        rejected, words = partial(send(api_url, books, request_of(span("good"), span(**wrong))))

        assert rejected == 1
        assert "ids that are not 16 and 8 bytes" in words
        assert [row.name for row in kept(books.tenant)] == ["good"]

    def test_ids_of_json_that_are_no_hex_cost_their_span_alone(self, api_url: str, books: Books) -> None:
        good = span()
        body = {
            "resourceSpans": [
                {
                    "scopeSpans": [
                        {
                            "spans": [
                                {"traceId": trace_id, "spanId": "0123456789abcdef", "startTimeUnixNano": start}
                                for trace_id, start in (
                                    (good.trace_id.hex(), good.start_time_unix_nano),
                                    ("AAAAAAAAAAAAAAAAAAAAAA==", good.start_time_unix_nano),
                                    (good.trace_id.hex(), "soon"),
                                    (good.trace_id.hex(), "9" * 5_000),
                                )
                            ]
                        }
                    ]
                }
            ]
        }

        answer = send(api_url, books, json.dumps(body).encode(), **{"Content-Type": "application/json"})

        assert answer.json()["partialSuccess"]["rejectedSpans"] == "3"
        assert len(kept(books.tenant)) == 1

    @pytest.mark.parametrize(
        ("ago", "is_kept"),
        [
            (AGE_MAX - timedelta(minutes=1), True),
            (AGE_MAX + timedelta(seconds=1), False),
            (-AHEAD_MAX + timedelta(minutes=1), True),
            (-AHEAD_MAX - timedelta(minutes=1), False),
        ],
    )
    def test_times_cost_their_span_alone(self, ago: timedelta, is_kept: bool, api_url: str, books: Books) -> None:
        rejected, _ = partial(send(api_url, books, request_of(span(ago_seconds=ago.total_seconds()))))

        assert rejected == (not is_kept)
        with in_tenant(books.tenant.tag):
            assert EvidenceNote.objects.filter(kind="out_of_time").exists() is not is_kept

    def test_words_are_kept_as_the_database_takes_them(self, api_url: str, books: Books) -> None:
        strange = span(
            "nul\0 and " + "\N{RIGHT-TO-LEFT OVERRIDE}\N{PILE OF POO}" + "x" * 1_000, gen_ai__request__model="m\0"
        )
        strange.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = -5
        strange.attributes.add(key="gen_ai.usage.output_tokens").value.double_value = float("nan")
        strange.attributes.add(key="gen_ai.response.time_to_first_chunk").value.double_value = float("inf")
        strange.end_time_unix_nano = 1

        assert partial(send(api_url, books, request_of(strange))) == (0, "")

        (row,) = kept(books.tenant)
        assert row.name.startswith("nul and ")
        assert len(row.name) <= 256
        assert (row.model, row.tokens_input, row.tokens_output, row.duration_us) == ("m", 0, 0, 0)
        assert row.first_token_us is None

    def test_text_that_is_no_utf_8_costs_its_span_alone(self, api_url: str, books: Books) -> None:
        bad = span("good").SerializeToString().replace(b"good", b"\xff\xfe\xfd\xfc")
        body = spans_of(message(2, bad) + message(2, span("good").SerializeToString()))

        assert partial(send(api_url, books, body))[0] == 1
        assert [row.name for row in kept(books.tenant)] == ["good"]


def test_many_named_tenants_are_noted_together(api_url: str, books: Books) -> None:
    body = request_of(*(span(tenant=f"somebody-{number}") for number in range(100)))

    assert partial(send(api_url, books, body))[0] == 100

    with in_tenant(books.tenant.tag):
        assert EvidenceNote.objects.count() <= 21
        assert sum(note.count for note in EvidenceNote.objects.all()) == 100


def test_an_older_request_may_be_sent_again(api_url: str, books: Books) -> None:
    body: ExportTraceServiceRequest = request_of(span(ago_seconds=timedelta(days=2).total_seconds()))

    assert [partial(send(api_url, books, body)) for _ in range(2)] == [(0, ""), (0, "")]
    assert len(kept(books.tenant)) == 1
    assert kept(books.tenant)[0].received_at > datetime.now(UTC) - timedelta(minutes=5)
