"""What a tenant's reservations may do, as far as the operator sets it for the whole tenant."""

from dataclasses import dataclass
from typing import Final

from budgets.services.guards import require_not_closed
from budgets.services.journal import open_journal
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from telemetry.services import audit, outbox

_EVENT: Final = "tenant.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How often one reservation may be extended."""

    extensions_max: int


def set_terms(*, tag: Tag, terms: Terms, actor: Actor) -> bool:
    """Change the tenant's terms from the next transaction on; whether they were others before. Safe to repeat.

    Raises `TenantIsClosed`.
    """
    with in_tenant(tag), open_journal(actor=actor) as journal:
        require_not_closed(journal)
        head = journal.head
        if head.extensions_max == terms.extensions_max:
            return False
        before, after = {"extensions_max": head.extensions_max}, {"extensions_max": terms.extensions_max}
        head.extensions_max = terms.extensions_max
        head.save(update_fields=["extensions_max"])
        audit.record(actor=actor, action=_EVENT, target=head.slug, at=journal.now, before=before, after=after)
        content: dict[str, object] = {"tenant_id": head.slug, "changed_fields": sorted(after)}
        event = outbox.Event(event_type=_EVENT, content=content, scope_path=f"tenant:{head.slug}")
        outbox.announce(event, actor=actor, at=journal.now)
        return True
