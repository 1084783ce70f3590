"""While PostgreSQL is dead the api says 503 within two seconds, then recovers by itself. Valkey may die unnoticed."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from uuid import uuid4

import psycopg
import pytest

from tests.support.api_client import Answer, ApiClient, amount
from tests.support.island import Island, island

SECONDS_MAX = 2.0
#: What the test itself may take on a busy machine, above what it grants the server.
SLACK_SECONDS = 1.0

CALLS: dict[str, Callable[[ApiClient, str], Answer]] = {
    "decide": lambda api, reservation_id: api.decide(),
    "reserve": lambda api, reservation_id: api.reserve(),
    "commit": lambda api, reservation_id: api.commit(reservation_id),
    "release": lambda api, reservation_id: api.release(reservation_id),
    "extend": lambda api, reservation_id: api.extend(reservation_id),
    "event": lambda api, reservation_id: api.event(),
    "get": lambda api, reservation_id: api.reservation(reservation_id),
    "list": lambda api, reservation_id: api.reservations(),
    "balances": lambda api, reservation_id: api.balances(),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Island]:
    with island(tmp_path_factory.mktemp("island")) as place:
        yield place


@pytest.fixture
def api(place: Island) -> Iterator[ApiClient]:
    with ApiClient(place.api.url, place.token) as client:
        yield client


@pytest.fixture(params=["stopped", "frozen"])
def outage(request: pytest.FixtureRequest, place: Island) -> Callable[[], AbstractContextManager[None]]:
    return place.postgres_stopped if request.param == "stopped" else place.postgres_frozen


def timed(ask: Callable[[], Answer]) -> tuple[float, Answer]:
    started = time.monotonic()
    answer = ask()
    return time.monotonic() - started, answer


@pytest.mark.slow
class TestPostgres:
    def test_every_operation_answers_503_in_time_and_all_is_well_afterwards(
        self, place: Island, api: ApiClient, outage: Callable[[], AbstractContextManager[None]]
    ) -> None:
        reservation_id = api.reserved()
        slow: dict[str, float] = {}
        with outage():
            # The first round finds connections that were good, the second has to make new ones.
            for _ in range(2):
                for name, ask in CALLS.items():
                    seconds, answer = timed(lambda ask=ask: ask(api, reservation_id))  # type: ignore[misc]
                    assert (answer.status_code, answer.json()["error"]) == (503, "INTERNAL_ERROR"), name
                    assert answer.headers["Retry-After"] == "1"
                    slow |= {name: seconds} if seconds > SECONDS_MAX + SLACK_SECONDS else {}

        place.wait_until_ready()
        assert slow == {}
        assert api.commit(reservation_id).status_code == 200

    def test_many_at_once_are_answered_in_time(
        self, place: Island, api: ApiClient, outage: Callable[[], AbstractContextManager[None]]
    ) -> None:
        api.reserved()
        with ThreadPoolExecutor(24) as callers, outage():
            for _ in range(2):
                results = list(callers.map(lambda _: timed(api.reserve), range(24)))
                assert {answer.status_code for _, answer in results} == {503}
                assert max(seconds for seconds, _ in results) < SECONDS_MAX + SLACK_SECONDS

        place.wait_until_ready()
        assert api.reserve().status_code == 200

    def test_health_tells_them_apart(
        self, place: Island, api: ApiClient, outage: Callable[[], AbstractContextManager[None]]
    ) -> None:
        with outage():
            assert api.get("/healthz").json() == {"status": "UP"}
            assert api.get("/actuator/health/liveness").json() == {"status": "UP"}
            for path in ("/readyz", "/actuator/health", "/actuator/health/readiness"):
                seconds, answer = timed(lambda path=path: api.get(path))  # type: ignore[misc]
                assert (answer.status_code, answer.json()) == (503, {"status": "OUT_OF_SERVICE"})
                assert answer.headers["Retry-After"] == "1"
                assert seconds < SECONDS_MAX + SLACK_SECONDS

        place.wait_until_ready()

    def test_a_call_that_was_under_way_counts_once(
        self, place: Island, api: ApiClient, outage: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Whether it had its effect before the outage or not: the same key finds or makes one."""
        before = api.balances().json()["balances"][0]["reserved"]["amount"]
        keys: list[str] = []
        is_over = threading.Event()

        def load() -> None:
            with ApiClient(place.api.url, place.token) as caller:
                while not is_over.is_set():
                    keys.append(uuid4().hex)
                    caller.reserve(idempotency_key=keys[-1], estimate=amount(1))

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        with outage():
            time.sleep(0.5)
            is_over.set()
        for thread in threads:
            thread.join()
        place.wait_until_ready()

        for key in keys:
            assert api.reserve(idempotency_key=key, estimate=amount(1)).status_code == 200

        after = api.balances().json()["balances"][0]["reserved"]["amount"]
        assert after - before == len(set(keys))

    @pytest.mark.parametrize("name", ["reserve", "balances", "readiness"])
    def test_a_connection_that_was_lost_while_idle_is_not_noticed(
        self, place: Island, api: ApiClient, name: str
    ) -> None:
        calls = {"reserve": api.reserve, "balances": api.balances, "readiness": lambda: api.get("/readyz")}
        assert calls[name]().status_code == 200
        url = place.servers.layout.database_url(user="postgres")
        with psycopg.connect(url, autocommit=True) as administrator:
            administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'watermaster_runtime'"
            )

        assert calls[name]().status_code == 200


class TestValkey:
    def test_its_death_changes_nothing_for_money(self, place: Island, api: ApiClient) -> None:
        with place.valkey_stopped():
            reservation_id = api.reserved(10)
            assert api.extend(reservation_id).status_code == 200
            assert api.commit(reservation_id, actual=amount(12)).status_code == 200
            assert api.event(actual=amount(3)).status_code == 201
            assert api.decide().status_code == 200
            assert api.release(api.reserved(10)).status_code == 200
            assert api.balances().status_code == 200
            assert api.reservation(reservation_id).json()["committed"] == amount(12)
            assert api.get("/readyz").status_code == 200
