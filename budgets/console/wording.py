"""The engine's words in the reader's: reasons, endpoints, scopes, states."""

from typing import Final

from budgets.models.choices import BudgetStatus, Period, Verdict
from budgets.selectors.budget_lines import BudgetLine
from budgets.selectors.decisions import DecisionLine
from kernel.ids import Tag, mint_wire_id
from kernel.pages.bars import Bar, Tone, budget_bar

_REASONS: Final = {
    "BUDGET_EXCEEDED": "Budget exceeded",
    "BUDGET_FROZEN": "Budget frozen",
    "BUDGET_CLOSED": "Budget closed",
    "BUDGET_NOT_FOUND": "No budget on the path",
    "OVERDRAFT_LIMIT_EXCEEDED": "Over limit",
    "DEBT_OUTSTANDING": "Debt outstanding",
    "UNIT_MISMATCH": "Wrong unit",
    "TENANT_SUSPENDED": "Tenant suspended",
    "TENANT_CLOSED": "Tenant closed",
    "FORBIDDEN": "Key not permitted",
    "NOT_FOUND": "Unknown reservation",
    "IDEMPOTENCY_MISMATCH": "Idempotency key reused",
    "RESERVATION_FINALIZED": "Already settled",
    "RESERVATION_EXPIRED": "Reservation expired",
    "MAX_EXTENSIONS_EXCEEDED": "Extended too often",
    "KILL_SWITCH": "Stopped by an operator",
    "MAX_ITERATIONS_REACHED": "Run out of iterations",
    "MAX_TOKENS_REACHED": "Run out of tokens",
    "MAX_WALL_TIME_REACHED": "Run out of time",
    "ACTION_KIND_DENIED": "Action denied",
    "ACTION_KIND_NOT_ALLOWED": "Action not allowed",
    "TOOL_DENIED": "Tool denied",
    "TOOL_GATED": "Tool needs approval",
    "MODEL_UNKNOWN": "Model without a price",
    "MODEL_NOT_ALLOWED": "Model not in the plan",
    "RATE_LIMITED": "Rate limit",
    "TOKENS_PER_REQUEST_EXCEEDED": "Request too long",
    "ACTION_QUOTA_EXCEEDED": "Action quota used up",
    "RUNS_PER_DAY_EXCEEDED": "Runs of the day used up",
    "RUNS_PER_MONTH_EXCEEDED": "Runs of the month used up",
    "CONCURRENT_RUNS_EXCEEDED": "Too many runs at once",
    "RUN_REQUIRED": "Run not named",
    "BELOW_FLOOR": "Kept for higher priority",
    "NO_ROUTE": "No model fits",
}
_ENDPOINTS: Final = {
    "admit": "admission",
    "reserve": "reservation",
    "decide": "check",
    "commit": "commit",
    "release": "release",
    "extend": "extension",
    "event": "event",
}
_PERIODS: Final = {
    Period.ONE_OFF: "in all",
    Period.DAY: "today",
    Period.WEEK: "this week",
    Period.MONTH: "this month",
}
_WINDOWS: Final = {
    "per_run": "in a run",
    "per_minute_tumbling": "a minute",
    "per_hour_tumbling": "an hour",
    "per_day_tumbling": "a day",
    "per_tenant_per_day": "a day",
    "day": "a day",
    "month": "a month",
}
_VERDICTS: Final = {
    Verdict.ALLOW: ("Allowed", Tone.GOOD),
    Verdict.ALLOW_WITH_CAPS: ("Allowed with caps", Tone.INFO),
    Verdict.DENY: ("Denied", Tone.BAD),
}

#: Let through in shadow mode; without it the call would have been denied.
WOULD_DENY: Final = ("Would deny", Tone.WARN)

#: While somebody holds the tenant's books, so that its new period cannot be opened.
BOOKS_BUSY: Final = ("Books busy", Tone.INFO)


def reason_words(reason_code: str | None) -> str:
    """A reason as a heading; an unknown code stands for itself."""
    return _REASONS.get(reason_code or "", reason_code or "")


def reason_codes() -> tuple[str, ...]:
    return tuple(_REASONS)


def endpoint_noun(endpoint: str) -> str:
    return _ENDPOINTS.get(endpoint, endpoint)


def period_words(period: Period) -> str:
    """What a sum of this period speaks of: `today`."""
    return _PERIODS[period]


def window_words(window: str) -> str:
    """What a quota counts over: `a day`."""
    return _WINDOWS.get(window, window)


def verdict_words(verdict: Verdict) -> tuple[str, Tone]:
    return _VERDICTS[verdict]


def scope_words(scope_path: str) -> str:
    """The last segment as two words: `workspace marketing`."""
    level, _, name = scope_path.rpartition("/")[2].partition(":")
    return f"{level} {name}".rstrip()


def path_within_tenant(scope_path: str) -> str:
    """The path without its first segment, which every path of one tenant shares; that segment itself for the root."""
    return scope_path.partition("/")[2] or scope_path


def decision_wire_id(tag: Tag, decision: DecisionLine) -> str:
    return mint_wire_id("dec", tag, decision.id)


def bar_of(budget: BudgetLine) -> Bar:
    return budget_bar(allocated=budget.allocated, used=budget.spent + budget.debt, held=budget.reserved)


def budget_state(budget: BudgetLine) -> tuple[str, Tone]:
    """What to think of a budget at a glance."""
    if budget.status == BudgetStatus.CLOSED:
        return "Closed", Tone.CALM
    if budget.status == BudgetStatus.FROZEN:
        return "Frozen", Tone.BAD
    if budget.is_over_limit:
        return "Over limit", Tone.BAD
    if budget.remaining <= 0:
        return ("Used up", Tone.BAD) if budget.allocated else ("Not funded", Tone.CALM)
    return ("Near cap", Tone.WARN) if bar_of(budget).tone == Tone.WARN else ("Healthy", Tone.GOOD)
