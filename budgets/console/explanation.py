"""Why a call was allowed or denied: one sentence and what can be done."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from budgets.console.checks import Check, checks_of, is_rejected_overage
from budgets.console.wording import endpoint_noun, scope_words
from budgets.models.choices import Verdict
from budgets.selectors.decision_records import DecisionRecord
from kernel.pages.amounts import exact_amount_text, unit_name
from kernel.pages.moments import moment_text
from kernel.pages.phrases import Phrase, Sentence, code, sentence, strong


@dataclass(frozen=True, slots=True)
class Explanation:
    summary: Sentence
    checks: tuple[Check, ...]
    remedies: tuple[str, ...]


def explain(record: DecisionRecord, *, time_zone: str, now: datetime) -> Explanation:
    """Everything that the page of a decision says, from what was kept at its moment."""
    noun = endpoint_noun(record.endpoint)
    moment = strong(moment_text(record.at, time_zone=time_zone, now=now))
    if record.verdict == Verdict.DENY:
        summary = sentence(f"This {noun} was denied at ", moment, " because ", *_cause(record), ".")
    else:
        summary = sentence(f"This {noun} was allowed at ", moment, *_room(record), ".")
    return Explanation(
        summary=summary, checks=checks_of(record), remedies=_remedies(record, time_zone=time_zone, now=now)
    )


def _cause(record: DecisionRecord) -> Sentence:
    words = _CAUSES.get(record.reason_code or "")
    return words(record) if words else sentence("the answer was ", code(record.reason_code or "unknown"))


def _scope(record: DecisionRecord) -> Phrase:
    return strong(scope_words(record.failed_scope or record.scope_path or ""))


def _money(record: DecisionRecord, amount: int) -> Phrase:
    return strong(exact_amount_text(amount, record.numbers.get("unit") or record.unit or ""))


def _exceeded(record: DecisionRecord) -> Sentence:
    numbers = record.numbers
    if "remaining" not in numbers:
        return sentence(_scope(record), " had not enough left")
    if is_rejected_overage(record):
        above = _money(record, numbers["requested"] - numbers["held"])
        policy = code(str(numbers["overage_policy"]))
        return sentence("it cost ", above, " more than was held, and its overage policy is ", policy)
    left = _money(record, numbers["remaining"])
    return sentence(_scope(record), " had ", left, " left and the call needed ", _money(record, numbers["requested"]))


def _overdraft(record: DecisionRecord) -> Sentence:
    numbers = record.numbers
    if "overdraft_limit" in numbers:
        limit = _money(record, numbers["overdraft_limit"])
        return sentence(_scope(record), " may owe at most ", limit, ", and the charge would have gone beyond")
    if numbers.get("debt"):
        return sentence(_scope(record), " owed ", _money(record, numbers["debt"]), ", more than it may")
    return sentence("an earlier charge on ", _scope(record), " could not be covered in full")


def _debt(record: DecisionRecord) -> Sentence:
    return sentence(_scope(record), " owed ", _money(record, record.numbers.get("debt", 0)), ", which comes first")


def _forbidden(record: DecisionRecord) -> Sentence:
    key = code(record.api_key_id or "")
    match record.numbers.get("reason"):
        case "PERMISSION_MISSING":
            return sentence("the key ", key, " lacks the permission ", code(str(record.numbers.get("permission", ""))))
        case "TENANT_MISMATCH":
            return sentence("the request named another tenant than the one of the key ", key)
        case "SCOPE_FILTERED":
            return sentence("the key ", key, " is confined to other scopes")
        case _:
            return sentence("the key ", key, " does not permit it")


def _wrong_unit(record: DecisionRecord) -> Sentence:
    asked = unit_name(str(record.numbers.get("requested_unit", record.unit)))
    kept = " and ".join(unit_name(str(unit)) for unit in record.numbers.get("expected_units", ()))
    return sentence("it asked in ", strong(asked), " where the books are kept in ", strong(kept))


def _settled(record: DecisionRecord) -> Sentence:
    return sentence("the reservation was ", strong(str(record.numbers.get("state", "settled")).lower()), " already")


def _always(*pieces: str | Phrase) -> Callable[[DecisionRecord], Sentence]:
    return lambda _: sentence(*pieces)


_CAUSES: Final[dict[str, Callable[[DecisionRecord], Sentence]]] = {
    "BUDGET_EXCEEDED": _exceeded,
    "BUDGET_FROZEN": lambda record: sentence("the budget of ", _scope(record), " was ", strong("frozen")),
    "BUDGET_CLOSED": lambda record: sentence("the budget of ", _scope(record), " was ", strong("closed")),
    "OVERDRAFT_LIMIT_EXCEEDED": _overdraft,
    "DEBT_OUTSTANDING": _debt,
    "BUDGET_NOT_FOUND": lambda record: sentence(
        "no scope on its path has a budget in ", strong(unit_name(record.unit or ""))
    ),
    "UNIT_MISMATCH": _wrong_unit,
    "TENANT_SUSPENDED": _always("the tenant was ", strong("suspended")),
    "TENANT_CLOSED": _always("the tenant was ", strong("closed")),
    "FORBIDDEN": _forbidden,
    "NOT_FOUND": _always("there is no such reservation"),
    "IDEMPOTENCY_MISMATCH": lambda record: sentence(
        "its idempotency key ", code(record.idempotency_key or ""), " had been used for another request"
    ),
    "RESERVATION_FINALIZED": _settled,
    "RESERVATION_EXPIRED": _always("the reservation had ", strong("expired")),
    "MAX_EXTENSIONS_EXCEEDED": lambda record: sentence(
        "the reservation had been extended ", strong(str(record.numbers.get("extensions_max", ""))), " times already"
    ),
}


def _room(record: DecisionRecord) -> Sentence:
    known = [(budget.remaining, budget.scope_path) for budget in record.budgets if budget.remaining is not None]
    if record.amount is None or not known:
        return ()
    left, path = min(known)
    return sentence(
        ", because every budget on its path had room for ",
        _money(record, record.amount),
        "; the tightest, ",
        strong(scope_words(path)),
        ", had ",
        _money(record, left),
        " left",
    )


def _remedies(record: DecisionRecord, *, time_zone: str, now: datetime) -> tuple[str, ...]:
    if record.verdict != Verdict.DENY:
        return ()
    if is_rejected_overage(record):
        return _OVERAGE_REMEDIES
    scope = scope_words(record.failed_scope or record.scope_path or "")
    remedies = [text.format(scope=scope) for text in _REMEDIES.get(record.reason_code or "", ())]
    if record.reason_code != "BUDGET_EXCEEDED":
        return tuple(remedies)
    left = record.numbers.get("remaining", 0)
    if left > 0 and record.endpoint in {"reserve", "decide"}:
        remedies.append(f"Ask for at most {exact_amount_text(left, record.unit or '')}.")
    if record.resets_at is not None:
        verb = "begins" if record.resets_at > now else "began"
        resets = moment_text(record.resets_at, time_zone=time_zone, now=now)
        remedies.append(f"The next period of {scope} {verb} {resets}.")
    return tuple(remedies)


_OVERAGE_REMEDIES: Final = (
    "Hold more when reserving: the estimate was too low.",
    "Reserve with an overage policy that lets the difference be charged.",
)
_REMEDIES: Final = {
    "BUDGET_EXCEEDED": ("Fund the budget of {scope}, or move money into it.",),
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
