"""Why a call was allowed or denied: one sentence, the checks, and what can be done."""

from dataclasses import dataclass, replace
from datetime import datetime

from budgets.console.book_causes import book_cause
from budgets.console.checks import Check, checks_of
from budgets.console.grants import Fact, cap_facts, route_facts
from budgets.console.remedies import remedies
from budgets.console.rule_causes import rule_cause
from budgets.console.wording import endpoint_noun, scope_words
from budgets.models.choices import Verdict
from budgets.selectors.decision_records import DecisionRecord
from kernel.pages.amounts import exact_amount_text
from kernel.pages.moments import moment_text
from kernel.pages.phrases import Sentence, code, sentence, strong


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`shadow` is what would have been said of a call that shadow mode let through; empty for every other."""

    summary: Sentence
    shadow: Sentence
    checks: tuple[Check, ...]
    remedies: tuple[str, ...]
    route: tuple[Fact, ...]
    caps: tuple[Fact, ...]


def explain(record: DecisionRecord, *, time_zone: str, now: datetime) -> Explanation:
    """Everything that the page of a decision says, from what was kept at its moment."""
    noun = endpoint_noun(record.endpoint)
    moment = strong(moment_text(record.at, time_zone=time_zone, now=now))
    shadow: Sentence = ()
    if record.would_deny is not None:
        cause = _cause(_as_refused(record, record.would_deny), time_zone=time_zone, now=now)
        shadow = sentence(strong("Let through in shadow"), ": would have been denied because ", *cause, ".")
    if record.verdict == Verdict.DENY:
        cause = _cause(record, time_zone=time_zone, now=now)
        summary = sentence(f"This {noun} was denied at ", moment, " because ", *cause, ".")
    else:
        caps = " with caps" if record.verdict == Verdict.ALLOW_WITH_CAPS else ""
        room = () if shadow else _room(record)
        summary = sentence(f"This {noun} was allowed{caps} at ", moment, *room, ".")
    return Explanation(
        summary=summary,
        shadow=shadow,
        checks=checks_of(record),
        remedies=remedies(record, time_zone=time_zone, now=now),
        route=route_facts(record),
        caps=cap_facts(record),
    )


def _cause(record: DecisionRecord, *, time_zone: str, now: datetime) -> Sentence:
    cause = rule_cause(record, time_zone=time_zone, now=now) or book_cause(record)
    return cause or sentence("the answer was ", code(record.reason_code or "unknown"))


def _as_refused(record: DecisionRecord, reason_code: str) -> DecisionRecord:
    """The decision as it would have been without shadow mode. Of rules no numbers are kept then, of money they are."""
    numbers = record.numbers if record.is_shortfall_shadowed else {}
    return replace(record, reason_code=reason_code, numbers=numbers)


def _room(record: DecisionRecord) -> Sentence:
    known = [(budget.remaining, budget.scope_path) for budget in record.budgets if budget.remaining is not None]
    if record.amount is None or not known:
        return ()
    left, path = min(known)
    unit = record.unit or ""
    return sentence(
        ", because every budget on its path had room for ",
        strong(exact_amount_text(record.amount, unit)),
        "; the tightest, ",
        strong(scope_words(path)),
        ", had ",
        strong(exact_amount_text(left, unit)),
        " left",
    )
