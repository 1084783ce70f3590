"""``python -m bench.webhooks``: how many events a second reach a receiver on this machine.

From rows in the outbox to answers that are written down: handing out, signing, sending over HTTP, settling. To one
receiver deliveries go one after the other, because their order is kept; those of several tenants go side by side, in
the threads of one process, as the egress worker runs them. The receiver is a process of its own.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import django

if TYPE_CHECKING:
    from telemetry.event_owner import Owner

ROOT: Final = Path(__file__).resolve().parents[1]
#: The gate, for one receiver as for several.
DELIVERIES_A_SECOND_MIN: Final = 200
_TENANTS: Final = 4
_EVENT: Final = "budget.funded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """`delivered` events were answered and settled in `seconds`."""

    what: str
    delivered: int
    seconds: float

    @property
    def a_second(self) -> float:
        return self.delivered / self.seconds

    @property
    def is_met(self) -> bool:
        return self.a_second >= DELIVERIES_A_SECOND_MIN

    def __str__(self) -> str:
        said = "met" if self.is_met else "MISSED"
        return f"{self.what}: {self.a_second:,.0f} deliveries/s ({self.delivered:,} in {self.seconds:.1f} s), {said}"


def measure(*, events: int) -> list[Measured]:
    """One receiver, then several at once; `events` are sent each time."""
    from django.db import connections  # noqa: PLC0415  after the settings

    with _receiver() as url:
        owners = [_owner(number) for number in range(1, _TENANTS + 1)]
        for owner in owners:
            _listen(owner, url)
        results = []
        for what, chosen in (("one receiver", owners[:1]), (f"{_TENANTS} receivers", owners)):
            for owner in chosen:
                _happen(owner, events // len(chosen))
            begun = time.perf_counter()
            with ThreadPoolExecutor(len(chosen), initializer=connections.close_all) as pool:
                delivered = sum(pool.map(_visit, chosen))
            results.append(Measured(what=what, delivered=delivered, seconds=time.perf_counter() - begun))
        return results


def _visit(owner: "Owner") -> int:
    """What the egress worker does for one tenant, until nothing waits."""
    from django.db import connections  # noqa: PLC0415

    from tenants.services.webhook_visits import deliver, hand_out_events  # noqa: PLC0415

    delivered = 0
    while due := hand_out_events(tag=owner.tag, has_time=lambda: True):
        for subscription_id in due:
            delivered += deliver(tag=owner.tag, subscription_id=subscription_id, has_time=lambda: True).delivered
    connections.close_all()
    return delivered


def _owner(number: int) -> "Owner":
    from budgets.services.lifecycle import create_tenant  # noqa: PLC0415
    from telemetry.event_owner import Owner  # noqa: PLC0415
    from tenants.services import webhook_due  # noqa: PLC0415
    from tenants.services.provisioning import NewTenant  # noqa: PLC0415

    slug = f"hooks-{time.time_ns():x}-{number}"
    tenant = create_tenant(NewTenant(slug=slug, name=slug), now=datetime.now(UTC))
    webhook_due.enrol()
    return Owner(tag=tenant.tag, tenant_id=tenant.slug)


def _listen(owner: "Owner", url: str) -> None:
    from kernel.actor import Actor  # noqa: PLC0415
    from kernel.tenancy import in_tenant  # noqa: PLC0415
    from telemetry.services.webhooks.subscriptions import NewSubscription, create_subscription  # noqa: PLC0415

    with in_tenant(owner.tag):
        create_subscription(
            NewSubscription(url=url, event_types=[_EVENT]),
            owner=owner,
            actor=Actor(name="bench", actor_type="system"),
            now=datetime.now(UTC),
        )


def _happen(owner: "Owner", count: int) -> None:
    from kernel.actor import Actor  # noqa: PLC0415
    from kernel.tenancy import in_tenant  # noqa: PLC0415
    from telemetry.services.outbox import Event, announce_all  # noqa: PLC0415

    content = {"ledger_id": "0", "unit": "USD_MICROCENTS", "operation": "CREDIT", "new_state": {"allocated": 1}}
    scope = f"tenant:{owner.tenant_id}/workspace:prod"
    happened = (Event(event_type=_EVENT, content=content, scope_path=scope) for _ in range(count))
    with in_tenant(owner.tag):
        announce_all(happened, actor=Actor(name="bench", actor_type="system"), at=datetime.now(UTC))


@contextmanager
def _receiver() -> Iterator[str]:
    """A receiver that answers 204 to everything."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.webhooks", "--receive"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/hooks"
    finally:
        process.terminate()
        process.wait()


class _Answering(asyncio.Protocol):
    """As much of HTTP/1.1 as our own requests need: a head, a Content-Length, a body."""

    def connection_made(self, transport: Any) -> None:
        self._transport, self._buffer = transport, b""

    def data_received(self, chunk: bytes) -> None:
        self._buffer += chunk
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.index(b"content-length:") + len(b"content-length:")
            total = end + 4 + int(head[at:].split(b"\r\n", 1)[0])
            if len(self._buffer) < total:
                return
            self._buffer = self._buffer[total:]
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def _receive() -> None:
    server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _prepare_django() -> None:
    """The product's settings over servers of the bench's own, with the loopback opened to webhooks."""
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    os.environ |= {
        "WATERMASTER_VAR": os.environ.get("BENCH_WEBHOOKS_VAR") or str(ROOT / "var" / "bench-webhooks"),
        "WATERMASTER_PLANE": "console",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "WEBHOOK_ALLOW_HTTP": "yes",
        "WEBHOOK_OPEN_NETWORKS": "127.0.0.0/8",
    }
    django.setup()


@contextmanager
def _servers() -> Iterator[None]:
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connections  # noqa: PLC0415

    from kernel.embedded import Layout, Servers  # noqa: PLC0415

    held = Servers(Layout(Path(os.environ["WATERMASTER_VAR"]).resolve()))
    held.hold()
    try:
        call_command("migrate_all", verbosity=0)
        yield
    finally:
        connections.close_all()
        held.release()


def main(arguments: Sequence[str]) -> int:
    """0 where the gate was met."""
    parser = argparse.ArgumentParser(prog="python -m bench.webhooks", description=__doc__)
    parser.add_argument("--events", type=int, default=5_000, help="Events sent in each measurement (5,000).")
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.receive:
        asyncio.run(_receive())
    _prepare_django()
    with _servers():
        results = measure(events=options.events)
    for measured in results:
        print(f"Webhooks, {measured}")
    return 0 if all(measured.is_met for measured in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
