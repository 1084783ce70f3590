"""A kill switch in the midst of traffic over HTTP: none is let through after its transaction, in any process."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from budgets.models import Decision, KillSwitch, Reservation
from budgets.selectors.audit import audit
from budgets.services.switches import throw_switch
from kernel.actor import Actor
from kernel.ids import parse_wire_id
from kernel.stops import Stop
from kernel.switches import SwitchLevel, SwitchMode
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry
from tenants.models import PlatformSwitch, Tenant
from tenants.services.platform_switches import throw_platform_switch
from tests.plugins.live_api import free_port, start_api, stop_api
from tests.support.books import Books
from tests.support.bursts import Running, head_held, until, waiting_for_locks, watcher
from tests.support.owner import delete_shared

OLIVE = Actor(name="olive", actor_type="admin")
ADMITS = 200
AMOUNT = 7


@dataclass(frozen=True, slots=True)
class Admitted:
    """One answer of admit: when it was asked for and answered (seconds of this process), and what it said."""

    asked: float
    answered: float
    body: dict[str, Any]

    @property
    def is_allowed(self) -> bool:
        return bool(self.body["decision"] != "DENY")

    @property
    def decision_id(self) -> UUID:
        wire_id = parse_wire_id("dec", self.body["decision_id"])
        assert wire_id is not None
        return wire_id.uuid


@dataclass(frozen=True, slots=True)
class Storm:
    """All the answers, and when the stop had returned."""

    answers: list[Admitted]
    returned: float

    @property
    def allowed(self) -> list[Admitted]:
        return [answer for answer in self.answers if answer.is_allowed]

    @property
    def refused(self) -> list[Admitted]:
        return [answer for answer in self.answers if not answer.is_allowed]

    @property
    def all_refused_ms(self) -> float:
        """How long after the stop had returned the last caller of all processes was refused."""
        return (max(answer.answered for answer in self.refused) - self.returned) * 1000


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=100_000_000)
    return books


@pytest.fixture(scope="module")
def other_api_url(django_db_setup: None) -> Iterator[str]:
    """A second api process beside the run's own: what one process knows, the other one cannot."""
    port = free_port()
    process = start_api(port)
    yield f"http://127.0.0.1:{port}"
    stop_api(process)


async def admit(client: httpx.AsyncClient, url: str, books: Books) -> Admitted:
    body = {
        "idempotency_key": str(uuid4()),
        "subject": {"tenant": books.tenant.slug, "agent": "triage"},
        "action": {"kind": "llm.completion", "name": "openai:gpt-4o"},
        "estimate": {"unit": "USD_MICROCENTS", "amount": AMOUNT},
    }
    asked = time.monotonic()
    while True:
        answer = await client.post(
            f"{url}/v1/x-watermaster/admit", json=body, headers={"X-Cycles-API-Key": books.key.token}
        )
        if answer.status_code != 503:
            break
        # Turned away undecided: it comes again, as a client does.
        await asyncio.sleep(0.02)
    assert answer.status_code == 200, answer.text
    return Admitted(asked, time.monotonic(), answer.json())


async def storm(urls: list[str], books: Books, *, stop: Callable[[], object], after: int) -> "Storm":
    """`ADMITS` callers at once, over all the processes, each again and again until it is refused.

    `stop` is called when `after` of their calls are answered.
    """
    answers: list[Admitted] = []
    is_time = threading.Event()

    async def caller(number: int) -> None:
        while time.monotonic() < ends:
            answers.append(answer := await admit(client, urls[number % len(urls)], books))
            if len(answers) >= after:
                is_time.set()
            if not answer.is_allowed:
                return

    def stop_in_the_midst() -> float:
        assert is_time.wait(30)
        stop()
        return time.monotonic()

    ends = time.monotonic() + 60
    limits = httpx.Limits(max_connections=ADMITS, max_keepalive_connections=ADMITS)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:
        stopping = asyncio.create_task(asyncio.to_thread(stop_in_the_midst))
        await asyncio.gather(*(caller(number) for number in range(ADMITS)))
        return Storm(answers=answers, returned=await stopping)


def decided(books: Books, ids: list[UUID]) -> list[tuple[int | None, datetime]]:
    with in_tenant(books.tenant.tag):
        return list(Decision.objects.filter(pk__in=ids).values_list("ledger_seq", "at"))


@pytest.mark.slow
class TestTenantSwitch:
    @pytest.mark.parametrize("mode", SwitchMode)
    def test_thrown_during_200_admits_lets_none_through_after_its_transaction(
        self, books: Books, initech: Tenant, api_url: str, other_api_url: str, mode: SwitchMode
    ) -> None:
        others = Books(initech)
        others.add_budget(allocated=1000)
        tag = books.tenant.tag

        def stop() -> object:
            return throw_switch(
                tag=tag, stop=Stop(level=SwitchLevel.AGENT, name="triage", mode=mode, reason="runaway"), actor=OLIVE
            )

        run = asyncio.run(storm([api_url, other_api_url], books, stop=stop, after=400))

        assert len(run.allowed) >= 400 - ADMITS
        # Every caller of both processes was refused in the end, and for this reason.
        assert Counter(answer.body["reasons"][0]["code"] for answer in run.refused) == {"KILL_SWITCH": ADMITS}
        assert all(not answer.is_allowed for answer in run.answers if answer.asked >= run.returned)
        with in_tenant(tag):
            [thrown] = AuditEntry.objects.filter(action="kill_switch.thrown")
            thrown_at = KillSwitch.objects.get().thrown_at
            active = Reservation.objects.filter(status="ACTIVE").count()
        assert thrown.after is not None
        let_through = decided(books, [answer.decision_id for answer in run.allowed])
        turned_away = decided(books, [answer.decision_id for answer in run.refused])
        # By the books' own order, not by a clock: each that was let through stands before the switch.
        assert len(let_through) == len(run.allowed)
        assert all(seq is not None and seq <= thrown.after["ledger_seq"] for seq, _ in let_through)
        assert max(at for _, at in let_through) <= thrown_at <= min(at for _, at in turned_away)
        released = thrown.after["holds_released"]
        if mode == SwitchMode.CANCEL_HOLDS:
            assert (active, released) == (0, len(run.allowed))
        else:
            assert (active, released) == (len(run.allowed), 0)
        assert books.budget().reserved == active * AMOUNT
        assert audit(tag) == []
        assert asyncio.run(_one(api_url, others)).is_allowed
        print(f"\n{mode}: {len(run.allowed)} let through, {ADMITS} callers refused {run.all_refused_ms:.0f} ms after")

    def test_lets_running_work_settle_over_http(self, books: Books, api_url: str) -> None:
        holds = [asyncio.run(_one(api_url, books)).body["reservation"]["reservation_id"] for _ in range(2)]
        throw_switch(tag=books.tenant.tag, stop=Stop(level=SwitchLevel.TENANT, reason="runaway"), actor=OLIVE)
        headers = {"X-Cycles-API-Key": books.key.token}
        amount = {"unit": "USD_MICROCENTS", "amount": 5}

        commit = httpx.post(
            f"{api_url}/v1/reservations/{holds[0]}/commit",
            json={"idempotency_key": "c", "actual": amount},
            headers=headers,
        )
        release = httpx.post(
            f"{api_url}/v1/reservations/{holds[1]}/release", json={"idempotency_key": "r"}, headers=headers
        )

        assert (commit.status_code, release.status_code) == (200, 200)
        assert (books.budget().spent, books.budget().reserved) == (5, 0)
        assert not asyncio.run(_one(api_url, books)).is_allowed


@pytest.mark.slow
class TestPlatformSwitch:
    @pytest.fixture
    def shared(self, database: None) -> Iterator[None]:
        yield
        delete_shared(PlatformSwitch.objects.all())

    @pytest.mark.usefixtures("shared")
    def test_thrown_during_200_admits_stops_every_process_within_a_second(
        self, books: Books, api_url: str, other_api_url: str
    ) -> None:
        def stop() -> object:
            return throw_platform_switch(
                stop=Stop(level=SwitchLevel.PROVIDER, name="openai", reason="outage"), actor=OLIVE
            )

        run = asyncio.run(storm([api_url, other_api_url], books, stop=stop, after=400))

        assert len(run.refused) == ADMITS
        assert all(not answer.is_allowed for answer in run.answers if answer.asked >= run.returned)
        with in_public():
            thrown_at = PlatformSwitch.objects.get().thrown_at
        latest = max(at for _, at in decided(books, [answer.decision_id for answer in run.allowed]))
        # One transaction may have read its switches before the commit; it is over long before a second is.
        late_ms = (latest - thrown_at).total_seconds() * 1000
        assert late_ms < 1000
        print(f"\nplatform: {len(run.allowed)} let through, the last decided {late_ms:.0f} ms after the switch began;")
        print(f"{ADMITS} callers of both processes refused {run.all_refused_ms:.0f} ms after it had returned")


class TestBarrier:
    def test_a_tenant_s_switch_waits_where_others_have_given_up(self, books: Books) -> None:
        tag = books.tenant.tag
        with watcher() as seen, head_held(tag):
            stopping = Running(
                lambda: (
                    throw_switch(tag=tag, stop=Stop(level=SwitchLevel.TENANT, reason="runaway"), actor=OLIVE).is_changed
                )
            )
            until(lambda: waiting_for_locks(seen) >= 1)
            # Longer than the time after which a request is answered with 503.
            time.sleep(2.5)
            assert not stopping.has_ended

        assert stopping.result()
        assert books.ask("reserve", amount=1).status == "KILL_SWITCH"

    def test_a_platform_switch_is_seen_by_what_waits_for_the_head(self, books: Books) -> None:
        try:
            with watcher() as seen, head_held(books.tenant.tag):
                waiting = Running(lambda: books.ask("reserve", amount=1).status)
                until(lambda: waiting_for_locks(seen) >= 1)
                throw_platform_switch(stop=Stop(level=SwitchLevel.PLATFORM, reason="outage"), actor=OLIVE)
            assert waiting.result() == "KILL_SWITCH"
        finally:
            delete_shared(PlatformSwitch.objects.all())


async def _one(url: str, books: Books) -> Admitted:
    async with httpx.AsyncClient(timeout=20) as client:
        return await admit(client, url, books)
