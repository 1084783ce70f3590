"""A store that is slow, wrong or broken: a clear cause within a bounded time, and a circuit breaker for its tenant."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import pytest
from pytest_django import Settings

from kernel.ids import Tag, mint_tag
from tests.support.bursts import until
from vault.backends import timed
from vault.backends.bounded import SECONDS_MAX, UNDER_WAY_MAX, bounded
from vault.backends.breaker import FAILURES_MAX, OPEN_SECONDS, Breaker
from vault.backends.breaker import UNDER_WAY_MAX as UNDER_WAY_OF_TENANT_MAX
from vault.backends.door import FetchFailed
from vault.backends.options import CredentialOptions, OpenBaoOptions
from vault.kinds import BackEnd, Health
from vault.locations import Location
from vault.services.fetching import fetch, probe

SLACK: Final = Location(path="wm/{tenant}/slack", key="token")
PLANTED: Final = "xoxb-planted-in-the-answer"
#: A machine with others at work on it may be late by so much.
_LATE_SECONDS: Final = 2.0

type Answer = Callable[[BaseHTTPRequestHandler], None]


def say(status: int, body: bytes, *, length: int | None = None, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def be_slow(request: BaseHTTPRequestHandler) -> None:
    time.sleep(5)


def drip(request: BaseHTTPRequestHandler) -> None:
    """A byte at a time, each well before any timeout of a socket."""
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    for _ in range(50):
        request.wfile.write(b" ")
        request.wfile.flush()
        time.sleep(0.1)


def errors(text: str) -> bytes:
    return f'{{"errors": ["{text} {PLANTED}"]}}'.encode()


@contextmanager
def stand_in(settings: Settings, answer: Answer) -> Iterator[list[str]]:
    """A server that signs everybody in and then answers so; what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path == "/v1/auth/token/lookup-self":
                say(200, b'{"data": {"ttl": 0, "renewable": false}}')(self)
            else:
                answer(self)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    settings.CREDENTIALS = CredentialOptions(openbao=OpenBaoOptions(address=address, token="t"))
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()


TROUBLES: Final = {
    "slow": (be_slow, Health.UNREACHABLE),
    "a byte at a time": (drip, Health.UNREACHABLE),
    "sealed": (say(503, errors("Vault is sealed")), Health.SEALED),
    "not initialised": (say(501, errors("not initialized")), Health.SEALED),
    "forbidden": (say(403, errors("permission denied")), Health.FORBIDDEN),
    "unauthorized": (say(401, errors("no")), Health.FORBIDDEN),
    "not there": (say(404, b'{"errors": []}'), Health.NOT_THERE),
    "malformed": (say(400, errors("bad request")), Health.GARBAGE),
    "broken": (say(500, errors("internal error")), Health.UNREACHABLE),
    "bad gateway": (say(502, b"<html>" + PLANTED.encode()), Health.UNREACHABLE),
    "too many requests": (say(429, errors("slow down")), Health.UNREACHABLE),
    "a page": (say(200, f"<html>{PLANTED}</html>".encode()), Health.GARBAGE),
    "nothing": (say(200, b""), Health.GARBAGE),
    "no content": (say(204, b""), Health.GARBAGE),
    "half an object": (say(200, b'{"data": {"data": {"token": "' + PLANTED.encode()), Health.GARBAGE),
    "another shape": (say(200, b'{"data": {"token": "%s"}}' % PLANTED.encode()), Health.GARBAGE),
    "a list": (say(200, b'["%s"]' % PLANTED.encode()), Health.GARBAGE),
    "no text": (say(200, b'{"data": {"data": {"token": 7}, "metadata": {"version": 1}}}'), Health.GARBAGE),
    "bytes": (say(200, bytes(range(256)) * 4), Health.GARBAGE),
    "too much": (say(200, b" " * 2_000_000), Health.GARBAGE),
    "deep": (say(200, b"[" * 200_000), Health.GARBAGE),
    "less than it said": (say(200, b'{"data"', length=100), Health.GARBAGE),
    "elsewhere": (say(307, b"", Location="http://127.0.0.1:9/v1/secret"), Health.GARBAGE),
    "another gate": (say(302, b"", Location="file:///etc/passwd"), Health.GARBAGE),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_has_a_cause_within_a_bounded_time(settings: Settings, trouble: str) -> None:
    answer, health = TROUBLES[trouble]
    with stand_in(settings, answer):
        began = time.monotonic()
        with pytest.raises(FetchFailed) as failure:
            fetch(tag=mint_tag(), back_end=BackEnd.KV, location=SLACK)

    assert time.monotonic() - began < SECONDS_MAX + _LATE_SECONDS
    assert failure.value.health == health
    assert PLANTED not in repr(failure.value)
    # What libraries raise carries what was answered.
    assert failure.value.__context__ is None


@pytest.mark.parametrize("part", ["status line", "headers", "body", "chunks"])
def test_holds_no_thread_for_longer_than_an_answer_may_take(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """However it drips: a byte every twentieth of a second, which no timeout of a socket notices."""
    monkeypatch.setattr(timed, "ANSWER_SECONDS_MAX", 0.5)
    heads = {
        "status line": b"HTTP/1.1 200 ",
        "headers": b"HTTP/1.1 200 OK\r\nX: ",
        "body": b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n",
        "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    }
    before, is_over = set(threading.enumerate()), threading.Event()

    def drip_on(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(heads[part])
        while not is_over.wait(0.05):
            request.wfile.write(b"1\r\n \r\n" if part == "chunks" else b" ")
            request.wfile.flush()

    with stand_in(settings, drip_on):
        try:
            with pytest.raises(FetchFailed) as failure:
                fetch(tag=mint_tag(), back_end=BackEnd.KV, location=SLACK)
            assert failure.value.health == Health.UNREACHABLE
            until(lambda: not any(each.name == "vault" for each in set(threading.enumerate()) - before))
        finally:
            is_over.set()


def test_nobody_there_has_a_cause(settings: Settings) -> None:
    with stand_in(settings, be_slow):
        pass

    assert probe(tag=mint_tag(), back_end=BackEnd.KV, location=SLACK) == Health.UNREACHABLE


def test_a_token_is_not_sent_elsewhere(settings: Settings) -> None:
    with stand_in(settings, say(200, b"{}")) as asked_there:
        there = settings.CREDENTIALS.openbao.address
        with stand_in(settings, say(307, b"", Location=f"{there}/v1/secret/data/x")), pytest.raises(FetchFailed):
            fetch(tag=mint_tag(), back_end=BackEnd.KV, location=SLACK)

    assert asked_there == []


def test_is_told_at_once_after_three_times_and_to_its_tenant_alone(settings: Settings) -> None:
    ours, theirs = mint_tag(), mint_tag()
    with stand_in(settings, say(503, errors("sealed"))) as asked:
        causes = [probe(tag=ours, back_end=BackEnd.KV, location=SLACK) for _ in range(FAILURES_MAX + 3)]
        questions = sum("metadata" in path for path in asked)
        probe(tag=theirs, back_end=BackEnd.KV, location=SLACK)

        assert set(causes) == {Health.SEALED}
        assert questions == FAILURES_MAX
        assert sum("metadata" in path for path in asked) == FAILURES_MAX + 1


class TestBreaker:
    @pytest.fixture
    def now(self) -> list[float]:
        return [100.0]

    @pytest.fixture
    def breaker(self, now: list[float]) -> Breaker:
        return Breaker(clock=lambda: now[0])

    @pytest.fixture
    def tag(self) -> Tag:
        return mint_tag()

    def _fail(self, breaker: Breaker, tag: Tag, health: Health = Health.UNREACHABLE) -> bool:
        """Whether the store was asked."""
        asked: list[bool] = []
        try:
            with breaker.guard(tag, BackEnd.KV):
                asked.append(True)
                raise FetchFailed(health)
        except FetchFailed:
            return bool(asked)

    def test_lets_one_try_after_a_while(self, breaker: Breaker, tag: Tag, now: list[float]) -> None:
        assert [self._fail(breaker, tag) for _ in range(FAILURES_MAX + 1)] == [True] * FAILURES_MAX + [False]

        now[0] += OPEN_SECONDS - 0.1
        assert not self._fail(breaker, tag)
        now[0] += 0.2
        assert self._fail(breaker, tag)
        assert not self._fail(breaker, tag)

        now[0] += OPEN_SECONDS
        with breaker.guard(tag, BackEnd.KV):
            # While one tries, others are told what is known.
            assert not self._fail(breaker, tag)
        assert [self._fail(breaker, tag) for _ in range(FAILURES_MAX)] == [True] * FAILURES_MAX

    @pytest.mark.parametrize("health", [Health.FORBIDDEN, Health.NOT_THERE])
    def test_does_not_count_what_a_well_store_says(self, breaker: Breaker, tag: Tag, health: Health) -> None:
        assert all(self._fail(breaker, tag, health) for _ in range(FAILURES_MAX * 2))

    def test_keeps_tenants_and_back_ends_apart(self, breaker: Breaker, tag: Tag) -> None:
        for _ in range(FAILURES_MAX):
            self._fail(breaker, tag)

        assert self._fail(breaker, mint_tag())
        with breaker.guard(tag, BackEnd.AWS):
            pass

    def test_lets_a_tenant_hold_up_so_many_and_no_more(self, breaker: Breaker, tag: Tag) -> None:
        guards = [breaker.guard(tag, BackEnd.KV) for _ in range(UNDER_WAY_OF_TENANT_MAX)]
        for guard in guards:
            guard.__enter__()

        assert not self._fail(breaker, tag)
        assert self._fail(breaker, mint_tag())
        for guard in guards:
            guard.__exit__(None, None, None)
        with breaker.guard(tag, BackEnd.KV):
            pass


class TestBounded:
    def test_leaves_behind_what_does_not_end(self) -> None:
        may_end = threading.Event()
        with pytest.raises(FetchFailed) as failure:
            bounded(may_end.wait, seconds=0.05)

        assert failure.value.health == Health.UNREACHABLE
        may_end.set()

    def test_holds_up_so_many_and_no_more(self) -> None:
        may_end = threading.Event()
        # Those of other tests may still be under way.
        for _ in range(UNDER_WAY_MAX):
            with pytest.raises(FetchFailed):
                bounded(lambda: may_end.wait(30), seconds=0)
        began = time.monotonic()
        with pytest.raises(FetchFailed):
            bounded(lambda: None, seconds=30)
        assert time.monotonic() - began < 15

        may_end.set()
        until(_answers)

    def test_says_nothing_of_what_was_raised(self) -> None:
        with pytest.raises(FetchFailed) as failure:
            bounded(lambda: int(PLANTED))

        assert failure.value.health == Health.GARBAGE
        assert failure.value.__context__ is None


def _answers() -> bool:
    try:
        return bounded(lambda: True)
    except FetchFailed:
        return False
