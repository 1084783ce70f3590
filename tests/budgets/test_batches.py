"""A batch gives, answer by answer and line by line, what the same operations give one after the other on a twin tenant.

`make test-slow` looks longer, and with `HYPOTHESIS_PROFILE=nightly` elsewhere each time.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from django.db import connection
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from budgets.models import LedgerHead
from budgets.selectors.audit import audit
from budgets.services import engine
from budgets.services.lifecycle import create_tenant
from budgets.services.operations import Operation
from kernel.money import AMOUNT_MAX
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tenants.services.provisioning import NewTenant
from tests.support.books import Books
from tests.support.owner import as_owner, let_time_pass
from tests.support.tenants import drop_tenant

_IS_NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
_LONG = settings(
    max_examples=20_000 if _IS_NIGHTLY else 150,
    derandomize=not _IS_NIGHTLY,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    print_blob=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
_SHORT = settings(_LONG, max_examples=50, derandomize=True)

_PATHS = ["", "/workspace:prod", "/workspace:prod/agent:a", "/workspace:test", "/app:none"]
_USD = "USD_MICROCENTS"
#: The reservations that are there before the batch: two that may be settled, one overdue, one in its grace period.
_HELD = [UUID(int=n) for n in range(1, 5)]
_NOBODYS = UUID(int=99)

_SCENE = """
    DELETE FROM decision;
    DELETE FROM ledger_entry;
    DELETE FROM reservation;
    DELETE FROM budget;
    DELETE FROM run_template;
    UPDATE ledger_head SET last_seq = 0, slug = 'twin', extensions_max = 1, status = 'ACTIVE';
    INSERT INTO run_template (id, name, unit, amount, is_default) VALUES
        (gen_random_uuid(), 'chat', 'USD_MICROCENTS', 30, true),
        (gen_random_uuid(), 'deep', 'USD_MICROCENTS', 70, false),
        (gen_random_uuid(), 'tokens', 'TOKENS', 20, false);
    INSERT INTO budget (
        id, scope_path, depth, unit, allocated, reserved, spent, debt, uncovered, overdraft_limit, is_low, is_capped,
        status, period, anchor, rollover, period_allocation, created_at
    )
    SELECT
        ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'tenant:twin' || path, 1, unit, allocated,
        0, 0, 0, 0, overdraft_limit, false, false, status, 'ONE_OFF', '2026-01-01', 'NONE', 0, '2026-01-01'
    FROM (VALUES
        (1, '', 'USD_MICROCENTS', 200, 30, 'ACTIVE'),
        (2, '', 'TOKENS', 60, 0, 'ACTIVE'),
        (3, '/workspace:prod', 'USD_MICROCENTS', 120, 20, 'ACTIVE'),
        (4, '/workspace:prod/agent:a', 'USD_MICROCENTS', 50, 0, 'ACTIVE'),
        (5, '/workspace:test', 'USD_MICROCENTS', 50, 0, 'FROZEN'),
        (6, '/workspace:test', 'TOKENS', 5, 0, 'ACTIVE')
    ) AS b (n, path, unit, allocated, overdraft_limit, status)
"""

_holds = st.sampled_from([*_HELD, _NOBODYS])
_amounts = st.one_of(st.integers(0, 70), st.sampled_from([AMOUNT_MAX, 2**62]))
_policies = st.sampled_from([None, "REJECT", "ALLOW_IF_AVAILABLE", "ALLOW_WITH_OVERDRAFT"])
_idems = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"])
_hashes = st.sampled_from(["\\x00", "\\x00", "\\x00", "\\x01"])
_asking = {
    "path": st.sampled_from(_PATHS),
    "unit": st.sampled_from([_USD, _USD, _USD, "TOKENS", "CREDITS"]),
    "amount": _amounts,
    "run": st.sampled_from([None, "r1", "r2"]),
    "idem": _idems,
    "hash": _hashes,
    "has_good_key": st.sampled_from([True] * 9 + [False]),
}
#: A reservation is settled by its number among those that were there, or by its place among those of this batch.
_targets = st.one_of(_holds, st.integers(0, 5))
_settling = {"target": _targets, "idem": _idems, "hash": _hashes}


def _drafts() -> st.SearchStrategy[list[dict[str, Any]]]:
    reserve = st.fixed_dictionaries(
        {
            "op": st.just("reserve"),
            **_asking,
            "policy": _policies,
            "template": st.sampled_from([None, "chat", "deep", "tokens", "unknown"]),
            "is_dry": st.sampled_from([False, False, False, True]),
            "ttl_ms": st.sampled_from([-1, 3_600_000]),
            "grace_ms": st.sampled_from([0, 60_000]),
        }
    )
    decide = st.fixed_dictionaries({"op": st.just("decide"), **_asking, "template": st.sampled_from([None, "deep"])})
    event = st.fixed_dictionaries({"op": st.just("event"), **_asking, "policy": _policies})
    commit = st.fixed_dictionaries(
        {"op": st.just("commit"), **_settling, "amount": _amounts, "unit": st.sampled_from([_USD, _USD, "TOKENS"])}
    )
    release = st.fixed_dictionaries({"op": st.just("release"), **_settling})
    extend = st.fixed_dictionaries({"op": st.just("extend"), **_settling, "extend_ms": st.just(1000)})
    expire = st.fixed_dictionaries({"op": st.just("expire"), "target": _targets})
    return st.lists(
        st.one_of(reserve, reserve, decide, event, commit, release, extend, expire), min_size=1, max_size=14
    )


@dataclass(slots=True)
class _Twins:
    together: Books
    apart: Books

    def set_scene(self, status: str) -> None:
        for books in (self.together, self.apart):
            as_owner(books.tenant.tag, _SCENE)
            held = [
                books.operation(
                    "reserve", id=held, amount=amount, suffixes=["", "/workspace:prod"], policy=policy, **times
                )
                for held, amount, policy, times in zip(
                    _HELD,
                    (10, 20, 5, 5),
                    ("REJECT", "ALLOW_IF_AVAILABLE", None, None),
                    ({}, {}, {"ttl_ms": -1, "grace_ms": 0}, {"ttl_ms": -1, "grace_ms": 60_000}),
                    strict=True,
                )
            ]
            books.ask_all(*held)
            if status != "ACTIVE":
                with in_tenant(books.tenant.tag):
                    LedgerHead.objects.update(status=status)


@pytest.fixture
def twins(database: None) -> Iterator[_Twins]:
    tenants = [
        create_tenant(NewTenant(slug=slug, name=slug, time_zone="UTC"), now=datetime.now(UTC))
        for slug in ("castor", "pollux")
    ]
    together, apart = (_books(tenant) for tenant in tenants)
    yield _Twins(together, apart)
    for tenant in tenants:
        drop_tenant(tenant)


def _books(tenant: Tenant) -> Books:
    books = Books(tenant)
    # Both act under one key id, so that their books have the same words in them.
    as_owner(tenant.tag, f"UPDATE api_key SET key_id = 'twinstwinstwins1' WHERE key_id = '{books.key.key_id}'")
    return books


def _operations(books: Books, drafts: Sequence[dict[str, Any]]) -> list[Operation]:
    made: list[UUID] = []
    operations = []
    for number, draft in enumerate(drafts):
        fields = dict(draft)
        fields["id"] = UUID(int=1000 + number)
        fields["key_id"] = "twinstwinstwins1"
        if not fields.pop("has_good_key", True):
            fields["digest"] = "\\x00"
        if (path := fields.pop("path", None)) is not None:
            segments = path.split("/")[1:]
            fields["suffixes"] = ["".join(f"/{name}" for name in segments[:n]) for n in range(len(segments) + 1)]
        if isinstance(fields.get("target"), int):
            fields["target"] = made[fields["target"] % len(made)] if made else _NOBODYS
        if fields["op"] == "reserve":
            made.append(fields["id"])
        if fields["op"] == "expire":
            fields |= {"is_trusted": True, "idem": None, "hash": None, "key_id": None}
        operations.append(books.operation(fields.pop("op"), **fields))
    return operations


def _answers(answers: Sequence[Any]) -> list[dict[str, Any]]:
    """Without what depends on when they were given."""
    return [{**msgspec.to_builtins(answer), "left_ms": None, "expires_ms": None} for answer in answers]


_PATHS_TOUCHED = """
    ARRAY(
        SELECT b.scope_path || b.unit
        FROM unnest(budget_ids) WITH ORDINALITY AS u (id, n)
        JOIN budget AS b ON b.id = u.id
        ORDER BY u.n
    )
"""
#: All that the books say. Ids that the database makes are given by scope, times by how far they are from their row's.
_SAID = {
    "budget": """
        scope_path, unit, allocated, reserved, spent, debt, uncovered, overdraft_limit, is_capped, status, run_id
    """,
    "reservation": f"""
        id, status, unit, amount, overage_policy, {_PATHS_TOUCHED}, scope_path, run_id, api_key_id, idempotency_key,
        expires_at - created_at, due_at - expires_at, extensions, finalized_at IS NULL, actual, charged
    """,
    "ledger_entry": f"""
        seq, kind, endpoint, target, idempotency_key, payload_hash, reservation_id, event_id, unit, amount, charged,
        CASE kind WHEN 'RESERVE' THEN expires_at - at END, {_PATHS_TOUCHED}, deltas, balances, actor
    """,
    "decision": f"""
        id, endpoint, verdict, reason_code, is_replayable, idempotency_key, payload_hash, scope_path, failed_scope,
        unit, amount, numbers, api_key_id, run_id, reservation_id, ledger_seq, {_PATHS_TOUCHED}, balances
    """,
}


def _books_of(books: Books) -> dict[str, list[tuple[Any, ...]]]:
    said = {}
    with in_tenant(books.tenant.tag), connection.cursor() as cursor:
        for table, columns in _SAID.items():
            cursor.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2")
            said[table] = [
                tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in cursor.fetchall()
            ]
    return said


def _check(twins: _Twins, drafts: Sequence[dict[str, Any]], status: str) -> None:
    twins.set_scene(status)
    together = engine.apply(twins.together.tenant.tag, _operations(twins.together, drafts))
    apart = [engine.apply(twins.apart.tenant.tag, [operation])[0] for operation in _operations(twins.apart, drafts)]
    assert _answers(together) == _answers(apart)
    assert _books_of(twins.together) == _books_of(twins.apart)


_RESERVE = {"op": "reserve", "path": "", "unit": _USD, "amount": 1, "ttl_ms": 60_000, "grace_ms": 0, "hash": "\\x00"}


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param(_SHORT, id="short", marks=pytest.mark.slow),
        pytest.param(_LONG, id="long", marks=[pytest.mark.full, pytest.mark.slow(15)]),
    ],
)
def test_a_batch_does_what_its_operations_do_one_by_one(twins: _Twins, looks: settings) -> None:
    @given(drafts=_drafts(), status=st.sampled_from(["ACTIVE"] * 8 + ["SUSPENDED", "CLOSED"]))
    # One run opened twice, with templates that differ; the first one does not get through.
    @example(
        drafts=[
            _RESERVE | {"idem": "a", "run": "r1", "template": "deep", "amount": 71},
            _RESERVE | {"idem": "b", "run": "r1", "template": "chat", "amount": 30},
            _RESERVE | {"idem": "c", "run": "r1", "template": "deep", "amount": 1},
        ],
        status="ACTIVE",
    )
    # A run that is only asked about, then charged by an event, then opened.
    @example(
        drafts=[
            _RESERVE | {"op": "decide", "idem": "a", "run": "r1", "template": "deep"},
            _RESERVE | {"op": "event", "idem": "b", "run": "r1"},
            _RESERVE | {"idem": "c", "run": "r1", "template": "tokens"},
            _RESERVE | {"idem": "d", "run": "r1"},
        ],
        status="ACTIVE",
    )
    # Two on one reservation, beside two that have nothing to do with it.
    @example(
        drafts=[
            _RESERVE | {"idem": "a", "amount": 165},
            {"op": "commit", "target": _HELD[1], "idem": "b", "hash": "\\x00", "amount": 25, "unit": _USD},
            _RESERVE | {"idem": "c", "amount": 1},
            {"op": "release", "target": _HELD[1], "idem": "d", "hash": "\\x00"},
        ],
        status="ACTIVE",
    )
    @looks
    def check(drafts: list[dict[str, Any]], status: str) -> None:
        _check(twins, drafts, status)

    # Calling it runs all its examples.
    run: Callable[[], None] = check
    run()


def test_a_full_batch_does_what_its_operations_do_one_by_one(twins: _Twins) -> None:
    drafts = [
        _RESERVE | {"path": _PATHS[n % 3], "idem": f"key-{n}", "amount": n % 7, "run": f"r{n % 3}"} for n in range(64)
    ]

    _check(twins, drafts, "ACTIVE")


def test_a_batch_opens_the_periods_that_are_due(acme: Tenant) -> None:
    """Before its operations and not between them: the same lines, in another order."""
    books = Books(acme)
    now = datetime.now(UTC)
    daily: dict[str, Any] = {
        "period": "DAY",
        "period_starts_at": now - timedelta(hours=1),
        "period_ends_at": now + timedelta(hours=1),
    }
    books.add_budget(allocated=200)
    for name in ("a", "b"):
        books.add_budget(f"/workspace:{name}", allocated=50, period_allocation=40, **daily)
        books.ask("event", amount=30, suffixes=["", f"/workspace:{name}"])
    let_time_pass(acme.tag, timedelta(hours=2))

    answers = books.ask_all(
        books.operation("reserve", id=uuid4(), amount=21, suffixes=["", "/workspace:a"]),
        books.operation("event", amount=41, suffixes=["", "/workspace:b"], policy="REJECT"),
        books.operation("event", amount=20, suffixes=["", "/workspace:b"], policy="REJECT"),
    )

    assert [answer.status for answer in answers] == ["OK", "BUDGET_EXCEEDED", "OK"]
    assert (books.budget("/workspace:a").reserved, books.budget("/workspace:b").spent) == (21, 20)
    assert audit(acme.tag) == []
