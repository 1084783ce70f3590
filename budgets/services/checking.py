"""The nightly check of one tenant's books: do they add up, are the seals whole, are the rollups those of the books."""

import logging
from datetime import UTC, datetime
from typing import Final

from budgets.models.choices import AlertKind, Severity
from budgets.services.alert_findings import Finding
from budgets.services.alerts import clear_alert, raise_alert
from budgets.services.seals_proof import SealHead, seal_head
from budgets.services.verifying import verify_books, verify_rollups, verify_seals
from kernel.ids import Tag
from tenants.services.checks import last_check, note_check

_SUBJECT: Final = "books"

_logger = logging.getLogger(__name__)


def check_books(*, tag: Tag) -> list[str]:
    """Prove the tenant's books, seals and rollups; the differences. Changes nothing in them.

    What is found is noted, raised as an alert and an error in the log. The seal that the last sound check saw must
    still be in the chain. Safe to repeat and to be killed.
    """
    now = datetime.now(UTC)
    known, head = _noted_head(tag), seal_head(tag)
    differences = [str(each) for each in verify_books(tag=tag).differences]
    differences += [str(each) for each in verify_seals(tag=tag, known=known)]
    differences += [str(each) for each in verify_rollups(tag=tag)]
    # What is not sound is not what later checks go by.
    head = known if differences else head
    note_check(tag=tag, at=now, sealed_seq=head.last_seq if head else 0, seal_hash=head.hash if head else "")
    if differences:
        # Where and how is in the alert and in the commands' answers: a log names no customer's scopes.
        _logger.error("The books of tenant %s have %s differences: see manage.py verify_ledger.", tag, len(differences))
        raise_alert(tag=tag, finding=_finding(differences, now=now))
    else:
        # Logs are kept elsewhere: who makes the seals anew cannot change what was said here.
        _logger.info("The books of tenant %s add up; the last seal is %s", tag, head.hash if head else "none")
        clear_alert(tag=tag, kind=AlertKind.LEDGER_DIFFERENCE, subject=_SUBJECT)
    return differences


def _finding(differences: list[str], *, now: datetime) -> Finding:
    number = f"{len(differences):,} differences" if len(differences) > 1 else "1 difference"
    return Finding(
        kind=AlertKind.LEDGER_DIFFERENCE,
        subject=_SUBJECT,
        period="",
        severity=Severity.CRITICAL,
        summary=f"The nightly check found {number} in the books. First: {differences[0]}.",
        facts={"differences": len(differences), "checked_at": now.isoformat()},
        # Who resolved it was mistaken: the books do not add up for being said to.
        outlasts_resolving=True,
    )


def _noted_head(tag: Tag) -> SealHead | None:
    before = last_check(tag=tag)
    if before is None or not before.seal_hash:
        return None
    return SealHead(tag, before.sealed_seq, before.seal_hash)
