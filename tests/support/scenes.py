"""States of a tenant that take some doing: late and expired reservations, closed tenants, ids that are not ours."""

import time
from uuid import UUID

from budgets.models import LedgerHead, Reservation
from budgets.models.choices import TenantStatus
from kernel.ids import Tag, mint_wire_id, uuid7
from kernel.tenancy import in_tenant
from tests.support.books import Books

UNKNOWN_TAG = Tag("a" * 20)


def late_reservation(books: Books, *, amount: int = 10, policy: str | None = None, grace_ms: int = 0) -> str:
    """The id of an ACTIVE reservation whose time to live is over; within its grace if it has one."""
    answer = books.ask("reserve", amount=amount, ttl_ms=1, grace_ms=grace_ms, policy=policy)
    assert answer.status == "OK", answer
    # The books count whole milliseconds, and the last one is still in time.
    time.sleep(0.003)
    return mint_wire_id("rsv", books.tenant.tag, answer.id)


def expired_reservation(books: Books, *, amount: int = 10) -> str:
    """The id of a reservation that the worker has expired."""
    wire_id = late_reservation(books, amount=amount)
    answer = books.ask("expire", target=_uuid(wire_id), is_trusted=True, idem=None)
    assert answer.status == "OK", answer
    return wire_id


def set_status(books: Books, status: TenantStatus) -> None:
    """The tenant's status as the books see it; its keys stay good, as in the moment before they are revoked."""
    with in_tenant(books.tenant.tag):
        LedgerHead.objects.filter(pk=1).update(status=status)


def last_seq(books: Books) -> int:
    """The number of the newest ledger entry."""
    with in_tenant(books.tenant.tag):
        return LedgerHead.objects.get(pk=1).last_seq


def state_of(books: Books, wire_id: str) -> str:
    with in_tenant(books.tenant.tag):
        return str(Reservation.objects.get(pk=_uuid(wire_id)).status)


def unknown_id(books: Books) -> str:
    """An id that is genuine for this tenant, of a reservation that never was."""
    return mint_wire_id("rsv", books.tenant.tag, uuid7())


def forged_id(wire_id: str) -> str:
    """`wire_id` with its last digit changed, so that its MAC is not ours."""
    return wire_id[:-1] + ("0" if wire_id[-1] != "0" else "1")


def _uuid(wire_id: str) -> UUID:
    return UUID(hex=wire_id.rsplit("_", 1)[1][:32])
