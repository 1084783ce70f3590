"""What every change of the books asks first: is the tenant in business, is the budget open."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from budgets.models import Budget, LedgerHead
from budgets.models.choices import BudgetStatus, TenantStatus
from budgets.services.journal import Journal


class TenantIsClosed(Exception):
    """A closed tenant stays closed; nothing of it changes any more."""


class TenantIsSuspended(Exception):
    """No new money for a suspended tenant until it is resumed."""


class BudgetIsFrozen(Exception):
    """A frozen budget takes no money and gives none."""


class BudgetIsClosed(Exception):
    """A closed budget stays closed."""


@contextmanager
def books_held() -> Iterator[None]:
    """Hold the ledger head of the current schema for a block, so that what is checked in it holds until it commits."""
    with transaction.atomic():
        LedgerHead.objects.select_for_update().get(pk=1)
        yield


def require_not_closed(journal: Journal) -> None:
    """Raises `TenantIsClosed`."""
    if journal.head.status == TenantStatus.CLOSED:
        raise TenantIsClosed(journal.head.slug)


def require_tenant_not_closed() -> None:
    """As `require_not_closed`, where the books are held and no journal is open. Raises `TenantIsClosed`."""
    head = LedgerHead.objects.get(pk=1)
    if head.status == TenantStatus.CLOSED:
        raise TenantIsClosed(head.slug)


def require_in_business(journal: Journal) -> None:
    """Raises `TenantIsClosed` or `TenantIsSuspended`."""
    require_not_closed(journal)
    if journal.head.status == TenantStatus.SUSPENDED:
        raise TenantIsSuspended(journal.head.slug)


def require_open(budget: Budget) -> None:
    """Raises `BudgetIsClosed`."""
    if budget.status == BudgetStatus.CLOSED:
        raise BudgetIsClosed(budget.scope_path)


def require_active(budget: Budget) -> None:
    """Raises `BudgetIsClosed` or `BudgetIsFrozen`."""
    require_open(budget)
    if budget.status == BudgetStatus.FROZEN:
        raise BudgetIsFrozen(budget.scope_path)
