"""Keeping a tenant's trained classifiers as bytes: in its own schema, in versions, the newest in use."""

from dataclasses import dataclass
from typing import Final

from budgets.models import RouterModel
from budgets.selectors.router_models import ModelLine, line_of, newest_model
from budgets.services.guards import require_not_closed
from budgets.services.journal import open_journal
from kernel.actor import Actor
from telemetry.services import audit, outbox

#: Versions that are kept; a model may have forty megabytes.
_VERSIONS_KEPT: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModel:
    """`content` is what `routing.services.classifier_storage` made; `accuracy_ppm` of examples that were held out."""

    content: bytes
    examples: int
    accuracy_ppm: int


def save_model(new: NewModel, *, actor: Actor) -> ModelLine:
    """The next version, in the schema of the connection, in use at once. Older ones than a few go.

    Not safe to repeat: each call makes a version. Raises `TenantIsClosed`.
    """
    with open_journal(actor=actor) as journal:
        require_not_closed(journal)
        newest = newest_model()
        model = RouterModel.objects.create(
            version=newest.version + 1 if newest else 1,
            trained_at=journal.now,
            examples=new.examples,
            accuracy_ppm=new.accuracy_ppm,
            content=new.content,
            actor=actor.name,
        )
        RouterModel.objects.filter(version__lte=model.version - _VERSIONS_KEPT).delete()
        facts = {"version": model.version, "examples": new.examples, "accuracy_ppm": new.accuracy_ppm}
        slug = journal.head.slug
        audit.record(actor=actor, action="router.trained", target=str(model), at=journal.now, after=facts)
        event = outbox.Event(
            event_type="router.trained", content={"tenant_id": slug, **facts}, scope_path=f"tenant:{slug}"
        )
        outbox.announce(event, actor=actor, at=journal.now)
        return line_of(model)
