"""``python -m bench``: measure on this machine, write the figures down. `make bench` calls it."""

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Final

import django

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "bench" / "README.md"
RESULTS: Final = ROOT / "bench" / "results"
PARTS: Final = (
    "reserve",
    "lifecycle",
    "raw",
    "bare",
    "admit",
    "tools",
    "batch",
    "quiet",
    "footprint",
    "provisioning",
    "memory",
    "migration",
)
CONNECTIONS: Final = (1, 10, 32, 50, 200)
QUICK_CONNECTIONS: Final = (1, 32, 200)


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    _prepare_django()
    # After the settings, which read the environment once.
    from bench.errors import BenchRefused  # noqa: PLC0415
    from kernel.embedded import EmbeddedServerError  # noqa: PLC0415

    try:
        return _measure(options)
    except (BenchRefused, EmbeddedServerError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; nothing was written.", file=sys.stderr)
        return 130


def _measure(options: argparse.Namespace) -> int:
    from bench.record import write_json  # noqa: PLC0415
    from bench.report import replace_figures, tables  # noqa: PLC0415
    from bench.run import run  # noqa: PLC0415
    from bench.scenarios import Options  # noqa: PLC0415

    is_trial = options.trial or options.quick or bool(options.only) or bool(options.connections)
    results = run(
        Options(
            seconds=1.0 if options.quick else options.seconds,
            repeat=options.repeat,
            connections=options.connections or (QUICK_CONNECTIONS if options.quick else CONNECTIONS),
            only=frozenset(options.only),
            many_tenants=options.tenants,
        ),
        say=lambda text: print(text, flush=True),
    )
    text = tables(results)
    if results.mismatches:
        path = write_json(results, _var() / "results")
        print(f"\n{text}\n")
        for mismatch in results.mismatches[:20]:
            print(mismatch, file=sys.stderr)
        print(f"The books do not hold what was acknowledged, so the figures are worth nothing: {path}", file=sys.stderr)
        return 1
    path = write_json(results, _var() / "results" if is_trial else RESULTS)
    if is_trial:
        print(f"\n{text}")
    else:
        replace_figures(PAGE, text)
    print(f"\n{results.seconds:.0f} s. Written: {path}{'' if is_trial else f' and {PAGE}'}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure on this machine; see bench/README.md.")
    seconds = float(os.environ.get("BENCH_SECONDS") or 3)
    parser.add_argument("--seconds", type=float, default=seconds, help="How long each run counts (BENCH_SECONDS; 3).")
    parser.add_argument("--repeat", type=int, default=1, help="Runs of each scenario; their median counts.")
    parser.add_argument(
        "--tenants", type=int, default=0, help="Also compare 10 tenants with so many, and migrate them."
    )
    parser.add_argument("--connections", type=_numbers, default=(), help="For example 1,32. Makes it a trial.")
    parser.add_argument("--only", type=_parts, default=(), help=f"Some of {','.join(PARTS)}. Makes it a trial.")
    parser.add_argument("--quick", action="store_true", help="1 s a run at three numbers of connections. A trial.")
    parser.add_argument(
        "--trial", action="store_true", help="Print, and leave bench/results and bench/README.md alone."
    )
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    if unknown := set(parts) - set(PARTS):
        raise argparse.ArgumentTypeError(f"There is no {', '.join(sorted(unknown))}.")
    return parts


def _var() -> Path:
    return Path(os.environ["WATERMASTER_VAR"])


def _prepare_django() -> None:
    """The product's settings over servers of the bench's own, whatever else is named in the environment."""
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    os.environ |= {
        "WATERMASTER_VAR": str(ROOT / "var" / "bench"),
        "WATERMASTER_PLANE": "api",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    django.setup()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
