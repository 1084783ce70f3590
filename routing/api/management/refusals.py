"""What the services of rules refuse, in words for the caller: what is wrong and what to mend."""

from typing import Final

from accounts.keys.api.views import Refusals
from budgets.api.management.refusals import REFUSALS, conflict
from budgets.selectors.policies import PolicyVersionNotFound
from budgets.services.policies import InvalidPolicy, PolicyChanged
from budgets.services.subscribing import SubscriptionChanged
from kernel.http.errors import ProtocolError, error_of_status, invalid_request, unavailable
from routing.services.plan_changes import PlanDoesNotFit, PlanNotFound
from routing.services.rulesets import RulesBusy


def _invalid_policy(refusal: InvalidPolicy) -> ProtocolError:
    field = f"document.{refusal.field}" if refusal.field else "document"
    return invalid_request(f"In the document, {refusal}", field=field)


RULE_REFUSALS: Final[Refusals] = {
    **REFUSALS,
    InvalidPolicy: _invalid_policy,
    PolicyChanged: lambda _: conflict(
        "Somebody saved another version since the one that this is based on. Look at it, then save yours on top."
    ),
    PolicyVersionNotFound: lambda _: error_of_status(404),
    PlanNotFound: lambda _: invalid_request(
        "plan must be the code of a plan, in a version that there is.", field="plan"
    ),
    PlanDoesNotFit: lambda refusal: conflict(str(refusal)),
    SubscriptionChanged: lambda _: conflict("The tenant's plan has changed since. Look at it, then change it again."),
    RulesBusy: lambda _: unavailable(
        "It is saved and not yet in force, for the rules are being changed by others. Repeat the request."
    ),
}
