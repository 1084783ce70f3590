"""What the published client does when the server is away at commit: its journal replays, and the books count once."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from runcycles import Action, Amount, CyclesClient, CyclesConfig, Subject, Unit
from runcycles import cycles as untyped_cycles

from budgets.models import LedgerEntry, Reservation
from kernel.tenancy import in_tenant
from tests.flows.conftest import MortalApi
from tests.support.books import Books
from tests.support.proxy import Proxy, proxy_before

type Function = Callable[..., Any]

cycles: Callable[..., Callable[[Function], Function]] = untyped_cycles
# A busy machine takes its time to start the api again, and the client must not give up before.
WAIT_SECONDS_MAX = 60


@pytest.fixture
def agent(request: pytest.FixtureRequest, standing_books: Books) -> str:
    """An agent with a budget of its own."""
    name = str(request.node.name.removeprefix("test_"))
    standing_books.add_budget(f"/agent:{name}", allocated=1_000)
    return name


def config(books: Books, url: str, journal: Path, *, attempts: int = 2 * WAIT_SECONDS_MAX) -> CyclesConfig:
    return CyclesConfig(
        base_url=url,
        api_key=books.key.token,
        tenant="globex",
        connect_timeout=0.5,
        read_timeout=3,
        retry_initial_delay=0.2,
        retry_max_delay=1.0,
        retry_max_attempts=attempts,
        retry_flush_timeout=0,
        journal_dir=str(journal),
    )


def spend(client: CyclesClient, agent: str, *, meanwhile: Callable[[], None], ttl_ms: int = 60_000) -> None:
    """A guarded call that costs 120 of the 100 that were held, while something happens to the server."""

    @cycles(estimate=100, actual=120, agent=agent, ttl_ms=ttl_ms, grace_period_ms=0, client=client)
    def work() -> None:
        meanwhile()

    work()


def journalled(journal: Path) -> list[Path]:
    return sorted(journal.glob("*/*.json"))


def wait_until_replayed(journal: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while journalled(journal):
        assert time.monotonic() < deadline, "The journal was not replayed."
        time.sleep(0.05)


def effects(books: Books, agent: str) -> list[tuple[str, int | None]]:
    """What was booked for the agent: the kinds of its entries, and what each charged."""
    budget = books.budget(f"/agent:{agent}")
    with in_tenant(books.tenant.tag):
        entries = LedgerEntry.objects.filter(budget_ids__contains=[budget.pk]).order_by("seq")
        return [(entry.kind, entry.charged) for entry in entries]


def run_again(books: Books, url: str, journal: Path) -> None:
    """The program's next start: a process of its own that makes a client and does nothing."""
    script = (
        "from runcycles import CyclesClient, CyclesConfig, cycles\n"
        "client = CyclesClient(CyclesConfig.from_env())\n"
        "@cycles(estimate=1, dry_run=True, client=client)\n"
        "def nothing(): pass\n"
        "nothing()\n"
    )
    environment = os.environ | {
        "CYCLES_BASE_URL": url,
        "CYCLES_API_KEY": books.key.token,
        "CYCLES_TENANT": "globex",
        "CYCLES_JOURNAL_DIR": str(journal),
        "CYCLES_RETRY_INITIAL_DELAY": "0.1",
    }
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=30)


@pytest.mark.slow
class TestServerAway:
    def test_the_same_program_settles_when_the_server_is_back(
        self, mortal_api: MortalApi, standing_books: Books, tmp_path: Path, agent: str
    ) -> None:
        journal = tmp_path / "journal"
        with CyclesClient(config(standing_books, mortal_api.url, journal)) as client:
            spend(client, agent, meanwhile=mortal_api.kill)
            assert len(journalled(journal)) == 1
            assert standing_books.budget(f"/agent:{agent}").reserved == 100

            mortal_api.start()
            wait_until_replayed(journal)

        assert effects(standing_books, agent) == [("CREATE", None), ("RESERVE", None), ("COMMIT", 120)]

    def test_the_next_start_of_the_program_settles(
        self, mortal_api: MortalApi, standing_books: Books, tmp_path: Path, agent: str
    ) -> None:
        journal = tmp_path / "journal"
        with CyclesClient(config(standing_books, mortal_api.url, journal, attempts=1)) as client:
            spend(client, agent, meanwhile=mortal_api.kill)
            time.sleep(0.5)
        assert len(journalled(journal)) == 1
        mortal_api.start()

        run_again(standing_books, mortal_api.url, journal)

        assert journalled(journal) == []
        assert effects(standing_books, agent) == [("CREATE", None), ("RESERVE", None), ("COMMIT", 120)]

    def test_what_comes_after_the_lease_is_booked_as_an_event(
        self, mortal_api: MortalApi, standing_books: Books, tmp_path: Path, agent: str
    ) -> None:
        journal = tmp_path / "journal"

        def outlast() -> None:
            mortal_api.kill()
            time.sleep(2.1)

        with CyclesClient(config(standing_books, mortal_api.url, journal)) as client:
            # One heartbeat at once doubles the second that was asked for.
            spend(client, agent, meanwhile=outlast, ttl_ms=1_000)
            mortal_api.start()
            wait_until_replayed(journal)

        kinds = [effect for effect in effects(standing_books, agent) if effect[0] not in {"CREATE", "EXTEND"}]
        assert kinds == [("RESERVE", None), ("EVENT", 120)]
        with in_tenant(standing_books.tenant.tag):
            event = LedgerEntry.objects.get(kind="EVENT", subject__agent=agent)
            reservation = Reservation.objects.get(subject__agent=agent)
        assert event.metadata is not None
        assert event.metadata["recovered_reservation_id"].split("_")[2].startswith(reservation.pk.hex)


class TestLostAnswer:
    @pytest.fixture
    def proxy(self, api_url: str) -> Iterator[Proxy]:
        with proxy_before(api_url) as proxy:
            yield proxy

    def test_a_commit_whose_answer_is_lost_counts_once(
        self, proxy: Proxy, standing_books: Books, tmp_path: Path, agent: str
    ) -> None:
        journal = tmp_path / "journal"

        def lose() -> None:
            proxy.loses_answers = True

        with CyclesClient(config(standing_books, proxy.url, journal)) as client:
            spend(client, agent, meanwhile=lose)
            assert proxy.lost >= 1
            assert len(journalled(journal)) == 1
            assert standing_books.budget(f"/agent:{agent}").spent == 120

            proxy.loses_answers = False
            wait_until_replayed(journal)

        assert effects(standing_books, agent) == [("CREATE", None), ("RESERVE", None), ("COMMIT", 120)]

    def test_a_reservation_whose_answer_is_lost_is_made_once(
        self, proxy: Proxy, standing_books: Books, tmp_path: Path, agent: str
    ) -> None:
        with CyclesClient(config(standing_books, proxy.url, tmp_path / "journal")) as client:
            request = {
                "idempotency_key": f"lost-{agent}",
                "subject": {"agent": agent},
                "action": {"kind": "a", "name": "b"},
                "estimate": {"unit": "USD_MICROCENTS", "amount": 100},
            }
            proxy.loses_answers = True
            assert client.create_reservation(request).is_transport_error
            proxy.loses_answers = False

            assert client.create_reservation(request).is_success

        assert standing_books.budget(f"/agent:{agent}").reserved == 100


class TestRefusedCommits:
    def test_a_commit_that_is_refused_for_good_leaves_no_journal(
        self, api_url: str, standing_books: Books, tmp_path: Path, agent: str
    ) -> None:
        journal = tmp_path / "journal"
        with CyclesClient(config(standing_books, api_url, journal)) as client:

            @cycles(estimate=100, actual=120, agent=agent, overage_policy="REJECT", client=client)
            def work() -> None:
                pass

            work()

        assert journalled(journal) == []
        assert standing_books.budget(f"/agent:{agent}").reserved == 100

    def test_a_stream_that_is_settled_twice_leaves_no_journal(
        self, api_url: str, standing_books: Books, tmp_path: Path, agent: str
    ) -> None:
        journal = tmp_path / "journal"
        with CyclesClient(config(standing_books, api_url, journal)) as client:
            for actual in (70, 80):
                stream = client.stream_reservation(
                    subject=Subject(agent=agent),
                    action=Action(kind="a", name="b"),
                    estimate=Amount(unit=Unit.USD_MICROCENTS, amount=100),
                    idempotency_key=f"twice-{agent}",
                )
                with stream:
                    stream.usage.actual_cost = actual

        assert stream.settlement_error is not None
        assert stream.settlement_error.error_code == "IDEMPOTENCY_MISMATCH"
        assert journalled(journal) == []
        assert standing_books.budget(f"/agent:{agent}").spent == 70
