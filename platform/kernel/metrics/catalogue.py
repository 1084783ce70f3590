"""Every metric by its name. What is not named here cannot be counted, and a dashboard may name nothing else."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """How numbers of several processes are put together: all are added."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `bounds` are the upper ends of a histogram's buckets, in seconds; a label's values are few."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


_DECISION_BOUNDS_S: Final = (
    *(0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.006, 0.008, 0.012, 0.02),
    *(0.035, 0.06, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0),
)
_PAGE_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_TASK_BOUNDS_S: Final = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0)

# Of the api's processes.
DECISIONS: Final = Metric(
    "watermaster_decisions_total",
    Kind.COUNTER,
    "Operations that the books answered, or could not (result unavailable); reason of a deny or a refusal.",
    ("operation", "result", "reason"),
)
DECISION_SECONDS: Final = Metric(
    "watermaster_decision_seconds",
    Kind.HISTOGRAM,
    "From an operation's arrival at its tenant's line to the books' answer.",
    ("operation",),
    _DECISION_BOUNDS_S,
)
RATE_LIMITED: Final = Metric(
    "watermaster_rate_limited_total", Kind.COUNTER, "Calls refused by a rate limit without asking the books."
)
TENANT_DECISIONS: Final = Metric(
    "watermaster_tenant_decisions_total",
    Kind.COUNTER,
    "The same by tenant's tag; only with METRICS_TENANTS=yes.",
    ("tenant", "result"),
)
LINES_STANDING: Final = Metric(
    "watermaster_lines_standing", Kind.GAUGE, "Threads of the api that stand in tenants' lines."
)
LANES_BUSY: Final = Metric("watermaster_lanes_busy", Kind.GAUGE, "Connections of the hot path that are under way.")
NOTES_LOST: Final = Metric(
    "watermaster_metrics_lost_total", Kind.COUNTER, "Decisions that were not counted: too many in a second."
)
RESPONSES: Final = Metric("watermaster_responses_total", Kind.COUNTER, "HTTP answers of a plane.", ("plane", "status"))
RESPONSE_SECONDS: Final = Metric(
    "watermaster_response_seconds",
    Kind.HISTOGRAM,
    "From a request's arrival to its answer.",
    ("plane",),
    _PAGE_BOUNDS_S,
)

# Of the workers.
TASKS: Final = Metric("watermaster_tasks_total", Kind.COUNTER, "Tasks that ended.", ("task", "outcome"))
TASK_SECONDS: Final = Metric(
    "watermaster_task_seconds", Kind.HISTOGRAM, "How long they took.", ("task",), _TASK_BOUNDS_S
)

# Of the platform as a whole, read when the console is asked.
PART_UP: Final = Metric("watermaster_part_up", Kind.GAUGE, "Whether a server answers: 1 or 0.", ("part",))
QUEUE_TASKS: Final = Metric(
    "watermaster_queue_tasks", Kind.GAUGE, "Tasks that wait, or that a worker has taken and not finished.", ("state",)
)
WORKERS: Final = Metric("watermaster_workers", Kind.GAUGE, "Workers that listen.")
MARK_LAG: Final = Metric(
    "watermaster_mark_lag_seconds",
    Kind.GAUGE,
    "How long the tenant that waits longest has waited for work of this kind; 0 when nothing waits.",
    ("mark",),
)
MARK_TENANTS: Final = Metric(
    "watermaster_mark_tenants_waiting", Kind.GAUGE, "Tenants with work of this kind to be done.", ("mark",)
)
OUTBOX_AGE: Final = Metric(
    "watermaster_outbox_age_seconds",
    Kind.GAUGE,
    "Age of the oldest event that waits to be delivered: the platform's own, and of the tenant where it is worst.",
    ("of",),
)
OUTBOX_WAITING: Final = Metric("watermaster_outbox_waiting", Kind.GAUGE, "Events that wait, up to 10,000.", ("of",))
OUTBOX_BEHIND: Final = Metric(
    "watermaster_outbox_tenants_behind", Kind.GAUGE, "Tenants with an event that has waited for five minutes or longer."
)
EVIDENCE_LEAKS: Final = Metric(
    "watermaster_evidence_leaks",
    Kind.GAUGE,
    "Spans ever kept of all tenants that carry another tenant's prompt or namespace.",
)
EVIDENCE_FOREIGN: Final = Metric(
    "watermaster_evidence_foreign_spans", Kind.GAUGE, "Spans ever refused because they named another tenant."
)
KEEPING_TROUBLED: Final = Metric(
    "watermaster_keeping_tenants_troubled",
    Kind.GAUGE,
    "Tenants whose old rows could not all be archived at the last try.",
)
LEDGER_VERIFIED_AGE: Final = Metric(
    "watermaster_ledger_verification_age_seconds",
    Kind.GAUGE,
    "Since the books that were verified longest ago were; without a sample where none ever were.",
)
LEDGER_UNVERIFIED: Final = Metric(
    "watermaster_ledger_tenants_never_verified", Kind.GAUGE, "Tenants whose books were never verified."
)
LEDGER_UNSOUND: Final = Metric(
    "watermaster_ledger_tenants_unsound",
    Kind.GAUGE,
    "Tenants in whose books, sums or seals the last verification found a difference.",
)
HOLDS_OPEN: Final = Metric("watermaster_holds_open", Kind.GAUGE, "Reservations that hold money, as last noted.")
BUILD: Final = Metric("watermaster_build_info", Kind.GAUGE, "1, with the version as a label.", ("version",))

METRICS: Final = {
    metric.name: metric
    for metric in (
        *(DECISIONS, DECISION_SECONDS, RATE_LIMITED, TENANT_DECISIONS, LINES_STANDING, LANES_BUSY, NOTES_LOST),
        *(RESPONSES, RESPONSE_SECONDS, TASKS, TASK_SECONDS),
        *(PART_UP, QUEUE_TASKS, WORKERS, MARK_LAG, MARK_TENANTS, OUTBOX_AGE, OUTBOX_WAITING),
        *(OUTBOX_BEHIND, EVIDENCE_LEAKS, EVIDENCE_FOREIGN, KEEPING_TROUBLED),
        *(LEDGER_VERIFIED_AGE, LEDGER_UNVERIFIED, LEDGER_UNSOUND, HOLDS_OPEN, BUILD),
    )
}
