"""For how long a tenant's own rows are kept, in the place of what its plan or the installation says."""

from typing import Final

from budgets.models import KeepingTerm, KeptKind
from budgets.services.journal import Journal, open_journal
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


class KeepingChanged(Exception):
    """The tenant's own term is no longer the one that was seen; the text is the one that it has now."""


def days_min(kind: KeptKind) -> int:
    """So long rows are kept whatever is said."""
    return (LEDGER_KEPT_MIN if kind == KeptKind.LEDGER else KEPT_MIN).days


def said_words(term: KeepingTerm | None) -> int | str:
    """The tenant's own term as the trail has it."""
    if term is None:
        return "as the plan says"
    return "forever" if term.days is None else term.days


def own_term(kind: KeptKind) -> KeepingTerm | None:
    """What is said for the tenant whose schema the connection is in; None where it goes by its plan. One query."""
    return KeepingTerm.objects.filter(kind=kind).first()


def set_keeping(*, tag: Tag, kind: KeptKind, days: int | None, actor: Actor, seen: str | None = None) -> bool:
    """Keep rows of a kind for so many days, None for ever; whether that is something else than before. Safe to repeat.

    It counts from the worker's next visit on, for closed tenants too. `seen` is what the tenant's own term was in
    `said_words`, where somebody looked before. Raises `DaysOutOfRange`, `KeepingChanged`.
    """
    if days is not None and not days_min(kind) <= days <= DAYS_MAX:
        words = f"{KEPT_WORDS[kind]} kept for {days_min(kind)} to {DAYS_MAX} days, or for ever."
        raise DaysOutOfRange(words.capitalize())
    with in_tenant(tag), open_journal(actor=actor) as journal:
        known = own_term(kind)
        if known is not None and known.days == days:
            return False
        _require_seen(known, seen)
        term, _ = KeepingTerm.objects.update_or_create(kind=kind, defaults={"days": days, "changed_at": journal.now})
        _leave_trace(journal, kind, before=known, after=term)
        return True


def drop_keeping(*, tag: Tag, kind: KeptKind, actor: Actor, seen: str | None = None) -> bool:
    """Go by the plan again, or by the installation where the plan says nothing; whether there was a term of its own.

    As `set_keeping`. Raises `KeepingChanged`.
    """
    with in_tenant(tag), open_journal(actor=actor) as journal:
        known = own_term(kind)
        if known is None:
            return False
        _require_seen(known, seen)
        KeepingTerm.objects.filter(kind=kind).delete()
        _leave_trace(journal, kind, before=known, after=None)
        return True


def _require_seen(known: KeepingTerm | None, seen: str | None) -> None:
    now = str(said_words(known))
    if seen is not None and seen != now:
        raise KeepingChanged(now)


def _leave_trace(journal: Journal, kind: KeptKind, *, before: KeepingTerm | None, after: KeepingTerm | None) -> None:
    field, slug = f"keep_{kind.value}_days", journal.head.slug
    audit.record(
        actor=journal.actor,
        action=_EVENT,
        target=slug,
        at=journal.now,
        before={field: said_words(before)},
        after={field: said_words(after)},
    )
    content: dict[str, object] = {"tenant_id": slug, "changed_fields": [field]}
    event = outbox.Event(event_type=_EVENT, content=content, scope_path=f"tenant:{slug}")
    outbox.announce(event, actor=journal.actor, at=journal.now)
