"""Closing the budgets of a tenant that is closed, however many runs it has had: nothing is read that is not told."""

from collections.abc import Iterable, Mapping
from itertools import batched
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from budgets.models import Budget
from budgets.models.choices import BudgetStatus
from budgets.services.journal import Journal
from kernel.sql_files import read_sql
from telemetry.services import outbox

#: So many budgets share one ledger entry.
_BUDGETS_AN_ENTRY: Final = 500
#: Closed by one statement, which stays far below the statement timeout.
_BUDGETS_A_STATEMENT: Final = 5_000
#: Told by one statement.
_EVENTS_A_STATEMENT: Final = 500


def close_budgets(journal: Journal) -> None:
    """Close all of the tenant's budgets and tell of those that are not a run's."""
    still_open = _standing().exclude(status=BudgetStatus.CLOSED)
    _tell(journal, _cascade("budget.closed_via_tenant_cascade", still_open, {}))
    after = UUID(int=0)
    while True:
        parameters = {"after": after, "at_most": _BUDGETS_A_STATEMENT, "budgets_an_entry": _BUDGETS_AN_ENTRY}
        _, last_id = journal.post_many(read_sql("budgets", "close_budgets"), parameters)
        if last_id is None:
            return
        after = last_id


def held_amounts() -> dict[UUID, int]:
    """What is held on each budget that is not a run's."""
    return dict(_standing().filter(reserved__gt=0).values_list("id", "reserved"))


def announce_released(journal: Journal, held: Mapping[UUID, int]) -> None:
    """Tell of the holds that were given back; `held` is what was held before."""
    for ids in batched(sorted(held), _EVENTS_A_STATEMENT):
        budgets = _standing().filter(pk__in=ids)
        _tell(journal, _cascade("reservation.released_via_tenant_cascade", budgets, held))


def _standing() -> QuerySet[Budget]:
    # The budgets of runs come and go by the thousand; nobody subscribes to one of them.
    return Budget.objects.filter(run_id=None).order_by("id")


def _tell(journal: Journal, events: Iterable[outbox.Event]) -> None:
    for batch in batched(events, _EVENTS_A_STATEMENT):
        outbox.announce_all(batch, actor=journal.actor, at=journal.now)


def _cascade(event_type: str, budgets: QuerySet[Budget], released: Mapping[UUID, int]) -> Iterable[outbox.Event]:
    for budget in budgets.iterator(chunk_size=_EVENTS_A_STATEMENT):
        content: dict[str, object] = {
            "ledger_id": str(budget.pk),
            "scope": budget.scope_path,
            "unit": budget.unit,
            "prior_status": budget.status,
            "cascade_reason": "tenant_closed",
        }
        if budget.pk in released:
            content["released_amount"] = released[budget.pk]
        else:
            content["new_status"] = BudgetStatus.CLOSED
        yield outbox.Event(event_type=event_type, content=content, scope_path=budget.scope_path)
