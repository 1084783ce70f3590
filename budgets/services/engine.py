"""The enforcement engine as the rest of the program sees it: `submit` an operation for a tenant, get its answer."""

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec
import psycopg

from budgets.services.combiner import Combiner, OutcomeUnknown, TooBusy
from budgets.services.decision_notes import began, note
from budgets.services.operations import Answer, Operation
from kernel.ids import Tag, schema_name, uuid7
from kernel.lanes import Lane, NoLane, shared_lanes
from kernel.roles import tenant_role

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(list[Answer])
_COMBINERS_MAX: Final = 4096
_INVALID: Final = psycopg.errors.InvalidParameterValue.sqlstate
_logger = logging.getLogger(__name__)

#: Reads of one tenant and process under way at once, and how long another one waits for its turn.
READS_MAX: Final = 2
READ_WAIT_SECONDS_MAX: Final = 1.0

_readers: dict[Tag, threading.BoundedSemaphore] = {}
_combiners: dict[Tag, Combiner] = {}
_combiners_lock = threading.Lock()


class EngineUnavailable(Exception):
    """No verdict now: PostgreSQL is away or overloaded. Whether a write happened, the same idempotency key tells."""


class UnknownTenant(Exception):
    """The tenant's schema is not there."""


def submit(tag: Tag, operation: Operation) -> Answer:
    """Judge one operation together with those that arrive at the same moment.

    Durable when it returns. Repeating it with the same key is safe. Raises `EngineUnavailable` or `UnknownTenant`.
    """
    began_ns = began()
    try:
        answer = _combiner(tag).submit(operation)
    except (TooBusy, OutcomeUnknown, NoLane, EngineUnavailable) as error:
        note(tag, operation, None, began_ns)
        raise EngineUnavailable from error
    note(tag, operation, answer, began_ns)
    return answer


def apply(tag: Tag, operations: Sequence[Operation]) -> list[Answer]:
    """Judge operations in one call and one transaction, in this order. Raises as `submit` does."""
    if not operations:
        return []
    for number, operation in enumerate(operations):
        operation.n = number
    return _DECODER.decode(
        call_door(tag, "apply", _ENCODER.encode(operations), again=partial(_encode_again, operations))
    )


def read(tag: Tag, call: str, payload: bytes) -> bytes:
    """What the tenant's `door_v1` answers to a question that changes nothing of note. Raises as `submit` does.

    A tenant asks so many at a time in one process, so that its long lists leave the connections to others.
    """
    turn = _readers.get(tag) or _readers.setdefault(tag, threading.BoundedSemaphore(READS_MAX))
    if not turn.acquire(timeout=READ_WAIT_SECONDS_MAX):
        raise EngineUnavailable
    try:
        return call_door(tag, call, payload)
    finally:
        turn.release()


def call_door(tag: Tag, call: str, payload: bytes, *, again: Callable[[], bytes] | None = None) -> bytes:
    """What the tenant's `door_v1` answers, as JSON. Raises `EngineUnavailable` or `UnknownTenant`.

    A call cut off by a lost connection is made once more, with what `again` gives: it only reads, or each of its
    operations carries its idempotency key.
    """
    found = _ask(tag, call, payload.decode(), again=again)
    assert found is not None
    return found


def read_front(tag: Tag) -> bytes | None:
    """The parts of the tenant's compiled rules that are looked at before the books are asked, as JSON.

    None where the tenant has no rules. Raises as `call_door` does.
    """
    return _ask(tag, "front", "null")


def _ask(tag: Tag, call: str, payload: str, *, again: Callable[[], bytes] | None = None) -> bytes | None:
    # The name is [a-z2-7] and t_, checked by schema_name.
    query = f'SELECT "{schema_name(tag)}".door_v1(%s, %s)'
    for is_last_try in (False, True):
        lane: Lane | None = None
        try:
            # An idle connection that was lost is rarely the only one: the second try makes its own.
            with shared_lanes().lane(tag, is_fresh=is_last_try) as lane:
                assert lane.connection is not None
                row = lane.connection.execute(query, (call, payload)).fetchone()
                return None if row is None else row[0]
        except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable, NoLane) as error:
            raise EngineUnavailable from error
        except psycopg.OperationalError as error:
            if is_last_try or lane is None or lane.was_cut:
                raise EngineUnavailable from error
            if again is not None:
                payload = again().decode()
        except (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedTable) as error:
            raise UnknownTenant from error
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue) as error:
            # The second is said of a role that is not there, and of other things.
            if error.sqlstate == _INVALID and tenant_role(schema_name(tag)) not in str(error):
                raise
            _logger.error("The role of tenant %s cannot be taken on: run manage.py migrate_all.", tag)
            raise EngineUnavailable from error
        except psycopg.errors.UndefinedFunction as error:
            # The schema is there and older than this program, which is no fault of the caller's key.
            _logger.error("The schema of tenant %s lacks a function: run manage.py migrate_all.", tag)
            raise EngineUnavailable from error
    raise AssertionError("unreachable")


def _encode_again(operations: Sequence[Operation]) -> bytes:
    # The call may have happened although its answer was lost, and then its refusals stand under these ids. What it
    # admitted is found by its key, with the id that it has. What is settled in the same call is known there by its id.
    settled = {operation.target for operation in operations}
    for operation in operations:
        if operation.id not in settled:
            operation.id = uuid7()
    return _ENCODER.encode(operations)


def _apply_fairly(tag: Tag, operations: Sequence[Operation]) -> list[Answer]:
    """`apply`, but an operation that the database cannot stomach fails alone and not with its neighbours."""
    try:
        return apply(tag, operations)
    except psycopg.Error as error:
        if len(operations) > 1:
            return [answer for operation in operations for answer in _apply_fairly(tag, [operation])]
        # Its text may quote the customer's data, so only the code is kept.
        _logger.error("An operation failed in the database: %s %s.", operations[0].op, error.sqlstate)
        return [Answer(status="INTERNAL_ERROR", id=operations[0].id, replayed=False, slug="")]


def _combiner(tag: Tag) -> Combiner:
    combiner = _combiners.get(tag)
    if combiner is None:
        with _combiners_lock:
            if len(_combiners) >= _COMBINERS_MAX:
                for idle in [name for name, line in _combiners.items() if line.is_idle]:
                    del _combiners[idle]
            combiner = _combiners.setdefault(tag, Combiner(partial(_apply_fairly, tag), dooms=(EngineUnavailable,)))
    return combiner
