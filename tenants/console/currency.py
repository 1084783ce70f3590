"""In which currency somebody reads amounts: `?currency=INR` chooses it until they sign out, `?currency=USD` ends it."""

from datetime import UTC, datetime
from typing import Any, Final

from django.http import HttpRequest

from tenants.selectors.display_rates import latest_displays

_CHOSEN: Final = "currency"


def currency_context(request: HttpRequest) -> dict[str, Any]:
    """What a page needs to show amounts in the reader's currency: `display`, which `amount` reads, and `displays`.

    One query. A currency without a rate is USD.
    """
    displays = latest_displays(today=datetime.now(UTC).date())
    known = {display.currency: display for display in displays}
    asked = request.GET.get("currency", "").upper()
    if asked and (asked == "USD" or asked in known) and request.session.get(_CHOSEN, "USD") != asked:
        request.session[_CHOSEN] = asked
    return {"display": known.get(request.session.get(_CHOSEN, "")), "displays": displays}
