"""Which tool policy holds: the tenant's own, else the plan's."""

from msgspec import UNSET

from budgets.services.policies import PolicyKind
from budgets.services.tool_policy import ToolPolicy, read_tool_policy
from routing.rules.effective import PlanSource, Policies


def tool_policy_of(*, plan: PlanSource | None, policies: Policies) -> tuple[ToolPolicy | None, int]:
    """The tool policy that holds, and its version; 0 for the plan's own."""
    own = policies.get(PolicyKind.TOOLS)
    if own is not None and own.document:
        return read_tool_policy(own.document), own.version
    if plan is not None and plan.defaults.tools is not UNSET:
        return plan.defaults.tools, 0
    return None, 0
