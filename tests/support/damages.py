"""What the owner of the tables might do to the books of `test_audit`, and the invariant that each breaks.

A damage is the invariant that the audit must name, then the statements. Those that end with FORGE_BALANCES are careful
forgeries: every sum is right again, and only what the entries say is wrong.
"""

from typing import Final

#: Continues each budget's balances from the entries' deltas, and lets the budgets agree.
FORGE_BALANCES: Final = """
    CREATE TEMPORARY TABLE forged AS
    SELECT
        p.seq, array_position(e.budget_ids, p.budget_id) AS n, p.budget_id, p.allocated_delta AS a,
        p.reserved_delta AS r, p.spent_delta AS s, p.debt_delta AS d, p.uncovered_delta AS u,
        p.overdraft_limit AS l, p.is_over_limit::int AS o
    FROM ledger_posting AS p
    JOIN ledger_entry AS e USING (seq);
    UPDATE ledger_entry AS e
    SET balances = f.balances
    FROM (
        SELECT seq, array_agg(v.value ORDER BY n, v.position) AS balances
        FROM (
            SELECT
                seq, n, l, o, sum(a) OVER w AS a, sum(r) OVER w AS r, sum(s) OVER w AS s, sum(d) OVER w AS d,
                sum(u) OVER w AS u
            FROM forged
            WINDOW w AS (PARTITION BY budget_id ORDER BY seq)
        ) AS summed
        CROSS JOIN LATERAL (VALUES (1, a), (2, r), (3, s), (4, d), (5, u), (6, l), (7, o)) AS v (position, value)
        GROUP BY seq
    ) AS f
    WHERE e.seq = f.seq;
    UPDATE budget AS b
    SET allocated = f.a, reserved = f.r, spent = f.s, debt = f.d, uncovered = f.u
    FROM (
        SELECT budget_id, sum(a) AS a, sum(r) AS r, sum(s) AS s, sum(d) AS d, sum(u) AS u
        FROM forged
        GROUP BY budget_id
    ) AS f
    WHERE b.id = f.budget_id
"""

_COPIED = (
    "kind, at, endpoint, target, idempotency_key, payload_hash, reservation_id, event_id, unit, amount, charged,"
    " expires_at, period_starts_at, budget_ids, deltas, balances, actor"
)
_LAST = "seq = (SELECT last_seq FROM ledger_head)"


def _entry(kind: str, change: str) -> str:
    """Change the first entry of a kind."""
    return f"UPDATE ledger_entry SET {change} WHERE {_first(kind)}"


def _root(change: str) -> str:
    return f"UPDATE budget SET {change} WHERE scope_path = 'tenant:acme'"


def _first(kind: str) -> str:
    return f"seq = (SELECT min(seq) FROM ledger_entry WHERE kind = '{kind}')"


def _double(kind: str) -> str:
    """One more entry like the first of its kind, with a key of its own, at the end."""
    read = _COPIED.replace("idempotency_key", "idempotency_key || '-again'")
    return f"""
        INSERT INTO ledger_entry (seq, {_COPIED})
        SELECT (SELECT max(seq) FROM ledger_entry) + 1, {read} FROM ledger_entry WHERE {_first(kind)};
        UPDATE ledger_head SET last_seq = last_seq + 1
    """


_ENTRIES: dict[str, tuple[str, ...]] = {
    "a changed delta": ("I2", _entry("RESERVE", "deltas[2] = deltas[2] + 1")),
    "a changed balance": ("I2", _entry("COMMIT", "balances[3] = balances[3] + 1")),
    "an amount that overflows": ("I2", _entry("COMMIT", "deltas[1] = 9223372036854775807")),
    "a changed amount": ("I3", _entry("RESERVE", "amount = amount + 1")),
    "a changed charge": ("L4", _entry("COMMIT", "charged = charged + 1")),
    "a missing delta": ("I2", _entry("EVENT", "deltas = deltas[1:4]")),
    "a deleted entry": ("L8", f"DELETE FROM ledger_entry WHERE {_first('RELEASE')}"),
    "a deleted last entry": (
        "I2",
        f"DELETE FROM ledger_entry WHERE {_LAST}",
        "UPDATE ledger_head SET last_seq = last_seq - 1",
    ),
    "a doubled entry": ("I2", _double("EVENT")),
    "a gap in the numbers": (
        "L8",
        f"UPDATE ledger_entry SET seq = seq + 1 WHERE {_LAST}",
        "UPDATE ledger_head SET last_seq = last_seq + 1",
    ),
    "a head that lags": ("L8", "UPDATE ledger_head SET last_seq = last_seq - 1"),
    "a head that runs ahead": ("L8", "UPDATE ledger_head SET last_seq = last_seq + 1"),
    "another unit": ("L12", _entry("EVENT", "unit = 'TOKENS'")),
    "two entries swapped": (
        "I2",
        "UPDATE ledger_entry SET seq = -seq WHERE kind IN ('RELEASE', 'EXPIRE')",
        "UPDATE ledger_entry SET seq = (SELECT -sum(seq) FROM ledger_entry WHERE seq < 0) + seq WHERE seq < 0",
    ),
    "a key taken off an event": ("I6", _entry("EVENT", "idempotency_key = NULL")),
    "a key with two effects": (
        "I6",
        "DROP INDEX one_effect_per_key",
        _double("EVENT"),
        "UPDATE ledger_entry SET idempotency_key = 'x' WHERE kind = 'EVENT'",
    ),
}

_BUDGETS: dict[str, tuple[str, ...]] = {
    **{
        f"{column} off by one": ("I2", _root(f"{column} = {column} + 1"))
        for column in ("allocated", "reserved", "spent", "debt", "uncovered", "overdraft_limit")
    },
    "holds that nobody made": ("I3", _root("reserved = reserved + 1")),
    "a limit that nobody lifted": ("I2", "UPDATE budget SET is_capped = false WHERE is_capped"),
    "a deleted budget": ("I2", "DELETE FROM budget WHERE scope_path = 'tenant:acme/workspace:test'"),
    "money from nowhere": (
        "I2",
        """
        INSERT INTO budget (
            id, scope_path, depth, unit, allocated, reserved, spent, debt, uncovered, overdraft_limit, is_low,
            is_capped, status, period, anchor, rollover, period_allocation, created_at
        ) VALUES (
            gen_random_uuid(), 'tenant:acme/agent:x', 2, 'USD_MICROCENTS', 5, 0, 0, 0, 0, 0, false, false, 'ACTIVE',
            'ONE_OFF', '2026-01-01', 'NONE', 0, now()
        )
        """,
    ),
}

_RESERVATIONS: dict[str, tuple[str, ...]] = {
    "a changed hold": ("I3", "UPDATE reservation SET amount = amount + 1 WHERE status = 'ACTIVE'"),
    "a settled hold that holds again": ("I5", "UPDATE reservation SET status = 'ACTIVE' WHERE status = 'RELEASED'"),
    "a hold settled without an entry": ("I5", "UPDATE reservation SET status = 'RELEASED' WHERE amount = 60"),
    "another end than its entry's": ("I5", "UPDATE reservation SET status = 'EXPIRED' WHERE status = 'RELEASED'"),
    "a deleted reservation": ("I5", "DELETE FROM reservation WHERE status = 'RELEASED'"),
    "an exchanged reservation": ("I5", "UPDATE reservation SET id = gen_random_uuid() WHERE status = 'RELEASED'"),
    "a changed charge of a hold": ("L4", "UPDATE reservation SET charged = charged - 1 WHERE status = 'COMMITTED'"),
    "a hold in another unit": ("L12", "UPDATE reservation SET unit = 'TOKENS' WHERE status = 'COMMITTED'"),
    "a hold that skips a budget": (
        "L10",
        "UPDATE reservation SET budget_ids = budget_ids[1:1] WHERE cardinality(budget_ids) > 1",
    ),
    "a forgotten extension": ("I5", "UPDATE reservation SET extensions = 0 WHERE extensions > 0"),
    "an expiry brought forward": ("L7", "UPDATE reservation SET expires_at = expires_at - interval '1 ms'"),
    "a commit after the grace period": (
        "L7",
        "UPDATE reservation SET due_at = created_at - interval '1 s' WHERE status = 'COMMITTED'",
    ),
    "an expiry before its time": (
        "L7",
        "UPDATE reservation SET due_at = due_at + interval '1 day' WHERE status = 'EXPIRED'",
    ),
}

_FORGERIES: dict[str, tuple[str, ...]] = {
    "a hold settled twice": ("I5", _double("RELEASE"), FORGE_BALANCES),
    "two different ends of one hold": (
        "I5",
        _double("COMMIT"),
        f"UPDATE ledger_entry SET kind = 'RELEASE' WHERE {_LAST}",
        FORGE_BALANCES,
    ),
    "a hold settled twice while another is not": (
        "I5",
        _double("RELEASE"),
        "UPDATE reservation SET status = 'RELEASED' WHERE amount = 60",
        FORGE_BALANCES,
    ),
    "a charge that differs between scopes": ("I8", _entry("COMMIT", "deltas[8] = deltas[8] - 1"), FORGE_BALANCES),
    "a charge made smaller everywhere": (
        "L4",
        _entry(
            "COMMIT", "charged = charged - 1, amount = amount - 1, deltas[3] = deltas[3] - 1, deltas[8] = deltas[8] - 1"
        ),
        FORGE_BALANCES,
    ),
    "an uncovered cost that was forgotten": (
        "L4",
        "UPDATE ledger_entry SET deltas[5] = 0, deltas[10] = 0 WHERE kind = 'COMMIT' AND deltas[5] > 0",
        _entry("ROLLOVER", "deltas[5] = 0"),
        FORGE_BALANCES,
    ),
    "an event that passes by its parent": (
        "I8",
        _entry("EVENT", "budget_ids = budget_ids[2:2], deltas = deltas[6:10], balances = balances[8:14]"),
        _entry("ROLLOVER", "deltas[3] = deltas[3] + 11"),
        FORGE_BALANCES,
    ),
    "a reservation of more than there was": ("I4", _entry("CREATE", "amount = 51, deltas[1] = 51"), FORGE_BALANCES),
    "money made by moving it": ("I2", _entry("REALLOCATE", "deltas[1] = deltas[1] + 1"), FORGE_BALANCES),
    "spending taken back by a credit": ("L20", _entry("REALLOCATE", "kind = 'CREDIT', deltas[3] = -1"), FORGE_BALANCES),
    "debt above its limit": (
        "L5",
        "UPDATE ledger_entry SET balances[6] = 0, balances[13] = 0 WHERE kind = 'COMMIT' AND deltas[9] > 0",
    ),
    "a period that begins with spending": ("L14", _entry("ROLLOVER", "deltas[3] = deltas[3] + 1"), FORGE_BALANCES),
    "a period opened twice": (
        "L14",
        "DROP INDEX one_rollover_per_period",
        _double("ROLLOVER"),
        f"UPDATE ledger_entry SET deltas = ARRAY[0, 0, 0, 0, 0] WHERE {_LAST}",
        FORGE_BALANCES,
    ),
}

_ANSWERS: dict[str, tuple[str, ...]] = {
    "a lost answer": ("I6", "DELETE FROM decision WHERE ledger_seq = (SELECT max(ledger_seq) FROM decision)"),
    "a key with two answers": (
        "I6",
        "DROP INDEX one_answer_per_key",
        "UPDATE decision SET idempotency_key = 'x' WHERE is_replayable",
    ),
    "a refusal with an effect": ("I6", "UPDATE decision SET ledger_seq = 1 WHERE verdict = 'DENY'"),
    "an answer that is no answer": ("I6", "UPDATE decision SET is_replayable = false WHERE ledger_seq IS NOT NULL"),
}

DAMAGES: Final = _ENTRIES | _BUDGETS | _RESERVATIONS | _FORGERIES | _ANSWERS
