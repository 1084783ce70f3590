-- Opens the periods that are due for the budgets named, one entry for each budget and period, up to the period that holds p_now.
--
-- Promises: spent and uncovered begin anew, holds and debt cross unchanged. NONE grants the period's allocation; CARRY_FORWARD adds what was not
--           spent; CAP_AT_ALLOCATED adds it up to one period's allocation.
-- Locks:    the caller holds ledger_head.
-- Repeated: a budget whose period holds p_now is left alone. After p_periods_max periods it stops and goes on the next time.
CREATE FUNCTION roll_periods_v1(p_budget_ids uuid[], p_now timestamptz, p_periods_max int DEFAULT NULL) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    v_budget budget;
    v_zone text;
    v_seq bigint;
    v_unspent bigint;
    v_allocated bigint;
    v_ends_at timestamptz;
    v_opened int := 0;
BEGIN
    SELECT time_zone, last_seq INTO STRICT v_zone, v_seq FROM ledger_head WHERE id = 1 FOR UPDATE;
    FOR v_budget IN
        SELECT * FROM budget WHERE id = ANY (p_budget_ids) AND period_ends_at <= p_now ORDER BY depth, id
    LOOP
        EXIT WHEN v_opened >= p_periods_max;
        WHILE v_budget.period_ends_at <= p_now AND (p_periods_max IS NULL OR v_opened < p_periods_max) LOOP
            v_unspent := greatest(v_budget.allocated - v_budget.spent, 0);
            v_allocated := v_budget.period_allocation + CASE v_budget.rollover
                WHEN 'CARRY_FORWARD' THEN least(v_unspent, 9223372036854775807 - v_budget.period_allocation)
                WHEN 'CAP_AT_ALLOCATED' THEN least(v_unspent, v_budget.period_allocation, 9223372036854775807 - v_budget.period_allocation)
                ELSE 0
            END;
            SELECT ends_at INTO STRICT v_ends_at
            FROM period_bounds_v1(v_budget.period, v_budget.anchor, v_zone, v_budget.period_ends_at);
            v_seq := v_seq + 1;
            v_opened := v_opened + 1;
            INSERT INTO ledger_entry (seq, kind, at, unit, amount, budget_ids, deltas, balances, period_starts_at, actor)
            VALUES (
                v_seq, 'ROLLOVER', p_now, v_budget.unit, v_allocated, ARRAY[v_budget.id],
                ARRAY[v_allocated - v_budget.allocated, 0, -v_budget.spent, 0, -v_budget.uncovered],
                ARRAY[
                    v_allocated, v_budget.reserved, 0, v_budget.debt, 0, v_budget.overdraft_limit,
                    (v_budget.debt > v_budget.overdraft_limit)::int
                ],
                v_budget.period_ends_at, 'period'
            );
            v_budget.period_starts_at := v_budget.period_ends_at;
            v_budget.period_ends_at := v_ends_at;
            v_budget.allocated := v_allocated;
            v_budget.spent := 0;
            v_budget.uncovered := 0;
        END LOOP;
        UPDATE budget
        SET allocated = v_budget.allocated, spent = 0, uncovered = 0, is_capped = false, is_low = false, period_starts_at = v_budget.period_starts_at,
            period_ends_at = v_budget.period_ends_at
        WHERE id = v_budget.id;
    END LOOP;
    UPDATE ledger_head SET last_seq = v_seq WHERE id = 1;
    RETURN v_opened;
END
$$;
