"""The test box of calls: what a call would be told now, by the very judgement of a call, and nothing of it remains."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from django.db import connection, transaction

from budgets.selectors.decision_records import DecisionRecord, decision_record
from budgets.services.operations import Answer, Operation
from kernel.ids import Tag, uuid7
from kernel.money import Unit
from kernel.tenancy import in_tenant

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(list[Answer])
_TTL_MS = 60_000


class CannotTry(Exception):
    """The call cannot be judged as it stands; the text is the engine's name for why."""


def try_call(
    *,
    tag: Tag,
    suffixes: Sequence[str],
    subject: Mapping[str, Any],
    action: Mapping[str, Any],
    facts: Mapping[str, Any],
    amount: int | None,
    priority: str = "normal",
) -> DecisionRecord:
    """The decision as it would be written down, were the call made now by a key that may do it.

    `amount` is in USD_MICROCENTS; None leaves it to the prices of the model. Judged in a transaction that is undone, so
    nothing is held, counted or written. Rate limits are not asked. Raises `CannotTry`.
    """
    operation = Operation(
        op="reserve",
        id=uuid7(),
        is_trusted=True,
        endpoint="admit",
        idem=f"trial-{uuid7()}",
        hash="\\x00",
        suffixes=list(suffixes),
        subject=dict(subject),
        action=dict(action),
        facts=dict(facts),
        unit=Unit.USD_MICROCENTS,
        amount=amount,
        priority=priority,
        ttl_ms=_TTL_MS,
        grace_ms=0,
    )
    operation.n = 0
    with in_tenant(tag), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT door_v1('apply', %s)::text", [_ENCODER.encode([operation]).decode()])
            [answer] = _DECODER.decode(cursor.fetchone()[0])
        record = decision_record(answer.id)
        transaction.set_rollback(True)
    if record is None:
        raise CannotTry(answer.status)
    return record
