"""How often the router is right, in words."""

from dataclasses import dataclass

from kernel.pages.bars import Tone
from routing.services.router_accuracy import RouterVerdict
from routing.services.router_watch import WATCH, RouterReport

_VERDICTS = {
    RouterVerdict.UNKNOWN: ("Too few labels", Tone.CALM),
    RouterVerdict.GOOD: ("On target", Tone.GOOD),
    RouterVerdict.DRIFTED: ("Drifted", Tone.BAD),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyRow:
    """Shares as text; `switch` says who sends everything to the medium tier, where somebody does."""

    labels: int
    share: str
    interval: str
    under: str
    over: str
    target: str
    verdict: str
    tone: Tone
    switch: str


def accuracy_row(report: RouterReport) -> AccuracyRow:
    found = report.accuracy
    verdict, tone = _VERDICTS[report.verdict]
    known = found.labels > 0
    switch = ""
    if report.switch.is_on:
        switch = "by itself" if report.switch.by == WATCH.name else f"by {report.switch.by}"
    return AccuracyRow(
        labels=found.labels,
        share=_percent(found.share) if known else "—",
        interval=f"{_percent(found.interval.low)} to {_percent(found.interval.high)}" if known else "—",
        under=_percent(found.under_rate) if known else "—",
        over=_percent(found.over_rate) if known else "—",
        target=_percent(report.target),
        verdict=verdict,
        tone=tone,
        switch=switch,
    )


def _percent(share: float) -> str:
    return f"{share * 100:.1f}%"
