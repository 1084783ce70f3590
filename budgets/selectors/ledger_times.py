"""Where a moment lies among the numbers of the ledger: there is no index over times, and none is needed."""

from datetime import datetime

from budgets.models import LedgerEntry, LedgerHead


def last_seq_before(moment: datetime) -> int:
    """The number of the last entry booked before `moment`; 0 where all are later. Some twenty look-ups by number.

    Entries are numbered without gaps, and booked in the order of the database's clock.
    """
    low, high = 0, LedgerHead.objects.get(pk=1).last_seq
    while low < high:
        middle = (low + high + 1) // 2
        at = LedgerEntry.objects.values_list("at", flat=True).get(pk=middle)
        if at < moment:
            low = middle
        else:
            high = middle - 1
    return low
