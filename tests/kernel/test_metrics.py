"""Counting: in one process, in several that show each other, and who may read it."""

import os
import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.request import urlopen

import msgspec
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from kernel.metrics import process, tasks
from kernel.metrics.catalogue import DECISION_SECONDS, DECISIONS, LINES_STANDING, METRICS, RATE_LIMITED, TASKS
from kernel.metrics.exposition import rendered
from kernel.metrics.http import may_read_metrics
from kernel.metrics.snapshots import Snapshots
from kernel.metrics.tally import OTHER, SERIES_MAX, Tally, added_up, quantile
from tests.plugins.live_api import free_port

RESERVED = ("reserve", "allow", "")


def another_process(folder: Path, numbers: list[object], *, is_alive: bool) -> Path:
    """The file of a process that is not this one."""
    parent = psutil.Process(os.getppid())
    started = int(parent.create_time() * 1000)
    path = folder / f"{parent.pid}-{started if is_alive else started - 5_000}.json"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(numbers))
    return path


class TestTally:
    def test_counts_by_labels(self) -> None:
        tally = Tally()
        tally.add(DECISIONS, RESERVED)
        tally.add(DECISIONS, RESERVED, 2)
        tally.add(DECISIONS, ("reserve", "deny", "BUDGET_EXCEEDED"))

        assert tally.read() == {
            (DECISIONS.name, RESERVED): [3],
            (DECISIONS.name, ("reserve", "deny", "BUDGET_EXCEEDED")): [1],
        }

    def test_puts_what_equals_a_bound_into_its_bucket_and_what_is_more_into_the_next(self) -> None:
        tally = Tally()
        tally.observe(DECISION_SECONDS, ("reserve",), DECISION_SECONDS.bounds[0])
        tally.observe(DECISION_SECONDS, ("reserve",), DECISION_SECONDS.bounds[0] + 1e-9)
        tally.observe(DECISION_SECONDS, ("reserve",), DECISION_SECONDS.bounds[-1] + 1)

        (numbers,) = tally.read().values()
        assert numbers[:2] == [1, 1]
        assert numbers[-2] == 1
        assert numbers[-1] == pytest.approx(DECISION_SECONDS.bounds[0] * 2 + DECISION_SECONDS.bounds[-1] + 1)

    def test_counts_what_is_beyond_its_room_together(self) -> None:
        tally = Tally()
        for number in range(SERIES_MAX + 2):
            tally.add(TASKS, (f"task {number}", "success"))

        assert len(tally.read()) == SERIES_MAX + 1
        assert tally.read()[(TASKS.name, (OTHER, OTHER))] == [2]

    def test_adds_up_and_leaves_out_what_was_counted_by_other_bounds(self) -> None:
        series = (DECISION_SECONDS.name, ("reserve",))

        assert added_up([{series: [1, 2]}, {series: [3, 4]}, {series: [1, 1, 1]}]) == {series: [4, 6]}


class TestQuantile:
    def test_is_none_where_nothing_was_seen(self) -> None:
        assert quantile(DECISION_SECONDS, [0.0] * (len(DECISION_SECONDS.bounds) + 2), 0.5) is None

    def test_lies_within_the_bucket(self) -> None:
        numbers = [0.0] * (len(DECISION_SECONDS.bounds) + 2)
        numbers[1] = 100
        low, high = DECISION_SECONDS.bounds[0], DECISION_SECONDS.bounds[1]

        assert quantile(DECISION_SECONDS, numbers, 0.5) == pytest.approx((low + high) / 2)
        assert quantile(DECISION_SECONDS, numbers, 1) == pytest.approx(high)

    def test_is_the_last_bound_for_what_is_beyond(self) -> None:
        numbers = [0.0] * (len(DECISION_SECONDS.bounds) + 2)
        numbers[-2] = 1

        assert quantile(DECISION_SECONDS, numbers, 0.99) == DECISION_SECONDS.bounds[-1]


class TestSnapshots:
    def test_add_up_what_every_process_has_counted(self, tmp_path: Path) -> None:
        another_process(tmp_path, [[DECISIONS.name, list(RESERVED), [4]]], is_alive=True)
        own = Snapshots(tmp_path)
        own.write({(DECISIONS.name, RESERVED): [3]})

        assert own.read() == {(DECISIONS.name, RESERVED): [7]}

    def test_keep_the_counters_of_the_dead_and_forget_their_gauges(self, tmp_path: Path) -> None:
        own = Snapshots(tmp_path)
        own.write({(RATE_LIMITED.name, ()): [1], (LINES_STANDING.name, ()): [2]})
        another_process(tmp_path, [[RATE_LIMITED.name, [], [4]], [LINES_STANDING.name, [], [8]]], is_alive=False)

        assert own.read() == {(RATE_LIMITED.name, ()): [5], (LINES_STANDING.name, ()): [2]}

    def test_begin_anew_when_none_of_the_others_lives(self, tmp_path: Path) -> None:
        dead = another_process(tmp_path, [[RATE_LIMITED.name, [], [4]]], is_alive=False)
        own = Snapshots(tmp_path)

        own.write({(RATE_LIMITED.name, ()): [1]})

        assert not dead.exists()
        assert own.read() == {(RATE_LIMITED.name, ()): [1]}

    @pytest.mark.parametrize("content", [b"", b"[[", b'[["no_such_metric", [], [1]]]'])
    def test_pass_over_what_they_cannot_read(self, tmp_path: Path, content: bytes) -> None:
        own = Snapshots(tmp_path)
        own.write({(RATE_LIMITED.name, ()): [1]})
        another_process(tmp_path, [], is_alive=True).write_bytes(content)

        assert own.read() == {(RATE_LIMITED.name, ()): [1]}


class TestExposition:
    def test_is_what_prometheus_reads(self) -> None:
        histogram = [1.0] * (len(DECISION_SECONDS.bounds) + 1) + [2.5]
        text = rendered({(DECISION_SECONDS.name, ('a\n"b\\',)): histogram}).decode()

        families = {family.name: family for family in text_string_to_metric_families(text)}
        samples = [each for each in families[DECISION_SECONDS.name].samples if each.labels["operation"] == 'a\n"b\\']
        assert [each.value for each in samples if each.labels.get("le") == "+Inf"] == [len(histogram) - 1]
        assert [each.value for each in samples if each.name.endswith("_sum")] == [2.5]

    def test_every_metric_says_what_it_is(self) -> None:
        assert all(metric.help.endswith(".") for metric in METRICS.values())


class TestReader:
    def read(self, **headers: str) -> bool:
        return may_read_metrics(headers)

    @pytest.mark.parametrize(
        ("headers", "may"),
        [
            ({"REMOTE_ADDR": "127.0.0.1"}, True),
            ({"REMOTE_ADDR": "::1"}, True),
            ({"REMOTE_ADDR": "10.0.0.7"}, False),
            ({"REMOTE_ADDR": ""}, False),
            ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, False),
            ({"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=127.0.0.1"}, False),
        ],
    )
    def test_is_the_machine_itself_with_no_proxy_before_it(self, headers: dict[str, str], may: bool) -> None:
        assert self.read(**headers) is may

    @pytest.mark.parametrize(
        ("said", "may"), [("Bearer s3cret", True), ("Bearer s3cre", False), ("s3cret", False), ("", False)]
    )
    def test_is_whoever_bears_the_token_where_there_is_one(self, settings: Settings, said: str, may: bool) -> None:
        settings.METRICS_TOKEN = "s3cret"

        assert self.read(REMOTE_ADDR="10.0.0.7", HTTP_AUTHORIZATION=said) is may
        assert self.read(REMOTE_ADDR="127.0.0.1", HTTP_AUTHORIZATION=said) is may


class TestWorker:
    def test_shows_its_tasks_at_a_door_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(process.current, "tally", Tally())
        port = free_port()
        tasks.answer(host="127.0.0.1", port=port)
        tasks._note_begin(task_id="1")
        tasks._note_end(task_id="1", task=SimpleNamespace(name="budgets.trial"), state="SUCCESS")

        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()

        assert 'watermaster_tasks_total{outcome="success",task="budgets.trial"} 1.0' in text
        assert 'watermaster_task_seconds_count{task="budgets.trial"} 1.0' in text
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"http://127.0.0.1:{port}/", timeout=5)

    def test_goes_on_where_the_port_is_taken(self, caplog: pytest.LogCaptureFixture) -> None:
        with socket.socket() as taken, caplog.at_level("INFO"):
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            tasks.answer(host="127.0.0.1", port=taken.getsockname()[1])

        assert "opens no door for metrics" in caplog.text


def test_what_a_process_shows_is_whole_while_several_of_its_threads_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a file reads as nothing, and a counter that was nothing for a moment reads as a burst."""
    current = process.Process(snapshots=Snapshots(tmp_path))
    monkeypatch.setattr(process, "current", current)
    tasks_of = [(f"task {number}", "success") for number in range(SERIES_MAX - 1)]
    for labels in tasks_of:
        current.tally.add(TASKS, labels)
    process.flush()
    is_over = threading.Event()

    def show() -> None:
        while not is_over.is_set():
            current.tally.add(TASKS, tasks_of[0])
            process.flush()

    threads = [threading.Thread(target=show) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        seen = {len(Snapshots(tmp_path).read()) for _ in range(300)}
    finally:
        is_over.set()
        for thread in threads:
            thread.join()

    assert seen == {len(tasks_of)}
