"""What the services of the books refuse, in words for the caller: what is wrong and what to mend."""

from typing import Any, Final

from accounts.keys.api.refusals import KEY_REFUSALS
from accounts.keys.api.views import Refusals
from budgets.scopes import InvalidScope
from budgets.selectors.recommended_limits import TooMuchToRead
from budgets.services import (
    corrections,
    funding,
    guards,
    holds,
    journal,
    opening,
    payloads,
    periods,
    plan_defaults,
    reallocation,
    run_templates,
)
from kernel.http.errors import ErrorCode, ProtocolError, error_of_status, invalid_request, unavailable
from kernel.stops import InvalidSwitch
from tenants.services import plans, provisioning

_CONFLICT: Final = 409


def conflict(message: str, **details: Any) -> ProtocolError:
    """409 for what the protocol's closed list has no code for."""
    return ProtocolError(ErrorCode.INVALID_REQUEST, message, status=_CONFLICT, details=details or None)


def scope_forbidden() -> ProtocolError:
    """403: the key is confined to other scopes."""
    return ProtocolError(
        ErrorCode.FORBIDDEN, "This API key is confined to other scopes.", details={"reason": "SCOPE_FILTERED"}
    )


def _not_enough_left(refusal: funding.NotEnoughLeft) -> ProtocolError:
    return ProtocolError(
        ErrorCode.BUDGET_EXCEEDED,
        f"The budget has {refusal.remaining} left, the rest is held or spent, and {refusal.requested} were asked for.",
        details={"remaining": refusal.remaining, "requested": refusal.requested},
    )


def _holds_are_active(refusal: holds.HoldsAreActive) -> ProtocolError:
    return conflict(
        "Reservations still hold money of this budget. Wait until they are settled, or send cancel_holds.",
        reservations=refusal.holds,
        reserved=refusal.reserved,
    )


def _budget_exists(refusal: opening.BudgetExists) -> ProtocolError:
    if refusal.is_closed:
        return conflict("The scope had a budget in this unit that was closed, and a closed one stays.")
    return conflict("The scope has a budget in this unit already. Fund or edit that one.")


def _unit_differs(refusal: funding.UnitDiffers) -> ProtocolError:
    return ProtocolError(
        ErrorCode.UNIT_MISMATCH,
        f"The budget counts in {refusal}. Use that unit.",
        details={"expected_units": [str(refusal)]},
    )


REFUSALS: Final[Refusals] = {
    **KEY_REFUSALS,
    InvalidScope: lambda refusal: invalid_request(f"scope {refusal}.", field="scope"),
    guards.TenantIsClosed: lambda _: ProtocolError(
        ErrorCode.TENANT_CLOSED, "The tenant is closed for good. Nothing of it changes any more."
    ),
    guards.TenantIsSuspended: lambda _: ProtocolError(
        ErrorCode.FORBIDDEN,
        "The tenant is suspended and gets no money until the operator resumes it.",
        details={"reason": "TENANT_SUSPENDED"},
    ),
    guards.BudgetIsFrozen: lambda _: ProtocolError(
        ErrorCode.BUDGET_FROZEN, "The budget is frozen and moves no money. Unfreeze it first."
    ),
    guards.BudgetIsClosed: lambda _: ProtocolError(ErrorCode.BUDGET_CLOSED, "The budget is closed, and stays so."),
    journal.BudgetNotFound: lambda _: error_of_status(404),
    journal.AmountOutOfRange: lambda _: invalid_request(
        "amount takes the budget beyond what an amount can be, 2^63 - 1.", field="amount"
    ),
    TooMuchToRead: lambda _: invalid_request(
        "There are too many calls in so many periods. Name one scope, or a shorter period.", field="scope"
    ),
    InvalidSwitch: lambda refusal: invalid_request(f"{refusal.field} {refusal}.", field=refusal.field),
    periods.BooksBusy: lambda _: unavailable(
        "A period has ended and others hold the tenant's books, so the new one is not open yet. Repeat the request."
    ),
    payloads.PayloadDiffers: lambda _: ProtocolError(
        ErrorCode.IDEMPOTENCY_MISMATCH,
        "This idempotency key was used with another payload. Repeat that payload, or use a new key.",
    ),
    funding.NotEnoughLeft: _not_enough_left,
    funding.UnitDiffers: _unit_differs,
    corrections.ChargeNotFound: lambda _: error_of_status(404),
    corrections.ChargeArchived: lambda _: conflict(
        "The charge was archived and is no longer in the ledger. Credit or debit the budget instead."
    ),
    corrections.ChargeUnitDiffers: lambda refusal: ProtocolError(
        ErrorCode.UNIT_MISMATCH,
        f"The charge is in {refusal}. Use that unit.",
        details={"expected_units": [str(refusal)]},
    ),
    corrections.NothingToCorrect: lambda _: conflict("The charge comes to this amount already."),
    corrections.ReasonMissing: lambda _: invalid_request("reason must not be empty.", field="reason"),
    corrections.CannotGiveBack: lambda refusal: conflict(
        "A new period or a reset began the budget anew since, and it has not spent so much. Credit it instead.",
        scope=refusal.scope_path,
        spent=refusal.spent,
        requested=refusal.wanted,
    ),
    holds.HoldsAreActive: _holds_are_active,
    opening.BudgetExists: _budget_exists,
    opening.NoPeriod: lambda _: invalid_request(
        "rollover and period_allocation are for budgets with a period.", field="period"
    ),
    reallocation.NotSiblings: lambda _: invalid_request(
        "Money moves between two budgets right below the same scope.", field="to_budget_id"
    ),
    reallocation.ReallocationNotFound: lambda _: error_of_status(404),
    reallocation.BegunAnew: lambda _: conflict(
        "Since the move a new period or a reset gave one of the two budgets its money anew. Move money instead."
    ),
    run_templates.TemplateExists: lambda _: conflict("There is a run template with this name. Edit that one."),
    run_templates.TemplateNotFound: lambda _: error_of_status(404),
    run_templates.InvalidTemplateName: lambda _: invalid_request(
        "name must be 1 to 128 characters out of a-z 0-9 _ . -.", field="name"
    ),
    plan_defaults.InvalidPlanDefaults: lambda refusal: invalid_request(f"defaults: {refusal}", field="defaults"),
    plans.PlanBusy: lambda _: conflict(
        "Others published versions of this plan just now. Look at them, then try again."
    ),
    provisioning.SlugTaken: lambda _: conflict("Another tenant has this slug, or had it."),
    provisioning.InvalidSlug: lambda _: invalid_request(
        "slug must be 1 to 63 characters out of a-z 0-9 _ . -, the first a letter or digit.", field="slug"
    ),
    provisioning.UnknownTimeZone: lambda _: invalid_request(
        "time_zone must be a name of the time zone database, like Europe/Berlin.", field="time_zone"
    ),
}
