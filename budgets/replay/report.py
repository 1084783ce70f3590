"""The report of a replay, as a table a person reads."""

from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from budgets.replay.player import Replay
from budgets.replay.tally import Tally, percentile
from kernel.money import Unit
from kernel.pages.amounts import exact_amount_text

_SHARES = (0.50, 0.90, 0.99)


def report(played: Sequence[tuple[Replay, Tally]]) -> Table:
    """One column a replay. Money is exact."""
    table = Table()
    table.add_column("")
    for replay, _ in played:
        table.add_column(f"{replay.tenant} / {replay.name}", justify="right")
    for name, cells in _lines([tally for _, tally in played]):
        table.add_row(name, *cells)
    return table


def first_denials(played: Sequence[tuple[Replay, Tally]]) -> list[str]:
    """For each replay that was refused something: where it began, in the server's words."""
    lines = []
    for replay, tally in played:
        denial = tally.first_denial
        if denial is None:
            continue
        numbers = ""
        if denial.remaining is not None:
            left, asked = _exact(denial.remaining), _exact(denial.requested)
            numbers = f": {denial.scope} had {left} left, {asked} was asked for"
        where = f"call {denial.call_number:,} of {len(replay.trace):,}"
        lines.append(f"{replay.tenant}: denials begin at {where}{numbers}.")
        if denial.explain_url:
            lines.append(f"  {denial.explain_url}")
    return lines


def _lines(tallies: Sequence[Tally]) -> list[tuple[str, list[str]]]:
    lines = [
        ("calls", [f"{tally.admitted + tally.denials:,}" for tally in tallies]),
        ("admitted", [f"{tally.admitted:,}" for tally in tallies]),
    ]
    causes = [_causes(tally) for tally in tallies]
    for cause in sorted({cause for counted in causes for cause in counted}):
        lines.append((f"denied {cause}", [f"{counted[cause]:,}" for counted in causes]))
    lines.append(("committed", [f"{tally.committed:,}" for tally in tallies]))
    for reason in sorted({reason for tally in tallies for reason in tally.commits_refused}):
        lines.append((f"commit refused {reason}", [f"{tally.commits_refused[reason]:,}" for tally in tallies]))
    lines += [
        ("without an answer", [f"{tally.unanswered:,}" for tally in tallies]),
        ("asked again", [f"{tally.repeated:,}" for tally in tallies]),
        ("reserved", [_exact(tally.amount_reserved) for tally in tallies]),
        ("actual cost", [_exact(tally.amount_actual) for tally in tallies]),
        ("charged", [_exact(tally.amount_charged) for tally in tallies]),
        ("charged of reserved", [_share(tally.amount_charged, tally.amount_reserved) for tally in tallies]),
        ("took", [f"{tally.seconds:.1f} s" for tally in tallies]),
        ("calls a second", [f"{(tally.admitted + tally.denials) / tally.seconds:,.0f}" for tally in tallies]),
        ("behind the trace, at most", [f"{tally.late_seconds_max:.2f} s" for tally in tallies]),
    ]
    for name, latencies in (
        ("reserve", [sorted(tally.reserve_seconds) for tally in tallies]),
        ("commit", [sorted(tally.commit_seconds) for tally in tallies]),
    ):
        for share in _SHARES:
            lines.append((f"{name} p{share * 100:.0f}", [_milliseconds(values, share) for values in latencies]))
    return lines


def _exact(amount: int) -> str:
    return exact_amount_text(amount, Unit.USD_MICROCENTS)


def _causes(tally: Tally) -> Counter[str]:
    """Denials by reason and by the level that refused, as in `BUDGET_EXCEEDED workspace`."""
    causes: Counter[str] = Counter()
    for (reason, scope), count in tally.denied.items():
        level = scope.rpartition("/")[2].partition(":")[0]
        causes[f"{reason} {level}".rstrip()] += count
    return causes


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _milliseconds(sorted_seconds: Sequence[float], share: float) -> str:
    return f"{percentile(sorted_seconds, share) * 1000:.1f} ms" if sorted_seconds else "–"
