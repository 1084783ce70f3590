"""Why a limit refused a call, as the end of a sentence: quotas, rates, sizes, and no route left."""

from collections.abc import Callable
from typing import Any, Final

from budgets.console.wording import scope_words, window_words
from budgets.selectors.decision_records import DecisionRecord
from kernel.pages.amounts import counted_text, number_text, share_text
from kernel.pages.phrases import Phrase, Sentence, code, sentence, strong

#: The numbers are the record's, which are there.
type Cause = Callable[[DecisionRecord, dict[str, Any]], Sentence]


def _action_quota(record: DecisionRecord, numbers: dict[str, Any]) -> Sentence:
    limit, used = strong(counted_text(numbers["limit"], "action")), strong(number_text(numbers["used"]))
    risk_class, kind = numbers.get("risk_class"), numbers.get("action_kind")
    such = sentence(" of risk class ", code(risk_class)) if risk_class else sentence(" such as ", code(str(kind)))
    scope = strong(scope_words(record.failed_scope or record.scope_path or ""))
    text = sentence("quota ", code(str(numbers["quota"])), " gives ", scope, " ", limit) + such
    return text + sentence(f" {window_words(numbers.get('window', ''))}, and ", used, " had been done")


def _runs(record: DecisionRecord, numbers: dict[str, Any]) -> Sentence:
    used, limit = strong(counted_text(numbers["used"], "run")), strong(number_text(numbers["limit"]))
    scope = strong(scope_words(record.failed_scope or record.scope_path or ""))
    window = window_words(numbers.get("window", ""))
    return sentence(scope, " had begun ", used, " and may begin ", limit, f" {window}")


def _concurrent_runs(record: DecisionRecord, numbers: dict[str, Any]) -> Sentence:
    verb = " was" if numbers["used"] == 1 else " were"
    used, limit = strong(counted_text(numbers["used"], "run")), strong(number_text(numbers["limit"]))
    return sentence(used, f"{verb} under way, and at most ", limit, " may be at once")


def _rate(record: DecisionRecord, numbers: dict[str, Any]) -> Sentence:
    noun = str(numbers["counts"]).removesuffix("s")
    per_minute, burst = strong(counted_text(numbers["per_minute"], noun)), strong(number_text(numbers["capacity"]))
    text = sentence("the rate limit ", code(str(numbers["bucket"])), f" of the {numbers['level']} was used up: ")
    return text + sentence(per_minute, " a minute, in bursts of at most ", burst)


def _request_size(record: DecisionRecord, numbers: dict[str, Any]) -> Sentence:
    asked, limit = strong(counted_text(numbers["requested"], "input token")), strong(number_text(numbers["limit"]))
    return sentence("it had ", asked, ", and a request may have ", limit)


def _floor(record: DecisionRecord, numbers: dict[str, Any]) -> Sentence:
    left, priority = strong(share_text(numbers["left_ppm"])), strong(str(numbers["priority"]))
    text = sentence("only ", left, " of the tightest budget was left, which is kept for work above ", priority)
    return text + sentence(" priority")


def _no_route(record: DecisionRecord, numbers: dict[str, Any]) -> Sentence:
    known = numbers.get("class")
    text = sentence("no model for class ", code(known)) if known else sentence("no model that it may use")
    text += sentence(" has the room and the capabilities that it asked for")
    full = numbers.get("unavailable") or []
    return text + (sentence("; no capacity was left of ", *_list(full)) if full else ())


def _list(names: list[str]) -> Sentence:
    pieces = [piece for name in names for piece in (Phrase(", "), code(str(name)))]
    return tuple(pieces[1:])


LIMIT_CAUSES: Final[dict[str, Cause]] = {
    "ACTION_QUOTA_EXCEEDED": _action_quota,
    "RUNS_PER_DAY_EXCEEDED": _runs,
    "RUNS_PER_MONTH_EXCEEDED": _runs,
    "CONCURRENT_RUNS_EXCEEDED": _concurrent_runs,
    "RUN_REQUIRED": lambda record, numbers: sentence(
        "the quota ", code(str(numbers["quota"])), " counts within a run, and the call named none"
    ),
    "RATE_LIMITED": _rate,
    "TOKENS_PER_REQUEST_EXCEEDED": _request_size,
    "BELOW_FLOOR": _floor,
    "NO_ROUTE": _no_route,
}
