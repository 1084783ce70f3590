"""A tenant's life: made, suspended, resumed, closed. What its own schema says counts; the directory follows."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.db import transaction

from accounts.keys.services.keys import revoke_all_keys
from budgets.models import LedgerHead, Subscription
from budgets.models.choices import TenantStatus
from budgets.services.closing import announce_released, close_budgets, held_amounts
from budgets.services.guards import require_not_closed
from budgets.services.holds import active_holds, release_holds
from budgets.services.journal import Journal, open_journal
from budgets.services.plan_defaults import apply_plan_defaults, read_plan_defaults
from budgets.services.rule_compiler import recompile
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_public, in_tenant
from telemetry.event_owner import Owner
from telemetry.services import audit, outbox
from telemetry.services.webhooks.closing import disable_with_tenant
from tenants.services import provisioning
from tenants.services.provisioning import NewTenant

if TYPE_CHECKING:
    from tenants.models import Tenant

SYSTEM: Final = Actor(name="provisioning", actor_type="system")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What became of the tenant. `is_changed`: it was not so already. `holds_released` counts reservations."""

    status: TenantStatus
    is_changed: bool
    holds_released: int = 0


def create_tenant(new: NewTenant, *, now: datetime, actor: Actor = SYSTEM) -> "Tenant":
    """A tenant with its schema and open books, holding what its plan gives.

    Asking again, with the same details, for one that was cut off half-way completes it.

    Raises `provisioning.InvalidSlug`, `provisioning.UnknownTimeZone`, `provisioning.SlugTaken`.
    """
    tenant = provisioning.register_tenant(new, now=now)
    with in_public():
        defaults = read_plan_defaults(tenant.plan.defaults if tenant.plan else {})
    provisioning.create_schema(tenant.tag)
    with in_tenant(tenant.tag), transaction.atomic():
        head, is_new = LedgerHead.objects.get_or_create(
            pk=1, defaults={"slug": tenant.slug, "time_zone": tenant.time_zone}
        )
        if is_new:
            with open_journal(actor=actor) as journal:
                if tenant.plan:
                    Subscription.objects.create(
                        plan_code=tenant.plan.code, plan_version=tenant.plan.version, since=journal.now
                    )
                apply_plan_defaults(journal, defaults)
                _leave_trace(journal, "tenant.created", previous=None, plan=str(tenant.plan) if tenant.plan else None)
    # Before the tenant is shown as ready: nobody is let in by books that do not know their rules yet.
    recompile(tag=tenant.tag, actor=actor)
    provisioning.set_directory_status(tenant.tag, head.status)
    tenant.status = head.status
    return tenant


def suspend_tenant(*, tag: Tag, cancel_holds: bool = False, actor: Actor) -> Standing:
    """Refuse new work from the next transaction on. Work in flight may settle, unless `cancel_holds`. Safe to repeat.

    Raises `TenantIsClosed`.
    """
    with in_tenant(tag), open_journal(actor=actor) as journal:
        require_not_closed(journal)
        released = release_holds(journal, active_holds()) if cancel_holds else 0
        standing = _become(journal, TenantStatus.SUSPENDED, "tenant.suspended", holds_released=released)
    provisioning.set_directory_status(tag, standing.status)
    return standing


def resume_tenant(*, tag: Tag, actor: Actor) -> Standing:
    """Let a suspended tenant work again. Safe to repeat. Raises `TenantIsClosed`: a closed tenant stays closed."""
    with in_tenant(tag), open_journal(actor=actor) as journal:
        require_not_closed(journal)
        standing = _become(journal, TenantStatus.ACTIVE, "tenant.reactivated")
    provisioning.set_directory_status(tag, standing.status)
    return standing


def close_tenant(*, tag: Tag, actor: Actor) -> Standing:
    """End the tenant for good, in one transaction: holds released, budgets closed, keys revoked, webhooks disabled.

    Safe to repeat.

    When it returns nothing of the tenant is under way any more, because everything that was held the ledger head
    before.
    """
    with in_tenant(tag), open_journal(actor=actor) as journal:
        standing = Standing(status=TenantStatus.CLOSED, is_changed=False)
        if journal.head.status != TenantStatus.CLOSED:
            held = held_amounts()
            # While it is not yet closed, because the engine books nothing for a closed tenant.
            released = release_holds(journal, active_holds())
            announce_released(journal, held)
            close_budgets(journal)
            revoke_all_keys(actor=actor, now=journal.now)
            disable_with_tenant(owner=Owner(tag=tag, tenant_id=journal.head.slug), actor=actor, now=journal.now)
            standing = _become(journal, TenantStatus.CLOSED, "tenant.closed", holds_released=released)
        closed_at = journal.now
    provisioning.set_directory_status(tag, standing.status, closed_at=closed_at)
    return standing


def _become(journal: Journal, status: TenantStatus, event_type: str, *, holds_released: int = 0) -> Standing:
    previous = journal.head.status
    is_changed = previous != status
    if is_changed:
        journal.head.status = status
        journal.head.save(update_fields=["status"])
        _leave_trace(journal, event_type, previous=previous, holds_released=holds_released)
    return Standing(status=status, is_changed=is_changed, holds_released=holds_released)


def _leave_trace(journal: Journal, event_type: str, *, previous: str | None, **facts: int | str | None) -> None:
    head, actor = journal.head, journal.actor
    content: dict[str, object] = {"tenant_id": head.slug, "new_status": head.status}
    if previous is not None:
        content["previous_status"] = previous
    audit.record(
        actor=actor,
        action=event_type,
        target=head.slug,
        at=journal.now,
        before={"status": previous} if previous else None,
        after={"status": head.status, **facts},
    )
    outbox.announce(
        outbox.Event(event_type=event_type, content=content, scope_path=f"tenant:{head.slug}"),
        actor=actor,
        at=journal.now,
    )
