"""Tenants for the load: made by the service that the api and the operators use, each with four budgets and a key."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from accounts.keys.models import Permission
from accounts.keys.services.keys import create_key
from bench.traffic import SCOPE_SUFFIXES, Account
from budgets.models.ledger import LedgerHead
from budgets.scopes import ScopePath
from budgets.services.journal import open_journal
from budgets.services.lifecycle import create_tenant
from budgets.services.opening import NewBudget, open_budget_in
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.money import Unit
from kernel.tenancy import in_tenant
from tenants.services.provisioning import NewTenant

if TYPE_CHECKING:
    from tenants.models import Tenant

ACTOR: Final = Actor(name="bench", actor_type="system", reason="a bench run")
#: 100 million dollars: no run comes near the end of it.
ALLOCATED: Final = 10**16


@dataclass(frozen=True, slots=True)
class Customer:
    """A tenant that the load speaks for. `digest` is what the books compare with a key's, in PostgreSQL's hex."""

    tag: Tag
    account: Account
    key_id: str
    digest: str


def provision(slugs: Sequence[str]) -> tuple[list["Tenant"], list[float]]:
    """New tenants, one after the other, and the seconds that each of them took."""
    made, seconds = [], []
    for slug in slugs:
        started = time.perf_counter()
        made.append(create_tenant(NewTenant(slug=slug, name=slug), now=datetime.now(UTC)))
        seconds.append(time.perf_counter() - started)
    return made, seconds


def equip(tenant: "Tenant") -> Customer:
    """Four budgets on one path, and a key that may reserve and commit."""
    with in_tenant(tenant.tag):
        with open_journal(actor=ACTOR) as journal:
            for suffix in SCOPE_SUFFIXES:
                scope = ScopePath(f"tenant:{tenant.slug}{suffix}")
                open_budget_in(journal, NewBudget(scope=scope, unit=Unit.USD_MICROCENTS, allocated=ALLOCATED))
        issued = create_key(
            tag=tenant.tag,
            name="bench",
            permissions=[Permission.RESERVATIONS_CREATE, Permission.RESERVATIONS_COMMIT],
            expires_at=None,
            actor=ACTOR,
            now=datetime.now(UTC),
        )
    return Customer(
        tag=tenant.tag,
        account=Account(slug=tenant.slug, token=issued.token),
        key_id=issued.key.key_id,
        digest="\\x" + bytes(issued.key.digest).hex(),
    )


def entries_of(customers: Sequence[Customer]) -> int:
    """Ledger entries of all these tenants."""
    total = 0
    for customer in customers:
        with in_tenant(customer.tag):
            total += LedgerHead.objects.get(pk=1).last_seq
    return total
