"""What the reader of a refusal may do about it right away, as buttons."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from accounts.console.place import Place
from accounts.roles import Act
from budgets.console.wording import scope_words
from budgets.models.choices import Verdict
from budgets.selectors.budget_lines import budgets_beside
from budgets.selectors.decision_records import DecisionRecord
from kernel.pages.typed_amounts import typed_amount

_SHORT_OF_MONEY: Final = {"BUDGET_EXCEEDED", "OVERDRAFT_LIMIT_EXCEEDED", "DEBT_OUTSTANDING"}


@dataclass(frozen=True, slots=True)
class RemedyButton:
    words: str
    url: str
    is_main: bool = False


def remedy_buttons(record: DecisionRecord, place: Place) -> list[RemedyButton]:
    """Within the tenant's schema; one query, and none where nothing was refused for want of money."""
    scope = record.failed_scope
    if record.verdict != Verdict.DENY or record.reason_code not in _SHORT_OF_MONEY or not scope or not record.unit:
        return []
    found = budgets_beside(scope, unit=record.unit)
    own = next((line for line in found if line.scope_path == scope), None)
    if own is None:
        return []
    missing = max((record.amount or 0) - max(own.remaining, 0), 0)
    asked = {"amount": typed_amount(missing, record.unit)} if missing else {}
    buttons = []
    if len(found) > 1 and Act.MOVE_MONEY in place.may:
        url = _url(place, "budget_move", into=own.id, **asked)
        buttons.append(RemedyButton(f"Move money into {scope_words(scope)}…", url, is_main=True))
    if Act.REQUEST_MONEY in place.may:
        url = _url(place, "request_new", **{"for": own.id}, **asked)
        buttons.append(RemedyButton("Ask for more…", url, is_main=not buttons))
    if Act.EDIT_BUDGETS in place.may:
        url = f"{place.url('budget_raise', own.id)}?{urlencode(asked)}"
        buttons.append(RemedyButton(f"Raise the limit of {scope_words(scope)}…", url, is_main=not buttons))
    return buttons


def _url(place: Place, name: str, **query: str | UUID) -> str:
    return f"{place.url(name)}?{urlencode({key: str(value) for key, value in query.items()})}"
