"""What can be done about a refusal of the books, and what the plan and the run's own rule have for it."""

from datetime import datetime
from typing import Final

from budgets.console.checks import is_rejected_overage
from budgets.console.rule_remedies import rule_remedies
from budgets.console.wording import scope_words
from budgets.models.choices import Verdict
from budgets.selectors.decision_records import DecisionRecord
from budgets.services.rule_parts import Fallback, OnExhaustion
from kernel.pages.amounts import exact_amount_text
from kernel.pages.moments import moment_text


def remedies(record: DecisionRecord, *, time_zone: str, now: datetime) -> tuple[str, ...]:
    """Whole sentences, the likeliest first; none where nothing was refused."""
    if record.verdict != Verdict.DENY:
        return ()
    if is_rejected_overage(record):
        return _OVERAGE_REMEDIES
    if record.reason_code == "BUDGET_EXCEEDED":
        found = _exceeded(record, time_zone=time_zone, now=now)
    else:
        scope = scope_words(record.failed_scope or record.scope_path or "")
        found = [text.format(scope=scope) for text in _REMEDIES.get(record.reason_code or "", ())]
    found += rule_remedies(record, time_zone=time_zone, now=now)
    return (*found, *_arranged(record))


def _exceeded(record: DecisionRecord, *, time_zone: str, now: datetime) -> list[str]:
    scope = scope_words(record.failed_scope or record.scope_path or "")
    found = [
        f"Fund the budget of {scope}, or begin a new run."
        if record.is_run_used_up
        else f"Fund the budget of {scope}, or move money into it."
    ]
    left = exact_amount_text(record.numbers.get("remaining", 0), record.unit or "")
    if record.numbers.get("remaining", 0) > 0 and record.endpoint in {"reserve", "decide"}:
        found.append(f"Ask for at most {left}.")
    elif record.numbers.get("remaining", 0) > 0 and record.endpoint == "admit":
        found.append(f"Ask for what costs at most {left}: fewer tokens, or a cheaper model.")
    if record.resets_at is not None:
        verb = "begins" if record.resets_at > now else "began"
        resets = moment_text(record.resets_at, time_zone=time_zone, now=now)
        found.append(f"The next period of {scope} {verb} {resets}.")
    return found


def _arranged(record: DecisionRecord) -> list[str]:
    """What plan and class say should happen now; the runtime was told so."""
    admission = record.admission or {}
    found = []
    if offers := [_OFFERS[known] for known in OnExhaustion if known in admission.get("on_exhaustion", ())]:
        found.append(f"The plan provides for this: {', '.join(offers)}.")
    if record.is_run_over and admission.get("fallback") in _FALLBACKS:
        found.append(f"The run ends here: {_FALLBACKS[admission['fallback']]}.")
    return found


def fallback_words(fallback: str) -> str:
    """What a runtime does where its run has come to a limit."""
    return _FALLBACKS.get(Fallback(fallback), fallback) if fallback in Fallback else fallback


_FALLBACKS: Final = {
    Fallback.INTERIM_MESSAGE: "the runtime answers with an interim message",
    Fallback.ESCALATE: "the runtime hands over to a person",
    Fallback.PARTIAL_RESULT: "the runtime answers with what it has so far",
}
_OFFERS: Final = {
    OnExhaustion.SHORTER: "shorter answers",
    OnExhaustion.CHEAPER: "a cheaper model",
    OnExhaustion.CACHED: "answers from the cache",
    OnExhaustion.NOTICE: "a notice to the user",
    OnExhaustion.UPGRADE_PROMPT: "an offer to upgrade",
    OnExhaustion.OVERAGE: "overage",
    OnExhaustion.ADMIN_NOTICE: "a notice to the tenant's admin",
}
_OVERAGE_REMEDIES: Final = (
    "Hold more when reserving: the estimate was too low.",
    "Reserve with an overage policy that lets the difference be charged.",
)
_REMEDIES: Final = {
    "BUDGET_FROZEN": ("Unfreeze the budget of {scope}.",),
    "BUDGET_CLOSED": ("Spend under another scope: a closed budget stays closed.",),
    "OVERDRAFT_LIMIT_EXCEEDED": ("Fund the budget of {scope}: until then it refuses.",),
    "DEBT_OUTSTANDING": ("Repay the debt of {scope}.",),
    "BUDGET_NOT_FOUND": ("Create a budget at {scope} or above it.",),
    "UNIT_MISMATCH": ("Ask in the unit that the budget is kept in.",),
    "TENANT_SUSPENDED": ("Resume the tenant.",),
    "FORBIDDEN": ("Use a key with this permission and scope.",),
    "NOT_FOUND": ("Settle with the id that the reservation was answered with.",),
    "IDEMPOTENCY_MISMATCH": ("Use a new idempotency key for a new request.",),
    "RESERVATION_EXPIRED": ("Book the cost as an event, and ask for a longer time to live.",),
    "MAX_EXTENSIONS_EXCEEDED": ("Reserve with a longer time to live.",),
}
