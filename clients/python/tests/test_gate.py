"""The gate refuses what is surely over its budget, and nothing else."""

import json
import random
import time
from pathlib import Path
from statistics import mean

import pytest

from watermaster_client.cli import main
from watermaster_client.gate import judge, p95
from watermaster_client.turns import Turns


def made_up(count: int, *, seed: int, slower: float = 1.0, dearer: float = 1.0) -> Turns:
    """Turns with the long tail that real ones have."""
    rng = random.Random(seed)
    latencies = [round(rng.lognormvariate(6.5, 0.6) * slower, 1) for _ in range(count)]
    costs = [round(rng.lognormvariate(-5, 0.8) * dearer, 6) for _ in range(count)]
    return Turns(latencies, costs, ["easy" if n % 3 else "hard" for n in range(count)])


def write(path: Path, turns: Turns) -> Path:
    rows = zip(turns.latency_ms, turns.cost, turns.classes, strict=True)
    lines = (json.dumps({"latency_ms": ms, "cost": cost, "class": name}) for ms, cost, name in rows)
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    return write(tmp_path / "a.jsonl", made_up(2_000, seed=1))


def gate(baseline: Path, candidate: Path, *options: str) -> int:
    return main(["gate", "--baseline", str(baseline), "--candidate", str(candidate), *options])


class TestVerdict:
    def test_passes_the_same_turns(self, baseline: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert gate(baseline, baseline) == 0

        output = capsys.readouterr()
        assert "ratio 1.000" in output.out
        assert output.err == ""

    @pytest.mark.parametrize(("change", "metric"), [({"slower": 1.4}, "latency"), ({"dearer": 1.6}, "cost")])
    def test_fails_what_is_surely_over(
        self, baseline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, float], metric: str
    ) -> None:
        candidate = write(tmp_path / "b.jsonl", made_up(2_000, seed=2, **change))

        assert gate(baseline, candidate) == 1
        [over] = [line for line in capsys.readouterr().out.splitlines() if line.endswith("OVER")]
        assert over.startswith(metric)

    def test_decides_by_the_lower_bound_to_the_last_digit(self, baseline: Path, tmp_path: Path) -> None:
        candidate = write(tmp_path / "b.jsonl", made_up(2_000, seed=2, slower=1.4))
        verdicts = judge(
            made_up(2_000, seed=1), made_up(2_000, seed=2, slower=1.4), budgets={"latency_ms": 1.0, "cost": 9.0}, seed=5
        )
        low = verdicts[0].low

        assert gate(baseline, candidate, "--seed", "5", "--latency-budget", repr(low)) == 0
        assert gate(baseline, candidate, "--seed", "5", "--latency-budget", repr(low - 1e-12)) == 1

    def test_passes_equal_distributions_in_nearly_all_of_many_trials(self) -> None:
        """Without any room in the budget, a true ratio of 1 may be refused in 2.5 % of trials."""
        refused = [
            verdict.is_over
            for trial in range(30)
            for verdict in judge(
                made_up(1_000, seed=trial),
                made_up(1_000, seed=1_000 + trial),
                budgets={"latency_ms": 1.0, "cost": 1.0},
                seed=trial,
            )
        ]

        assert len(refused) == 60
        assert mean(refused) <= 0.07

    def test_never_fails_equal_distributions_within_the_usual_budget(self) -> None:
        for trial in range(10):
            turns, others = made_up(1_000, seed=trial), made_up(1_000, seed=500 + trial)
            verdicts = judge(turns, others, budgets={"latency_ms": 1.1, "cost": 1.1}, seed=trial)
            assert not any(verdict.is_over for verdict in verdicts)

    def test_is_the_same_for_the_same_seed(self) -> None:
        turns, others = made_up(1_000, seed=1), made_up(1_000, seed=2)
        budgets = {"latency_ms": 1.1, "cost": 1.1}

        assert judge(turns, others, budgets=budgets, seed=3) == judge(turns, others, budgets=budgets, seed=3)
        assert judge(turns, others, budgets=budgets, seed=3) != judge(turns, others, budgets=budgets, seed=4)

    def test_agrees_with_drawing_every_sample(self) -> None:
        """The interval from one Beta draw a replicate is that of the plain bootstrap."""
        turns, others = made_up(300, seed=1), made_up(300, seed=2)
        [verdict] = judge(turns, others, budgets={"latency_ms": 1.1}, seed=1)
        rng = random.Random(9)
        ratios = sorted(
            p95(sorted(rng.choices(others.latency_ms, k=300))) / p95(sorted(rng.choices(turns.latency_ms, k=300)))
            for _ in range(3_000)
        )

        assert verdict.low == pytest.approx(ratios[75], rel=0.03)
        assert verdict.high == pytest.approx(ratios[2_924], rel=0.03)

    def test_takes_ten_thousand_turns_in_a_moment(self) -> None:
        turns, others = made_up(10_000, seed=1), made_up(10_000, seed=2)
        begun_at = time.perf_counter()

        judge(turns, others, budgets={"latency_ms": 1.1, "cost": 1.1}, seed=1)

        assert time.perf_counter() - begun_at < 3

    def test_calls_something_after_nothing_a_ratio_without_bound(self, tmp_path: Path, baseline: Path) -> None:
        free = write(tmp_path / "free.jsonl", Turns([800.0] * 1_000, [0.0] * 1_000, [""] * 1_000))
        dear = write(tmp_path / "dear.jsonl", Turns([800.0] * 1_000, [0.1] * 1_000, [""] * 1_000))

        assert gate(free, free) == 0
        assert gate(free, dear, "--json") == 1
        assert gate(dear, free) == 0


class TestFewTurns:
    @pytest.mark.parametrize(("count", "status"), [(999, 0), (1_000, 1)])
    def test_only_warn_below_a_thousand(
        self, tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture[str], count: int, status: int
    ) -> None:
        candidate = write(tmp_path / "b.jsonl", made_up(count, seed=2, slower=3))

        assert gate(baseline, candidate) == status
        error = capsys.readouterr().err
        assert error == (
            "" if status else f"Too few turns to refuse anything: {candidate} has 999; 1,000 are needed.\n"
        )

    def test_are_judged_all_the_same(self, tmp_path: Path) -> None:
        one = write(tmp_path / "a.jsonl", Turns([5.0], [1.0], [""]))

        assert gate(one, one) == 0


class TestOutput:
    def test_is_json_for_programs(self, tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture[str]) -> None:
        candidate = write(tmp_path / "b.jsonl", made_up(2_000, seed=2, slower=1.4))

        assert gate(baseline, candidate, "--json") == 1

        printed = json.loads(capsys.readouterr().out)
        assert (printed["passed"], [verdict["over"] for verdict in printed["verdicts"]]) == (False, [True, False])
        assert [(entry["class"], entry["metric"]) for entry in printed["classes"]] == [
            ("easy", "latency_ms"),
            ("easy", "cost"),
            ("hard", "latency_ms"),
            ("hard", "cost"),
        ]


class TestBadInput:
    @pytest.mark.parametrize(
        ("line", "sentence"),
        [
            ("{", "this line is no JSON."),
            ("[1]", "a turn is an object like"),
            ('{"cost": 1}', "latency_ms must be a number from 0 up."),
            ('{"latency_ms": 1, "cost": -0.1}', "cost must be a number from 0 up."),
            ('{"latency_ms": true, "cost": 1}', "latency_ms must be a number from 0 up."),
            ('{"latency_ms": NaN, "cost": 1}', "latency_ms must be a number from 0 up."),
            ('{"latency_ms": 1, "cost": 1, "class": 7}', "class must be a string."),
        ],
    )
    def test_is_named_with_file_and_line(
        self, tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture[str], line: str, sentence: str
    ) -> None:
        bad = tmp_path / "b.jsonl"
        bad.write_text('{"latency_ms": 0, "cost": 0}\n\n' + line + "\n")

        assert gate(baseline, bad) == 2
        assert capsys.readouterr().err.startswith(f"{bad}:3: {sentence}")

    def test_is_a_file_that_is_not_there_or_empty(
        self, tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        empty = tmp_path / "empty.jsonl"
        empty.touch()

        assert gate(baseline, tmp_path / "none.jsonl") == 2
        assert gate(empty, baseline) == 2
        assert [line.split(": ", 1)[1] for line in capsys.readouterr().err.splitlines()] == [
            "this file cannot be read: No such file or directory.",
            "there are no turns in this file.",
        ]

    def test_is_a_budget_that_is_none(self, baseline: Path) -> None:
        with pytest.raises(SystemExit) as left:
            gate(baseline, baseline, "--cost-budget", "-1")

        assert left.value.code == 2
