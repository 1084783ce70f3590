"""After a run: do the books hold what was acknowledged, and do they add up?"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.db import connections

from bench.customers import Customer, entries_of
from bench.figures import Figures
from budgets.selectors.audit import Audit, examine


@dataclass(frozen=True, slots=True)
class BooksBefore:
    """How many entries the books of these tenants held when a run began."""

    customers: Sequence[Customer]
    entries: int

    def mismatches(self, *runs: Figures) -> list[str]:
        """A sentence if the entries written since are not those of the requests; none when they are.

        Each accepted request wrote one entry, and one that was declined none. One that was answered otherwise, or not
        at all, may have written one.
        """
        booked = entries_of(self.customers) - self.entries
        accepted = sum(run.accepted for run in runs)
        uncertain = sum(run.other_answers - run.declined + run.unanswered for run in runs)
        if accepted <= booked <= accepted + uncertain:
            return []
        return [f"{booked} ledger entries were written where {accepted} requests were accepted"]


def books_of(customers: Sequence[Customer]) -> BooksBefore:
    return BooksBefore(customers=customers, entries=entries_of(customers))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the audit of all books came to."""

    tenants: int
    entries: int
    mismatches: tuple[str, ...]


def audit_books(customers: Sequence[Customer], *, at_once: int = 2) -> Verdict:
    """Audit the whole books of these tenants, from their first entry, some of them at once."""
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        audits = list(pool.map(_examine, customers))
    return Verdict(
        tenants=len(audits),
        entries=sum(audit.entries for audit in audits),
        mismatches=tuple(
            f"{customer.account.slug}: {difference}"
            for customer, audit in zip(customers, audits, strict=True)
            for difference in audit.differences
        ),
    )


def _examine(customer: Customer) -> Audit:
    try:
        return examine(customer.tag)
    finally:
        # This thread's own.
        connections.close_all()
