"""The checks of one decision in the order in which the engine runs them, and how far it came."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from budgets.console.wording import scope_words
from budgets.models.choices import Verdict
from budgets.selectors.decision_records import BudgetThen, DecisionRecord
from kernel.pages.amounts import exact_amount_text, unit_name
from kernel.pages.bars import Tone
from kernel.pages.phrases import Sentence, code, sentence, strong


class Outcome(Enum):
    PASS = ("Pass", Tone.GOOD)
    DENY = ("Deny", Tone.BAD)
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
    """One line. `note` says how much was missing, where something was."""

    words: Sentence
    outcome: Outcome
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Stage:
    words: Sentence
    refusals: frozenset[str]


_SETTLEMENTS: Final = frozenset({"commit", "release", "extend"})


def checks_of(record: DecisionRecord) -> tuple[Check, ...]:
    """Stages first, then the path's budgets, root first; the first refusal ends the reckoning."""
    checks: list[Check] = []
    is_over = False
    for stage in _stages(record):
        is_refused = record.verdict == Verdict.DENY and record.reason_code in stage.refusals
        checks.append(Check(stage.words, _outcome(is_over=is_over, is_refused=is_refused)))
        is_over = is_over or is_refused
    for budget in _budgets(record):
        is_refused = not is_over and record.verdict == Verdict.DENY and budget.scope_path == record.failed_scope
        outcome = _outcome(is_over=is_over, is_refused=is_refused)
        note = _shortfall(record) if is_refused else ""
        checks.append(Check(_budget_words(record, budget, outcome), outcome, note))
        is_over = is_over or is_refused
    return tuple(checks)


def _outcome(*, is_over: bool, is_refused: bool) -> Outcome:
    if is_over:
        return Outcome.NOT_REACHED
    return Outcome.DENY if is_refused else Outcome.PASS


def _stages(record: DecisionRecord) -> Iterator[_Stage]:
    key = code(record.api_key_id) if record.api_key_id else "of an operator or worker"
    yield _Stage(sentence("Key ", key, ": may do this here"), frozenset({"FORBIDDEN", "NOT_FOUND"}))
    if record.idempotency_key:
        words = sentence("Idempotency key ", code(record.idempotency_key), ": not used for anything else")
        yield _Stage(words, frozenset({"IDEMPOTENCY_MISMATCH"}))
    yield _Stage(sentence("Tenant switch: on"), frozenset({"TENANT_SUSPENDED", "TENANT_CLOSED"}))
    if record.endpoint in _SETTLEMENTS:
        yield _Stage(
            sentence("Reservation: open, in time and in this unit"),
            frozenset({"RESERVATION_FINALIZED", "RESERVATION_EXPIRED", "UNIT_MISMATCH", "MAX_EXTENSIONS_EXCEEDED"}),
        )
    else:
        words = sentence("Budgets on the path: at least one in ", unit_name(record.unit or ""))
        yield _Stage(words, frozenset({"BUDGET_NOT_FOUND", "UNIT_MISMATCH"}))


def _budgets(record: DecisionRecord) -> tuple[BudgetThen, ...]:
    paths = {budget.scope_path for budget in record.budgets}
    failed = record.failed_scope
    if failed is None or failed in paths or record.reason_code in {"BUDGET_NOT_FOUND", "UNIT_MISMATCH"}:
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
    finding = _finding(record) if outcome is Outcome.DENY else _room(record, budget)
    return (*title, *sentence(f": {finding}")) if finding else title


def _finding(record: DecisionRecord) -> str:
    """What the budget that refused was found to be."""
    numbers, unit = record.numbers, record.unit or ""
    if is_rejected_overage(record):
        held, cost = (exact_amount_text(numbers[name], unit) for name in ("held", "requested"))
        return f"{held} held, cost {cost}, and nothing above is charged"
    match record.reason_code:
        case "BUDGET_FROZEN" | "BUDGET_CLOSED":
            return record.reason_code.removeprefix("BUDGET_").lower()
        case "OVERDRAFT_LIMIT_EXCEEDED" | "DEBT_OUTSTANDING" if numbers.get("debt"):
            return f"owes {exact_amount_text(numbers['debt'], unit)}"
        case "OVERDRAFT_LIMIT_EXCEEDED":
            return "over its limit"
    if record.amount is None or "remaining" not in numbers:
        return ""
    left, needs = (exact_amount_text(amount, unit) for amount in (numbers["remaining"], record.amount))
    return f"{left} left, needs {needs}"


def _room(record: DecisionRecord, budget: BudgetThen) -> str:
    """What another budget had, where it was kept."""
    if budget.remaining is None or budget.allocated is None or record.amount is None:
        return ""
    amounts = (budget.remaining, budget.allocated, record.amount)
    left, whole, needs = (exact_amount_text(amount, record.unit or "") for amount in amounts)
    return f"{left} left of {whole}, needs {needs}"


def _shortfall(record: DecisionRecord) -> str:
    left = record.numbers.get("remaining")
    if record.reason_code != "BUDGET_EXCEEDED" or left is None or record.amount is None or is_rejected_overage(record):
        return ""
    short = record.amount - record.numbers.get("held", 0) - left
    return f"short by {exact_amount_text(short, record.unit or '')}" if short > 0 else ""
