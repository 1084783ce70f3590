"""What is looked at before any budget is, in the domain's order, and which refusals each look can end in."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from budgets.selectors.decision_records import DecisionRecord
from kernel.pages.amounts import unit_name
from kernel.pages.phrases import Sentence, code, sentence


@dataclass(frozen=True, slots=True)
class Stage:
    words: Sentence
    refusals: frozenset[str]


_SETTLEMENTS: Final = frozenset({"commit", "release", "extend"})
_ASKING: Final = frozenset({"reserve", "decide", "admit"})

_TENANT: Final = frozenset({"TENANT_SUSPENDED", "TENANT_CLOSED"})
_SWITCHES: Final = _TENANT | {"KILL_SWITCH"}
_RUN: Final = frozenset({"MAX_ITERATIONS_REACHED", "MAX_TOKENS_REACHED", "MAX_WALL_TIME_REACHED"})
_POLICIES: Final = frozenset(
    {"ACTION_KIND_DENIED", "ACTION_KIND_NOT_ALLOWED", "TOOL_DENIED", "TOOL_GATED", "MODEL_UNKNOWN", "MODEL_NOT_ALLOWED"}
)
_RATE: Final = frozenset({"RATE_LIMITED", "TOKENS_PER_REQUEST_EXCEEDED"})
# What is counted once all other rules have passed, routes too.
_QUOTAS: Final = frozenset(
    {
        "ACTION_QUOTA_EXCEEDED",
        "RUNS_PER_DAY_EXCEEDED",
        "RUNS_PER_MONTH_EXCEEDED",
        "CONCURRENT_RUNS_EXCEEDED",
        "RUN_REQUIRED",
    }
)
_ROUTES: Final = frozenset({"BELOW_FLOOR", "NO_ROUTE"})
_RULES: Final = _RUN | _POLICIES | _RATE | _QUOTAS | _ROUTES

#: What a budget on the path itself says.
REFUSALS_OF_BUDGETS: Final = frozenset(
    {"BUDGET_EXCEEDED", "BUDGET_FROZEN", "BUDGET_CLOSED", "OVERDRAFT_LIMIT_EXCEEDED", "DEBT_OUTSTANDING"}
)


def stages_of(record: DecisionRecord) -> Iterator[Stage]:
    """The looks that this call had to pass; rules only where the tenant had some."""
    key = code(record.api_key_id) if record.api_key_id else "of an operator or worker"
    yield Stage(sentence("Key ", key, ": may do this here"), frozenset({"FORBIDDEN", "NOT_FOUND"}))
    if record.idempotency_key:
        words = sentence("Idempotency key ", code(record.idempotency_key), ": not used for anything else")
        yield Stage(words, frozenset({"IDEMPOTENCY_MISMATCH"}))
    if record.endpoint in _ASKING:
        yield Stage(sentence("Switches: the tenant is on, and nothing of this call is stopped"), _SWITCHES)
        yield from _rules(record)
    else:
        yield Stage(sentence("Tenant switch: on"), _TENANT)
    if record.endpoint in _SETTLEMENTS:
        yield Stage(
            sentence("Reservation: open, in time and in this unit"),
            frozenset({"RESERVATION_FINALIZED", "RESERVATION_EXPIRED", "UNIT_MISMATCH", "MAX_EXTENSIONS_EXCEEDED"}),
        )
    else:
        words = sentence("Budgets on the path: at least one in ", unit_name(record.unit or ""))
        yield Stage(words, frozenset({"BUDGET_NOT_FOUND", "UNIT_MISMATCH"}))


def unreached_after_shadow(record: DecisionRecord) -> frozenset[str]:
    """The refusals of the looks that were not taken, after a rule had let the call through in shadow.

    Nothing is counted then. Whether the other rules were looked at shows in what they found.
    """
    if record.would_deny in _QUOTAS:
        return frozenset()
    return _QUOTAS if "tokens" in (record.admission or {}) else _RULES


def _rules(record: DecisionRecord) -> Iterator[Stage]:
    admission = record.admission or {}
    refused = _RULES & {record.reason_code, record.would_deny}
    # Whoever came through all rules is told what they counted; who did not is named by them.
    if not refused and "tokens" not in admission:
        return
    if record.run_id is not None and (refused or "limits_left" in admission):
        yield Stage(sentence("Run limits: iterations, tokens and time are left"), _RUN)
    yield Stage(sentence("Policies: the action, its tools and its model are allowed"), _POLICIES)
    yield Stage(sentence("Rate and size: the request is within its limits"), _RATE)
    # Quotas are counted last: what found no route was never counted.
    if not refused & _ROUTES:
        yield Stage(sentence("Quotas: actions and runs are within theirs"), _QUOTAS)
    if refused or record.endpoint == "admit" or "route" in admission:
        yield Stage(sentence("Routes: a model can serve it, and its priority may spend"), _ROUTES)
