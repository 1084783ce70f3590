"""Ending shadow mode: from some moment on, what was only written down is refused."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from budgets.models.choices import PolicyKind
from budgets.selectors.policies import newest_policy
from budgets.services.journal import Journal, open_journal
from budgets.services.policies import NewPolicy, save_policy_in
from budgets.services.shadow_policy import ShadowPolicy, read_shadow_policy
from kernel.actor import Actor

if TYPE_CHECKING:
    from budgets.models import PolicyVersion


class NotInShadow(Exception):
    """Nothing of the tenant is in shadow mode: everything is enforced already."""


def enforce_from(*, moment: datetime | None, reason: str, actor: Actor) -> "PolicyVersion":
    """End shadow mode at `moment`, or now: the next version of the shadow policy, in the schema of the connection.

    Until it is compiled the rules say what they said; `routing.services.shadow_end` does both. A moment that is past is
    now. Asked again with another moment, that one holds. Raises `NotInShadow`, `TenantIsClosed`.
    """
    with open_journal(actor=actor) as journal:
        policy = _policy(journal)
        if not policy.is_any or policy.is_over(journal.now):
            raise NotInShadow
        document: dict[str, Any] = {"is_on": False}
        if moment is not None and moment > journal.now:
            document = {
                "is_on": policy.is_on,
                "checks": list(policy.checks),
                "scopes": list(policy.scopes),
                "enforce_from": moment.astimezone(UTC).isoformat(),
            }
        return save_policy_in(journal, NewPolicy(kind=PolicyKind.SHADOW, document=document, reason=reason))


def _policy(journal: Journal) -> ShadowPolicy:
    newest = newest_policy(PolicyKind.SHADOW)
    return read_shadow_policy({} if newest is None else newest.document, slug=journal.head.slug)
