"""HTTP that no honest client sends: framing tricks, doubled headers, strange targets, bodies that never end.

What the server's own parser refuses (400, 414, 431 with an empty body) never reaches the program, so those answers
are not JSON. Two leniencies of that parser are harmless, because nothing behind it parses again: bare line feeds end
a header line, and two equal Content-Length lines count as one.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from threading import Event, Thread
from typing import Any

import httpx
import psutil
import pytest
from pytest_django import DjangoDbBlocker

from tests.plugins.live_api import LiveApi
from tests.support.books import Books
from tests.support.scenes import last_seq
from tests.support.standing import standing_tenant
from tests.support.wire import RawAnswer, connect, exchange, read_answer, request

CANARY = "canary-7f3a"
BODY_BYTES_MAX = 256 * 1024


@pytest.fixture(scope="module")
def books(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Books]:
    """One tenant for all of it: nothing here may change its books."""
    with django_db_blocker.unblock(), standing_tenant("acme") as tenant:
        books = Books(tenant)
        books.add_budget(allocated=1_000_000)
        yield books


@pytest.fixture
def untouched(books: Books) -> Iterator[None]:
    """Whatever the test sends, nothing of it may be booked."""
    before = books.budget()
    seq_before = last_seq(books)
    yield
    after = books.budget()
    assert (after.reserved, after.spent, last_seq(books)) == (before.reserved, before.spent, seq_before)


def reservation(**fields: Any) -> bytes:
    body = {
        "idempotency_key": CANARY,
        "subject": {"tenant": "acme"},
        "action": {"kind": "llm.completion", "name": CANARY},
        "estimate": {"unit": "USD_MICROCENTS", "amount": 10},
    }
    return json.dumps(body | fields).encode()


def reserve(books: Books, **options: Any) -> bytes:
    return request(b"/v1/reservations", token=books.key.token, **({"body": reservation()} | options))


def says(answer: RawAnswer) -> str:
    """The error code, of an answer that must be the protocol's."""
    body = answer.json()
    assert body["request_id"] == answer.headers["x-request-id"]
    assert len(answer.headers["x-cycles-trace-id"]) == 32
    return str(body["error"])


class TestTheSceneItself:
    def test_the_same_bytes_without_a_trick_are_booked(self, books: Books, api_url: str) -> None:
        before = books.budget().reserved

        assert exchange(api_url, reserve(books, body=reservation(idempotency_key="a-key"))).status == 200
        assert books.budget().reserved == before + 10


@pytest.mark.usefixtures("untouched")
class TestKeyHeader:
    def test_two_keys_are_no_key(self, books: Books, api_url: str) -> None:
        twice = b"X-Cycles-API-Key: " + books.key.token.encode() + b"\r\n"

        answer = exchange(api_url, reserve(books, headers=twice))

        assert (answer.status, says(answer)) == (401, "UNAUTHORIZED")

    @pytest.mark.parametrize("other", [b"", b"\xff\xfe", b"x" * 5000, b"wm_live_"])
    def test_another_key_beside_it_is_no_key(self, books: Books, api_url: str, other: bytes) -> None:
        answer = exchange(api_url, reserve(books, headers=b"X-Cycles-API-Key: " + other + b"\r\n"))

        assert (answer.status, says(answer)) == (401, "UNAUTHORIZED")

    def test_a_twin_with_underscores_does_not_replace_it(self, books: Books, api_url: str) -> None:
        answer = exchange(api_url, reserve(books, headers=b"X_Cycles_API_Key: " + b"x" * 40 + b"\r\n"))

        assert answer.status == 401

    def test_a_key_that_is_not_ascii_is_no_key(self, api_url: str) -> None:
        answer = exchange(
            api_url, request(b"/v1/decide", headers=b"X-Cycles-API-Key: \xff\xfe\r\n", body=reservation())
        )

        assert (answer.status, says(answer)) == (401, "UNAUTHORIZED")

    @pytest.mark.parametrize(
        "change",
        [
            lambda token: token[:-1],
            lambda token: token + "x",
            lambda token: token.upper(),
            lambda token: token.replace("wm_live_", "wm_test_"),
            lambda token: "Bearer " + token,
            lambda token: token.replace("_", "\uff3f", 1),  # folds to an underscore
        ],
        ids=["cut off", "too long", "upper case", "other environment", "with a scheme", "unicode twin"],
    )
    def test_a_key_that_is_almost_right_is_no_key(self, books: Books, api_url: str, change: Any) -> None:
        line = b"X-Cycles-API-Key: " + change(books.key.token).encode() + b"\r\n"

        answer = exchange(api_url, request(b"/v1/reservations", headers=line, body=reservation()))

        assert (answer.status, says(answer)) == (401, "UNAUTHORIZED")

    def test_an_idempotency_header_that_is_not_ascii_is_refused(self, books: Books, api_url: str) -> None:
        answer = exchange(api_url, reserve(books, headers=b"X-Idempotency-Key: \xf0\x9f\x92\xa9\r\n"))

        assert (answer.status, says(answer)) == (400, "INVALID_REQUEST")


@pytest.mark.usefixtures("untouched")
class TestFraming:
    """One request, one body, one length; whatever could be read in two ways is refused and ends the connection."""

    @pytest.mark.parametrize(
        ("headers", "length"),
        [
            (b"Content-Length: 5\r\n", ...),
            (b"", b"+167"),
            (b"", b"-1"),
            (b"", b"0x10"),
            (b"", b"1 1"),
            (b"", b"99999999999999999999999"),
            (b"Transfer-Encoding: chunked\r\n", ...),
            (b"Transfer-Encoding: xchunked\r\n", None),
            (b"Transfer-Encoding: chunked, identity\r\n", None),
            (b"Transfer-Encoding: identity\r\n", ...),
            (b"Transfer-Encoding: chunked\r\n", None),
            (b"X-A: a\r\n b\r\n", ...),
            (b"X-A: a\x00b\r\n", ...),
            (b"X-A : b\r\n", ...),
            (b"X-A\r\n", ...),
            (b": b\r\n", ...),
        ],
        ids=str,
    )
    def test_what_could_be_read_in_two_ways_is_refused(
        self, books: Books, api_url: str, headers: bytes, length: Any
    ) -> None:
        hidden = request(b"/healthz", method=b"GET")

        answer = exchange(api_url, reserve(books, headers=headers, length=length, closes=False), hidden)

        assert answer.status in {400, 411, 501}
        assert answer.is_closed
        assert answer.rest == b""

    @pytest.mark.parametrize("host", [None, b"", b"a b", b"a,b", b"\xff", b"a/b", b"user@host", b"h:port"])
    def test_exactly_one_plausible_host_is_named(self, books: Books, api_url: str, host: bytes | None) -> None:
        answer = exchange(api_url, reserve(books, host=host))

        assert (answer.status, says(answer)) == (400, "INVALID_REQUEST")

    def test_two_hosts_are_none(self, books: Books, api_url: str) -> None:
        answer = exchange(api_url, reserve(books, headers=b"Host: other.example\r\n"))

        assert (answer.status, says(answer)) == (400, "INVALID_REQUEST")

    @pytest.mark.parametrize("host", [b"api", b"api.example:7878", b"127.0.0.1", b"[::1]:7878", b"xn--a.example"])
    def test_any_one_host_is_as_good_as_another(self, books: Books, api_url: str, host: bytes) -> None:
        answer = exchange(
            api_url, request(b"/v1/balances?tenant=acme", method=b"GET", token=books.key.token, host=host)
        )

        assert answer.status == 200

    def test_a_body_that_ends_early_is_not_believed(self, books: Books, api_url: str) -> None:
        # What arrived is whole JSON, but not what was announced: the rest might have said something else.
        body = reservation()

        answer = exchange(api_url, reserve(books, body=body, length=b"%d" % (len(body) + 1)), ends=True)

        assert (answer.status, says(answer)) == (400, "INVALID_REQUEST")

    def test_what_comes_after_the_body_is_another_request(self, books: Books, api_url: str) -> None:
        body = reservation(dry_run=True)

        answer = exchange(
            api_url, reserve(books, body=body + b"GARBAGE\r\n\r\n", length=b"%d" % len(body), closes=False)
        )

        assert answer.status == 200
        assert b"HTTP/1.1 400" in answer.rest


@pytest.mark.usefixtures("untouched")
class TestTargets:
    @pytest.mark.parametrize(
        "target",
        [
            b"/v1/reservations/%00",
            b"/v1/reservations/a%00b",
            b"/v1/reservations/%2e%2e%2fdecide",
            b"/v1/reservations/..%2fdecide",
            b"/v1/reservations/../decide",
            b"/v1//reservations",
            b"/v1/reservations/",
            b"/v1/reservations/%ff%fe",
            b"/v1/reservations/" + b"a" * 4000,
            b"/V1/reservations",
            b"/v1/reservations;a=b",
            b"*",
        ],
        ids=lambda target: target[:40].decode(),
    )
    def test_a_strange_address_is_an_unknown_one(self, books: Books, api_url: str, target: bytes) -> None:
        answer = exchange(api_url, request(target, method=b"GET", token=books.key.token))

        assert (answer.status, says(answer)) == (404, "NOT_FOUND")

    @pytest.mark.parametrize("target", [b"/v1/\xff", b"/v1/a b", b"", b"\x00"], ids=repr)
    def test_what_is_no_address_is_refused(self, books: Books, api_url: str, target: bytes) -> None:
        answer = exchange(api_url, request(target, method=b"GET", token=books.key.token))

        assert answer.status == 400
        assert answer.is_closed

    def test_an_address_without_an_end_is_refused(self, books: Books, api_url: str) -> None:
        answer = exchange(api_url, request(b"/v1/" + b"a" * 100_000, method=b"GET", token=books.key.token))

        assert answer.status == 414

    def test_headers_without_an_end_are_refused(self, books: Books, api_url: str) -> None:
        answer = exchange(api_url, reserve(books, headers=b"X-A: " + b"a" * 1_000_000 + b"\r\n"))

        assert answer.status == 431

    def test_the_host_in_an_absolute_target_changes_nothing(self, books: Books, api_url: str) -> None:
        target = b"http://initech.example/v1/balances?tenant=acme"

        answer = exchange(api_url, request(target, method=b"GET", token=books.key.token))

        assert answer.headers["x-cycles-tenant"] == "acme"

    @pytest.mark.parametrize(
        "headers",
        [
            b"X-Tenant: initech\r\n",
            b"X_Tenant_Id: initech\r\n",
            b"X-Cycles-Tenant: initech\r\n",
            b"X-Forwarded-Host: initech.example\r\n",
            b"X-Forwarded-For: 10.0.0.1\r\n",
            b"X-Original-URL: /v1/balances?tenant=initech\r\n",
            b"X-HTTP-Method-Override: DELETE\r\n",
            b"Cookie: tenant=initech\r\n",
        ],
        ids=lambda headers: headers.split(b":")[0].decode(),
    )
    def test_the_key_alone_says_which_tenant(self, books: Books, api_url: str, headers: bytes) -> None:
        call = request(
            b"/v1/balances?tenant=acme",
            method=b"GET",
            token=books.key.token,
            headers=headers,
            host=b"initech.example",
        )

        answer = exchange(api_url, call)

        assert answer.headers["x-cycles-tenant"] == "acme"
        assert answer.json()["balances"][0]["scope_path"] == "tenant:acme"


class TestMethods:
    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
    @pytest.mark.parametrize(
        ("path", "allowed"),
        [
            ("/v1/decide", {"POST"}),
            ("/v1/reservations", {"GET", "HEAD", "POST"}),
            ("/v1/reservations/rsv_x", {"GET", "HEAD"}),
            ("/v1/reservations/rsv_x/commit", {"POST"}),
            ("/v1/balances", {"GET", "HEAD"}),
            ("/healthz", {"GET", "HEAD"}),
        ],
    )
    def test_an_address_says_what_it_answers(self, api_url: str, method: str, path: str, allowed: set[str]) -> None:
        answer = httpx.request(method, api_url + path)

        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == allowed
        assert answer.json()["error"] == "INVALID_REQUEST"

    def test_head_answers_without_a_body(self, books: Books, api_url: str) -> None:
        call = request(b"/v1/balances?tenant=acme", method=b"HEAD", token=books.key.token)

        answer = exchange(api_url, call)

        assert answer.status == 200
        assert int(answer.headers["content-length"]) > 0
        assert answer.body == answer.rest == b""


@pytest.mark.usefixtures("untouched")
class TestLargeBodies:
    @pytest.mark.parametrize("size", [BODY_BYTES_MAX + 1, 10_000_000])
    def test_a_body_that_is_too_large_is_refused(self, books: Books, api_url: str, size: int) -> None:
        answer = httpx.post(
            f"{api_url}/v1/reservations",
            content=b" " * (size - len(reservation())) + reservation(),
            headers={"X-Cycles-API-Key": books.key.token, "Content-Type": "application/json"},
        )

        assert answer.status_code == 413
        assert answer.json()["message"] == "The body is larger than 256 KiB."

    def test_its_announcement_is_enough(self, books: Books, api_url: str) -> None:
        answer = exchange(api_url, reserve(books, body=b"", length=b"10485760"))

        assert (answer.status, says(answer)) == (413, "INVALID_REQUEST")
        assert answer.is_closed

    def test_nor_is_it_asked_for(self, books: Books, api_url: str) -> None:
        call = reserve(books, body=b"", length=b"10485760", headers=b"Expect: 100-continue\r\n")

        assert exchange(api_url, call).status == 413

    def test_chunks_are_not_read_at_all(self, books: Books, api_url: str) -> None:
        chunks = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        head = reserve(books, body=b"", length=None, headers=b"Transfer-Encoding: chunked\r\n")

        answer = exchange(api_url, head, *([chunks] * 10), b"0\r\n\r\n")

        # The connection ends while we still send; mostly the answer is there before.
        assert answer.status in {0, 411}

    def test_memory_stays_flat(self, books: Books, live_api: LiveApi) -> None:
        processes = [psutil.Process(live_api.process.pid), *psutil.Process(live_api.process.pid).children()]
        before = sum(process.memory_info().rss for process in processes)
        for _ in range(20):
            exchange(live_api.url, reserve(books, body=b"x" * 10_000_000))

        assert sum(process.memory_info().rss for process in processes) - before < 20_000_000

    @pytest.mark.parametrize(
        "headers",
        [
            b"Content-Encoding: gzip\r\n",
            b"Content-Encoding: br\r\n",
            b"Content-Encoding: identity, gzip\r\n",
        ],
        ids=str,
    )
    def test_a_compressed_body_is_not_unpacked(self, books: Books, api_url: str, headers: bytes) -> None:
        answer = exchange(api_url, reserve(books, headers=headers))

        assert (answer.status, says(answer)) == (415, "INVALID_REQUEST")


@pytest.mark.usefixtures("untouched")
class TestSlowBodies:
    """A body that does not come holds a thread. More of them than there are threads hold the plane, for a while."""

    CONNECTIONS = 48

    @pytest.mark.skipif(sys.platform != "linux", reason="Only Linux tells how long a connection has waited.")
    @pytest.mark.parametrize("drips", [False, True], ids=["half a body", "a byte now and then"])
    def test_a_request_that_is_never_finished_is_ended(self, books: Books, api_url: str, drips: bool) -> None:
        head = reserve(books, body=b"", length=b"10000", closes=False)
        with ExitStack() as connections:
            stuck = [connections.enter_context(connect(api_url)) for _ in range(self.CONNECTIONS)]
            for connection in stuck:
                connection.sendall(head + b"{")
            idle = connections.enter_context(connect(api_url))
            is_over = Event()

            def drip() -> None:
                while drips and not is_over.wait(0.2):
                    for connection in stuck:
                        with suppress(OSError):
                            connection.sendall(b" ")

            dripping = Thread(target=drip)
            dripping.start()
            ended = read_answer(stuck[0])
            is_over.set()
            dripping.join()

            assert (ended.status, says(ended), ended.is_closed) == (400, "INVALID_REQUEST", True)
            assert exchange(api_url, request(b"/healthz", method=b"GET")).status == 200
            # One that has not begun a request may take its time.
            idle.sendall(request(b"/healthz", method=b"GET"))
            assert read_answer(idle).status == 200

    def test_threads_come_back_when_callers_hang_up(self, books: Books, api_url: str) -> None:
        head = reserve(books, body=b"", length=b"100", closes=False)
        for _ in range(2):
            connections = [connect(api_url) for _ in range(self.CONNECTIONS)]
            for connection in connections:
                connection.sendall(head + b"{")
                connection.close()

        assert exchange(api_url, reserve(books, body=reservation(dry_run=True))).status == 200

    def test_a_body_in_pieces_is_read(self, books: Books, api_url: str) -> None:
        body = reservation(dry_run=True)
        with connect(api_url) as connection:
            connection.sendall(reserve(books, body=b"", length=b"%d" % len(body)))
            for start in range(0, len(body), 20):
                connection.sendall(body[start : start + 20])
                time.sleep(0.02)

            assert read_answer(connection).status == 200


class TestTheLog:
    def test_nothing_of_a_body_or_key_is_printed(self, books: Books, live_api: LiveApi) -> None:
        for call in (
            reserve(books),
            reserve(books, body=reservation(estimate=CANARY)),
            reserve(books, body=b'{"' + CANARY.encode()),
            reserve(books, headers=b"X-Idempotency-Key: " + CANARY.encode() + b"-b\r\n"),
            request(b"/v1/reservations/" + CANARY.encode(), method=b"GET", token=books.key.token),
            request(b"/v1/" + CANARY.encode() + b"?" + CANARY.encode(), token=CANARY),
            b"\x16\x03\x01" + CANARY.encode() + b"\r\n\r\n",
        ):
            exchange(live_api.url, call)

        printed = live_api.printed()
        assert CANARY not in printed
        assert books.key.token not in printed
        assert books.key.token.split("_")[4] not in printed
