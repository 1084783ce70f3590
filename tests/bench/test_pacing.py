"""A load by the clock sends what it was told, and hides no wait. How fast anything is, no test asks."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from bench import pacing
from bench.customers import Customer, equip
from bench.drive import drive
from bench.figures import Figures
from bench.generator import Order
from bench.rulebook import limit_rate
from bench.verify import books_of
from bench.wire import Script, Step
from tenants.models import Tenant

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}"


def one_word(_number: int) -> Script:
    while True:
        yield Step(b"x", ends_unit=True)


def two_words(_number: int) -> Script:
    while True:
        yield Step(b"x", ends_unit=False)
        yield Step(b"y", ends_unit=True)


@contextmanager
def server(*, seconds_to_answer: float = 0.0, answer: bytes = ANSWER) -> Iterator[tuple[int, list[float]]]:
    """Answers each word on each connection, in order, after so long; its port, and when each word came."""
    came: list[float] = []

    def serve(link: socket.socket) -> None:
        with link:
            while link.recv(1):
                came.append(time.perf_counter())
                time.sleep(seconds_to_answer)
                link.sendall(answer)

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(link,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1], came
        listener.shutdown(socket.SHUT_RDWR)


class TestPacedLoad:
    @pytest.mark.parametrize("connections", [1, 5])
    def test_keeps_the_rate_it_was_given(self, connections: int) -> None:
        windows: list[str] = []

        with server() as (port, came):
            figures = pacing.run(
                port=port,
                connections=connections,
                rate=200,
                seconds=1,
                warm_seconds=0.2,
                script=one_word,
                on_window=windows.append,
            )

        # However slow the machine is: what was due counts, and all of it is sent.
        assert figures.rate == pytest.approx(200, rel=0.02)
        assert (figures.units, figures.accepted, len(came)) == (200, 240, 240)
        assert windows == ["begin", "end"]
        assert (figures.other_answers, figures.unanswered) == (0, 0)

    def test_sends_nothing_before_its_time_and_ends_with_the_last_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pacing, "DRAIN_SECONDS_MAX", 60)
        began = time.perf_counter()

        with server() as (port, came):
            pacing.run(port=port, connections=5, rate=100, seconds=0.3, warm_seconds=0, script=one_word)

        assert time.perf_counter() - began < 60
        assert len(came) == 30
        assert all(moment - began >= number / 100 for number, moment in enumerate(sorted(came)))

    def test_counts_the_wait_for_a_free_connection(self) -> None:
        with server(seconds_to_answer=0.05) as (port, _):
            figures = pacing.run(port=port, connections=1, rate=100, seconds=0.1, warm_seconds=0, script=one_word)

        # Ten are due, 10 ms apart, and each takes 50 ms on the one connection: the last one waits for 9 * 40 ms.
        assert figures.units == 10
        assert figures.max_ms >= 9 * 40 + 50
        assert figures.p50_ms >= 4 * 40 + 50

    def test_a_unit_of_two_requests_is_one_unit(self) -> None:
        with server(seconds_to_answer=0.02) as (port, came):
            figures = pacing.run(port=port, connections=3, rate=50, seconds=0.2, warm_seconds=0, script=two_words)

        assert (figures.units, figures.accepted, len(came)) == (10, 20, 20)
        assert figures.p50_ms >= 40

    def test_counts_the_refused_and_goes_on(self) -> None:
        with server(answer=REFUSAL) as (port, _):
            figures = pacing.run(port=port, connections=2, rate=100, seconds=0.2, warm_seconds=0.1, script=one_word)

        assert figures.statuses == {"429": 20}
        assert (figures.units, figures.accepted, figures.other_answers, figures.declined) == (0, 0, 30, 30)
        assert figures.max_ms > 0

    def test_counts_those_that_were_never_answered_with_their_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pacing, "DRAIN_SECONDS_MAX", 0.3)

        with server(seconds_to_answer=60) as (port, _):
            figures = pacing.run(port=port, connections=2, rate=50, seconds=0.1, warm_seconds=0, script=one_word)

        # Two hang and three never found a connection.
        assert (figures.units, figures.unanswered, figures.accepted) == (0, 2, 0)
        assert figures.p50_ms >= 300
        assert figures.max_ms >= 400


class TestPacedOrder:
    @pytest.fixture
    def customers(self, acme: Tenant, initech: Tenant) -> list[Customer]:
        return [equip(acme), equip(initech)]

    def paced(self, api_url: str, customer: Customer, *, rate: float) -> Figures:
        return drive(
            Order(
                port=urlsplit(api_url).port or 0,
                connections=5,
                kind="reserve",
                accounts=[customer.account],
                seconds=0.5,
                warm_seconds=0.1,
                rate=rate,
            )
        )

    def test_finds_every_reserve_in_the_books(self, api_url: str, customers: list[Customer]) -> None:
        books = books_of(customers)

        figures = self.paced(api_url, customers[0], rate=40)

        assert (figures.units, figures.accepted) == (20, 24)
        assert books.mismatches(figures) == []

    def test_a_limited_flood_writes_what_was_accepted_and_nothing_else(
        self, api_url: str, customers: list[Customer]
    ) -> None:
        flooding = customers[1]
        limit_rate(flooding.tag, flooding.account.slug, per_second=1)
        books = books_of(customers)

        figures = self.paced(api_url, flooding, rate=100)

        assert set(figures.statuses) <= {"200", "429"}
        assert sum(figures.statuses.values()) == 50
        assert figures.accepted + figures.declined == 60
        assert figures.accepted >= 1
        assert figures.declined > 0
        assert books.mismatches(figures) == []
