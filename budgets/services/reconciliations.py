"""Keeping what a reconciliation came to."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from django.db import transaction

from budgets.models import Reconciliation
from budgets.models.choices import AlertKind, Severity
from budgets.reconciling.calls import Comparison, Finding, Source
from budgets.services import alert_findings
from budgets.services.alerts import clear_alert, raise_alert
from budgets.services.invoice_files import Invoice, keep_invoice
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from telemetry.services.audit import record
from telemetry.services.outbox import Event, announce

#: Kept of the differences, the ones that are worth most. All of them are counted, and a file of all can be had.
DIFFERENCES_MAX: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was held against what. `until` is exclusive; `name` of the source without where it lay."""

    source: Source
    name: str
    since: datetime
    until: datetime
    digest: str = ""
    scope_path: str = ""
    provider: str = ""
    by_days: bool = False
    tolerance_ppm: int = 0
    unread: int = 0


def keep_reconciliation(
    *, tag: Tag, question: Question, found: Comparison, actor: Actor, now: datetime, invoice: Invoice | None = None
) -> Reconciliation:
    """Write it down, with an entry in the audit trail and an event, and with the file where one was handed in.

    Repeating it keeps another one.
    """
    with in_tenant(tag), transaction.atomic(durable=True):
        if invoice is not None:
            keep_invoice(invoice, actor=actor, now=now)
        kept = Reconciliation.objects.create(
            at=now,
            actor=actor.name,
            reason=actor.reason,
            **asdict(question),
            observed=asdict(found.observed),
            booked=asdict(found.booked) | {"unnamed": found.unnamed, "unplaced": found.unplaced},
            matched=found.matched,
            missing=found.counts.get(Finding.MISSING, 0),
            extra=found.counts.get(Finding.EXTRA, 0),
            drift=found.counts.get(Finding.DRIFT, 0),
            differences=[each.as_document() for each in found.differences[:DIFFERENCES_MAX]],
        )
        facts = {
            "source": kept.source,
            "name": kept.name,
            "matched": kept.matched,
            "missing": kept.missing,
            "extra": kept.extra,
            "drift": kept.drift,
            "observed_cost": found.observed.cost,
            "booked_cost": found.booked.cost,
        }
        record(actor=actor, action="ledger.reconciled", target=str(kept.pk), at=now, after=facts)
        announce(
            Event(event_type="custom.system.ledger_reconciled", content={"reconciliation_id": str(kept.pk), **facts}),
            actor=actor,
            at=now,
        )
    _tell(tag, kept)
    return kept


def _tell(tag: Tag, kept: Reconciliation) -> None:
    """An alert for each source and time, while the newest answer for them is that something differs."""
    subject = f"{kept.source}:{kept.name}:{kept.since.isoformat()}/{kept.until.isoformat()}"
    counts = {"missing": kept.missing, "extra": kept.extra, "drift": kept.drift}
    if not any(counts.values()):
        clear_alert(tag=tag, kind=AlertKind.USAGE_DIFFERENCE, subject=subject)
        return
    numbers = f"{kept.missing:,} missing, {kept.extra:,} extra, {kept.drift:,} of another amount"
    finding = alert_findings.Finding(
        kind=AlertKind.USAGE_DIFFERENCE,
        subject=subject,
        period="",
        severity=Severity.WARNING,
        summary=f"The ledger differs from {kept.name}: {numbers}.",
        facts={"reconciliation_id": str(kept.pk), **counts},
    )
    raise_alert(tag=tag, finding=finding)
