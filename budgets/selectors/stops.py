"""The kill switch that refused a call, found again from what the decision kept of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from budgets.selectors.switches import SwitchLine, line_of, switch_history
from kernel.tenancy import in_public
from tenants.selectors.platform_switches import platform_switch_history


def stop_behind(numbers: Mapping[str, Any]) -> SwitchLine | None:
    """The tenant's switch or the platform's, as it stands now; None where it is no longer there. Two queries at most.

    Whoever gave a thrown switch another reason stands in the switch for whoever threw it, so it is compared too.
    """
    try:
        terms = {name: numbers[name] for name in ("level", "name", "reason")}
        terms["thrown_at"] = datetime.fromisoformat(numbers["since"])
    except (KeyError, TypeError, ValueError):
        return None
    own = switch_history().filter(**terms).first()
    if own is not None:
        return line_of(own)
    with in_public():
        shared = platform_switch_history().filter(**terms).first()
    return None if shared is None else line_of(shared)
