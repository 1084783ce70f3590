"""Settles while the server is away: on the disk, sent later, kept apart where they are refused."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import KEY, QUICK
from tests.fake_server import SETTLE, FakeServer, Reply, refusal
from watermaster_client import Action, ApiError, Outbox, Unavailable, Watermaster
from watermaster_client.file_lock import locked
from watermaster_client.outbox import Record, default_folder

COMPLETION: Action = {"kind": "llm.completion", "name": "openai:gpt-4o-mini"}
USAGE = {"prompt_tokens": 10, "completion_tokens": 5}


def record(number: int) -> Record:
    return Record(f"rsv_{number}", SETTLE, {"idempotency_key": f"k{number}", "reservation_id": f"rsv_{number}"})


def settled(server: FakeServer) -> list[str]:
    return [call.body["reservation_id"] for call in server.to(SETTLE)]


def drain(outbox: Outbox | None) -> None:
    """Wait until the background has sent all."""
    deadline = time.monotonic() + 10
    while outbox is not None and outbox.has_any():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def put_many(folder: Path, first: int) -> None:
    outbox = Outbox(folder)
    for number in range(first, first + 50):
        outbox.put(record(number))


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox")


class TestOutbox:
    def test_keeps_what_is_put_in_the_order_of_time(self, outbox: Outbox) -> None:
        for number in (2, 1, 3):
            outbox.put(record(number))
        outbox.take_out("rsv_1")

        assert [waits.reservation_id for waits in Outbox(outbox.folder).waiting()] == ["rsv_2", "rsv_3"]

    def test_keeps_a_settle_once(self, outbox: Outbox) -> None:
        outbox.put(record(1))
        outbox.put(record(1))

        assert len(outbox.waiting()) == 1

    def test_is_for_the_owners_eyes(self, outbox: Outbox) -> None:
        outbox.put(record(1))

        assert outbox.folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in outbox.folder.iterdir()} == {0o600}

    def test_passes_over_a_torn_line_and_loses_none_after_it(self, outbox: Outbox) -> None:
        outbox.put(record(1))
        with (outbox.folder / "waiting.jsonl").open("ab") as file:
            file.write(b'{"reservation_id": "rsv_to')
        outbox.put(record(2))

        assert [waits.reservation_id for waits in outbox.waiting()] == ["rsv_1", "rsv_2"]

    def test_refuses_more_than_it_may_hold(self, tmp_path: Path) -> None:
        outbox = Outbox(tmp_path, bytes_max=100)
        outbox.put(record(1))

        with pytest.raises(OSError, match="is full"):
            outbox.put(record(2))

        assert len(outbox.waiting()) == 1

    def test_takes_what_two_processes_put_at_once(self, outbox: Outbox) -> None:
        context = multiprocessing.get_context("spawn")
        processes = [context.Process(target=put_many, args=(outbox.folder, first)) for first in (0, 100)]
        for process in processes:
            process.start()
        sent: list[str] = []
        while any(process.is_alive() for process in processes):
            outbox.replay(lambda waits: sent.append(waits.reservation_id))
        outbox.replay(lambda waits: sent.append(waits.reservation_id))

        assert [process.exitcode for process in processes] == [0, 0]
        assert sorted(sent) == sorted(f"rsv_{first + n}" for first in (0, 100) for n in range(50))

    def test_is_replayed_by_one_at_a_time(self, outbox: Outbox) -> None:
        outbox.put(record(1))
        sent: list[Record] = []

        with locked(outbox.folder / "replay.lock"):
            assert outbox.replay(sent.append) == 1

        assert sent == []

    def test_stops_at_the_first_that_may_do_better_later(self, outbox: Outbox) -> None:
        for number in (1, 2):
            outbox.put(record(number))
        tried: list[str] = []

        def send(waits: Record) -> None:
            tried.append(waits.reservation_id)
            raise Unavailable("away")

        assert outbox.replay(send) == 2
        assert tried == ["rsv_1"]

    def test_goes_on_after_one_that_is_refused_and_keeps_it_with_the_reason(self, outbox: Outbox) -> None:
        for number in (1, 2):
            outbox.put(record(number))

        def send(waits: Record) -> None:
            if waits.reservation_id == "rsv_1":
                raise ApiError("Too late.", status=410, code="RESERVATION_EXPIRED", request_id="req_1")

        assert outbox.replay(send) == 0
        [kept] = outbox.refused()
        assert (kept.record.body, kept.status, kept.error) == (record(1).body, 410, "RESERVATION_EXPIRED")
        assert (kept.message, kept.request_id) == ("Too late.", "req_1")

    def test_keeps_all_where_the_key_is_refused(self, outbox: Outbox) -> None:
        outbox.put(record(1))

        def send(waits: Record) -> None:
            raise ApiError("Send a valid API key.", status=401, code="UNAUTHORIZED")

        assert outbox.replay(send) == 1
        assert outbox.refused() == []

    def test_is_small_again_when_nothing_waits(self, outbox: Outbox) -> None:
        outbox.put(record(1))
        assert outbox.has_any()

        outbox.replay(lambda waits: None)

        assert not outbox.has_any()

    def test_lies_apart_for_each_server_and_tenant_and_survives_a_new_key(self) -> None:
        rotated = KEY.replace("0123456789abcdef", "fedcba9876543210")
        stranger = KEY.replace("abcdefghij", "jihgfedcba")

        here = default_folder(base_url="http://a", api_key=KEY)
        assert here == default_folder(base_url="http://a", api_key=rotated)
        assert here != default_folder(base_url="http://a", api_key=stranger)
        assert here != default_folder(base_url="http://b", api_key=KEY)
        assert "secret" not in str(here)


class TestSettleWithTheServerAway:
    def test_is_queued_and_sent_when_the_server_is_back(self, wm: Watermaster, server: FakeServer) -> None:
        with wm.admit(action=COMPLETION) as act:
            server.go_away()
            settlement = act.settle(USAGE)
        server.come_back()

        assert settlement.status == "QUEUED"
        wm.flush()
        drain(wm.outbox)
        [call] = server.to(SETTLE)
        assert (call.body["idempotency_key"], call.body["usage"]) == (act.idempotency_key, USAGE)

    def test_goes_out_by_itself(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(SETTLE, *[Reply(503)] * QUICK.attempts_max)
        with wm.admit(action=COMPLETION) as act:
            assert act.settle(USAGE).status == "QUEUED"

        drain(wm.outbox)

        assert settled(server) == ["rsv_1"] * (QUICK.attempts_max + 1)

    def test_goes_out_with_the_next_start_of_the_program(self, server: FakeServer, tmp_path: Path) -> None:
        Outbox(tmp_path).put(record(7))

        with Watermaster(server.url, KEY, outbox_folder=tmp_path) as wm:
            drain(wm.outbox)

        assert [call.body["idempotency_key"] for call in server.to(SETTLE)] == ["k7"]

    def test_is_struck_off_when_a_retry_succeeds(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(SETTLE, Reply(drop=True))

        with wm.admit(action=COMPLETION) as act:
            assert act.settle(USAGE).status == "COMMITTED"

        assert wm.outbox is not None
        assert wm.outbox.waiting() == []

    def test_is_kept_apart_and_raised_where_the_server_refuses(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(SETTLE, Reply(503), refusal(409, "RESERVATION_FINALIZED", "It is settled."))

        with pytest.raises(ApiError, match="RESERVATION_FINALIZED"), wm.admit(action=COMPLETION) as act:
            act.settle(USAGE)

        assert wm.outbox is not None
        assert wm.outbox.waiting() == []
        assert [kept.message for kept in wm.outbox.refused()] == ["It is settled."]

    def test_waits_while_something_else_answers(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(SETTLE, *[Reply(body={"html": "Sign in to this network."})] * QUICK.attempts_max)

        with wm.admit(action=COMPLETION) as act:
            assert act.settle(USAGE).status == "QUEUED"

        drain(wm.outbox)
        assert settled(server) == ["rsv_1"] * (QUICK.attempts_max + 1)

    def test_is_raised_without_an_outbox(self, server: FakeServer) -> None:
        with Watermaster(server.url, KEY, retry=QUICK, use_outbox=False) as wm:
            server.always(SETTLE, Reply(503))

            with pytest.raises(Unavailable), wm.admit(subject={"agent": "a"}, action=COMPLETION) as act:
                act.settle(USAGE)

    @pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a thing of POSIX")
    def test_survives_the_death_of_the_process_at_any_moment(self, server: FakeServer, tmp_path: Path) -> None:
        """Killed while the second attempt hangs, the process leaves the settle to the next one."""
        server.then(SETTLE, Reply(503), Reply(delay_s=30))
        program = (
            "import sys\n"
            "from watermaster_client import Watermaster\n"
            "wm = Watermaster(sys.argv[1], sys.argv[2], outbox_folder=sys.argv[3])\n"
            "with wm.admit(subject={'agent': 'a'}, action={'kind': 'llm.completion', 'name': 'm'}) as act:\n"
            "    act.settle({'prompt_tokens': 1})\n"
        )
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen([sys.executable, "-c", program, server.url, KEY, str(tmp_path)], env=environ)
        deadline = time.monotonic() + 20
        while len(server.to(SETTLE)) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)

        process.send_signal(signal.SIGKILL)
        process.wait()

        [kept] = Outbox(tmp_path).waiting()
        first = server.to(SETTLE)[0].body
        assert kept.body == json.loads(json.dumps(first))
