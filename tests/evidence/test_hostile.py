"""Spans that are made to break the reading of spans, to hide a leak, or to be in others' way."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from budgets.api.otlp import views
from budgets.models import Alert
from kernel.http.errors import ProtocolError
from kernel.ids import mint_tag
from kernel.tenancy import in_tenant
from telemetry.evidence.models import EvidenceNote
from telemetry.findings.models import EvidenceStanding
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.evidence.test_ingestion import PROTOBUF, kept, partial, send
from tests.support.books import Books
from tests.support.owner import delete_shared
from tests.support.spans import request_of, span


@pytest.fixture
def books(acme: Tenant) -> Iterator[Books]:
    yield Books(acme)
    delete_shared(EvidenceStanding.objects.filter(tag=acme.tag))


def as_json(*pairs: tuple[str, object], trace_id: str = "", more: dict[str, object] | None = None) -> bytes:
    """One span with these attributes: the words of OTLP for each value."""
    sent = span()
    attributes = [{"key": key, "value": value} for key, value in pairs]
    one = {
        "traceId": trace_id or sent.trace_id.hex(),
        "spanId": sent.span_id.hex(),
        "name": "chat",
        "startTimeUnixNano": str(sent.start_time_unix_nano),
        "endTimeUnixNano": str(sent.end_time_unix_nano),
        "attributes": attributes,
    }
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [one | (more or {})]}]}]}).encode()


def send_json(url: str, books: Books, body: bytes) -> httpx.Response:
    return send(url, books, body, **{"Content-Type": "application/json"})


class TestNumbers:
    @pytest.mark.parametrize(
        "name", ["gen_ai.usage.input_tokens", "gen_ai.response.time_to_first_chunk", "gen_ai.request.model"]
    )
    @pytest.mark.parametrize("value", ["1" + "0" * 400, "9" * 4_300, "9" * 5_000, "-" + "9" * 400])
    def test_of_any_length_cost_at_most_their_span(self, name: str, value: str, api_url: str, books: Books) -> None:
        answer = send_json(api_url, books, as_json((name, {"intValue": value})))

        assert answer.status_code == 200, answer.text

    @pytest.mark.parametrize("digits", [400, 4_300, 5_000])
    def test_of_json_itself_cost_at_most_their_request(self, digits: int, api_url: str, books: Books) -> None:
        body = as_json(("gen_ai.request.model", {"intValue": 7})).replace(b": 7}", b": " + b"9" * digits + b"}")

        assert send_json(api_url, books, body).status_code in {200, 400}

    @pytest.mark.parametrize("field", ["startTimeUnixNano", "endTimeUnixNano"])
    def test_of_time_cost_at_most_their_span(self, field: str, api_url: str, books: Books) -> None:
        for value in ("9" * 4_300, -(10**18), "-1", 10**30):
            assert send_json(api_url, books, as_json(more={field: value})).status_code in {200, 400}


class TestForeign:
    @pytest.mark.parametrize("trace_id", ["\0", "x\0y", "'; --", "\N{PILE OF POO}" * 40, "\\u0000"])
    def test_span_with_a_strange_trace_id_is_refused_and_told(self, trace_id: str, api_url: str, books: Books) -> None:
        answer = send_json(api_url, books, as_json(("tenant.id", {"stringValue": "initech"}), trace_id=trace_id))

        assert answer.status_code == 200, answer.text
        assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"
        with in_tenant(books.tenant.tag):
            (entry,) = AuditEntry.objects.filter(action="evidence.foreign_span")
        assert trace_id not in repr(entry.after)

    def test_span_is_refused_wherever_it_names_the_other(self, api_url: str, books: Books) -> None:
        hidden = span(watermaster__tenant="acme", tenant_id="initech")
        body = request_of(span(watermaster__tenant="acme"), resource={"tenant.id": "initech"})

        assert partial(send(api_url, books, request_of(hidden)))[0] == 1
        assert partial(send(api_url, books, body))[0] == 1

    def test_names_that_a_key_makes_up_raise_a_bounded_number_of_alarms(self, api_url: str, books: Books) -> None:
        for first in range(0, 200, 20):
            named = (span(tenant=f"somebody-{number}") for number in range(first, first + 20))
            assert partial(send(api_url, books, request_of(*named)))[0] == 20

        with in_tenant(books.tenant.tag):
            assert Alert.objects.count() <= 60
            assert EvidenceNote.objects.count() <= 60
            assert sum(note.count for note in EvidenceNote.objects.all()) == 200


def test_a_namespace_of_another_is_a_leak_whatever_the_span_says_of_it(api_url: str, books: Books) -> None:
    other = mint_tag()
    said = span(watermaster__namespace_tenant="acme", db__collection__name=f"wm_{other}")

    assert partial(send(api_url, books, request_of(said))) == (0, "")

    (row,) = kept(books.tenant)
    assert row.namespace_tenant == other


@pytest.mark.parametrize("name", ["prompt_source_tenant", "prompt.source_tenant"])
def test_a_prompt_of_another_is_a_leak_wherever_it_is_said(name: str, api_url: str, books: Books) -> None:
    other: dict[str, Any] = {name: "initech"}
    said = span(watermaster__prompt_source_tenant="acme", **other)

    assert partial(send(api_url, books, request_of(said))) == (0, "")

    assert kept(books.tenant)[0].prompt_source_tenant == "initech"


@contextmanager
def half_sent(url: str, books: Books) -> Iterator[socket.socket]:
    """Somebody who announces spans and does not send them."""
    where = urlsplit(url)
    assert where.hostname
    with socket.create_connection((where.hostname, where.port or 80), timeout=10) as connection:
        head = (
            f"POST /otlp/v1/traces HTTP/1.1\r\nHost: {where.netloc}\r\nX-Cycles-API-Key: {books.key.token}\r\n"
            f"Content-Type: {PROTOBUF}\r\nContent-Length: 1000\r\n\r\n"
        )
        connection.sendall(head.encode() + b"\x0a")
        yield connection
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


class TestNeighbours:
    def test_do_not_wait_for_somebody_who_sends_slowly(self, initech: Tenant, api_url: str, books: Books) -> None:
        with half_sent(api_url, Books(initech)):
            time.sleep(0.3)
            answer = send(api_url, books, request_of(span()))

        assert partial(answer) == (0, "")

    def test_have_places_of_their_own_beside_a_crowd_of_one_tenant(self) -> None:
        """Who waits holds a thread of the api, so few may wait, and the others are told at once."""
        crowd, neighbour = mint_tag(), mint_tag()
        with ExitStack() as taken:
            for _ in range(views.AT_ONCE_OF_TENANT_MAX):
                taken.enter_context(views.place(crowd))
            with pytest.raises(ProtocolError) as refusal, views.place(crowd):
                pass
            assert (refusal.value.status, refusal.value.retry_after_s) == (503, 1)
            with views.place(neighbour):
                pass
        with views.place(crowd):
            pass

    def test_are_not_kept_from_deciding_by_crowds_of_many(self) -> None:
        with ExitStack() as taken:
            for _ in range(views.AT_ONCE_MAX):
                taken.enter_context(views.place(mint_tag()))
            with pytest.raises(ProtocolError), views.place(mint_tag()):
                pass
