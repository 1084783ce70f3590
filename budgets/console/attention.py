"""What needs an operator, as sentences with what can be done about it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from budgets.console.standing_rows import runs_out_of
from kernel.pages.amounts import amount_text
from kernel.pages.phrases import Phrase, Sentence, code, sentence, strong
from tenants.selectors.attention import EXHAUSTING_WITHIN, RUNAWAY_TIMES, WARNING
from tenants.selectors.directory import TenantLine
from tenants.selectors.standing import Standing, StandingLine

#: From this share on one agent is named as who spends.
_TOP_AGENT_PPM: Final = 500_000


@dataclass(frozen=True, slots=True)
class Banner:
    """`is_stopped`: it can be resumed, not stopped. `alerts` are open and put off by nobody."""

    tenant: TenantLine
    words: Sentence
    is_stopped: bool
    alerts: int = 0


def banner(line: StandingLine, *, now: datetime) -> Banner:
    tenant, standing = line.tenant, line.standing
    name = strong(tenant.name or tenant.slug)
    if tenant.is_stopped(now=now):
        return Banner(tenant, sentence(name, " is stopped: all of its calls are refused."), is_stopped=True)
    pieces: list[str | Phrase] = [name]
    if standing is not None:
        pieces += _spends(standing) if _is_runaway(standing) else []
        if standing.exhausts_at is not None and standing.exhausts_at <= now + EXHAUSTING_WITHIN:
            words, _ = runs_out_of(standing, now=now)
            verb = "; it" if len(pieces) > 1 else ""
            left = amount_text(standing.remaining, standing.unit)
            pieces.append(f"{verb} runs out {words}: {left} left")
        is_told = len(pieces) > 1
        pieces += [".", *_top_agent(standing)] if is_told else []
        # What is said already is what the lesser alerts say too.
        if is_told and standing.alert_severity > WARNING:
            pieces.append(f" {standing.alert_words}")
        elif not is_told:
            pieces.append(f": {standing.alert_words}")
    return Banner(tenant, sentence(*pieces), is_stopped=False, alerts=standing.alerts_open if standing else 0)


def _is_runaway(standing: Standing) -> bool:
    return 0 < standing.mean_hour_7d * RUNAWAY_TIMES <= standing.spent_hour


def _spends(standing: Standing) -> list[str | Phrase]:
    a_minute = amount_text(standing.spent_hour // 60, standing.unit)
    times = standing.spent_hour // standing.mean_hour_7d
    return [f" spends {a_minute}/min, {times}\N{MULTIPLICATION SIGN} its 7-day mean"]


def _top_agent(standing: Standing) -> list[str | Phrase]:
    if not standing.top_agent or standing.top_agent_ppm < _TOP_AGENT_PPM:
        return []
    return [" Agent ", code(standing.top_agent), f" makes {standing.top_agent_ppm // 10_000}% of it."]
