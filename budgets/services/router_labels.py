"""Keeping people's words on routed decisions: which tier each one needed, beside the one that the router chose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Q

from budgets.models import Decision, RouterLabel
from budgets.models.choices import PolicyKind
from budgets.selectors.policies import policy_versions
from budgets.services.guards import require_not_closed
from budgets.services.journal import open_journal
from budgets.services.ruleset import current_document
from kernel.actor import Actor
from telemetry.services import audit

LABELS_MAX: Final = 1_000
_TIERS: Final = frozenset({"small", "medium", "large"})


class LabelRefused(Exception):
    """One of the labels is of a decision that is not there, or that no router had a say in. `place` is which one."""

    def __init__(self, place: int, *, is_known: bool) -> None:
        super().__init__(place)
        self.place = place
        self.is_known = is_known


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLabel:
    """`needed` is the tier that the request really needed: small, medium or large."""

    decision_id: UUID
    needed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """How many labels are new, and how many say something else than before."""

    added: int
    changed: int


def record_labels(labels: Sequence[NewLabel], *, actor: Actor, within: Q | None = None) -> Labelled:
    """Keep these labels, all or none. Said again, a decision's label is what was said last.

    `within` confines them to decisions of some scopes. Raises `LabelRefused`, `TenantIsClosed`.
    """
    with open_journal(actor=actor) as journal:
        require_not_closed(journal)
        ids = {label.decision_id for label in labels}
        decisions = {
            row["id"]: row for row in Decision.objects.filter(within or Q(), pk__in=ids).values("id", "at", "admission")
        }
        forced = _forced_spans()
        rules = current_document()
        before = dict(RouterLabel.objects.filter(pk__in=ids).values_list("decision_id", "needed"))
        rows: dict[UUID, RouterLabel] = {}
        for place, label in enumerate(labels):
            decision = decisions.get(label.decision_id)
            if decision is None:
                raise LabelRefused(place, is_known=False)
            chosen = _chosen(decision, rules=rules, forced=forced)
            if chosen is None:
                raise LabelRefused(place, is_known=True)
            rows[label.decision_id] = RouterLabel(
                decision_id=label.decision_id,
                at=decision["at"],
                chosen=chosen,
                needed=label.needed,
                actor=actor.name,
            )
        RouterLabel.objects.bulk_create(
            rows.values(),
            update_conflicts=True,
            unique_fields=["decision_id"],
            update_fields=["needed", "actor"],
        )
        labelled = Labelled(
            added=len(rows.keys() - before.keys()),
            changed=sum(before[key] != row.needed for key, row in rows.items() if key in before),
        )
        if labelled.added or labelled.changed:
            facts = {"added": labelled.added, "changed": labelled.changed}
            audit.record(actor=actor, action="router.labelled", target=journal.head.slug, at=journal.now, after=facts)
        return labelled


def _chosen(
    decision: Mapping[str, Any], *, rules: Mapping[str, Any], forced: Sequence[tuple[datetime, bool]]
) -> str | None:
    """The tier that the router chose: while the switch was on unheeded, so what the class would have been sent to."""
    admission = decision["admission"] or {}
    tier = (admission.get("route") or {}).get("tier")
    if tier not in _TIERS:
        return None
    if _was_forced(forced, at=decision["at"]):
        tier = rules.get("classes", {}).get(admission.get("class"), {}).get("tier")
    return tier if tier in _TIERS else None


def _forced_spans() -> list[tuple[datetime, bool]]:
    """Since when the router's switch was on or off, the newest first."""
    versions = policy_versions(PolicyKind.ROUTER_SWITCH)
    return [(version.created_at, bool(version.document.get("is_on", False))) for version in versions]


def _was_forced(spans: Sequence[tuple[datetime, bool]], *, at: datetime) -> bool:
    return next((is_on for since, is_on in spans if since <= at), False)
