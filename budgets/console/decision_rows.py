"""Decisions as lists show them."""

from collections.abc import Sequence
from dataclasses import dataclass

from budgets.console.wording import (
    WOULD_DENY,
    decision_wire_id,
    endpoint_noun,
    path_within_tenant,
    reason_words,
    verdict_words,
)
from budgets.selectors.decisions import DecisionLine
from kernel.ids import Tag
from kernel.pages.bars import Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """`refused_by` is the scope that refused, where it is another one than the call's own.

    `mark` is WOULD_DENY where shadow mode let the call through; `reason` is then why it would have been denied.
    """

    decision: DecisionLine
    wire_id: str
    noun: str
    scope: str
    verdict: str
    tone: Tone
    reason: str
    refused_by: str
    mark: tuple[str, Tone] | None


def decision_rows(tag: Tag, decisions: Sequence[DecisionLine]) -> list[DecisionRow]:
    return [_row(tag, decision) for decision in decisions]


def _row(tag: Tag, decision: DecisionLine) -> DecisionRow:
    verdict, tone = verdict_words(decision.verdict)
    return DecisionRow(
        decision=decision,
        wire_id=decision_wire_id(tag, decision),
        noun=endpoint_noun(decision.endpoint),
        scope=path_within_tenant(decision.scope_path or ""),
        verdict=verdict,
        tone=tone,
        reason=reason_words(decision.reason_code or decision.would_deny),
        refused_by=_refused_by(decision),
        mark=WOULD_DENY if decision.would_deny is not None and decision.reason_code is None else None,
    )


def _refused_by(decision: DecisionLine) -> str:
    if decision.failed_scope is None or decision.failed_scope == decision.scope_path:
        return ""
    return path_within_tenant(decision.failed_scope)
