"""Why the books did not take a change of money, as whole sentences for the page it was asked on."""

from typing import Final

from django.db import OperationalError

from budgets.console.wording import scope_words
from budgets.services.funding import NotEnoughLeft, UnitDiffers
from budgets.services.guards import BudgetIsClosed, BudgetIsFrozen, TenantIsClosed, TenantIsSuspended
from budgets.services.journal import AmountOutOfRange, BudgetNotFound
from budgets.services.payloads import PayloadDiffers
from budgets.services.reallocation import (
    BegunAnew,
    LimitChanged,
    NotSiblings,
    ReallocationNotFound,
    TooLateToUndo,
)
from kernel.money import Unit
from kernel.pages.amounts import exact_amount_text

#: All that a change of money is refused with.
MONEY_REFUSALS: Final = (
    AmountOutOfRange,
    BegunAnew,
    BudgetIsClosed,
    BudgetIsFrozen,
    BudgetNotFound,
    LimitChanged,
    NotEnoughLeft,
    NotSiblings,
    OperationalError,
    PayloadDiffers,
    ReallocationNotFound,
    TenantIsClosed,
    TenantIsSuspended,
    TooLateToUndo,
    UnitDiffers,
)


def refusal_text(refusal: Exception, *, unit: str = Unit.USD_MICROCENTS) -> str:
    """What stood against it. Amounts in the refusal are of `unit`."""
    match refusal:
        case LimitChanged():
            seen, now = exact_amount_text(refusal.seen, unit), exact_amount_text(refusal.allocated, unit)
            name = scope_words(refusal.scope_path)
            return f"Meanwhile the limit of {name} went from {seen} to {now}. Nothing was moved."
        case NotEnoughLeft():
            return f"Only {exact_amount_text(max(refusal.remaining, 0), unit)} of it is free now. Nothing was moved."
        case BudgetIsFrozen() | BudgetIsClosed():
            state = "frozen" if isinstance(refusal, BudgetIsFrozen) else "closed"
            return f"The budget of {scope_words(str(refusal))} is {state}: it neither gives nor takes money."
    return next((text for known, text in _SENTENCES.items() if isinstance(refusal, known)), "The books refused it.")


_SENTENCES: Final[dict[type[Exception], str]] = {
    AmountOutOfRange: "The budget cannot hold so much.",
    BegunAnew: "Since then a period or a reset gave one of the two budgets its money anew: what was moved is no longer "
    "there.",
    BudgetNotFound: "The budget is not there any more.",
    NotSiblings: "Money moves between two budgets right below the same scope.",
    OperationalError: "Others hold the books just now. Nothing was changed: send it again.",
    PayloadDiffers: "This form was sent before, with other values, and that was done. Nothing more was done. To do "
    "this too, send it again.",
    ReallocationNotFound: "There is no such move, or it was itself an undoing.",
    TenantIsClosed: "The tenant is closed: nothing of it changes any more.",
    TenantIsSuspended: "The tenant is stopped: no money moves until it is resumed.",
    TooLateToUndo: "It can be undone for ten minutes, and these are over. Move it back instead.",
    UnitDiffers: "The two budgets are kept in different units.",
}
