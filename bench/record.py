"""Results as a file for programs."""

from pathlib import Path

import msgspec

from bench.results import Results
from bench.targets import TARGETS


def write_json(results: Results, folder: Path) -> Path:
    """`<date>-<commit>.json` in `folder`; a later run of the same day and commit takes its place."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{results.began_at[:10]}-{results.commit}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(_with_ratios(results)), indent=2) + b"\n")
    return path


def _with_ratios(results: Results) -> dict[str, object]:
    """The results with what is reckoned from them, so that no reader has to."""
    whole: dict[str, object] = msgspec.to_builtins(results)
    whole["targets"] = [
        {"name": target.name, "wanted": target.wanted, "measured": value, "verdict": target.verdict(value)}
        for target in TARGETS
        for value in [target.measured(results)]
    ]
    whole["ratios"] = [
        {
            "kind": row.kind,
            "tenants": row.tenants,
            "connections": row.connections,
            "http_to_pgbench": row.to_raw,
            "http_to_bare": row.to_bare,
        }
        for row in results.rows
    ]
    whole["admit_ratios"] = [
        {
            "connections": row.connections,
            "admit_to_reserve_p50": row.p50_ratio,
            "admit_to_reserve_p99": row.p99_ratio,
            "admit_to_reserve_rate": row.rate_ratio,
            "reserve_with_to_without_rules_p50": row.ruled_p50_ratio,
        }
        for row in results.admits
    ]
    return whole
