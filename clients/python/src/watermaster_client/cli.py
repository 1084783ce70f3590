"""The command `watermaster`."""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from watermaster_client.gate import REPLICATES, TURNS_MIN, ClassRatio, Verdict, by_class, judge, ratio
from watermaster_client.turns import BadTurns, read_turns

PASSED, OVER_BUDGET, BAD_INPUT = 0, 1, 2
_NAMES: Final = {"latency_ms": "latency", "cost": "cost"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Answers the exit code."""
    options = _parser().parse_args(arguments)
    try:
        baseline, candidate = read_turns(options.baseline), read_turns(options.candidate)
    except BadTurns as bad:
        print(bad, file=sys.stderr)
        return BAD_INPUT
    budgets = {"latency_ms": options.latency_budget, "cost": options.cost_budget}
    verdicts = judge(baseline, candidate, budgets=budgets, seed=options.seed)
    classes = by_class(baseline, candidate)
    is_over = any(verdict.is_over for verdict in verdicts)
    counts = {options.baseline: len(baseline), options.candidate: len(candidate)}
    few = [f"{path} has {count:,}" for path, count in counts.items() if count < TURNS_MIN]
    status = OVER_BUDGET if is_over and not few else PASSED
    print(
        _as_json(verdicts, classes, status=status, seed=options.seed) if options.json else _as_text(verdicts, classes)
    )
    if few:
        print(f"Too few turns to refuse anything: {', '.join(few)}; {TURNS_MIN:,} are needed.", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="watermaster", description="Tools around the Watermaster client.")
    gate = parser.add_subparsers(required=True).add_parser(
        "gate", help="fail when a candidate is slower or dearer than a baseline", description=_GATE
    )
    gate.add_argument("--baseline", type=Path, required=True, metavar="A.jsonl")
    gate.add_argument("--candidate", type=Path, required=True, metavar="B.jsonl")
    budget = "how large the ratio of the 95th percentiles may be (default 1.10)"
    gate.add_argument("--latency-budget", type=_budget, default=1.10, metavar="RATIO", help=budget)
    gate.add_argument("--cost-budget", type=_budget, default=1.10, metavar="RATIO", help=budget)
    gate.add_argument("--seed", type=int, default=0, help="of the bootstrap; the same seed gives the same answer")
    gate.add_argument("--json", action="store_true", help="print the verdict for programs")
    return parser


_GATE = (
    'A line of each file is a turn: {"latency_ms": 812, "cost": 0.0031, "class": "easy"}. Exits with 1 when the lower'
    " bound of the 95 % interval of the ratio is above the budget, and with 2 when a file cannot be read. Under"
    f" {TURNS_MIN:,} turns it only warns."
)


def _budget(text: str) -> float:
    budget = float(text)
    if not (math.isfinite(budget) and budget > 0):
        raise argparse.ArgumentTypeError("a budget is a ratio above 0, such as 1.10")
    return budget


def _as_text(verdicts: list[Verdict], classes: list[ClassRatio]) -> str:
    lines = [
        f"{_NAMES[v.metric]:<8} p95 {v.baseline_p95:,.6g} -> {v.candidate_p95:,.6g}   ratio {v.ratio:.3f}"
        f" (95 % interval {v.low:.3f} to {v.high:.3f}), budget {v.budget:.2f}: {'OVER' if v.is_over else 'within'}"
        for v in verdicts
    ]
    lines += [
        f"  {c.traffic_class}: {_NAMES[c.metric]} p95 {c.baseline_p95:,.6g} -> {c.candidate_p95:,.6g}"
        f" in {c.turns[0]:,} and {c.turns[1]:,} turns"
        for c in classes
    ]
    return "\n".join(lines)


def _as_json(verdicts: list[Verdict], classes: list[ClassRatio], *, status: int, seed: int) -> str:
    return json.dumps(
        {
            "passed": status == PASSED,
            "seed": seed,
            "replicates": REPLICATES,
            "verdicts": [
                {
                    "metric": v.metric,
                    "baseline_p95": v.baseline_p95,
                    "candidate_p95": v.candidate_p95,
                    "ratio": _finite(v.ratio),
                    "low": _finite(v.low),
                    "high": _finite(v.high),
                    "budget": v.budget,
                    "over": v.is_over,
                }
                for v in verdicts
            ],
            "classes": [
                {
                    "class": c.traffic_class,
                    "metric": c.metric,
                    "baseline_p95": c.baseline_p95,
                    "candidate_p95": c.candidate_p95,
                    "ratio": _finite(ratio(c.baseline_p95, c.candidate_p95)),
                    "turns": c.turns,
                }
                for c in classes
            ],
        },
        indent=2,
        allow_nan=False,
    )


def _finite(number: float) -> float | None:
    """JSON has no word for a ratio without bound."""
    return number if math.isfinite(number) else None


if __name__ == "__main__":
    sys.exit(main())
