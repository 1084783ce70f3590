"""What can be done about a refusal of a rule."""

from datetime import datetime
from typing import Final

from budgets.console.rule_causes import stopped_words
from budgets.selectors.decision_records import DecisionRecord
from kernel.pages.amounts import counted_text
from kernel.pages.moments import duration_text, moment_text


def rule_remedies(record: DecisionRecord, *, time_zone: str, now: datetime) -> list[str]:
    """Whole sentences; none where the reason is no rule's."""

    def moment(at: datetime) -> str:
        return moment_text(at, time_zone=time_zone, now=now)

    reason, numbers = record.reason_code or "", record.numbers
    found: list[str] = []
    if reason == "KILL_SWITCH":
        return _lifting(record, time_zone=time_zone, now=now)
    if reason == "MAX_TOKENS_REACHED" and numbers.get("limit", 0) > numbers.get("used", 0):
        left = counted_text(numbers["limit"] - numbers["used"], "token")
        found.append(f"Ask for at most {left}, input and output together.")
    if reason == "RATE_LIMITED" and "retry_after_ms" in numbers:
        found.append(f"Repeat the call {duration_text(numbers['retry_after_ms'])} after it was refused.")
    if reason == "TOKENS_PER_REQUEST_EXCEEDED" and "limit" in numbers:
        found.append(f"Send at most {counted_text(numbers['limit'], 'input token')}: shorten the context.")
    if reason == "ACTION_KIND_NOT_ALLOWED" and numbers.get("allowed"):
        found.append(f"Use an action of a kind that is allowed: {', '.join(map(str, numbers['allowed']))}.")
    if reason in _WITH_WINDOW and numbers.get("window") == "per_run":
        found.append("Begin a new run: it has a quota of its own.")
    elif reason in _WITH_WINDOW and (resets_at := _moment(numbers.get("resets_at"))) is not None:
        verb = "begins" if resets_at > now else "began"
        found.append(f"The count {verb} anew {moment(resets_at)}.")
    if reason == "NO_ROUTE" and numbers.get("unavailable"):
        found.append("Repeat the call: capacity comes back as other calls end.")
    return [*found, *(text.format(policy=numbers.get("policy_id", "")) for text in _REMEDIES.get(reason, ()))]


def _lifting(record: DecisionRecord, *, time_zone: str, now: datetime) -> list[str]:
    numbers, stop = record.numbers, record.stop
    what = stopped_words(str(numbers.get("level", "")), str(numbers.get("name", "")))
    if stop is not None and stop.lifted_at is not None:
        lifted = moment_text(stop.lifted_at, time_zone=time_zone, now=now)
        return [f"Repeat the call: the switch was lifted at {lifted}, by {stop.lifted_by}."]
    if stop is not None and stop.ends_at is not None:
        verb = "ends" if stop.ends_at > now else "ended"
        ends = moment_text(stop.ends_at, time_zone=time_zone, now=now)
        return [f"Resume {what} when the reason is gone.", f"The switch {verb} by itself at {ends}."]
    return [f"Resume {what} when the reason is gone: until then the switch refuses."]


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


_WITH_WINDOW: Final = {"ACTION_QUOTA_EXCEEDED", "RUNS_PER_DAY_EXCEEDED", "RUNS_PER_MONTH_EXCEEDED"}
_NEW_RUN: Final = "Begin a new run."
_REMEDIES: Final = {
    "MAX_ITERATIONS_REACHED": (_NEW_RUN, "Raise the iterations of a run, in the plan or in the class."),
    "MAX_TOKENS_REACHED": (_NEW_RUN, "Raise the tokens of a run in the plan."),
    "MAX_WALL_TIME_REACHED": (_NEW_RUN, "Raise the time of a run in the plan."),
    "TOOL_DENIED": ("Leave the tool out.", "Allow it in the tool policy, or choose a plan that has it."),
    "TOOL_GATED": ("Let a person decide on the call.", "Allow the tool in the tool policy."),
    "MODEL_UNKNOWN": ("Name another model, or none: then the route chooses one.", "Approve a price for the model."),
    "MODEL_NOT_ALLOWED": (
        "Name another model, or none: then the route chooses one.",
        "Change the plan, or allow the model to this tenant.",
    ),
    "ACTION_KIND_DENIED": ("Change policy {policy} if the tenant should do this.",),
    "ACTION_KIND_NOT_ALLOWED": ("Add the kind to policy {policy} if the tenant should do this.",),
    "ACTION_QUOTA_EXCEEDED": ("Raise the quota in policy {policy}.",),
    "RUNS_PER_DAY_EXCEEDED": ("Go on in a run that has begun.", "Raise the runs a day in the plan."),
    "RUNS_PER_MONTH_EXCEEDED": ("Go on in a run that has begun.", "Raise the runs a month in the plan."),
    "CONCURRENT_RUNS_EXCEEDED": (
        "Wait until a run has ended; one that goes quiet stops counting by itself.",
        "Raise the number of runs at once in the plan.",
    ),
    "RUN_REQUIRED": ("Send the run in subject.dimensions.run.",),
    "RATE_LIMITED": ("Raise the rate limit in the plan.",),
    "TOKENS_PER_REQUEST_EXCEEDED": ("Raise the input tokens of a request, in the plan or in the class.",),
    "BELOW_FLOOR": (
        "Fund the budget, or wait for its next period.",
        "Send work that cannot wait with a higher priority, where plan and class permit it.",
    ),
    "NO_ROUTE": (
        "Ask for fewer tokens or fewer capabilities, or bring an estimate of your own.",
        "Add a model to the tier of the class.",
    ),
}
