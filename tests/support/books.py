"""Short ways to set a scene in a tenant's books, and to ask them."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from accounts.keys.models import ApiKey, Permission
from accounts.keys.tokens import MintedKey, mint_key
from budgets.models import Budget
from budgets.models.choices import EntryKind
from budgets.services import engine
from budgets.services.journal import Actor, Change, open_journal
from budgets.services.operations import Answer, Op, Operation
from kernel.ids import uuid7
from kernel.money import Unit
from kernel.tenancy import in_tenant
from tenants.models import Tenant

RUNTIME_PERMISSIONS = [
    Permission.RESERVATIONS_CREATE,
    Permission.RESERVATIONS_COMMIT,
    Permission.RESERVATIONS_RELEASE,
    Permission.RESERVATIONS_EXTEND,
    Permission.RESERVATIONS_LIST,
    Permission.BALANCES_READ,
]
TEST_ACTOR = Actor(name="olive", actor_type="admin", reason="a test sets its scene")


@dataclass(slots=True)
class Books:
    """One tenant's books with a key that may do everything at run time."""

    tenant: Tenant
    key: MintedKey = field(init=False)
    _keys: int = 0

    def __post_init__(self) -> None:
        self.key = self.add_key()

    def add_key(
        self, *, permissions: list[Permission] | None = None, scope_filter: list[str] | None = None
    ) -> MintedKey:
        minted = mint_key(self.tenant.tag)
        with in_tenant(self.tenant.tag):
            ApiKey.objects.create(
                key_id=minted.key_id,
                digest=minted.digest,
                pepper_version=minted.pepper_version,
                permissions=RUNTIME_PERMISSIONS if permissions is None else permissions,
                scope_filter=scope_filter or [],
                created_at=datetime.now(UTC),
            )
        return minted

    def add_budget(self, suffix: str = "", *, allocated: int, unit: Unit = Unit.USD_MICROCENTS, **columns: Any) -> UUID:
        path = f"tenant:{self.tenant.slug}{suffix}"
        with in_tenant(self.tenant.tag), open_journal(actor=TEST_ACTOR) as journal:
            budget = Budget(
                id=uuid7(),
                scope_path=path,
                depth=path.count("/") + 1,
                unit=unit,
                anchor=date(2026, 1, 1),
                created_at=journal.now,
                **columns,
            )
            budget.save(force_insert=True)
            journal.post(EntryKind.CREATE, [Change(budget=budget, allocated=allocated)], amount=allocated)
            return budget.id

    def budget(self, suffix: str = "", *, unit: Unit = Unit.USD_MICROCENTS) -> Budget:
        with in_tenant(self.tenant.tag):
            return Budget.objects.get(scope_path=f"tenant:{self.tenant.slug}{suffix}", unit=unit)

    def operation(self, op: Op, **fields: Any) -> Operation:
        """An operation by this tenant's key, with a new id and idempotency key where none is given."""
        self._keys += 1
        known: dict[str, Any] = {"id": uuid7(), "key_id": self.key.key_id, "digest": "\\x" + self.key.digest.hex()}
        known |= {"idem": f"key-{self._keys}", "hash": "\\x00"}
        if op in {"reserve", "decide", "event"}:
            known |= {"suffixes": [""], "unit": "USD_MICROCENTS", "subject": {"tenant": self.tenant.slug}}
            known |= {"action": {"kind": "llm.completion", "name": "test"}}
        if op == "reserve":
            known |= {"ttl_ms": 60_000, "grace_ms": 5_000}
        if op == "commit":
            known |= {"unit": "USD_MICROCENTS"}
        return Operation(op=op, **known | fields)

    def ask(self, op: Op, **fields: Any) -> Answer:
        return engine.submit(self.tenant.tag, self.operation(op, **fields))

    def ask_all(self, *operations: Operation) -> list[Answer]:
        return engine.apply(self.tenant.tag, operations)
