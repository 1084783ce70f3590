-- Applies operations that share no idempotency key and no reservation: reads what they need to be judged by, has the shared schema's
-- `judge_segment_v1` judge them in order, and writes all their effects at once.
--
-- It holds every statement on the tenant's tables and nothing else: each tenant has its own copy of it, and a connection keeps its plans once a tenant.
-- Operations that need no look-up (no run, no rules, nothing repeated) pay for none.
--
-- Promises: every operation sees the balances that the ones before it left. An operation either has its whole effect on all its scopes or
--           none; refusals are answers, not exceptions, and are kept as decisions.
-- Locks:    ledger_head first (every writing path takes it first, so nothing here can deadlock and the idempotency check cannot race).
-- Clock:    clock_timestamp(), read after the lock: a commit that waited past its expiry is late.
-- Repeated: answers from the entry or decision that the first one wrote; only the remaining time is reckoned anew.
CREATE FUNCTION apply_segment_v1(p_operations jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_asked public.asked_v1[];
    v_keyed boolean[];
    v_asks boolean;
    v_suffixes text;
    v_held text;
    v_runs_asked text[];
    v_root text;
    v_head public.head_v1;
    v_now timestamptz;
    v_known public.known_v1[];
    v_is_repeated boolean;
    v_runs_held text[];
    v_earlier public.earlier_v1[];
    v_due uuid[];
    v_budgets public.budgets_v1;
    v_rules jsonb;
    v_switches jsonb;
    v_templates jsonb;
    v_runs public.runs_v1;
    v_quotas public.counted_v1[];
    v_leases bigint;
    v_outcome public.outcome_v1;
BEGIN
    -- 1. Who shows no good key gets no lock, no opened period and no line in the books.
    SELECT array_agg(k.o), array_agg(k.is_keyed), bool_or((k.o).op IN ('reserve', 'decide')),
        array_agg((k.o).run) FILTER (WHERE (k.o).run IS NOT NULL),
        -- One below the other, because no name has a line break.
        string_agg(array_to_string((k.o).suffixes || ('/run:' || (k.o).run), E'\n'), E'\n') FILTER (
            WHERE k.is_keyed AND (k.o).suffixes IS NOT NULL
        )
    INTO v_asked, v_keyed, v_asks, v_runs_asked, v_suffixes
    FROM (
        SELECT o, o.is_trusted IS TRUE OR (
            SELECT k.status = 'ACTIVE' AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp()) AND o.digest IN (k.digest, k.previous_digest)
            FROM api_key AS k
            WHERE k.key_id = o.key_id
        ) AS is_keyed
        FROM jsonb_populate_recordset(NULL::public.asked_v1, p_operations) AS o
        OFFSET 0
    ) AS k;
    IF (true = ANY (v_keyed)) IS NOT TRUE THEN
        RETURN (
            SELECT json_agg(json_build_object('status', 'UNAUTHORIZED', 'id', a.id, 'replayed', false, 'slug', '') ORDER BY a.ordinality)
            FROM unnest(v_asked) WITH ORDINALITY AS a
        );
    END IF;
    SELECT h.slug, h.status, h.time_zone, h.last_seq, h.overage_policy, h.extensions_max INTO STRICT v_head
    FROM ledger_head AS h
    WHERE h.id = 1
    FOR UPDATE;
    v_now := date_trunc('milliseconds', clock_timestamp());
    v_root := 'tenant:' || v_head.slug;

    -- 2. What is known of each operation. The key again: it may have been revoked while the lock was waited for.
    -- Each look-up is a sub-select of its own, which no planner can turn into reading all of an index that is still small.
    SELECT array_agg(ROW(
            k.status = 'ACTIVE' AND (k.expires_at IS NULL OR k.expires_at > v_now)
                AND (k.digest = a.digest OR (k.previous_digest = a.digest AND k.previous_expires_at > v_now)),
            k.permissions, k.scope_filter, b.is_repeated,
            r.id, r.status, r.unit, r.amount, r.overage_policy, r.budget_ids, r.scope_path, r.run_id, r.expires_at, r.due_at, r.grace_ms, r.extensions,
            r.tokens
        )::public.known_v1 ORDER BY a.ordinality),
        bool_or(b.is_repeated), array_agg(r.run_id) FILTER (WHERE r.run_id IS NOT NULL),
        string_agg(array_to_string(r.budget_ids, ','), ',') FILTER (WHERE v_keyed[a.ordinality])
    INTO v_known, v_is_repeated, v_runs_held, v_held
    FROM unnest(v_asked) WITH ORDINALITY AS a
    LEFT JOIN LATERAL (
        SELECT status, digest, previous_digest, expires_at, previous_expires_at, permissions, scope_filter FROM api_key WHERE key_id = a.key_id OFFSET 0
    ) AS k ON true
    LEFT JOIN LATERAL (
        SELECT id, status, unit, amount, overage_policy, budget_ids, scope_path, run_id, expires_at, due_at, grace_ms, extensions, tokens
        FROM reservation
        WHERE id = a.target
        OFFSET 0
    ) AS r ON true
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN a.op IN ('reserve', 'decide') THEN (
                SELECT true
                FROM decision AS d
                WHERE d.is_replayable AND d.idempotency_key = a.idem AND d.endpoint = coalesce(a.endpoint, a.op)
                LIMIT 1
            )
            ELSE (
                SELECT true
                FROM ledger_entry AS e
                WHERE e.idempotency_key = a.idem AND e.endpoint = a.op AND (e.target = a.target OR (e.target IS NULL AND a.target IS NULL))
                LIMIT 1
            )
        END AS is_repeated
        OFFSET 0
    ) AS b;
    IF v_is_repeated THEN
        SELECT array_agg(ROW(
                coalesce(d.payload_hash, e.payload_hash), coalesce(d.id, e.event_id), d.verdict, d.reason_code, d.failed_scope, d.numbers, d.amount,
                e.charged, d.admission, p.paths, coalesce(f.balances, d.balances, e.balances), coalesce(f.expires_at, e.expires_at), r.status
            )::public.earlier_v1 ORDER BY a.ordinality)
        INTO v_earlier
        FROM unnest(v_asked) WITH ORDINALITY AS a
        LEFT JOIN LATERAL (
            SELECT *
            FROM decision
            WHERE a.op IN ('reserve', 'decide') AND is_replayable AND idempotency_key = a.idem AND endpoint = coalesce(a.endpoint, a.op)
            OFFSET 0
        ) AS d ON true
        LEFT JOIN LATERAL (
            SELECT *
            FROM ledger_entry
            WHERE a.op NOT IN ('reserve', 'decide') AND idempotency_key = a.idem AND endpoint = a.op
                AND (target = a.target OR (target IS NULL AND a.target IS NULL))
            OFFSET 0
        ) AS e ON true
        -- The entry of a reservation has its balances, and whether it is still held is for the reservation to say.
        LEFT JOIN LATERAL (SELECT * FROM ledger_entry WHERE seq = d.ledger_seq OFFSET 0) AS f ON true
        LEFT JOIN LATERAL (SELECT status FROM reservation WHERE id = d.id AND d.ledger_seq IS NOT NULL OFFSET 0) AS r ON true
        CROSS JOIN LATERAL (
            SELECT coalesce(array_agg(b.scope_path ORDER BY u.n), '{}') AS paths
            FROM unnest(coalesce(f.budget_ids, d.budget_ids, e.budget_ids)) WITH ORDINALITY AS u (id, n)
            JOIN budget AS b ON b.id = u.id
        ) AS p;
    END IF;

    -- 3. Budgets of the paths asked for and of the reservations to be settled; stale periods are opened first, so that no worker is waited for.
    LOOP
        SELECT array_agg(b.id), array_agg(b.scope_path), array_agg(b.unit), array_agg(b.status), array_agg(b.run_id), array_agg(b.allocated),
            array_agg(b.reserved), array_agg(b.spent), array_agg(b.debt), array_agg(b.uncovered), array_agg(b.overdraft_limit),
            array_agg(b.is_capped), array_agg(b.is_low), array_agg(b.period_starts_at), array_agg(b.period_ends_at), count(*),
            coalesce(jsonb_object_agg(b.scope_path || '|' || b.unit, b.n), '{}'), jsonb_object_agg(b.id, b.n) FILTER (WHERE v_held IS NOT NULL)
        INTO v_budgets
        FROM (
            SELECT id, scope_path, unit, status, run_id, allocated, reserved, spent, debt, uncovered, overdraft_limit, is_capped, is_low, period_starts_at,
                period_ends_at, row_number() OVER () AS n
            FROM budget
            WHERE scope_path = ANY (string_to_array(v_root || replace(v_suffixes, E'\n', E'\n' || v_root), E'\n'))
                OR id = ANY (string_to_array(v_held, ',')::uuid[])
        ) AS b;
        EXIT WHEN (v_now >= ANY (v_budgets.ends_at)) IS NOT TRUE;
        SELECT array_agg(v_budgets.id[n]) INTO v_due
        FROM generate_series(1, cardinality(v_budgets.id)) AS n
        WHERE v_budgets.ends_at[n] <= v_now AND v_budgets.status[n] <> 'CLOSED';
        EXIT WHEN v_due IS NULL;
        PERFORM roll_periods_v1(v_due, v_now);
        SELECT last_seq INTO STRICT v_head.last_seq FROM ledger_head WHERE id = 1;
    END LOOP;

    -- 4. What else they are judged by
    IF v_asks THEN
        SELECT
            -- As a copy: the stored document is compressed, and would be unpacked anew for each of its parts that is looked at.
            (SELECT r.document || '{}' FROM ruleset AS r WHERE r.id = 1),
            (
                SELECT jsonb_agg(jsonb_build_object('level', s.level, 'name', s.name, 'mode', s.mode, 'reason', s.reason, 'since', s.thrown_at))
                FROM (
                    SELECT level, name, mode, reason, thrown_at FROM kill_switch WHERE lifted_at IS NULL AND (ends_at IS NULL OR ends_at > v_now)
                    UNION ALL
                    SELECT level, name, mode, reason, thrown_at FROM public.platform_switch
                    WHERE lifted_at IS NULL AND (ends_at IS NULL OR ends_at > v_now)
                ) AS s
            )
        INTO v_rules, v_switches;
    END IF;
    IF v_runs_asked IS NOT NULL OR v_runs_held IS NOT NULL THEN
        SELECT array_agg(r.run_id), array_agg(r.started_at), array_agg(r.lease_until), array_agg(r.iterations), array_agg(r.tokens),
            array_agg(r.tokens_held), array_agg(r.gave_up_code), array_agg(r.provider), count(*)
        INTO v_runs
        FROM run AS r
        WHERE r.run_id = ANY (v_runs_asked || v_runs_held);
    END IF;
    IF v_runs_asked IS NOT NULL THEN
        SELECT coalesce(jsonb_object_agg(t.name, to_jsonb(t)), '{}') || coalesce(jsonb_object_agg('', to_jsonb(t)) FILTER (WHERE t.is_default), '{}')
        INTO v_templates
        FROM run_template AS t;
        IF v_rules -> 'limits' ->> 'concurrent_runs_max' IS NOT NULL THEN
            -- A run that goes quiet loses its lease by the clock, so none can leak.
            SELECT count(*) INTO v_leases FROM run AS r WHERE r.lease_until > v_now;
        END IF;
    END IF;
    IF v_rules -> 'actions' ->> 'quotas' <> '[]'
        OR (v_runs_asked IS NOT NULL AND v_rules -> 'limits' ?| '{runs_per_day_max,runs_per_month_max}') THEN
        SELECT array_agg(ROW(
            q.n, q.quota, q.key, q.quota_max, q.expires_at, q.scope, q.status, coalesce(c.used, 0)
        )::public.counted_v1 ORDER BY q.ordinality)
        INTO v_quotas
        FROM public.quotas_of_segment_v1(v_asked, v_rules, v_root, v_head.time_zone, v_now) WITH ORDINALITY AS q
        LEFT JOIN quota_counter AS c ON c.key = q.key AND c.expires_at > v_now;
    END IF;

    v_outcome := public.judge_segment_v1(
        v_now, v_head, v_asked, v_known, v_earlier,
        v_budgets.id, v_budgets.path, v_budgets.unit, v_budgets.status, v_budgets.run_id, v_budgets.allocated, v_budgets.reserved, v_budgets.spent,
        v_budgets.debt, v_budgets.uncovered, v_budgets.overdraft_limit, v_budgets.is_capped, v_budgets.is_low, v_budgets.starts_at, v_budgets.ends_at,
        array_fill(false, ARRAY[v_budgets.n]), array_fill(false, ARRAY[v_budgets.n]), v_budgets.n, v_budgets.by_path, v_budgets.by_id,
        v_runs.id, v_runs.started_at, v_runs.lease_until, v_runs.iterations, v_runs.tokens, v_runs.tokens_held, v_runs.gave_up_code, v_runs.provider,
        array_fill(false, ARRAY[coalesce(v_runs.n, 0)]), array_fill(false, ARRAY[coalesce(v_runs.n, 0)]),
        v_templates, v_rules, v_switches, v_quotas, v_leases
    );

    -- 5. All effects at once
    IF v_outcome.budgets IS NOT NULL THEN
        IF v_runs_asked IS NOT NULL THEN
            INSERT INTO budget (
                id, scope_path, depth, unit, allocated, reserved, spent, debt, uncovered, overdraft_limit, is_capped, is_low, status, period, rollover,
                anchor, period_allocation, run_id, created_at
            )
            SELECT
                b.id, b.scope_path, 2, b.unit, b.allocated, b.reserved, b.spent, b.debt, b.uncovered, 0, b.is_capped, false, 'ACTIVE', 'ONE_OFF',
                'NONE', v_now::date, b.allocated, b.run_id, v_now
            FROM unnest(v_outcome.budgets) AS b
            WHERE b.is_new;
        END IF;
        UPDATE budget AS b
        SET reserved = t.reserved, spent = t.spent, debt = t.debt, uncovered = t.uncovered, is_capped = t.is_capped, is_low = t.is_low
        FROM unnest(v_outcome.budgets) AS t
        WHERE b.id = t.id AND NOT t.is_new;
    END IF;
    IF v_outcome.holds IS NOT NULL THEN
        INSERT INTO reservation (
            id, unit, amount, overage_policy, budget_ids, scope_path, run_id, subject, action, metadata, api_key_id, idempotency_key, expires_at, due_at,
            grace_ms, tokens, status, created_at, extensions
        )
        SELECT h.*, 'ACTIVE', v_now, 0 FROM unnest(v_outcome.holds) AS h;
    END IF;
    IF v_outcome.settlements IS NOT NULL THEN
        UPDATE reservation AS r
        SET status = s.status, expires_at = s.expires_at, due_at = s.due_at, extensions = s.extensions, finalized_at = s.finalized_at,
            actual = s.actual, charged = s.charged, committed_metadata = s.committed_metadata, metrics = s.metrics
        FROM unnest(v_outcome.settlements) AS s
        WHERE r.id = s.id;
    END IF;
    IF v_outcome.entries IS NOT NULL THEN
        INSERT INTO ledger_entry (
            seq, kind, endpoint, target, idempotency_key, payload_hash, reservation_id, event_id, unit, amount, charged, expires_at, budget_ids, deltas,
            balances, subject, action, metadata, metrics, price, actor, reason, request_id, trace_id, at
        )
        SELECT e.*, v_now FROM unnest(v_outcome.entries) AS e;
        UPDATE ledger_head SET last_seq = v_outcome.last_seq WHERE id = 1;
    END IF;
    IF v_outcome.decisions IS NOT NULL THEN
        INSERT INTO decision (
            id, endpoint, verdict, reason_code, is_replayable, idempotency_key, payload_hash, scope_path, failed_scope, unit, amount, numbers,
            api_key_id, run_id, reservation_id, subject, action, ledger_seq, budget_ids, balances, request_id, trace_id, would_deny, admission, at
        )
        SELECT d.*, v_now FROM unnest(v_outcome.decisions) AS d;
    END IF;
    IF v_outcome.runs IS NOT NULL OR v_outcome.counters IS NOT NULL OR v_outcome.events IS NOT NULL OR v_outcome.audits IS NOT NULL THEN
        IF v_outcome.runs IS NOT NULL THEN
            INSERT INTO run (run_id, started_at, lease_until, iterations, tokens, tokens_held, gave_up_code, provider, gave_up_at)
            SELECT r.*, CASE WHEN r.gave_up_code IS NOT NULL THEN v_now END
            FROM unnest(v_outcome.runs) AS r
            ON CONFLICT (run_id) DO UPDATE
            SET lease_until = excluded.lease_until, iterations = excluded.iterations, tokens = excluded.tokens, tokens_held = excluded.tokens_held,
                gave_up_code = excluded.gave_up_code, provider = excluded.provider,
                gave_up_at = coalesce(run.gave_up_at, excluded.gave_up_at);
        END IF;
        IF v_outcome.counters IS NOT NULL THEN
            INSERT INTO quota_counter (key, used, expires_at)
            SELECT c.* FROM unnest(v_outcome.counters) AS c
            ON CONFLICT (key) DO UPDATE SET used = excluded.used, expires_at = excluded.expires_at;
        END IF;
        IF v_outcome.events IS NOT NULL THEN
            INSERT INTO outbox_event (id, at, event_type, scope_path, payload, request_id, trace_id)
            SELECT gen_random_uuid(), v_now, o.event_type, o.scope_path, o.payload, coalesce(o.request_id, ''), coalesce(o.trace_id, '')
            FROM unnest(v_outcome.events) AS o;
        END IF;
        IF v_outcome.audits IS NOT NULL THEN
            INSERT INTO audit_entry (id, at, actor_type, actor, action, target, reason, before, after, request_id, trace_id, source_ip)
            SELECT
                a.id, v_now, a.actor_type, a.actor, a.action, a.target, a.reason, a.before, a.after, coalesce(a.request_id, ''),
                coalesce(a.trace_id, ''), ''
            FROM unnest(v_outcome.audits) AS a;
        END IF;
    END IF;
    RETURN v_outcome.answers;
END
$$;
