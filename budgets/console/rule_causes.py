"""Why a rule refused a call, as the end of a sentence: switches, run limits and policies here, limits beside it."""

from datetime import datetime
from typing import Any, Final

from budgets.console.limit_causes import LIMIT_CAUSES, Cause
from budgets.selectors.decision_records import DecisionRecord
from kernel.pages.amounts import counted_text, number_text
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


def _tool(ending: str) -> Cause:
    def words(record: DecisionRecord, numbers: dict[str, Any]) -> Sentence:
        match numbers.get("policy_version"):
            case None:
                policy = sentence("the tool policy")
            case 0:
                # The plan's is the one without a version of its own.
                policy = sentence("the plan's tool policy")
            case version:
                policy = sentence("version ", strong(str(version)), " of the tool policy")
        return sentence("the tool ", code(str(numbers["tool"])), ending) + policy

    return words


def _kind_denied(record: DecisionRecord, numbers: dict[str, Any]) -> Sentence:
    kind, policy = code(str(numbers["action_kind"])), code(str(numbers.get("policy_id") or "—"))
    return sentence("policy ", policy, " denies actions of kind ", kind)


def _kind_not_allowed(record: DecisionRecord, numbers: dict[str, Any]) -> Sentence:
    kind, policy = code(str(numbers["action_kind"])), code(str(numbers.get("policy_id") or "—"))
    return sentence("policy ", policy, " allows some kinds of actions, and ", kind, " is none of them")


_CAUSES: Final[dict[str, Cause]] = {
    **LIMIT_CAUSES,
    "MAX_ITERATIONS_REACHED": _iterations,
    "MAX_TOKENS_REACHED": _tokens,
    "MAX_WALL_TIME_REACHED": _wall_time,
    "TOOL_DENIED": _tool(" is denied by "),
    "TOOL_GATED": _tool(" needs a person's approval under "),
    "MODEL_UNKNOWN": lambda record, numbers: sentence("the model ", code(str(numbers["model"])), " has no price"),
    "MODEL_NOT_ALLOWED": lambda record, numbers: sentence(
        "the plan does not include the model ", code(str(numbers["model"]))
    ),
    "ACTION_KIND_DENIED": _kind_denied,
    "ACTION_KIND_NOT_ALLOWED": _kind_not_allowed,
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
