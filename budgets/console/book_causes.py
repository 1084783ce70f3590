"""Why the books refused a call, as the end of a sentence: budgets, keys, reservations."""

from collections.abc import Callable
from typing import Final

from budgets.console.checks import is_rejected_overage
from budgets.console.wording import scope_words
from budgets.selectors.decision_records import DecisionRecord
from kernel.pages.amounts import exact_amount_text, unit_name
from kernel.pages.phrases import Phrase, Sentence, code, sentence, strong


def book_cause(record: DecisionRecord) -> Sentence | None:
    """What follows "because"; None where the reason is no word of the books."""
    words = _CAUSES.get(record.reason_code or "")
    return words(record) if words else None


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
