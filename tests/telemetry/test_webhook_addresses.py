"""Where a webhook may lead: to the public internet, judged at every connection, and to nothing else."""

import socket
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from pytest_django import Settings

from telemetry.models import AuditEntry
from telemetry.services.webhooks import names
from telemetry.services.webhooks.addresses import (
    AddressRefused,
    AddressRules,
    InvalidUrl,
    is_public,
    read_url,
    require_reachable,
    resolve,
    shown_url,
)
from telemetry.services.webhooks.wire import NoAnswer, Receiver
from tenants.services.webhook_visits import in_schema_of
from tests.support.webhook_receiver import Sink
from tests.support.webhooks import Hooks

STRICT = AddressRules()
LOOPBACK = AddressRules(allow_http=True, open_networks=(ip_network("127.0.0.0/8"),))


class TestAddress:
    @pytest.mark.parametrize(
        "address",
        [
            *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
            *("169.254.169.254", "100.64.0.1", "100.100.100.200", "198.18.0.1", "192.0.2.1", "224.0.0.1"),
            *("255.255.255.255", "240.0.0.1", "168.63.129.16"),
            *("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1"),
            *("fec0::1", "::127.0.0.1", "64:ff9b:1::7f00:1", "::ffff:0:7f00:1", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
            *("5f00::1", "100::1", "192.0.0.192", "192.88.99.1"),
            *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::"),
        ],
    )
    def test_of_ones_own_networks_is_not_public(self, address: str) -> None:
        assert not is_public(ip_address(address))

    @pytest.mark.parametrize(
        "address", ["1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101"]
    )
    def test_of_the_internet_is(self, address: str) -> None:
        assert is_public(ip_address(address))


class TestUrl:
    @pytest.mark.parametrize(
        "url",
        [
            *(
                "http://example.com/",
                "ftp://example.com/",
                "file:///etc/passwd",
                "gopher://example.com/",
                "//example.com",
            ),
            *(
                "https://",
                "https:///x",
                "https://user:pw@example.com/",
                "https://example.com/#x",
                "javascript:alert(1)",
            ),
            *("https://example.com:8443/", "https://example.com:22/", "https://example.com:99999/", "https://a b/"),
            *("https://exa\r\nmple.com/", "https://example.com\\@evil.test/", "https://exämple.com/", "x" * 3000),
            *("https://[::1/", "unix:///var/run/docker.sock"),
        ],
    )
    def test_of_another_kind_is_refused(self, url: str) -> None:
        with pytest.raises(InvalidUrl):
            read_url(url, STRICT)

    @pytest.mark.parametrize(
        "host",
        [
            *("127.0.0.1", "localhost", "0x7f.1", "0177.0.0.1", "2130706433", "127.1", "[::1]", "[::ffff:127.0.0.1]"),
            *("169.254.169.254", "[fd00:ec2::254]", "10.0.0.1", "0"),
        ],
    )
    def test_of_a_private_address_is_refused_however_it_is_spelt(self, host: str) -> None:
        with pytest.raises(InvalidUrl):
            require_reachable(f"https://{host}/hooks", STRICT)

    def test_of_a_host_without_an_address_is_judged_later(self) -> None:
        require_reachable("https://hooks.invalid/", STRICT)

    def test_may_name_another_port_only_in_ones_own_networks(self) -> None:
        assert read_url("http://127.0.0.1:8080/", LOOPBACK).port == 8080
        with pytest.raises(AddressRefused):
            resolve(read_url("https://1.1.1.1:8443/", LOOPBACK), LOOPBACK, timeout_s=5)


@pytest.fixture
def silent_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A name server that answers nobody until the test is over."""
    is_over = threading.Event()

    def look_up(*_: Any, **__: Any) -> list[Any]:
        is_over.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield
    is_over.set()


class TestShown:
    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("https://example.com/hooks", "https://example.com/hooks"),
            ("https://example.com/hooks?token=so-secret&v=2", "https://example.com/hooks?token=***&v=***"),
            ("https://example.com/hooks?so-secret", "https://example.com/hooks?***"),
            ("https://example.com/?so-secret=", "https://example.com/?***"),
            ("https://example.com/?", "https://example.com/?***"),
        ],
    )
    def test_url_has_nothing_of_what_lets_somebody_in(self, url: str, shown: str) -> None:
        assert shown_url(url) == shown

    def test_url_is_what_the_audit_trail_keeps(self, hooks: Hooks, sink: Sink) -> None:
        subscription = hooks.subscribe(f"{sink.url}?token=so-secret", "budget.funded")
        hooks.change(subscription, url=f"{sink.url}?token=more-secret")

        with in_schema_of(hooks.owner):
            rows = str(list(AuditEntry.objects.values("before", "after")))
        assert "token=***" in rows
        assert "-secret" not in rows


class TestConnection:
    def test_is_judged_again_when_it_is_made(self, hooks: Hooks, sink: Sink, settings: Settings) -> None:
        """A name that led elsewhere when it was written down."""
        hooks.subscribe(sink.url, "budget.funded")
        settings.WEBHOOK_OPEN_NETWORKS = ["10.99.0.0/16"]
        hooks.happen("budget.funded")

        hooks.visit()

        assert not sink.received
        (delivery,) = hooks.deliveries()
        assert delivery.status == "RETRYING"
        assert "private or reserved" in delivery.error
        assert "127.0.0.1" not in delivery.error

    def test_goes_to_the_address_that_was_judged(self, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
        """The second answer of a name server that changes its mind is never asked for."""
        answers = iter([["127.0.0.1"], ["169.254.169.254"], ["169.254.169.254"]])
        port = read_url(sink.url, LOOPBACK).port
        asked = []

        def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in next(answers)]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        with Receiver(read_url(f"http://rebind.example:{port}/", LOOPBACK), LOOPBACK) as receiver:
            assert receiver.post(b"{}", {}).is_success
            assert receiver.post(b"{}", {}).is_success

        assert asked == ["rebind.example"]
        assert sink.received[0].headers["host"] == f"rebind.example:{port}"

    def test_is_not_made_if_one_of_several_addresses_is_private(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in ("1.1.1.1", "10.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

        with Receiver(read_url("https://two.example/", STRICT), STRICT) as receiver, pytest.raises(NoAnswer):
            receiver.post(b"{}", {})

    def test_ends_though_the_name_server_says_nothing(self, silent_names: None) -> None:
        """The system's resolver waits for half a minute, and each of a ping's callers with it."""
        began = time.monotonic()

        with Receiver(read_url("https://silent.example/", STRICT), STRICT) as receiver, pytest.raises(NoAnswer) as no:
            receiver.post(b"{}", {}, timeout_s=0.2)

        assert time.monotonic() - began < 5
        assert "No answer" in str(no.value)

    def test_waits_for_no_more_name_servers_than_so_many(
        self, silent_names: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(names, "_slots", threading.BoundedSemaphore(2))
        before = threading.active_count()

        for _ in range(5):
            with pytest.raises(TimeoutError):
                names.addresses_of("silent.example", 443, timeout_s=0.05)

        assert threading.active_count() <= before + 2

    def test_of_a_receiver_that_trickles_ends(self, trickle: str) -> None:
        began = time.monotonic()

        with Receiver(read_url(trickle, LOOPBACK), LOOPBACK) as receiver, pytest.raises(NoAnswer):
            receiver.post(b"{}", {}, timeout_s=0.5)

        assert time.monotonic() - began < 5

    def test_reads_no_answer_without_end(self, endless: str) -> None:
        with Receiver(read_url(endless, LOOPBACK), LOOPBACK) as receiver:
            assert receiver.post(b"{}", {}).status == 200


def served(answer: Any) -> Iterator[str]:
    """A server that takes one connection and lets `answer` do with it what it likes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65_536)
                    answer(connection)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
    thread.join(timeout=5)


@pytest.fixture
def trickle() -> Iterator[str]:
    def answer(connection: socket.socket) -> None:
        for _ in range(100):
            connection.sendall(b"H")
            time.sleep(0.05)

    yield from served(answer)


@pytest.fixture
def endless() -> Iterator[str]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    yield from served(answer)
