"""Why a rule refused a call, as the end of a sentence: switches, run limits, policies, quotas, routes."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from budgets.console.wording import scope_words, window_words
from budgets.selectors.decision_records import DecisionRecord
from kernel.pages.amounts import counted_text, number_text, share_text
from kernel.pages.moments import duration_text, moment_text
from kernel.pages.phrases import Phrase, Sentence, code, sentence, strong


def rule_cause(record: DecisionRecord, *, time_zone: str, now: datetime) -> Sentence | None:
    """What follows "because"; None where the reason is no rule's. What shadow mode let through has no numbers."""
    reason = record.reason_code or ""
    if reason == "KILL_SWITCH" and record.numbers:
        return _stopped(record, time_zone=time_zone, now=now)
    words = _CAUSES.get(reason)
    if words is not None and record.numbers:
        return words(record, record.numbers)
    return sentence(_WITHOUT_NUMBERS[reason]) if reason in _WITHOUT_NUMBERS else None


def stopped_words(level: str, name: str) -> str:
    """What a kill switch stops: `agent triage`, `the whole platform`."""
    return f"{level} {name}" if name else {"platform": "the whole platform", "tenant": "the tenant"}.get(level, level)


def _stopped(record: DecisionRecord, *, time_zone: str, now: datetime) -> Sentence:
    numbers = record.numbers
    who = strong(record.stop.actor) if record.stop else Phrase("an operator")
    what = strong(stopped_words(str(numbers.get("level", "")), str(numbers.get("name", ""))))
    pieces = sentence(who, " had stopped ", what)
    if record.stop:
        pieces += sentence(" at ", strong(moment_text(record.stop.thrown_at, time_zone=time_zone, now=now)))
    return pieces + sentence(", giving the reason ", strong(f"“{numbers.get('reason', '')}”"))


def _run(record: DecisionRecord) -> Phrase:
    return strong(f"run {record.run_id or ''}".rstrip())


def _iterations(record: DecisionRecord, numbers: dict[str, Any]) -> Sentence:
    used, limit = strong(counted_text(numbers["used"], "iteration")), strong(number_text(numbers["limit"]))
    return sentence(_run(record), " had done ", used, " and may do ", limit)


def _tokens(record: DecisionRecord, numbers: dict[str, Any]) -> Sentence:
    limit, used, asked = (strong(number_text(numbers[name])) for name in ("limit", "used", "requested"))
    text = sentence(_run(record), " may use ", limit, " tokens, had used or held ", used, " of them")
    return text + sentence(", and the call needed ", asked)


def _wall_time(record: DecisionRecord, numbers: dict[str, Any]) -> Sentence:
    used, limit = (strong(duration_text(int(numbers[name]) * 1_000)) for name in ("used", "limit"))
    return sentence(_run(record), " had run for ", used, " and may run for ", limit)


def _tool(ending: str) -> Callable[[DecisionRecord, dict[str, Any]], Sentence]:
    def words(record: DecisionRecord, numbers: dict[str, Any]) -> Sentence:
        version = numbers.get("policy_version")
        policy = (
            sentence("the tool policy")
            if version is None
            else sentence("the tool policy, version ", strong(str(version)))
        )
        return sentence("the tool ", code(str(numbers["tool"])), ending) + policy

    return words


def _kind_denied(record: DecisionRecord, numbers: dict[str, Any]) -> Sentence:
    kind, policy = code(str(numbers["action_kind"])), code(str(numbers.get("policy_id") or "—"))
    return sentence("policy ", policy, " denies actions of kind ", kind)


def _kind_not_allowed(record: DecisionRecord, numbers: dict[str, Any]) -> Sentence:
    kind, policy = code(str(numbers["action_kind"])), code(str(numbers.get("policy_id") or "—"))
    return sentence("policy ", policy, " allows some kinds of actions, and ", kind, " is none of them")


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
    text = sentence("no model that it may use has the room and the capabilities that it asked for")
    if numbers.get("class"):
        text = sentence("no model for class ", code(numbers["class"])) + sentence(
            " has the room and the capabilities that it asked for"
        )
    full = numbers.get("unavailable") or []
    return text + (sentence("; no capacity was left of ", *_list(full)) if full else ())


def _list(names: list[str]) -> Sentence:
    pieces = [piece for name in names for piece in (Phrase(", "), code(str(name)))]
    return tuple(pieces[1:])


_CAUSES: Final[dict[str, Callable[[DecisionRecord, dict[str, Any]], Sentence]]] = {
    "MAX_ITERATIONS_REACHED": _iterations,
    "MAX_TOKENS_REACHED": _tokens,
    "MAX_WALL_TIME_REACHED": _wall_time,
    "TOOL_DENIED": _tool(" is denied by "),
    "TOOL_GATED": _tool(" needs a person's approval by "),
    "MODEL_UNKNOWN": lambda record, numbers: sentence("the model ", code(str(numbers["model"])), " has no price"),
    "MODEL_NOT_ALLOWED": lambda record, numbers: sentence(
        "the plan does not include the model ", code(str(numbers["model"]))
    ),
    "ACTION_KIND_DENIED": _kind_denied,
    "ACTION_KIND_NOT_ALLOWED": _kind_not_allowed,
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
_WITHOUT_NUMBERS: Final = {
    "KILL_SWITCH": "an operator had stopped it",
    "MAX_ITERATIONS_REACHED": "its run had done all its iterations",
    "MAX_TOKENS_REACHED": "its run had not enough tokens left",
    "MAX_WALL_TIME_REACHED": "its run had run for longer than it may",
    "TOOL_DENIED": "the tool policy denies the tool",
    "TOOL_GATED": "the tool needs a person's approval",
    "MODEL_UNKNOWN": "the model that it named has no price",
    "MODEL_NOT_ALLOWED": "the plan does not include the model that it named",
    "ACTION_KIND_DENIED": "a policy denies actions of this kind",
    "ACTION_KIND_NOT_ALLOWED": "a policy allows some kinds of actions, and this is none of them",
    "ACTION_QUOTA_EXCEEDED": "a quota of actions was used up",
    "RUNS_PER_DAY_EXCEEDED": "the runs of the day were used up",
    "RUNS_PER_MONTH_EXCEEDED": "the runs of the month were used up",
    "CONCURRENT_RUNS_EXCEEDED": "too many runs were under way",
    "RUN_REQUIRED": "a quota counts within a run, and the call named none",
    "RATE_LIMITED": "a rate limit was used up",
    "TOKENS_PER_REQUEST_EXCEEDED": "it had more input tokens than a request may have",
    "BELOW_FLOOR": "what was left of the budget is kept for work of higher priority",
    "NO_ROUTE": "no model was found to price it by, and it brought no estimate",
}
