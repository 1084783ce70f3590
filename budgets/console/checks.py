"""The checks of one decision in the order in which the engine runs them, and how far it came."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from budgets.console.stages import REFUSALS_OF_BUDGETS, stages_of, unreached_after_shadow
from budgets.console.wording import reason_words, scope_words
from budgets.models.choices import Verdict
from budgets.selectors.decision_records import BudgetThen, DecisionRecord
from kernel.pages.amounts import exact_amount_text
from kernel.pages.bars import Tone
from kernel.pages.phrases import Sentence, sentence, strong
from kernel.switches import SwitchMode


class Outcome(Enum):
    PASS = ("Pass", Tone.GOOD)
    DENY = ("Deny", Tone.BAD)
    WOULD_DENY = ("Would deny", Tone.WARN)
    NOT_REACHED = ("Not reached", Tone.INFO)

    @property
    def word(self) -> str:
        return self.value[0]

    @property
    def tone(self) -> Tone:
        return self.value[1]

    @property
    def is_denial(self) -> bool:
        return self is Outcome.DENY


@dataclass(frozen=True, slots=True)
class Check:
    """One line. `note` says what or how much was missing, where something was."""

    words: Sentence
    outcome: Outcome
    note: str = ""


_MODES: Final = {
    SwitchMode.STOP_NEW: "work under way may settle",
    SwitchMode.CANCEL_HOLDS: "what was held is given back",
}


def checks_of(record: DecisionRecord) -> tuple[Check, ...]:
    """Stages first, then the path's budgets, root first; the first refusal ends the reckoning."""
    return (*_stage_checks(record), *_budget_checks(record))


def _stage_checks(record: DecisionRecord) -> Iterator[Check]:
    is_over = False
    unreached: frozenset[str] = frozenset()
    for stage in stages_of(record):
        if is_over or stage.refusals & unreached:
            yield Check(stage.words, Outcome.NOT_REACHED)
        elif record.verdict == Verdict.DENY and record.reason_code in stage.refusals:
            is_over = True
            yield Check(stage.words, Outcome.DENY, _refusal(record))
        elif record.would_deny in stage.refusals:
            unreached = unreached_after_shadow(record)
            yield Check(stage.words, Outcome.WOULD_DENY, reason_words(record.would_deny))
        else:
            yield Check(stage.words, Outcome.PASS)


def _refusal(record: DecisionRecord) -> str:
    words = reason_words(record.reason_code)
    mode = record.numbers.get("mode")
    return f"{words}; {_MODES[mode]}" if mode in _MODES else words


def _budget_checks(record: DecisionRecord) -> Iterator[Check]:
    is_denied = record.verdict == Verdict.DENY
    is_over = is_denied and record.reason_code not in REFUSALS_OF_BUDGETS
    for budget in _budgets(record):
        if is_over:
            yield Check(_budget_words(record, budget, Outcome.NOT_REACHED), Outcome.NOT_REACHED)
            continue
        outcome = Outcome.PASS
        # A decision that stands and yet names a scope was let through in shadow.
        if budget.scope_path == record.failed_scope:
            outcome = Outcome.DENY if is_denied else Outcome.WOULD_DENY
            is_over = True
        note = "" if outcome is Outcome.PASS else _shortfall(record)
        yield Check(_budget_words(record, budget, outcome), outcome, note)


def _budgets(record: DecisionRecord) -> tuple[BudgetThen, ...]:
    paths = {budget.scope_path for budget in record.budgets}
    failed = record.failed_scope
    is_of_budget = record.verdict != Verdict.DENY or record.reason_code in REFUSALS_OF_BUDGETS
    if failed is None or failed in paths or not is_of_budget:
        return record.budgets
    # A run's budget is only imagined until its first reservation is let through.
    return (*record.budgets, BudgetThen(scope_path=failed))


def is_rejected_overage(record: DecisionRecord) -> bool:
    """Whether a settlement was refused for costing more than was held, whatever was left."""
    numbers = record.numbers
    is_exceeded = record.reason_code == "BUDGET_EXCEEDED" and record.endpoint == "commit"
    return is_exceeded and numbers.get("overage_policy") == "REJECT" and numbers["requested"] > numbers["held"]


def _budget_words(record: DecisionRecord, budget: BudgetThen, outcome: Outcome) -> Sentence:
    level, _, name = scope_words(budget.scope_path).partition(" ")
    title = sentence(f"{level.capitalize()} budget ", strong(name))
    finding = _room(record, budget) if outcome in {Outcome.PASS, Outcome.NOT_REACHED} else _finding(record)
    return (*title, *sentence(f": {finding}")) if finding else title


def _finding(record: DecisionRecord) -> str:
    """What the budget that refused was found to be."""
    numbers, unit = record.numbers, record.unit or ""
    if is_rejected_overage(record):
        held, cost = (exact_amount_text(numbers[name], unit) for name in ("held", "requested"))
        return f"{held} held, cost {cost}, and nothing above is charged"
    match reason := record.reason_code or record.would_deny:
        case "BUDGET_FROZEN" | "BUDGET_CLOSED":
            return reason.removeprefix("BUDGET_").lower()
        case "OVERDRAFT_LIMIT_EXCEEDED" | "DEBT_OUTSTANDING" if numbers.get("debt"):
            return f"owes {exact_amount_text(numbers['debt'], unit)}"
        case "OVERDRAFT_LIMIT_EXCEEDED":
            return "over its limit"
    if "remaining" not in numbers:
        return ""
    left, needs = (exact_amount_text(numbers[name], unit) for name in ("remaining", "requested"))
    return f"{left} left, needs {needs}"


def _room(record: DecisionRecord, budget: BudgetThen) -> str:
    """What another budget had, where it was kept."""
    if budget.remaining is None or budget.allocated is None or record.amount is None:
        return ""
    # Nothing is held for what shadow mode let through; what it needed is in the numbers.
    needed = record.numbers["requested"] if record.is_shortfall_shadowed else record.amount
    amounts = (budget.remaining, budget.allocated, needed)
    left, whole, needs = (exact_amount_text(amount, record.unit or "") for amount in amounts)
    return f"{left} left of {whole}, needs {needs}"


def _shortfall(record: DecisionRecord) -> str:
    numbers, unit = record.numbers, record.unit or ""
    is_exceeded = "BUDGET_EXCEEDED" in {record.reason_code, record.would_deny}
    if not is_exceeded or "remaining" not in numbers or is_rejected_overage(record):
        return ""
    short = numbers["requested"] - numbers.get("held", 0) - numbers["remaining"]
    return f"short by {exact_amount_text(short, unit)}" if short > 0 else ""
