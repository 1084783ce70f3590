"""How the platform is, as gauges: what waits for how long, and whether the books were proven.

From the shared schema and Valkey alone: however many tenants there are, none of their schemas is opened.
"""

from datetime import datetime

from django.db import Error

from kernel.metrics import catalogue
from kernel.metrics.catalogue import Metric
from kernel.metrics.tally import Numbers, Series
from kernel.tenancy import in_public
from telemetry.findings.selectors.standing import totals_of_evidence
from telemetry.selectors.outbox import waiting_events
from tenants.selectors.marks import late_outboxes, marks, troubled_keepings
from tenants.selectors.platform_state import queue_state, seconds_since, versions
from tenants.selectors.standing import standing_totals
from tenants.selectors.verifications import verification_totals

#: Whose outbox: the platform's own, or of all tenants the one that is worst off.
_PLATFORM = "platform"
_TENANTS = "tenants"


def platform_gauges(*, now: datetime) -> dict[Series, Numbers]:
    """Every gauge that can be had now; while a server is away its part is 0 and what it would say is left out."""
    gauges = _Gauges()
    gauges.put_queues()
    try:
        gauges.put_books(now=now)
    except Error:
        gauges.put(catalogue.PART_UP, 0, "postgresql")
    else:
        gauges.put(catalogue.PART_UP, 1, "postgresql")
    return gauges.found


class _Gauges:
    def __init__(self) -> None:
        self.found: dict[Series, Numbers] = {}

    def put(self, metric: Metric, number: float, *labels: str) -> None:
        self.found[(metric.name, labels)] = [float(number)]

    def put_queues(self) -> None:
        queues = queue_state()
        self.put(catalogue.PART_UP, queues is not None, "valkey")
        if queues is not None:
            self.put(catalogue.QUEUE_TASKS, queues.waiting, "waiting")
            self.put(catalogue.QUEUE_TASKS, queues.taken, "taken")
            self.put(catalogue.WORKERS, len(queues.workers))

    def put_books(self, *, now: datetime) -> None:
        for mark in marks():
            self.put(catalogue.MARK_LAG, mark.lag_s, mark.name)
            self.put(catalogue.MARK_TENANTS, mark.tenants, mark.name)
        with in_public():
            waiting = waiting_events()
        self.put(catalogue.OUTBOX_WAITING, waiting.count, _PLATFORM)
        self.put(catalogue.OUTBOX_AGE, seconds_since(waiting.since, now=now) or 0, _PLATFORM)
        late = late_outboxes(now=now)
        self.put(catalogue.OUTBOX_AGE, seconds_since(late.oldest_at, now=now) or 0, _TENANTS)
        self.put(catalogue.OUTBOX_BEHIND, late.behind)
        evidence = totals_of_evidence()
        self.put(catalogue.EVIDENCE_LEAKS, evidence.leaks)
        self.put(catalogue.EVIDENCE_FOREIGN, evidence.foreign_spans)
        self.put(catalogue.KEEPING_TROUBLED, troubled_keepings())
        proven = verification_totals()
        self.put(catalogue.LEDGER_UNVERIFIED, proven.never)
        self.put(catalogue.LEDGER_UNSOUND, proven.unsound)
        if (age_s := seconds_since(proven.oldest_at, now=now)) is not None:
            self.put(catalogue.LEDGER_VERIFIED_AGE, age_s)
        self.put(catalogue.HOLDS_OPEN, standing_totals(now=now).holds_open)
        self.put(catalogue.BUILD, 1, versions().watermaster)
