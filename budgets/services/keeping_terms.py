"""For how long a tenant's own rows are kept, in the place of what its plan or the installation says."""

from typing import Final

from budgets.models import KeepingTerm, KeptKind
from budgets.services.journal import open_journal
from budgets.services.ledger_archive import KEPT_MIN as LEDGER_KEPT_MIN
from budgets.services.retention import KEPT_MIN
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from telemetry.services import audit, outbox

#: A hundred years; who keeps longer keeps for ever.
DAYS_MAX: Final = 36_525
#: How a sentence about what is kept begins.
KEPT_WORDS: Final = {
    KeptKind.DECISIONS: "decisions are",
    KeptKind.EVENTS: "events are",
    KeptKind.LEDGER: "the ledger is",
}
_EVENT: Final = "tenant.updated"


class DaysOutOfRange(Exception):
    """Fewer days than are always kept, or more than a hundred years; the text says how many are."""


def days_min(kind: KeptKind) -> int:
    """So long rows are kept whatever is said."""
    return (LEDGER_KEPT_MIN if kind == KeptKind.LEDGER else KEPT_MIN).days


def set_keeping(*, tag: Tag, kind: KeptKind, days: int | None, actor: Actor) -> bool:
    """Keep rows of a kind for so many days, None for ever; whether that is something else than before. Safe to repeat.

    It counts from the worker's next visit on, for closed tenants too. Raises `DaysOutOfRange`.
    """
    if days is not None and not days_min(kind) <= days <= DAYS_MAX:
        words = f"{KEPT_WORDS[kind]} kept for {days_min(kind)} to {DAYS_MAX} days, or for ever."
        raise DaysOutOfRange(words.capitalize())
    with in_tenant(tag), open_journal(actor=actor) as journal:
        known = KeepingTerm.objects.filter(kind=kind).first()
        if known is not None and known.days == days:
            return False
        KeepingTerm.objects.update_or_create(kind=kind, defaults={"days": days, "changed_at": journal.now})
        field = f"keep_{kind.value}_days"
        before = {field: _said(known.days) if known else "as the plan says"}
        slug = journal.head.slug
        audit.record(actor=actor, action=_EVENT, target=slug, at=journal.now, before=before, after={field: _said(days)})
        content: dict[str, object] = {"tenant_id": slug, "changed_fields": [field]}
        outbox.announce(
            outbox.Event(event_type=_EVENT, content=content, scope_path=f"tenant:{slug}"), actor=actor, at=journal.now
        )
        return True


def _said(days: int | None) -> int | str:
    return "forever" if days is None else days
