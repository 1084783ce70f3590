"""One visit to rows that have grown old, in a tenant's schema or the platform's: archived, then dropped.

Each kind on its own: what stands in the way of one does not keep the others.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import DatabaseError

from budgets.selectors.keeping import KeepingDays, keeping_days
from budgets.services.ledger_archive import CorrectedMeanwhile, LedgerNotSound, drop_ledger
from budgets.services.retention import KEPT_MIN, NotFollowedYet, drop_decisions
from kernel.archives import ArchiveDamaged, ExportDiffers
from kernel.ids import PLATFORM_TAG, Tag
from kernel.tenancy import in_public, in_tenant
from telemetry.services.archiving import alone, database_now
from telemetry.services.audit_archive import drop_trail
from telemetry.services.event_archive import drop_events
from telemetry.services.webhooks.forgetting import forget_old_deliveries
from tenants.selectors.directory import plan_defaults_of
from tenants.services.keeping_visits import note_visit

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Rows that went, whether nothing is left to be done, and in words what could not be done."""

    dropped: int = 0
    is_done: bool = True
    trouble: str = ""


type _Step = Callable[[], tuple[int, bool]]


def visit_old_rows(*, tag: Tag, installation: KeepingDays, now: datetime, has_time: Callable[[], bool]) -> Visit:
    """Archive and drop what is older than the tenant keeps it, and note what came of it.

    `tag` may be the platform's. Where `now` is ahead of the database's clock that counts: a worker whose clock jumped
    must not let a ledger begin tomorrow. Safe to repeat, to run twice at once, and to be killed anywhere.
    """
    is_platform = tag == PLATFORM_TAG
    plan = {} if is_platform else plan_defaults_of(tag).get("keep", {})
    with in_public() if is_platform else in_tenant(tag), alone(tag) as is_alone:
        if not is_alone:
            return Visit(is_done=False)
        now = min(now, database_now())
        days = installation if is_platform else keeping_days(installation, plan=plan)
        found = _visit(_steps(tag, days, now=now, has_time=has_time), tag=tag, has_time=has_time)
    note_visit(tag=tag, dropped=found.dropped, trouble=found.trouble, is_done=found.is_done)
    return found


def _steps(tag: Tag, days: KeepingDays, *, now: datetime, has_time: Callable[[], bool]) -> dict[str, _Step]:
    steps: dict[str, _Step] = {"deliveries": partial(_forget_deliveries, now=now, has_time=has_time)}
    if days.events is not None:
        before = now - timedelta(days=days.events)
        steps["events"] = partial(drop_events, owner=tag, before=before, now=now, has_time=has_time)
    if days.audit is not None:
        before = now - timedelta(days=days.audit)
        steps["audit"] = partial(drop_trail, owner=tag, before=before, now=now, has_time=has_time)
    if tag == PLATFORM_TAG:
        return steps
    if days.decisions is not None:
        before = min(now - timedelta(days=days.decisions), now - KEPT_MIN)
        steps["decisions"] = partial(drop_decisions, tag=tag, before=before, now=now, has_time=has_time)
    if days.ledger is not None:
        before = now - timedelta(days=days.ledger)
        steps["ledger"] = partial(drop_ledger, tag=tag, before=before, now=now, has_time=has_time)
    return steps


def _visit(steps: dict[str, _Step], *, tag: Tag, has_time: Callable[[], bool]) -> Visit:
    dropped, is_done, troubles = 0, True, []
    for name, step in steps.items():
        try:
            rows, is_all = step()
        except NotFollowedYet:
            troubles.append(f"{name}: the rollups have not followed so far yet")
        except CorrectedMeanwhile:
            is_done = False
        except (ArchiveDamaged, ExportDiffers, LedgerNotSound, OSError, DatabaseError) as error:
            # An operator has to look: a full disk, a folder that is gone, a file that was changed.
            said = str(error).partition("\n")[0] or type(error).__name__
            _logger.error("Old %s of tenant %s were not dropped: %s", name, tag, said)
            troubles.append(f"{name}: {said}")
        else:
            dropped, is_done = dropped + rows, is_done and is_all
        if not has_time():
            is_done = is_done and name == next(reversed(steps))
            break
    return Visit(dropped=dropped, is_done=is_done and not troubles, trouble="; ".join(troubles))


def _forget_deliveries(*, now: datetime, has_time: Callable[[], bool]) -> tuple[int, bool]:
    """Where nothing happens nobody hands out events, and old deliveries would stay."""
    forgotten = 0
    while (number := forget_old_deliveries(now=now)) > 0:
        forgotten += number
        if not has_time():
            return forgotten, False
    return forgotten, True
