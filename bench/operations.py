"""Operations of the load as the api hands them to the books, for those that call the books without the api."""

import re
from collections.abc import Callable
from typing import Final

import msgspec

from bench.customers import Customer
from bench.traffic import ACTION, ACTUAL, ESTIMATE, SCOPE_SUFFIXES, SUBJECT, UNIT
from budgets.services.operations import Operation
from kernel.ids import uuid7

#: Stand-ins for what each operation has of its own: its id, its idempotency key, its reservation.
ID: Final = uuid7()
KEY: Final = "idempotency-key-goes-here"
TARGET: Final = uuid7()


def reserve_operation(customer: Customer) -> Operation:
    """What the api hands to the engine for a reserve of the load; what each request has of its own is a stand-in."""
    slug = customer.account.slug
    return Operation(
        op="reserve",
        n=0,
        id=ID,
        key_id=customer.key_id,
        digest=customer.digest,
        idem=KEY,
        hash="\\x" + "ab" * 32,
        tenant=slug,
        suffixes=list(SCOPE_SUFFIXES),
        unit=UNIT,
        amount=ESTIMATE,
        ttl_ms=60_000,
        grace_ms=5_000,
        policy="ALLOW_IF_AVAILABLE",
        subject={"tenant": slug, **SUBJECT},
        action=ACTION,
        request_id="req_" + "ab" * 16,
        trace_id="cd" * 16,
    )


def commit_operation(customer: Customer) -> Operation:
    return Operation(
        op="commit",
        n=0,
        id=ID,
        key_id=customer.key_id,
        digest=customer.digest,
        idem=KEY,
        hash="\\x" + "ab" * 32,
        target=TARGET,
        unit=UNIT,
        amount=ACTUAL,
        request_id="req_" + "ab" * 16,
        trace_id="cd" * 16,
    )


def reserve_batches(customer: Customer) -> Callable[[int], bytes]:
    """Batches of so many reserves, each with an id and a key of its own."""
    text = msgspec.json.encode(reserve_operation(customer)).decode()
    parts = re.split(f'({ID}|{KEY}|"n":0)', text)

    def operation(number: int) -> str:
        fresh = str(uuid7())
        values = {str(ID): fresh, KEY: fresh, '"n":0': f'"n":{number}'}
        return "".join(values.get(part, part) for part in parts)

    return lambda size: f"[{','.join(operation(number) for number in range(size))}]".encode()
