"""Where a moment lies among the numbers of the ledger: there is no index over times, and none is needed."""

from datetime import datetime

from budgets.models import LedgerEntry, LedgerHead
from budgets.selectors.ledger_beginning import ledger_beginning


def last_seq_before(moment: datetime) -> int:
    """The number of the last entry booked before `moment`; where all are later, the one behind which it begins.

    Some twenty look-ups by number: entries are numbered without gaps, and booked in the order of the database's clock.
    """
    low, high = ledger_beginning().after, LedgerHead.objects.get(pk=1).last_seq
    while low < high:
        middle = (low + high + 1) // 2
        at = LedgerEntry.objects.values_list("at", flat=True).get(pk=middle)
        if at < moment:
            low = middle
        else:
            high = middle - 1
    return low
