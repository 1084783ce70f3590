-- Made from the migrations by `manage.py build_tenant_template`; do not edit.
CREATE TABLE "api_key" ("key_id" text NOT NULL PRIMARY KEY, "name" text NOT NULL, "digest" bytea NOT NULL, "pepper_version" smallint NOT NULL, "previous_digest" bytea NULL, "previous_expires_at" timestamp with time zone NULL, "permissions" text[] NOT NULL, "scope_filter" text[] NOT NULL, "status" text NOT NULL, "created_at" timestamp with time zone NOT NULL, "expires_at" timestamp with time zone NULL, "revoked_at" timestamp with time zone NULL);
CREATE INDEX "api_key_key_id_4fd4d89f_like" ON "api_key" ("key_id" text_pattern_ops);
CREATE TABLE "budget" ("id" uuid NOT NULL PRIMARY KEY, "scope_path" text NOT NULL, "depth" smallint NOT NULL, "unit" text NOT NULL, "allocated" bigint NOT NULL, "reserved" bigint NOT NULL, "spent" bigint NOT NULL, "debt" bigint NOT NULL, "uncovered" bigint NOT NULL, "overdraft_limit" bigint NOT NULL, "is_capped" boolean NOT NULL, "status" text NOT NULL, "period" text NOT NULL, "anchor" date NOT NULL, "period_starts_at" timestamp with time zone NULL, "period_ends_at" timestamp with time zone NULL, "rollover" text NOT NULL, "period_allocation" bigint NOT NULL, "run_id" text NULL, "created_at" timestamp with time zone NOT NULL, CONSTRAINT "one_budget_per_scope_and_unit" UNIQUE ("scope_path", "unit"), CONSTRAINT "budget_allocated_not_negative" CHECK ("allocated" >= 0), CONSTRAINT "budget_reserved_not_negative" CHECK ("reserved" >= 0), CONSTRAINT "budget_amounts_not_negative" CHECK (("debt" >= 0 AND "overdraft_limit" >= 0 AND "period_allocation" >= 0 AND "spent" >= 0 AND "uncovered" >= 0)), CONSTRAINT "budget_period_has_bounds" CHECK ((("period" = 'ONE_OFF' AND "period_ends_at" IS NULL AND "period_starts_at" IS NULL) OR (NOT ("period" = 'ONE_OFF') AND "period_starts_at" < ("period_ends_at")))));
CREATE TABLE "decision" ("id" uuid NOT NULL PRIMARY KEY, "at" timestamp with time zone NOT NULL, "endpoint" text NOT NULL, "verdict" text NOT NULL, "reason_code" text NULL, "is_replayable" boolean NOT NULL, "idempotency_key" text NULL, "payload_hash" bytea NULL, "scope_path" text NULL, "failed_scope" text NULL, "unit" text NULL, "amount" bigint NULL, "numbers" jsonb NULL, "api_key_id" text NULL, "run_id" text NULL, "reservation_id" uuid NULL, "subject" jsonb NULL, "action" jsonb NULL, "ledger_seq" bigint NULL, "budget_ids" uuid[] NULL, "balances" bigint[] NULL, "request_id" text NULL, "trace_id" text NULL);
CREATE TABLE "ledger_entry" ("seq" bigint NOT NULL PRIMARY KEY, "kind" text NOT NULL, "at" timestamp with time zone NOT NULL, "endpoint" text NULL, "target" uuid NULL, "idempotency_key" text NULL, "payload_hash" bytea NULL, "reservation_id" uuid NULL, "event_id" uuid NULL, "unit" text NULL, "amount" bigint NULL, "charged" bigint NULL, "expires_at" timestamp with time zone NULL, "period_starts_at" timestamp with time zone NULL, "budget_ids" uuid[] NOT NULL, "deltas" bigint[] NOT NULL, "balances" bigint[] NOT NULL, "subject" jsonb NULL, "action" jsonb NULL, "metadata" jsonb NULL, "metrics" jsonb NULL, "actor" text NULL, "reason" text NULL, "request_id" text NULL, "trace_id" text NULL);
CREATE TABLE "ledger_head" ("id" smallint NOT NULL PRIMARY KEY, "slug" text NOT NULL, "status" text NOT NULL, "time_zone" text NOT NULL, "last_seq" bigint NOT NULL, "overage_policy" text NOT NULL, "extensions_max" smallint NOT NULL, CONSTRAINT "one_ledger_head" CHECK ("id" = 1));
CREATE TABLE "reservation" ("id" uuid NOT NULL PRIMARY KEY, "status" text NOT NULL, "unit" text NOT NULL, "amount" bigint NOT NULL, "overage_policy" text NOT NULL, "budget_ids" uuid[] NOT NULL, "scope_path" text NOT NULL, "run_id" text NULL, "subject" jsonb NOT NULL, "action" jsonb NOT NULL, "metadata" jsonb NULL, "api_key_id" text NULL, "idempotency_key" text NOT NULL, "created_at" timestamp with time zone NOT NULL, "expires_at" timestamp with time zone NOT NULL, "due_at" timestamp with time zone NOT NULL, "grace_ms" integer NOT NULL, "extensions" smallint NOT NULL, "finalized_at" timestamp with time zone NULL, "actual" bigint NULL, "charged" bigint NULL, "committed_metadata" jsonb NULL, "metrics" jsonb NULL, CONSTRAINT "reservation_amount_not_negative" CHECK ("amount" >= 0), CONSTRAINT "committed_reservation_has_charge" CHECK ((NOT ("status" = 'COMMITTED') OR ("actual" IS NOT NULL AND "charged" IS NOT NULL))));
CREATE TABLE "run_template" ("id" uuid NOT NULL PRIMARY KEY, "name" text NOT NULL UNIQUE, "unit" text NOT NULL, "amount" bigint NOT NULL, "is_default" boolean NOT NULL, CONSTRAINT "run_template_amount_not_negative" CHECK ("amount" >= 0));
CREATE INDEX "budget_standing" ON "budget" ("scope_path", "unit") WHERE "run_id" IS NULL;
CREATE UNIQUE INDEX "one_answer_per_key" ON "decision" ("idempotency_key", "endpoint") WHERE "is_replayable";
CREATE INDEX "decision_denied_at" ON "decision" ("at") WHERE "verdict" = 'DENY';
CREATE UNIQUE INDEX "one_effect_per_key" ON "ledger_entry" ("idempotency_key", "endpoint", "target") NULLS NOT DISTINCT WHERE "idempotency_key" IS NOT NULL;
CREATE UNIQUE INDEX "one_rollover_per_period" ON "ledger_entry" ((((budget_ids[1]))), "period_starts_at") WHERE "kind" = 'ROLLOVER';
CREATE INDEX "reservation_created" ON "reservation" ("created_at", "id");
CREATE INDEX "reservation_due" ON "reservation" ("due_at") WHERE "status" = 'ACTIVE';
CREATE INDEX "reservation_run" ON "reservation" ("run_id") WHERE "run_id" IS NOT NULL;
CREATE UNIQUE INDEX "one_default_run_template" ON "run_template" ("is_default") WHERE "is_default";
CREATE INDEX "run_template_name_946cdb63_like" ON "run_template" ("name" text_pattern_ops);
-- The period that holds an instant, for a budget whose periods are counted from an anchor day in the tenant's own time zone.
--
-- Promises: the periods tile the line, without gap or overlap, over time changes and short months too: each bound is computed from the anchor and
-- never from the bound before it (31 January plus two months is 31 March, plus one and one would be 28 March).
CREATE FUNCTION period_bounds_v1(
    p_period text, p_anchor date, p_time_zone text, p_at timestamptz, OUT starts_at timestamptz, OUT ends_at timestamptz
)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_day date := (p_at AT TIME ZONE p_time_zone)::date;
    v_length interval;
    v_count int;
BEGIN
    IF p_period = 'DAY' THEN
        v_length := '1 day';
        v_count := v_day - p_anchor;
    ELSIF p_period = 'WEEK' THEN
        v_length := '7 days';
        v_count := floor((v_day - p_anchor) / 7.0);
    ELSIF p_period = 'MONTH' THEN
        v_length := '1 month';
        v_count := (extract(YEAR FROM v_day) - extract(YEAR FROM p_anchor)) * 12
            + extract(MONTH FROM v_day) - extract(MONTH FROM p_anchor);
    ELSE
        RETURN;
    END IF;
    -- The local day is a guess that is one off at most: before the anchor's day of a month, and where clocks are set back over midnight.
    LOOP
        starts_at := (p_anchor + v_count * v_length) AT TIME ZONE p_time_zone;
        ends_at := (p_anchor + (v_count + 1) * v_length) AT TIME ZONE p_time_zone;
        EXIT WHEN p_at >= starts_at AND p_at < ends_at;
        v_count := v_count + CASE WHEN p_at < starts_at THEN -1 ELSE 1 END;
    END LOOP;
END
$$;

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

-- Says whether two operations of a batch share an idempotency key or a reservation.
-- Locks nothing and changes nothing. A false alarm costs time only, so the endpoint is left out of the comparison.
CREATE FUNCTION operations_collide_v1(p_operations jsonb) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT count(*) <> count(DISTINCT name)
    FROM jsonb_to_recordset(p_operations) AS o (id text, target text, idem text)
    CROSS JOIN LATERAL (VALUES ('r' || o.id), ('r' || o.target), ('k' || o.idem)) AS names (name)
    WHERE name IS NOT NULL
$$;

-- Judges operations that share no idempotency key and no reservation, in order, and writes all their effects at once.
--
-- Promises: every operation sees the balances that the ones before it left. An operation either has its whole effect on all its scopes or
--           none; refusals are answers, not exceptions, and are kept as decisions.
-- Locks:    ledger_head first (every writing path takes it first, so nothing here can deadlock and the idempotency check cannot race).
-- Clock:    clock_timestamp(), read after the lock: a commit that waited past its expiry is late.
-- Repeated: answers from the entry or decision that the first one wrote; only the remaining time is reckoned anew.
--
-- Balances are kept in parallel arrays while the batch is judged (a budget is updated once a batch, however many operations touch it).
-- Entries carry flat arrays, one stride a budget:
--   deltas   5 numbers: allocated, reserved, spent, debt, uncovered
--   balances 7 numbers after the entry: the same five, overdraft_limit, is_over_limit (0 or 1)
CREATE FUNCTION apply_segment_v1(p_operations jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    AMOUNT_MAX CONSTANT bigint := 9223372036854775807;
    v_head ledger_head;
    v_root text;
    v_now timestamptz;
    v_now_ms bigint;
    v_seq bigint;
    v_due uuid[];
    v_keyed int[];
    v_templates jsonb;

    -- the budgets in play, root first within a path
    b_id uuid[]; b_path text[]; b_unit text[]; b_status text[]; b_run text[];
    b_allocated bigint[]; b_reserved bigint[]; b_spent bigint[]; b_debt bigint[]; b_uncovered bigint[]; b_limit bigint[];
    b_capped boolean[]; b_touched boolean[]; b_new boolean[];
    b_low boolean[]; b_starts timestamptz[]; b_ends timestamptz[];
    v_known int;
    v_by_path jsonb;
    v_by_id jsonb;

    -- the tenant's rules, its stops, its runs and its counters; absent rules cost nothing
    v_rules jsonb;
    v_switches jsonb;
    r_id text[]; r_started timestamptz[]; r_lease timestamptz[]; r_iterations bigint[]; r_tokens bigint[]; r_held bigint[];
    r_gave_up text[]; r_touched boolean[]; r_new boolean[];
    v_r int;
    c_key text[]; c_quota jsonb[]; c_used bigint[]; c_expires timestamptz[]; c_touched boolean[];
    v_leases bigint;
    v_is_first_of_run boolean;
    v_judged jsonb;
    v_candidate jsonb;
    v_candidates jsonb;
    v_would_deny text;
    v_left_ppm bigint;
    v_is_low boolean;
    v_quota record;
    v_counted int[];
    v_c int;
    v_k int;

    -- the operation in hand
    v_op record;
    v_status text;
    v_verdict text;
    v_failed text;
    v_numbers jsonb;
    v_answer json;
    v_idx int[];
    v_ids uuid[];
    v_budget_id uuid;
    v_paths text[];
    v_path text;
    v_run_path text;
    v_template jsonb;
    v_permission text;
    v_is_live boolean;
    v_replayed boolean;
    i int;
    v_remaining bigint;
    v_room bigint;
    v_delta bigint;
    v_charged bigint;
    v_short bigint;
    v_expires timestamptz;
    v_debts bigint[];
    v_opened int[];
    v_deltas bigint[];
    v_balances bigint[];

    -- what will be written
    w_entry ledger_entry; w_entries ledger_entry[];
    w_decision decision; w_decisions decision[];
    w_hold reservation; w_holds reservation[];
    w_settled reservation[];
    v_answers json[];
BEGIN
    -- Who shows no good key gets no lock, no opened period and no line in the books.
    SELECT array_agg(coalesce(o.n, 0)) INTO v_keyed
    FROM jsonb_to_recordset(p_operations) AS o (n int, key_id text, digest bytea, is_trusted boolean)
    LEFT JOIN api_key AS k ON k.key_id = o.key_id
    WHERE o.is_trusted
        OR (k.status = 'ACTIVE' AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp()) AND o.digest IN (k.digest, k.previous_digest));
    IF v_keyed IS NULL THEN
        SELECT array_to_json(array_agg(json_build_object('status', 'UNAUTHORIZED', 'id', o.id, 'replayed', false, 'slug', '') ORDER BY o.n))
        INTO v_answer
        FROM jsonb_to_recordset(p_operations) AS o (n int, id uuid);
        RETURN v_answer;
    END IF;
    SELECT * INTO STRICT v_head FROM ledger_head WHERE id = 1 FOR UPDATE;
    v_now := date_trunc('milliseconds', clock_timestamp());
    v_now_ms := (extract(EPOCH FROM v_now) * 1000)::bigint;
    v_root := 'tenant:' || v_head.slug;
    v_seq := v_head.last_seq;

    -- Budgets of the paths asked for and of the reservations to be settled; stale periods are opened first, so that no worker is waited for.
    LOOP
        SELECT array_agg(b.id), array_agg(b.scope_path), array_agg(b.unit), array_agg(b.status), array_agg(b.run_id), array_agg(b.allocated),
            array_agg(b.reserved), array_agg(b.spent), array_agg(b.debt), array_agg(b.uncovered), array_agg(b.overdraft_limit),
            array_agg(b.is_capped), array_agg(b.is_low), array_agg(b.period_starts_at), array_agg(b.period_ends_at), array_agg(false), array_agg(false),
            array_agg(b.id) FILTER (WHERE b.period_ends_at <= v_now AND b.status <> 'CLOSED')
        INTO b_id, b_path, b_unit, b_status, b_run, b_allocated, b_reserved, b_spent, b_debt, b_uncovered, b_limit, b_capped, b_low, b_starts, b_ends,
            b_touched, b_new, v_due
        FROM (
            SELECT budget.id
            FROM jsonb_to_recordset(p_operations) AS o (n int, suffixes text[], run text)
            CROSS JOIN LATERAL unnest(o.suffixes || ('/run:' || o.run)) AS suffix
            JOIN budget ON budget.scope_path = v_root || suffix
            WHERE coalesce(o.n, 0) = ANY (v_keyed)
            UNION
            SELECT held.id
            FROM jsonb_to_recordset(p_operations) AS o (n int, target uuid)
            JOIN reservation AS r ON r.id = o.target
            CROSS JOIN LATERAL unnest(r.budget_ids) AS held (id)
            WHERE coalesce(o.n, 0) = ANY (v_keyed)
        ) AS wanted
        JOIN budget AS b ON b.id = wanted.id;
        EXIT WHEN v_due IS NULL;
        PERFORM roll_periods_v1(v_due, v_now);
        SELECT last_seq INTO STRICT v_seq FROM ledger_head WHERE id = 1;
    END LOOP;
    v_known := coalesce(cardinality(b_id), 0);
    SELECT coalesce(jsonb_object_agg(b_path[n] || '|' || b_unit[n], n), '{}'), coalesce(jsonb_object_agg(b_id[n]::text, n), '{}')
    INTO v_by_path, v_by_id
    FROM generate_series(1, v_known) AS n;
    IF p_operations @? '$[*].run' THEN
        SELECT coalesce(jsonb_object_agg(t.name, to_jsonb(t)), '{}') || coalesce(jsonb_object_agg('', to_jsonb(t)) FILTER (WHERE t.is_default), '{}')
        INTO v_templates
        FROM run_template AS t;
    END IF;

    SELECT r.document INTO v_rules FROM ruleset AS r WHERE r.id = 1;
    SELECT jsonb_agg(jsonb_build_object('level', k.level, 'name', k.name, 'mode', k.mode, 'reason', k.reason, 'since', k.thrown_at))
    INTO v_switches
    FROM (
        SELECT level, name, mode, reason, thrown_at FROM kill_switch WHERE lifted_at IS NULL AND (ends_at IS NULL OR ends_at > v_now)
        UNION ALL
        SELECT level, name, mode, reason, thrown_at FROM public.platform_switch WHERE lifted_at IS NULL AND (ends_at IS NULL OR ends_at > v_now)
    ) AS k;
    SELECT array_agg(r.run_id), array_agg(r.started_at), array_agg(r.lease_until), array_agg(r.iterations), array_agg(r.tokens),
        array_agg(r.tokens_held), array_agg(r.gave_up_code), array_agg(false), array_agg(false)
    INTO r_id, r_started, r_lease, r_iterations, r_tokens, r_held, r_gave_up, r_touched, r_new
    FROM (
        SELECT o.run AS run_id FROM jsonb_to_recordset(p_operations) AS o (run text) WHERE o.run IS NOT NULL
        UNION
        SELECT h.run_id
        FROM jsonb_to_recordset(p_operations) AS o (target uuid)
        JOIN reservation AS h ON h.id = o.target
        WHERE h.run_id IS NOT NULL
    ) AS wanted
    JOIN run AS r ON r.run_id = wanted.run_id;

    FOR v_op IN
        SELECT o.*,
            k.permissions, k.scope_filter,
            k.status = 'ACTIVE' AND (k.expires_at IS NULL OR k.expires_at > v_now)
            AND (k.digest = o.digest OR (k.previous_digest = o.digest AND k.previous_expires_at > v_now)) AS is_key_good,
            d.id AS decision_id, d.payload_hash AS decision_hash, d.verdict AS decision_verdict, d.reason_code AS decision_reason,
            d.failed_scope AS decision_failed, d.numbers AS decision_numbers, d.ledger_seq AS decision_seq, d.budget_ids AS decision_budgets,
            d.balances AS decision_balances, d.admission AS decision_admission, d.amount AS decision_amount,
            e.seq AS entry_seq, e.payload_hash AS entry_hash, e.amount AS entry_amount, e.charged AS entry_charged, e.deltas AS entry_deltas,
            e.expires_at AS entry_expires, e.budget_ids AS entry_budgets, e.balances AS entry_balances, e.event_id AS entry_event,
            r.id AS hold_id, r.status AS hold_status, r.unit AS hold_unit, r.amount AS hold_amount, r.overage_policy AS hold_policy,
            r.budget_ids AS hold_budgets, r.scope_path AS hold_path, r.run_id AS hold_run, r.expires_at AS hold_expires, r.due_at AS hold_due,
            r.grace_ms AS hold_grace_ms, r.extensions AS hold_extensions, r.tokens AS hold_tokens
        FROM jsonb_to_recordset(p_operations) AS o (
            n int, op text, id uuid, key_id text, digest bytea, is_trusted boolean, actor text, actor_type text, idem text, hash bytea, tenant text, suffixes text[],
            run text, template text, unit text, amount bigint, ttl_ms bigint, grace_ms int, policy text, is_dry boolean, subject jsonb,
            action jsonb, metadata jsonb, metrics jsonb, target uuid, extend_ms bigint, reason text, request_id text, trace_id text,
            endpoint text, facts jsonb, priority text, price jsonb
        )
        LEFT JOIN api_key AS k ON k.key_id = o.key_id
        LEFT JOIN decision AS d
            ON o.op IN ('reserve', 'decide') AND d.is_replayable AND d.idempotency_key = o.idem AND d.endpoint = coalesce(o.endpoint, o.op)
        LEFT JOIN ledger_entry AS e
            ON o.op NOT IN ('reserve', 'decide') AND e.idempotency_key = o.idem AND e.endpoint = o.op
            AND (e.target = o.target OR (e.target IS NULL AND o.target IS NULL))
        LEFT JOIN reservation AS r ON r.id = o.target
        ORDER BY o.n
    LOOP
        v_status := NULL; v_verdict := NULL; v_failed := NULL; v_numbers := NULL; v_answer := NULL; v_replayed := false; v_charged := NULL;
        v_judged := NULL; v_candidate := NULL; v_candidates := NULL; v_would_deny := NULL; v_r := NULL; v_counted := '{}'; v_run_path := NULL;
        v_idx := '{}'; v_ids := '{}'; v_paths := '{}'; v_deltas := '{}'; v_balances := '{}'; v_expires := NULL;
        v_is_live := v_op.op = 'reserve' AND NOT coalesce(v_op.is_dry, false);
        v_path := v_root || coalesce(v_op.suffixes[cardinality(v_op.suffixes)], '');

        -- 1. Who asks, and may they
        IF NOT coalesce(v_op.is_trusted, false) THEN
            v_permission := CASE v_op.op
                WHEN 'reserve' THEN 'reservations:create'
                WHEN 'decide' THEN 'reservations:create'
                WHEN 'event' THEN 'reservations:create'
                ELSE 'reservations:' || v_op.op
            END;
            IF v_op.is_key_good IS NOT TRUE THEN
                v_answers := array_append(
                    v_answers, json_build_object('status', 'UNAUTHORIZED', 'id', v_op.id, 'replayed', false, 'slug', '')
                );
                CONTINUE;
            ELSIF NOT v_permission = ANY (v_op.permissions) THEN
                v_status := 'FORBIDDEN';
                v_numbers := jsonb_build_object('reason', 'PERMISSION_MISSING', 'permission', v_permission);
            ELSIF v_op.tenant IS NOT NULL AND lower(v_op.tenant) <> v_head.slug THEN
                v_status := 'FORBIDDEN';
                v_numbers := jsonb_build_object('reason', 'TENANT_MISMATCH');
            ELSIF v_op.target IS NOT NULL AND v_op.hold_id IS NULL THEN
                v_status := 'NOT_FOUND';
                v_numbers := jsonb_build_object('reason', 'RESERVATION_NOT_FOUND');
            ELSIF cardinality(v_op.scope_filter) > 0 AND NOT EXISTS (
                SELECT FROM unnest(v_op.scope_filter) AS allowed
                WHERE coalesce(v_op.hold_path, v_path) = allowed OR starts_with(coalesce(v_op.hold_path, v_path), allowed || '/')
            ) THEN
                v_status := 'FORBIDDEN';
                v_numbers := jsonb_build_object('reason', 'SCOPE_FILTERED');
            END IF;
        ELSIF v_op.hold_id IS NULL AND v_op.target IS NOT NULL THEN
            v_status := 'NOT_FOUND';
            v_numbers := jsonb_build_object('reason', 'RESERVATION_NOT_FOUND');
        END IF;

        -- 2. Has it happened already
        IF v_status IS NULL AND v_op.decision_id IS NOT NULL THEN
            v_replayed := true;
            IF v_op.decision_hash <> v_op.hash THEN
                v_status := 'IDEMPOTENCY_MISMATCH';
            ELSE
                v_status := 'OK';
                v_op.id := v_op.decision_id;
                v_verdict := v_op.decision_verdict;
                v_failed := v_op.decision_failed;
                v_numbers := v_op.decision_numbers;
                v_ids := v_op.decision_budgets;
                v_balances := v_op.decision_balances;
                v_judged := v_op.decision_admission;
                v_op.amount := v_op.decision_amount;
                IF v_op.decision_seq IS NOT NULL THEN
                    SELECT e.budget_ids, e.balances, e.expires_at INTO STRICT v_ids, v_balances, v_expires
                    FROM ledger_entry AS e
                    WHERE e.seq = v_op.decision_seq;
                    SELECT r.status INTO v_op.hold_status FROM reservation AS r WHERE r.id = v_op.decision_id;
                END IF;
            END IF;
        ELSIF v_status IS NULL AND v_op.entry_seq IS NOT NULL THEN
            v_replayed := true;
            IF v_op.entry_hash <> v_op.hash THEN
                v_status := 'IDEMPOTENCY_MISMATCH';
            ELSE
                v_status := 'OK';
                v_op.id := coalesce(v_op.entry_event, v_op.id);
                v_charged := v_op.entry_charged;
                v_expires := v_op.entry_expires;
                v_ids := v_op.entry_budgets;
                v_balances := v_op.entry_balances;
            END IF;
        END IF;
        IF v_replayed AND v_status = 'OK' THEN
            SELECT coalesce(array_agg(b.scope_path ORDER BY u.n), '{}') INTO v_paths
            FROM unnest(v_ids) WITH ORDINALITY AS u (id, n)
            JOIN budget AS b ON b.id = u.id;
        END IF;

        -- 3. Is the tenant in business. What was really spent is still booked for a suspended tenant: refusing would lose it.
        IF v_status IS NULL THEN
            IF v_head.status = 'CLOSED' AND v_op.op <> 'expire' THEN
                v_status := 'TENANT_CLOSED';
            ELSIF v_head.status = 'SUSPENDED' AND v_op.op IN ('reserve', 'decide', 'extend') THEN
                v_status := 'TENANT_SUSPENDED';
            END IF;
        END IF;

        -- 4. Which budgets it touches
        IF v_status IS NULL AND v_op.op IN ('reserve', 'decide', 'event') THEN
            FOREACH v_path IN ARRAY v_op.suffixes LOOP
                i := (v_by_path ->> (v_root || v_path || '|' || v_op.unit))::int;
                IF i IS NOT NULL THEN
                    v_idx := v_idx || i;
                END IF;
            END LOOP;
            v_path := v_root || v_path;
            IF v_op.run IS NOT NULL THEN
                v_run_path := v_root || '/run:' || v_op.run;
                i := (v_by_path ->> (v_run_path || '|' || v_op.unit))::int;
                IF i IS NULL OR (b_new[i] AND NOT b_touched[i]) THEN
                    -- A run's budget is opened by the first reservation or event of the run that is let through; until then it is
                    -- only imagined.
                    v_template := coalesce(v_templates -> v_op.template, v_templates -> '');
                    IF v_template ->> 'unit' = v_op.unit AND cardinality(v_idx) > 0 THEN
                        IF i IS NULL THEN
                            v_known := v_known + 1;
                            i := v_known;
                            v_by_path := v_by_path || jsonb_build_object(v_run_path || '|' || v_op.unit, i);
                        END IF;
                        b_id[i] := gen_random_uuid(); b_path[i] := v_run_path; b_unit[i] := v_op.unit; b_status[i] := 'ACTIVE';
                        b_run[i] := v_op.run; b_allocated[i] := (v_template ->> 'amount')::bigint; b_reserved[i] := 0; b_spent[i] := 0;
                        b_debt[i] := 0; b_uncovered[i] := 0; b_limit[i] := 0; b_capped[i] := false; b_low[i] := false; b_touched[i] := false; b_new[i] := true;
                    ELSE
                        i := NULL;
                    END IF;
                END IF;
                IF i IS NOT NULL THEN
                    v_idx := v_idx || i;
                END IF;
            END IF;
            -- 4. to 7. The rules: who is stopped, what the run may still do, which tools and models, and how much of what a day
            IF v_op.op <> 'event' AND (v_rules IS NOT NULL OR v_switches IS NOT NULL) THEN
                IF v_op.run IS NOT NULL THEN
                    v_r := array_position(r_id, v_op.run);
                    IF v_r IS NULL THEN
                        v_r := coalesce(cardinality(r_id), 0) + 1;
                        r_id[v_r] := v_op.run;
                        -- A run may have begun before its first call came here, never after.
                        r_started[v_r] := least(
                            v_now, to_timestamp(((v_op.facts -> 'run' ->> 'started_at_ms')::bigint / 1000.0)::double precision)
                        ); r_lease[v_r] := v_now; r_iterations[v_r] := 0; r_tokens[v_r] := 0;
                        r_held[v_r] := 0; r_gave_up[v_r] := NULL; r_touched[v_r] := false; r_new[v_r] := true;
                    END IF;
                END IF;
                v_is_first_of_run := v_r IS NOT NULL AND r_new[v_r] AND NOT r_touched[v_r];
                SELECT array_agg(v_root || suffix ORDER BY n) INTO v_paths FROM unnest(v_op.suffixes) WITH ORDINALITY AS u (suffix, n);
                v_left_ppm := NULL;
                v_is_low := false;
                IF v_rules -> 'low_water' IS NOT NULL THEN
                    FOREACH i IN ARRAY v_idx LOOP
                        CONTINUE WHEN b_run[i] IS NOT NULL OR b_allocated[i] = 0;
                        v_left_ppm := least(
                            v_left_ppm, floor((b_allocated[i]::numeric - b_spent[i] - b_reserved[i]) * 1000000 / b_allocated[i])::bigint
                        );
                        IF public.is_low_v1(
                            b_low[i], b_allocated[i], b_spent[i]::numeric + b_reserved[i], v_rules -> 'low_water', b_starts[i], b_ends[i], v_now
                        ) = b_low[i] THEN
                            v_is_low := v_is_low OR b_low[i];
                            CONTINUE;
                        END IF;
                        v_is_low := v_is_low OR NOT b_low[i];
                        IF v_is_live THEN
                            b_low[i] := NOT b_low[i];
                            b_touched[i] := true;
                            INSERT INTO outbox_event (id, at, event_type, scope_path, payload, request_id, trace_id)
                            VALUES (
                                gen_random_uuid(), v_now, CASE WHEN b_low[i] THEN 'budget.low_water_entered' ELSE 'budget.low_water_left' END,
                                b_path[i], jsonb_build_object('left_ppm', v_left_ppm), coalesce(v_op.request_id, ''), coalesce(v_op.trace_id, '')
                            );
                        END IF;
                    END LOOP;
                END IF;
                v_judged := public.judge_rules_v1(
                    v_rules, v_switches,
                    jsonb_build_object(
                        'kind', v_op.action ->> 'kind', 'name', v_op.action ->> 'name', 'levels', v_op.subject, 'paths', to_jsonb(v_paths),
                        'key_id', v_op.key_id, 'amount', v_op.amount, 'policy', v_op.policy, 'request', v_op.facts, 'priority', v_op.priority
                    ),
                    CASE WHEN v_r IS NOT NULL THEN jsonb_build_object(
                        'iterations', r_iterations[v_r], 'tokens', r_tokens[v_r], 'tokens_held', r_held[v_r],
                        'seconds', extract(EPOCH FROM v_now - r_started[v_r])
                    ) END,
                    v_is_low, v_left_ppm
                );
                v_status := v_judged ->> 'status';
                v_numbers := v_judged -> 'numbers';
                v_candidates := v_judged -> 'candidates';

                -- 6. Counted quotas, of actions and of runs
                IF v_status IS NULL AND v_rules IS NOT NULL THEN
                    FOR v_quota IN SELECT * FROM public.quotas_of_v1(
                        v_rules, v_op.action, v_paths, v_op.run, v_is_first_of_run, v_head.time_zone, v_now
                    ) LOOP
                        IF v_quota.key IS NULL THEN
                            v_status := 'RUN_REQUIRED';
                            v_numbers := jsonb_build_object('quota', v_quota.quota -> 'id');
                            EXIT;
                        END IF;
                        v_c := array_position(c_key, v_quota.key);
                        IF v_c IS NULL THEN
                            v_c := coalesce(cardinality(c_key), 0) + 1;
                            c_key[v_c] := v_quota.key; c_touched[v_c] := false;
                            c_used[v_c] := coalesce((SELECT q.used FROM quota_counter AS q WHERE q.key = v_quota.key AND q.expires_at > v_now), 0);
                        END IF;
                        c_expires[v_c] := v_quota.expires_at;
                        c_quota[v_c] := v_quota.quota || jsonb_build_object('scope', v_quota.scope);
                        IF c_used[v_c] >= v_quota.quota_max THEN
                            v_status := v_quota.status;
                            v_failed := v_quota.scope;
                            v_numbers := jsonb_strip_nulls(jsonb_build_object(
                                'quota', v_quota.quota -> 'id', 'policy_id', v_quota.quota -> 'policy_id', 'used', c_used[v_c],
                                'limit', v_quota.quota_max, 'window', v_quota.quota -> 'window', 'resets_at', v_quota.expires_at,
                                'action_kind', v_op.action -> 'kind', 'risk_class', v_quota.quota -> 'risk_class'
                            ));
                            EXIT;
                        END IF;
                        v_counted := v_counted || v_c;
                    END LOOP;
                    IF v_status IS NULL AND v_is_first_of_run AND v_rules -> 'limits' ->> 'concurrent_runs_max' IS NOT NULL THEN
                        -- A run that goes quiet loses its lease by the clock, so none can leak.
                        IF v_leases IS NULL THEN
                            SELECT count(*) INTO v_leases FROM run AS r WHERE r.lease_until > v_now;
                        END IF;
                        IF v_leases >= (v_rules -> 'limits' ->> 'concurrent_runs_max')::bigint THEN
                            v_status := 'CONCURRENT_RUNS_EXCEEDED';
                            v_numbers := jsonb_build_object('used', v_leases, 'limit', v_rules -> 'limits' -> 'concurrent_runs_max');
                        END IF;
                    END IF;
                END IF;
                v_paths := '{}';
                IF v_status IS NOT NULL AND (
                    (v_rules -> 'shadow' ->> 'is_on')::boolean AND public.check_of_v1(v_status) IS NOT NULL
                    OR v_rules -> 'shadow' -> 'checks' ? public.check_of_v1(v_status)
                ) THEN
                    -- In shadow: written down, and judged on as if the rule were not there. Without a model to price nothing is held.
                    v_would_deny := v_status;
                    v_status := NULL; v_numbers := NULL; v_failed := NULL; v_counted := '{}';
                    v_op.amount := coalesce(v_op.amount, CASE WHEN v_candidates IS NULL THEN 0 END);
                END IF;
            END IF;
            IF v_status IS NULL AND v_op.amount IS NULL AND v_candidates IS NULL THEN
                v_status := 'NO_ROUTE';
            END IF;
            IF v_status IS NULL AND cardinality(v_idx) = 0 THEN
                SELECT b_path[n], jsonb_build_object('requested_unit', v_op.unit, 'expected_units', jsonb_agg(DISTINCT b_unit[n]))
                INTO v_failed, v_numbers
                FROM generate_series(1, v_known) AS n
                WHERE NOT b_new[n] AND b_path[n] = ANY (SELECT v_root || s FROM unnest(v_op.suffixes) AS s)
                GROUP BY b_path[n]
                ORDER BY length(b_path[n]) DESC
                LIMIT 1;
                v_status := CASE WHEN v_failed IS NULL THEN 'BUDGET_NOT_FOUND' ELSE 'UNIT_MISMATCH' END;
                v_failed := coalesce(v_failed, v_path);
            END IF;
        ELSIF v_status IS NULL THEN
            FOREACH v_budget_id IN ARRAY v_op.hold_budgets LOOP
                v_idx := v_idx || (v_by_id ->> v_budget_id::text)::int;
            END LOOP;
            v_path := v_op.hold_path;
        END IF;

        -- 5. The verdict, root to leaf; the first failure names the refusal
        IF v_op.op IN ('reserve', 'decide') AND NOT v_replayed AND v_status IS NULL THEN
            v_k := 0;
            LOOP
                -- 8. The first candidate that fits wins; without candidates there is the caller's own estimate.
                IF v_candidates IS NOT NULL THEN
                    v_candidate := v_candidates -> v_k;
                    v_op.amount := (v_candidate ->> 'amount')::bigint;
                    v_status := NULL; v_failed := NULL; v_numbers := NULL;
                END IF;
                FOREACH i IN ARRAY v_idx LOOP
                    v_remaining := b_allocated[i] - b_reserved[i] - b_spent[i] - b_debt[i];
                    v_status := CASE
                        WHEN b_status[i] = 'FROZEN' THEN 'BUDGET_FROZEN'
                        WHEN b_status[i] = 'CLOSED' THEN 'BUDGET_CLOSED'
                        WHEN b_capped[i] OR b_debt[i] > b_limit[i] THEN 'OVERDRAFT_LIMIT_EXCEEDED'
                        WHEN b_debt[i] > 0 THEN 'DEBT_OUTSTANDING'
                        WHEN v_remaining < v_op.amount THEN 'BUDGET_EXCEEDED'
                        WHEN v_op.amount > AMOUNT_MAX - b_reserved[i] - b_spent[i] - b_debt[i] - b_uncovered[i] THEN 'BUDGET_EXCEEDED'
                    END;
                    IF v_status IS NOT NULL THEN
                        v_failed := b_path[i];
                        v_numbers := jsonb_build_object('remaining', v_remaining, 'requested', v_op.amount, 'unit', v_op.unit, 'debt', b_debt[i]);
                        EXIT;
                    END IF;
                END LOOP;
                v_k := v_k + 1;
                EXIT WHEN v_status IS NULL OR v_candidates IS NULL OR v_k >= jsonb_array_length(v_candidates);
            END LOOP;
        END IF;
        IF v_op.op IN ('reserve', 'decide') AND NOT v_replayed THEN
            -- A budget in shadow blocks nothing: what it would have refused is written down, and nothing is held for it.
            IF public.check_of_v1(v_status) = 'money' AND (
                (v_rules -> 'shadow' ->> 'is_on')::boolean OR v_rules -> 'shadow' -> 'checks' ? 'money'
                OR v_rules -> 'shadow' -> 'scopes' ? v_failed
            ) THEN
                v_would_deny := coalesce(v_would_deny, v_status);
                v_status := NULL;
                v_op.amount := 0;
            END IF;
            IF v_would_deny IS NOT NULL THEN
                -- What was let through without cover must be able to settle.
                v_op.policy := 'ALLOW_IF_AVAILABLE';
            END IF;
            -- The give-up rule speaks once in a run's life.
            IF v_is_live AND v_r IS NOT NULL AND r_gave_up[v_r] IS NULL AND (r_touched[v_r] OR NOT r_new[v_r]) AND (
                v_status IN ('MAX_ITERATIONS_REACHED', 'MAX_TOKENS_REACHED', 'MAX_WALL_TIME_REACHED')
                OR (v_status = 'BUDGET_EXCEEDED' AND v_failed = v_run_path)
            ) THEN
                r_gave_up[v_r] := CASE v_status WHEN 'BUDGET_EXCEEDED' THEN 'MAX_COST_REACHED' ELSE v_status END;
                r_touched[v_r] := true;
                INSERT INTO outbox_event (id, at, event_type, scope_path, payload, request_id, trace_id)
                VALUES (
                    gen_random_uuid(), v_now, 'run.' || lower(r_gave_up[v_r]), v_root || '/run:' || v_op.run,
                    jsonb_build_object('run_id', v_op.run, 'code', r_gave_up[v_r], 'numbers', v_numbers, 'fallback', v_judged -> 'fallback'),
                    coalesce(v_op.request_id, ''), coalesce(v_op.trace_id, '')
                );
            END IF;
            IF v_status IS NULL THEN
                v_status := 'OK';
                IF v_candidate -> 'max_tokens' IS NOT NULL THEN
                    v_judged := v_judged || jsonb_build_object(
                        'caps', coalesce(v_judged -> 'caps', '{}') || jsonb_build_object('max_tokens', v_candidate -> 'max_tokens')
                    );
                END IF;
                v_verdict := CASE WHEN v_judged -> 'caps' IS NULL OR v_would_deny IS NOT NULL THEN 'ALLOW' ELSE 'ALLOW_WITH_CAPS' END;
                IF v_is_live THEN
                    IF v_r IS NOT NULL THEN
                        IF r_new[v_r] AND NOT r_touched[v_r] AND v_leases IS NOT NULL THEN
                            v_leases := v_leases + 1;
                        END IF;
                        r_iterations[v_r] := r_iterations[v_r] + 1;
                        r_held[v_r] := r_held[v_r] + coalesce((v_candidate ->> 'tokens')::bigint, (v_judged ->> 'tokens')::bigint, 0);
                        r_lease[v_r] := greatest(r_lease[v_r], v_now + (v_op.ttl_ms + v_op.grace_ms) * interval '1 millisecond');
                        r_touched[v_r] := true;
                    END IF;
                    FOREACH v_c IN ARRAY v_counted LOOP
                        c_used[v_c] := c_used[v_c] + 1;
                        c_touched[v_c] := true;
                        IF c_used[v_c] = (c_quota[v_c] ->> 'threshold')::bigint THEN
                            INSERT INTO outbox_event (id, at, event_type, scope_path, payload, request_id, trace_id)
                            VALUES (
                                gen_random_uuid(), v_now, 'quota.threshold_approaching', c_quota[v_c] ->> 'scope',
                                jsonb_build_object('quota', c_quota[v_c], 'used', c_used[v_c]),
                                coalesce(v_op.request_id, ''), coalesce(v_op.trace_id, '')
                            );
                        END IF;
                    END LOOP;
                    v_expires := v_now + v_op.ttl_ms * interval '1 millisecond';
                    FOREACH i IN ARRAY v_idx LOOP
                        b_reserved[i] := b_reserved[i] + v_op.amount;
                        b_touched[i] := true;
                        v_deltas := v_deltas || ARRAY[0, v_op.amount, 0, 0, 0];
                    END LOOP;
                END IF;
            END IF;

        ELSIF v_status IS NULL AND v_op.op IN ('commit', 'event') THEN
            -- The part above the hold is paid as the overage policy says; an event is a commit of a hold of nothing.
            IF v_op.op = 'commit' AND v_op.hold_status IN ('COMMITTED', 'RELEASED') THEN
                v_status := 'RESERVATION_FINALIZED';
                v_numbers := jsonb_build_object('state', v_op.hold_status);
            ELSIF v_op.op = 'commit' AND v_op.unit <> v_op.hold_unit THEN
                v_status := 'UNIT_MISMATCH';
                v_failed := v_path;
                v_numbers := jsonb_build_object('requested_unit', v_op.unit, 'expected_units', jsonb_build_array(v_op.hold_unit));
            ELSIF v_op.op = 'commit' AND (v_op.hold_status = 'EXPIRED' OR v_now > v_op.hold_due) THEN
                v_status := 'RESERVATION_EXPIRED';
            END IF;
            v_op.hold_amount := coalesce(v_op.hold_amount, 0);
            v_op.policy := coalesce(v_op.hold_policy, v_op.policy, v_head.overage_policy);
            v_delta := greatest(v_op.amount - v_op.hold_amount, 0);
            v_room := v_delta;
            v_debts := '{}';
            IF v_status IS NULL AND v_op.policy <> 'REJECT' THEN
                -- What a scope neither has nor lends is left uncovered, on every scope alike.
                FOREACH i IN ARRAY v_idx LOOP
                    IF v_op.policy = 'ALLOW_IF_AVAILABLE' OR b_limit[i] = 0 THEN
                        v_room := least(v_room, greatest(b_allocated[i] - b_reserved[i] - b_spent[i] - b_debt[i], 0));
                    END IF;
                END LOOP;
            END IF;
            IF v_status IS NULL THEN
                FOREACH i IN ARRAY v_idx LOOP
                    v_remaining := b_allocated[i] - b_reserved[i] - b_spent[i] - b_debt[i];
                    v_short := 0;
                    IF v_op.op = 'event' AND b_status[i] = 'CLOSED' THEN
                        v_status := 'BUDGET_CLOSED';
                    ELSIF v_delta > AMOUNT_MAX - b_reserved[i] - b_spent[i] - b_debt[i] - b_uncovered[i] THEN
                        v_status := CASE v_op.policy WHEN 'ALLOW_WITH_OVERDRAFT' THEN 'OVERDRAFT_LIMIT_EXCEEDED' ELSE 'BUDGET_EXCEEDED' END;
                    ELSIF v_delta = 0 THEN
                        NULL;
                    ELSIF v_op.policy = 'REJECT' AND (v_op.op = 'commit' OR v_remaining < v_delta) THEN
                        v_status := 'BUDGET_EXCEEDED';
                    ELSIF v_op.policy = 'ALLOW_WITH_OVERDRAFT' AND b_limit[i] > 0 AND v_room > 0 AND v_remaining < v_room THEN
                        v_short := v_room;
                        IF b_debt[i] + v_short > b_limit[i] THEN
                            v_status := 'OVERDRAFT_LIMIT_EXCEEDED';
                        END IF;
                    END IF;
                    v_debts := v_debts || v_short;
                    IF v_status IS NOT NULL THEN
                        v_failed := b_path[i];
                        v_numbers := jsonb_build_object(
                            'remaining', v_remaining, 'requested', v_op.amount, 'unit', v_op.unit, 'held', v_op.hold_amount,
                            'debt', b_debt[i], 'overdraft_limit', b_limit[i], 'overage_policy', v_op.policy
                        );
                        EXIT;
                    END IF;
                END LOOP;
            END IF;
            IF v_status IS NULL THEN
                v_status := 'OK';
                v_charged := least(v_op.amount, v_op.hold_amount + v_room);
                FOR j IN 1..cardinality(v_idx) LOOP
                    i := v_idx[j];
                    IF v_room < v_delta AND (v_op.policy = 'ALLOW_IF_AVAILABLE' OR b_limit[i] = 0)
                        AND b_allocated[i] - b_reserved[i] - b_spent[i] - b_debt[i] < v_delta THEN
                        b_capped[i] := true;
                    END IF;
                    b_reserved[i] := b_reserved[i] - v_op.hold_amount;
                    b_spent[i] := b_spent[i] + v_charged - v_debts[j];
                    b_debt[i] := b_debt[i] + v_debts[j];
                    b_uncovered[i] := b_uncovered[i] + v_op.amount - v_charged;
                    b_touched[i] := true;
                    v_deltas := v_deltas || ARRAY[0, -v_op.hold_amount, v_charged - v_debts[j], v_debts[j], v_op.amount - v_charged];
                END LOOP;
            END IF;

        ELSIF v_status IS NULL AND v_op.op IN ('release', 'expire') THEN
            IF v_op.hold_status IN ('COMMITTED', 'RELEASED') THEN
                v_status := 'RESERVATION_FINALIZED';
                v_numbers := jsonb_build_object('state', v_op.hold_status);
            ELSIF v_op.hold_status = 'EXPIRED' OR (v_op.op = 'release' AND v_now > v_op.hold_due AND NOT coalesce(v_op.is_trusted, false)) THEN
                v_status := 'RESERVATION_EXPIRED';
            ELSIF v_op.op = 'expire' AND v_now <= v_op.hold_due THEN
                v_status := 'NOT_DUE';
            ELSE
                v_status := 'OK';
                v_op.amount := v_op.hold_amount;
                FOREACH i IN ARRAY v_idx LOOP
                    b_reserved[i] := b_reserved[i] - v_op.hold_amount;
                    b_touched[i] := true;
                    v_deltas := v_deltas || ARRAY[0, -v_op.hold_amount, 0, 0, 0];
                END LOOP;
            END IF;

        ELSIF v_status IS NULL AND v_op.op = 'extend' THEN
            IF v_op.hold_status IN ('COMMITTED', 'RELEASED') THEN
                v_status := 'RESERVATION_FINALIZED';
                v_numbers := jsonb_build_object('state', v_op.hold_status);
            ELSIF v_op.hold_status = 'EXPIRED' OR v_now > v_op.hold_expires THEN
                v_status := 'RESERVATION_EXPIRED';
            ELSIF v_op.hold_extensions >= v_head.extensions_max THEN
                v_status := 'MAX_EXTENSIONS_EXCEEDED';
                v_numbers := jsonb_build_object('extensions_max', v_head.extensions_max);
            ELSE
                FOREACH i IN ARRAY v_idx LOOP
                    IF b_status[i] <> 'ACTIVE' THEN
                        v_status := 'BUDGET_' || b_status[i];
                        v_failed := b_path[i];
                        EXIT;
                    END IF;
                    v_deltas := v_deltas || ARRAY[0, 0, 0, 0, 0];
                END LOOP;
                IF v_status IS NULL THEN
                    v_status := 'OK';
                    v_expires := v_op.hold_expires + v_op.extend_ms * interval '1 millisecond';
                END IF;
            END IF;
        END IF;

        -- 6. What a fresh operation leaves behind
        IF v_status = 'OK' AND NOT v_replayed THEN
            FOREACH i IN ARRAY v_idx LOOP
                CONTINUE WHEN b_new[i] AND NOT b_touched[i];
                v_ids := v_ids || b_id[i];
                v_paths := v_paths || b_path[i];
                v_balances := v_balances || ARRAY[
                    b_allocated[i], b_reserved[i], b_spent[i], b_debt[i], b_uncovered[i], b_limit[i],
                    (b_capped[i] OR b_debt[i] > b_limit[i])::int
                ];
            END LOOP;
            IF v_op.op <> 'decide' AND NOT coalesce(v_op.is_dry, false) THEN
                FOREACH i IN ARRAY v_idx LOOP
                    IF b_new[i] AND NOT coalesce(i = ANY (v_opened), false) THEN
                        v_opened := v_opened || i;
                        v_seq := v_seq + 1;
                        w_entry := NULL;
                        w_entry.seq := v_seq; w_entry.kind := 'CREATE'; w_entry.at := v_now; w_entry.unit := v_op.unit;
                        w_entry.amount := b_allocated[i]; w_entry.budget_ids := ARRAY[b_id[i]]; w_entry.deltas := ARRAY[b_allocated[i], 0, 0, 0, 0];
                        w_entry.balances := ARRAY[b_allocated[i], 0, 0, 0, 0, 0, 0]; w_entry.actor := 'run';
                        w_entry.request_id := v_op.request_id; w_entry.trace_id := v_op.trace_id;
                        w_entries := array_append(w_entries, w_entry);
                    END IF;
                END LOOP;
                v_seq := v_seq + 1;
                w_entry := NULL;
                w_entry.seq := v_seq; w_entry.kind := upper(v_op.op); w_entry.at := v_now;
                w_entry.unit := coalesce(v_op.hold_unit, v_op.unit); w_entry.amount := v_op.amount;
                w_entry.budget_ids := v_ids; w_entry.deltas := v_deltas; w_entry.balances := v_balances;
                w_entry.expires_at := v_expires; w_entry.reason := v_op.reason;
                w_entry.actor := coalesce(v_op.actor, v_op.key_id); w_entry.request_id := v_op.request_id; w_entry.trace_id := v_op.trace_id;
                IF v_is_live THEN
                    w_entry.reservation_id := v_op.id;
                ELSIF v_op.op <> 'expire' THEN
                    w_entry.endpoint := v_op.op; w_entry.target := v_op.target; w_entry.idempotency_key := v_op.idem; w_entry.payload_hash := v_op.hash;
                END IF;
                IF v_op.target IS NOT NULL THEN
                    w_entry.reservation_id := v_op.target;
                END IF;
                IF v_op.op IN ('commit', 'event') THEN
                    w_entry.charged := v_charged; w_entry.price := v_op.price;
                END IF;
                IF v_op.op = 'event' THEN
                    w_entry.event_id := v_op.id; w_entry.subject := v_op.subject; w_entry.action := v_op.action;
                    w_entry.metadata := v_op.metadata; w_entry.metrics := v_op.metrics;
                END IF;
                w_entries := array_append(w_entries, w_entry);
            END IF;
            IF v_is_live THEN
                w_hold := NULL;
                w_hold.id := v_op.id; w_hold.unit := v_op.unit; w_hold.amount := v_op.amount;
                w_hold.overage_policy := coalesce(v_op.policy, v_head.overage_policy); w_hold.budget_ids := v_ids; w_hold.scope_path := v_path;
                w_hold.run_id := v_op.run;
                w_hold.tokens := coalesce((v_candidate ->> 'tokens')::bigint, (v_judged ->> 'tokens')::bigint);
                w_hold.subject := v_op.subject; w_hold.action := v_op.action; w_hold.metadata := v_op.metadata;
                w_hold.api_key_id := v_op.key_id; w_hold.idempotency_key := v_op.idem; w_hold.expires_at := v_expires;
                w_hold.due_at := v_expires + v_op.grace_ms * interval '1 millisecond'; w_hold.grace_ms := v_op.grace_ms;
                w_holds := array_append(w_holds, w_hold);
            ELSIF v_op.target IS NOT NULL THEN
                v_r := array_position(r_id, v_op.hold_run);
                IF v_r IS NOT NULL AND v_op.op <> 'extend' THEN
                    r_held[v_r] := greatest(r_held[v_r] - coalesce(v_op.hold_tokens, 0), 0);
                    IF v_op.op = 'commit' THEN
                        r_tokens[v_r] := r_tokens[v_r] + coalesce(
                            (v_op.metrics ->> 'tokens_input')::bigint + (v_op.metrics ->> 'tokens_output')::bigint, v_op.hold_tokens, 0
                        );
                    END IF;
                    r_touched[v_r] := true;
                END IF;
                w_hold := NULL;
                w_hold.id := v_op.target;
                w_hold.status := CASE v_op.op WHEN 'commit' THEN 'COMMITTED' WHEN 'release' THEN 'RELEASED' WHEN 'expire' THEN 'EXPIRED' ELSE 'ACTIVE' END;
                w_hold.expires_at := coalesce(v_expires, v_op.hold_expires);
                w_hold.due_at := w_hold.expires_at + v_op.hold_grace_ms * interval '1 millisecond';
                w_hold.extensions := v_op.hold_extensions + (v_op.op = 'extend')::int;
                IF v_op.op IN ('commit', 'release') THEN
                    w_hold.finalized_at := v_now;
                END IF;
                IF v_op.op = 'commit' THEN
                    w_hold.actual := v_op.amount; w_hold.charged := v_charged;
                    w_hold.committed_metadata := v_op.metadata; w_hold.metrics := v_op.metrics;
                END IF;
                w_settled := array_append(w_settled, w_hold);
            END IF;
        END IF;

        -- What a person did on a tenant's behalf is in the audit trail, in the same transaction.
        IF v_op.actor_type IS NOT NULL AND v_status = 'OK' AND NOT v_replayed THEN
            INSERT INTO audit_entry (
                id, at, actor_type, actor, action, target, reason, before, after, request_id, trace_id, source_ip
            )
            VALUES (
                v_op.id, v_now, v_op.actor_type, v_op.actor, 'reservation.' || lower(w_entry.kind), v_op.target::text, coalesce(v_op.reason, ''),
                jsonb_build_object('status', v_op.hold_status), jsonb_build_object('status', w_hold.status), coalesce(v_op.request_id, ''),
                coalesce(v_op.trace_id, ''), ''
            );
        END IF;

        -- 7. The answer; decide and a dry run answer a refusal with a verdict, everything else with an error
        IF v_op.op IN ('reserve', 'decide') AND NOT v_is_live AND v_status NOT IN ('OK', 'FORBIDDEN', 'IDEMPOTENCY_MISMATCH', 'UNIT_MISMATCH') THEN
            v_verdict := 'DENY';
            v_op.decision_reason := v_status;
            v_status := 'OK';
        END IF;
        IF NOT v_replayed AND (v_status <> 'OK' OR v_verdict IS NOT NULL) AND v_op.op <> 'expire' THEN
            w_decision := NULL;
            w_decision.id := v_op.id; w_decision.at := v_now; w_decision.endpoint := coalesce(v_op.endpoint, v_op.op);
            w_decision.verdict := coalesce(v_verdict, 'DENY');
            w_decision.reason_code := CASE v_status WHEN 'OK' THEN v_op.decision_reason ELSE v_status END;
            w_decision.is_replayable := v_status = 'OK'; w_decision.idempotency_key := v_op.idem; w_decision.payload_hash := v_op.hash;
            w_decision.scope_path := v_path; w_decision.failed_scope := v_failed; w_decision.unit := v_op.unit; w_decision.amount := v_op.amount;
            w_decision.numbers := v_numbers; w_decision.api_key_id := v_op.key_id; w_decision.run_id := coalesce(v_op.run, v_op.hold_run);
            w_decision.reservation_id := CASE WHEN v_is_live AND v_status = 'OK' THEN v_op.id ELSE v_op.target END;
            w_decision.would_deny := v_would_deny;
            IF v_judged IS NOT NULL THEN
                v_judged := (v_judged - '{candidates,status,numbers}'::text[]) || jsonb_strip_nulls(jsonb_build_object(
                    'route', CASE WHEN v_verdict <> 'DENY' THEN v_candidate END, 'would_deny', v_would_deny, 'on_exhaustion',
                    CASE coalesce(v_op.decision_reason, v_status)
                        WHEN 'BUDGET_EXCEEDED' THEN v_rules -> 'on_exhaustion' -> (CASE WHEN v_failed = v_run_path THEN 'session' ELSE 'month' END)
                    END
                ));
                w_decision.admission := v_judged;
            END IF;
            w_decision.request_id := v_op.request_id; w_decision.trace_id := v_op.trace_id;
            IF v_is_live AND v_status = 'OK' THEN
                w_decision.ledger_seq := v_seq;
            ELSE
                -- An allowed reservation keeps its subject and action itself.
                w_decision.subject := v_op.subject; w_decision.action := v_op.action;
                w_decision.budget_ids := v_ids; w_decision.balances := v_balances;
            END IF;
            w_decisions := array_append(w_decisions, w_decision);
        END IF;
        v_answers := array_append(v_answers, json_build_object(
            'status', v_status, 'id', v_op.id, 'replayed', v_replayed, 'verdict', v_verdict, 'reason', v_op.decision_reason, 'scope', v_failed,
            'numbers', v_numbers, 'paths', v_paths, 'balances', v_balances, 'charged', v_charged,
            'held', CASE WHEN v_op.target IS NOT NULL THEN v_op.hold_amount END, 'unit', coalesce(v_op.hold_unit, v_op.unit),
            'expires_ms', (extract(EPOCH FROM v_expires) * 1000)::bigint,
            'left_ms', CASE
                WHEN coalesce(v_op.hold_status, 'ACTIVE') <> 'ACTIVE' THEN 0
                ELSE greatest((extract(EPOCH FROM v_expires) * 1000)::bigint - v_now_ms, 0)
            END,
            'slug', v_head.slug, 'amount', CASE WHEN v_op.op IN ('reserve', 'decide') THEN v_op.amount END, 'admission', v_judged
        ));
    END LOOP;

    -- 8. All effects at once
    IF true = ANY (b_new) THEN
        INSERT INTO budget (
            id, scope_path, depth, unit, allocated, reserved, spent, debt, uncovered, overdraft_limit, is_capped, is_low, status, period, rollover,
            anchor, period_allocation, run_id, created_at
        )
        SELECT
            b_id[n], b_path[n], 2, b_unit[n], b_allocated[n], b_reserved[n], b_spent[n], b_debt[n], b_uncovered[n], 0, b_capped[n], false, 'ACTIVE', 'ONE_OFF',
            'NONE', v_now::date, b_allocated[n], b_run[n], v_now
        FROM generate_series(1, v_known) AS n
        WHERE b_new[n] AND b_touched[n];
    END IF;
    IF true = ANY (b_touched) THEN
        UPDATE budget AS b
        SET reserved = t.reserved, spent = t.spent, debt = t.debt, uncovered = t.uncovered, is_capped = t.is_capped, is_low = t.is_low
        FROM unnest(b_id, b_reserved, b_spent, b_debt, b_uncovered, b_capped, b_low, b_touched, b_new)
            AS t (id, reserved, spent, debt, uncovered, is_capped, is_low, is_touched, is_new)
        WHERE b.id = t.id AND t.is_touched AND NOT t.is_new;
    END IF;
    IF w_holds IS NOT NULL THEN
        INSERT INTO reservation (
            id, status, unit, amount, overage_policy, budget_ids, scope_path, run_id, subject, action, metadata, api_key_id, idempotency_key,
            created_at, expires_at, due_at, grace_ms, extensions, tokens
        )
        SELECT
            h.id, 'ACTIVE', h.unit, h.amount, h.overage_policy, h.budget_ids, h.scope_path, h.run_id, h.subject, h.action, h.metadata, h.api_key_id,
            h.idempotency_key, v_now, h.expires_at, h.due_at, h.grace_ms, 0, h.tokens
        FROM unnest(w_holds) AS h;
    END IF;
    IF true = ANY (r_touched) THEN
        INSERT INTO run (run_id, started_at, lease_until, iterations, tokens, tokens_held, gave_up_code, gave_up_at)
        SELECT t.id, t.started_at, t.lease_until, t.iterations, t.tokens, t.tokens_held, t.gave_up_code, CASE WHEN t.gave_up_code IS NOT NULL THEN v_now END
        FROM unnest(r_id, r_started, r_lease, r_iterations, r_tokens, r_held, r_gave_up, r_touched)
            AS t (id, started_at, lease_until, iterations, tokens, tokens_held, gave_up_code, is_touched)
        WHERE t.is_touched
        ON CONFLICT (run_id) DO UPDATE
        SET lease_until = excluded.lease_until, iterations = excluded.iterations, tokens = excluded.tokens, tokens_held = excluded.tokens_held,
            gave_up_code = excluded.gave_up_code, gave_up_at = coalesce(run.gave_up_at, excluded.gave_up_at);
    END IF;
    IF true = ANY (c_touched) THEN
        INSERT INTO quota_counter (key, used, expires_at)
        SELECT t.key, t.used, t.expires_at
        FROM unnest(c_key, c_used, c_expires, c_touched) AS t (key, used, expires_at, is_touched)
        WHERE t.is_touched
        ON CONFLICT (key) DO UPDATE SET used = excluded.used, expires_at = excluded.expires_at;
    END IF;
    IF w_settled IS NOT NULL THEN
        UPDATE reservation AS r
        SET status = s.status, expires_at = s.expires_at, due_at = s.due_at, extensions = s.extensions, finalized_at = s.finalized_at,
            actual = s.actual, charged = s.charged, committed_metadata = s.committed_metadata, metrics = s.metrics
        FROM unnest(w_settled) AS s
        WHERE r.id = s.id;
    END IF;
    IF w_entries IS NOT NULL THEN
        INSERT INTO ledger_entry (
            seq, kind, at, endpoint, target, idempotency_key, payload_hash, reservation_id, event_id, unit, amount, charged, expires_at,
            budget_ids, deltas, balances, subject, action, metadata, metrics, price, actor, reason, request_id, trace_id
        )
        SELECT
            e.seq, e.kind, e.at, e.endpoint, e.target, e.idempotency_key, e.payload_hash, e.reservation_id, e.event_id, e.unit, e.amount, e.charged,
            e.expires_at, e.budget_ids, e.deltas, e.balances, e.subject, e.action, e.metadata, e.metrics, e.price, e.actor, e.reason, e.request_id, e.trace_id
        FROM unnest(w_entries) AS e;
        UPDATE ledger_head SET last_seq = v_seq WHERE id = 1;
    END IF;
    IF w_decisions IS NOT NULL THEN
        INSERT INTO decision (
            id, at, endpoint, verdict, reason_code, is_replayable, idempotency_key, payload_hash, scope_path, failed_scope, unit, amount, numbers,
            api_key_id, run_id, reservation_id, subject, action, ledger_seq, budget_ids, balances, request_id, trace_id, would_deny, admission
        )
        SELECT
            d.id, d.at, d.endpoint, d.verdict, d.reason_code, d.is_replayable, d.idempotency_key, d.payload_hash, d.scope_path, d.failed_scope,
            d.unit, d.amount, d.numbers, d.api_key_id, d.run_id, d.reservation_id, d.subject, d.action, d.ledger_seq, d.budget_ids, d.balances,
            d.request_id, d.trace_id, d.would_deny, d.admission
        FROM unnest(w_decisions) AS d;
    END IF;
    RETURN array_to_json(v_answers);
END
$$;

-- The enforcement engine: one batch of operations in, one array of answers out, in the same order.
--
-- Promises: a batch gives, answer by answer and entry by entry, what the same operations would give one after the other.
-- Locks:    the tenant's ledger_head row, first and alone (see README.md); nothing of another tenant is ever waited for.
-- Repeated: an operation whose idempotency key already had its effect answers what it answered then.
CREATE FUNCTION apply_operations_v1(p_operations jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_answers json[];
    v_one jsonb;
BEGIN
    -- Two operations on one key or one reservation are judged apart: the second must see what the first has written.
    IF pg_catalog.jsonb_array_length(p_operations) = 1 OR NOT operations_collide_v1(p_operations) THEN
        RETURN apply_segment_v1(p_operations);
    END IF;
    FOR v_one IN SELECT value FROM pg_catalog.jsonb_array_elements(p_operations) LOOP
        v_answers := v_answers || (apply_segment_v1(pg_catalog.jsonb_build_array(v_one)) -> 0);
    END LOOP;
    RETURN pg_catalog.array_to_json(v_answers);
END
$$;

-- Says whether a scope path lies within one of the scopes that a key is confined to. None means everywhere.
CREATE FUNCTION is_within_v1(p_scope_path text, p_scope_filter text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT cardinality(p_scope_filter) = 0 OR EXISTS (
        SELECT FROM unnest(p_scope_filter) AS allowed
        WHERE p_scope_path = allowed OR starts_with(p_scope_path, allowed || '/')
    )
$$;

-- Says what is wrong with a key for reading: UNAUTHORIZED, FORBIDDEN, or null when nothing is; and the scopes it is confined to.
-- Locks nothing. A key is judged at the time of the call, so a revoked one counts at once.
CREATE FUNCTION check_key_v1(
    p_query jsonb, p_permission text, OUT refusal text, OUT scope_filter text[], OUT slug text
)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_key api_key;
BEGIN
    SELECT h.slug INTO STRICT slug FROM ledger_head AS h WHERE h.id = 1;
    scope_filter := '{}';
    IF coalesce((p_query ->> 'is_trusted')::boolean, false) THEN
        RETURN;
    END IF;
    SELECT * INTO v_key FROM api_key AS k WHERE k.key_id = p_query ->> 'key_id';
    IF v_key.status IS DISTINCT FROM 'ACTIVE' OR v_key.expires_at <= clock_timestamp() OR NOT coalesce(
        v_key.digest = (p_query ->> 'digest')::bytea
        OR (v_key.previous_digest = (p_query ->> 'digest')::bytea AND v_key.previous_expires_at > clock_timestamp()),
        false
    ) THEN
        refusal := 'UNAUTHORIZED';
    ELSIF NOT p_permission = ANY (v_key.permissions) OR lower(p_query ->> 'tenant') <> slug THEN
        refusal := 'FORBIDDEN';
    END IF;
    scope_filter := v_key.scope_filter;
END
$$;

-- Says whether a reservation passes the filters of a list. Blank filters are absent from p_query.
CREATE FUNCTION reservation_matches_v1(p_row reservation, p_query jsonb, p_scopes text[]) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT
        (p_query ->> 'status' IS NULL OR (p_row).status = p_query ->> 'status')
        AND (p_query ->> 'from' IS NULL OR (p_row).created_at >= (p_query ->> 'from')::timestamptz)
        AND (p_query ->> 'to' IS NULL OR (p_row).created_at <= (p_query ->> 'to')::timestamptz)
        AND (p_query ->> 'expires_from' IS NULL OR (p_row).expires_at >= (p_query ->> 'expires_from')::timestamptz)
        AND (p_query ->> 'expires_to' IS NULL OR (p_row).expires_at <= (p_query ->> 'expires_to')::timestamptz)
        AND (p_query ->> 'finalized_from' IS NULL OR (p_row).finalized_at >= (p_query ->> 'finalized_from')::timestamptz)
        AND (p_query ->> 'finalized_to' IS NULL OR (p_row).finalized_at <= (p_query ->> 'finalized_to')::timestamptz)
        AND (p_query -> 'subject' IS NULL OR NOT EXISTS (
            SELECT FROM jsonb_each_text(p_query -> 'subject') AS f (level, name)
            WHERE lower((p_row).subject ->> f.level) IS DISTINCT FROM f.name
        ))
        AND is_within_v1((p_row).scope_path, p_scopes)
$$;

-- One reservation by its id, or a page of them by filter and order. Locks nothing.
--
-- Answers {status, slug, rows, walked_to}; a row more than the limit, or a place that was walked to, says that there is another page.
-- Pages go by key, never by offset: (sort key, id) after the last row of the page before. The order by time of creation has an index.
CREATE FUNCTION read_reservations_v1(p_query jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    WALK_MAX CONSTANT int := 20000;
    v_refusal text;
    v_scopes text[];
    v_slug text;
    v_rows json;
    v_id uuid := (p_query ->> 'id')::uuid;
    v_sort text := coalesce(p_query ->> 'sort_by', 'created_at_ms');
    v_is_down boolean := coalesce(p_query ->> 'sort_dir', 'desc') = 'desc';
    v_after_id uuid := (p_query ->> 'after_id')::uuid;
    v_after_text text := p_query ->> 'after_text';
    v_after_number bigint := (p_query ->> 'after_number')::bigint;
    v_limit int := (p_query ->> 'limit')::int + 1;
    v_after_time timestamptz := to_timestamp((p_query ->> 'after_number')::numeric / 1000);
    v_created_from timestamptz := coalesce((p_query ->> 'from')::timestamptz, '-infinity');
    v_created_to timestamptz := coalesce((p_query ->> 'to')::timestamptz, 'infinity');
    v_walked_to json;
    v_ids uuid[];
BEGIN
    SELECT k.refusal, k.scope_filter, k.slug INTO STRICT v_refusal, v_scopes, v_slug
    FROM check_key_v1(p_query, 'reservations:list') AS k;
    IF v_refusal IS NOT NULL THEN
        RETURN json_build_object('status', v_refusal);
    END IF;

    IF v_id IS NOT NULL THEN
        v_ids := ARRAY[v_id];
    ELSIF p_query ->> 'idempotency_key' IS NOT NULL THEN
        SELECT array_agg(d.id) INTO v_ids
        FROM decision AS d
        WHERE d.is_replayable AND d.idempotency_key = p_query ->> 'idempotency_key' AND d.endpoint = 'reserve';
        v_ids := coalesce(v_ids, '{}');
    END IF;

    -- Which rows may be on the page. No call looks at more than WALK_MAX of them, however many there are: by time of creation the page then
    -- ends early and says where to go on; other orders are among the newest WALK_MAX.
    IF v_ids IS NOT NULL THEN
        NULL;
    ELSIF p_query ->> 'status' = 'ACTIVE' THEN
        SELECT coalesce(array_agg(p.id), '{}') INTO v_ids FROM (SELECT r.id FROM reservation AS r WHERE r.status = 'ACTIVE' LIMIT WALK_MAX) AS p;
    ELSIF v_sort = 'created_at_ms' AND v_is_down THEN
        SELECT coalesce(array_agg(p.id), '{}') INTO v_ids
        FROM (
            SELECT w.id
            FROM (
                SELECT r.*
                FROM reservation AS r
                WHERE (v_after_id IS NULL OR (r.created_at, r.id) < (v_after_time, v_after_id)) AND r.created_at <= v_created_to
                ORDER BY r.created_at DESC, r.id DESC
                LIMIT WALK_MAX
            ) AS w
            WHERE reservation_matches_v1(w::reservation, p_query, v_scopes)
            ORDER BY w.created_at DESC, w.id DESC
            LIMIT v_limit
        ) AS p;
        IF cardinality(v_ids) < v_limit THEN
            SELECT json_build_array((extract(EPOCH FROM r.created_at) * 1000)::bigint, '', r.id) INTO v_walked_to
            FROM reservation AS r
            WHERE (v_after_id IS NULL OR (r.created_at, r.id) < (v_after_time, v_after_id)) AND r.created_at <= v_created_to
            ORDER BY r.created_at DESC, r.id DESC
            OFFSET WALK_MAX - 1 LIMIT 1;
        END IF;
    ELSIF v_sort = 'created_at_ms' THEN
        SELECT coalesce(array_agg(p.id), '{}') INTO v_ids
        FROM (
            SELECT w.id
            FROM (
                SELECT r.*
                FROM reservation AS r
                WHERE (v_after_id IS NULL OR (r.created_at, r.id) > (v_after_time, v_after_id)) AND r.created_at >= v_created_from
                ORDER BY r.created_at, r.id
                LIMIT WALK_MAX
            ) AS w
            WHERE reservation_matches_v1(w::reservation, p_query, v_scopes)
            ORDER BY w.created_at, w.id
            LIMIT v_limit
        ) AS p;
        IF cardinality(v_ids) < v_limit THEN
            SELECT json_build_array((extract(EPOCH FROM r.created_at) * 1000)::bigint, '', r.id) INTO v_walked_to
            FROM reservation AS r
            WHERE (v_after_id IS NULL OR (r.created_at, r.id) > (v_after_time, v_after_id)) AND r.created_at >= v_created_from
            ORDER BY r.created_at, r.id
            OFFSET WALK_MAX - 1 LIMIT 1;
        END IF;
    ELSE
        SELECT coalesce(array_agg(p.id), '{}') INTO v_ids
        FROM (
            SELECT r.id
            FROM reservation AS r
            WHERE r.created_at BETWEEN v_created_from AND v_created_to
            ORDER BY r.created_at DESC, r.id DESC
            LIMIT WALK_MAX
        ) AS p;
    END IF;

    WITH found AS (
        SELECT r.*,
            CASE v_sort
                WHEN 'reservation_id' THEN r.id::text WHEN 'scope_path' THEN r.scope_path WHEN 'status' THEN r.status ELSE ''
            END COLLATE "C" AS sort_text,
            CASE v_sort
                WHEN 'reserved' THEN r.amount
                WHEN 'created_at_ms' THEN (extract(EPOCH FROM r.created_at) * 1000)::bigint
                WHEN 'expires_at_ms' THEN (extract(EPOCH FROM r.expires_at) * 1000)::bigint
                ELSE 0
            END AS sort_number
        FROM reservation AS r
        WHERE r.id = ANY (v_ids) AND reservation_matches_v1(r, p_query, v_scopes)
    ),
    page AS (
        SELECT *
        FROM found
        WHERE v_after_id IS NULL
            OR (v_is_down AND (sort_number, sort_text, id) < (v_after_number, v_after_text COLLATE "C", v_after_id))
            OR (NOT v_is_down AND (sort_number, sort_text, id) > (v_after_number, v_after_text COLLATE "C", v_after_id))
        ORDER BY
            CASE WHEN v_is_down THEN sort_number END DESC, CASE WHEN v_is_down THEN sort_text END DESC, CASE WHEN v_is_down THEN id END DESC,
            sort_number, sort_text, id
        LIMIT v_limit
    )
    SELECT json_agg(json_build_object(
        'id', p.id, 'status', p.status, 'idempotency_key', p.idempotency_key, 'subject', p.subject, 'action', p.action,
        'unit', p.unit, 'amount', p.amount, 'charged', p.charged, 'scope_path', p.scope_path,
        'run_path', (SELECT b.scope_path FROM budget AS b WHERE b.id = p.budget_ids[cardinality(p.budget_ids)] AND b.run_id IS NOT NULL),
        'created_ms', (extract(EPOCH FROM p.created_at) * 1000)::bigint,
        'expires_ms', (extract(EPOCH FROM p.expires_at) * 1000)::bigint,
        'finalized_ms', (extract(EPOCH FROM p.finalized_at) * 1000)::bigint,
        'metadata', p.metadata, 'committed_metadata', p.committed_metadata, 'sort_text', p.sort_text, 'sort_number', p.sort_number
    ))
    INTO v_rows
    FROM page AS p;
    RETURN json_build_object('status', 'OK', 'slug', v_slug, 'rows', coalesce(v_rows, '[]'), 'walked_to', v_walked_to);
END
$$;

-- The balances of the scopes that a filter names, and of those below them if asked for, a page at a time in order of path and unit.
-- A scope matches when it holds every segment of the filter, wherever gaps are; without children its last segment is the filter's last.
-- Budgets of runs are left out: there may be millions, and each answer of a run's operations carries its own.
--
-- Locks nothing, except that the page's stale periods are opened first (under the ledger head), so that nobody is shown yesterday's balance;
-- at most PERIODS_MAX of them a call, so that a budget that slept for years cannot make the call fail for ever.
-- Answers {status, slug, rows}; a row is [scope path, unit, the seven numbers of ledger_entry.balances].
CREATE FUNCTION read_balances_v1(p_query jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    PERIODS_MAX CONSTANT int := 1000;
    v_refusal text;
    v_scopes text[];
    v_slug text;
    v_segments text[] := ARRAY(SELECT jsonb_array_elements_text(p_query -> 'segments'));
    v_leaf text := v_segments[cardinality(v_segments)];
    v_has_children boolean := coalesce((p_query ->> 'include_children')::boolean, false);
    v_ids uuid[];
    v_due uuid[];
    v_rows json;
BEGIN
    SELECT k.refusal, k.scope_filter, k.slug INTO STRICT v_refusal, v_scopes, v_slug
    FROM check_key_v1(p_query, 'balances:read') AS k;
    IF v_refusal IS NOT NULL THEN
        RETURN json_build_object('status', v_refusal);
    END IF;
    v_leaf := '/' || coalesce(v_leaf, 'tenant:' || v_slug);

    SELECT array_agg(p.id), array_agg(p.id) FILTER (WHERE p.period_ends_at <= clock_timestamp() AND p.status <> 'CLOSED')
    INTO v_ids, v_due
    FROM (
        SELECT b.*
        FROM budget AS b
        WHERE b.run_id IS NULL
            AND string_to_array(b.scope_path, '/') @> v_segments
            AND (v_has_children OR right('/' || b.scope_path, length(v_leaf)) = v_leaf)
            AND is_within_v1(b.scope_path, v_scopes)
            AND (
                p_query ->> 'after_path' IS NULL
                OR (b.scope_path COLLATE "C", b.unit COLLATE "C") > ((p_query ->> 'after_path') COLLATE "C", (p_query ->> 'after_unit') COLLATE "C")
            )
        ORDER BY b.scope_path COLLATE "C", b.unit COLLATE "C"
        LIMIT (p_query ->> 'limit')::int + 1
    ) AS p;
    IF v_due IS NOT NULL THEN
        PERFORM roll_periods_v1(v_due, date_trunc('milliseconds', clock_timestamp()), PERIODS_MAX);
    END IF;

    SELECT json_agg(
        json_build_array(
            b.scope_path, b.unit, b.allocated, b.reserved, b.spent, b.debt, b.uncovered, b.overdraft_limit,
            (b.is_capped OR b.debt > b.overdraft_limit)::int
        )
        ORDER BY b.scope_path COLLATE "C", b.unit COLLATE "C"
    )
    INTO v_rows
    FROM budget AS b
    WHERE b.id = ANY (v_ids);
    RETURN json_build_object('status', 'OK', 'slug', v_slug, 'rows', coalesce(v_rows, '[]'));
END
$$;

-- The one door to a tenant's books: names the function to call, and hands its answer through.
--
-- It finds its own schema by its own oid, so that it can be called by its qualified name on any connection, has no SET clause that would outlive
-- a rename of the schema, and keeps one set of plans for each tenant. The setting lasts until the end of the transaction.
CREATE FUNCTION door_v1(p_call text, p_payload jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_self oid;
BEGIN
    GET DIAGNOSTICS v_self = PG_ROUTINE_OID;
    PERFORM pg_catalog.set_config(
        'search_path',
        (
            SELECT pg_catalog.quote_ident(n.nspname) || ', pg_temp'
            FROM pg_catalog.pg_proc AS p
            JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
            WHERE p.oid = v_self
        ),
        true
    );
    CASE p_call
        WHEN 'apply' THEN RETURN apply_operations_v1(p_payload);
        WHEN 'reservations' THEN RETURN read_reservations_v1(p_payload);
        WHEN 'balances' THEN RETURN read_balances_v1(p_payload);
        WHEN 'hold' THEN RETURN read_hold_v1(p_payload);
        WHEN 'tools' THEN RETURN read_tools_v1(p_payload);
        WHEN 'key' THEN RETURN (SELECT json_build_object('status', coalesce(k.refusal, 'OK')) FROM check_key_v1(p_payload, NULL) AS k);
    END CASE;
END
$$;

-- Ledger entries as rows, one for each budget that an entry touched: for reading and for proofs, not for the hot path.
CREATE VIEW ledger_posting AS
SELECT
    e.seq, e.kind, e.at, e.reservation_id, e.unit, b.budget_id,
    e.deltas[5 * n - 4] AS allocated_delta,
    e.deltas[5 * n - 3] AS reserved_delta,
    e.deltas[5 * n - 2] AS spent_delta,
    e.deltas[5 * n - 1] AS debt_delta,
    e.deltas[5 * n] AS uncovered_delta,
    e.balances[7 * n - 6] AS allocated,
    e.balances[7 * n - 5] AS reserved,
    e.balances[7 * n - 4] AS spent,
    e.balances[7 * n - 3] AS debt,
    e.balances[7 * n - 2] AS uncovered,
    e.balances[7 * n - 1] AS overdraft_limit,
    e.balances[7 * n] = 1 AS is_over_limit
FROM ledger_entry AS e
CROSS JOIN LATERAL unnest(e.budget_ids) WITH ORDINALITY AS b (budget_id, n)
;
ALTER TABLE ledger_head SET (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
ALTER TABLE budget SET (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
ALTER TABLE reservation SET (fillfactor = 70);
GRANT SELECT, INSERT ON ledger_entry, decision TO watermaster_app;
GRANT SELECT ON ledger_posting TO watermaster_app;
GRANT SELECT, INSERT, UPDATE ON ledger_head TO watermaster_app;
GRANT SELECT, INSERT, UPDATE ON budget, reservation TO watermaster_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON run_template TO watermaster_app;
CREATE INDEX "ledger_entry_begins_anew" ON "ledger_entry" ((((budget_ids[1]))), "seq") WHERE "kind" IN ('ROLLOVER', 'RESET', 'RESET_SPENT');
CREATE TABLE "policy_version" ("kind" text NOT NULL, "version" bigint NOT NULL, "document" jsonb NOT NULL, "reason" text NOT NULL, "actor" text NOT NULL, "created_at" timestamp with time zone NOT NULL, PRIMARY KEY ("kind", "version"));
CREATE TABLE "quota_counter" ("key" text NOT NULL PRIMARY KEY, "used" bigint NOT NULL, "expires_at" timestamp with time zone NOT NULL);
CREATE TABLE "router_model" ("version" bigint NOT NULL PRIMARY KEY, "trained_at" timestamp with time zone NOT NULL, "examples" bigint NOT NULL, "accuracy_ppm" bigint NOT NULL, "content" bytea NOT NULL, "actor" text NOT NULL);
ALTER TABLE "budget" ADD COLUMN "is_low" boolean DEFAULT false NOT NULL;
ALTER TABLE "budget" ALTER COLUMN "is_low" DROP DEFAULT;
ALTER TABLE "decision" ADD COLUMN "admission" jsonb NULL;
ALTER TABLE "decision" ADD COLUMN "would_deny" text NULL;
ALTER TABLE "ledger_entry" ADD COLUMN "price" jsonb NULL;
ALTER TABLE "reservation" ADD COLUMN "tokens" bigint NULL;
CREATE TABLE "kill_switch" ("id" uuid NOT NULL PRIMARY KEY, "level" text NOT NULL, "name" text NOT NULL, "mode" text NOT NULL, "reason" text NOT NULL, "actor" text NOT NULL, "thrown_at" timestamp with time zone NOT NULL, "ends_at" timestamp with time zone NULL, "lifted_at" timestamp with time zone NULL, "lifted_by" text NOT NULL);
CREATE TABLE "router_label" ("decision_id" uuid NOT NULL PRIMARY KEY, "at" timestamp with time zone NOT NULL, "chosen" text NOT NULL, "needed" text NOT NULL, "actor" text NOT NULL);
CREATE TABLE "ruleset" ("id" smallint NOT NULL PRIMARY KEY, "version" bigint NOT NULL, "document" jsonb NOT NULL, "compiled_at" timestamp with time zone NOT NULL, CONSTRAINT "one_ruleset" CHECK ("id" = 1));
CREATE TABLE "run" ("run_id" text NOT NULL PRIMARY KEY, "started_at" timestamp with time zone NOT NULL, "lease_until" timestamp with time zone NOT NULL, "iterations" bigint NOT NULL, "tokens" bigint NOT NULL, "tokens_held" bigint NOT NULL, "gave_up_code" text NULL, "gave_up_at" timestamp with time zone NULL);
CREATE TABLE "subscription" ("id" smallint NOT NULL PRIMARY KEY, "plan_code" text NOT NULL, "plan_version" integer NOT NULL, "since" timestamp with time zone NOT NULL, "next_plan_code" text NULL, "next_plan_version" integer NULL, "next_at" timestamp with time zone NULL, CONSTRAINT "one_subscription" CHECK ("id" = 1), CONSTRAINT "next_plan_has_a_date" CHECK ((("next_at" IS NULL AND "next_plan_code" IS NULL AND "next_plan_version" IS NULL) OR ("next_at" IS NOT NULL AND "next_plan_code" IS NOT NULL AND "next_plan_version" IS NOT NULL))));
DROP FUNCTION roll_periods_v1;
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

DROP FUNCTION apply_segment_v1;
-- Judges operations that share no idempotency key and no reservation, in order, and writes all their effects at once.
--
-- Promises: every operation sees the balances that the ones before it left. An operation either has its whole effect on all its scopes or
--           none; refusals are answers, not exceptions, and are kept as decisions.
-- Locks:    ledger_head first (every writing path takes it first, so nothing here can deadlock and the idempotency check cannot race).
-- Clock:    clock_timestamp(), read after the lock: a commit that waited past its expiry is late.
-- Repeated: answers from the entry or decision that the first one wrote; only the remaining time is reckoned anew.
--
-- Balances are kept in parallel arrays while the batch is judged (a budget is updated once a batch, however many operations touch it).
-- Entries carry flat arrays, one stride a budget:
--   deltas   5 numbers: allocated, reserved, spent, debt, uncovered
--   balances 7 numbers after the entry: the same five, overdraft_limit, is_over_limit (0 or 1)
CREATE FUNCTION apply_segment_v1(p_operations jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    AMOUNT_MAX CONSTANT bigint := 9223372036854775807;
    v_head ledger_head;
    v_root text;
    v_now timestamptz;
    v_now_ms bigint;
    v_seq bigint;
    v_due uuid[];
    v_keyed int[];
    v_templates jsonb;

    -- the budgets in play, root first within a path
    b_id uuid[]; b_path text[]; b_unit text[]; b_status text[]; b_run text[];
    b_allocated bigint[]; b_reserved bigint[]; b_spent bigint[]; b_debt bigint[]; b_uncovered bigint[]; b_limit bigint[];
    b_capped boolean[]; b_touched boolean[]; b_new boolean[];
    b_low boolean[]; b_starts timestamptz[]; b_ends timestamptz[];
    v_known int;
    v_by_path jsonb;
    v_by_id jsonb;

    -- the tenant's rules, its stops, its runs and its counters; absent rules cost nothing
    v_rules jsonb;
    v_switches jsonb;
    r_id text[]; r_started timestamptz[]; r_lease timestamptz[]; r_iterations bigint[]; r_tokens bigint[]; r_held bigint[];
    r_gave_up text[]; r_touched boolean[]; r_new boolean[];
    v_r int;
    c_key text[]; c_quota jsonb[]; c_used bigint[]; c_expires timestamptz[]; c_touched boolean[];
    v_leases bigint;
    v_is_first_of_run boolean;
    v_judged jsonb;
    v_candidate jsonb;
    v_candidates jsonb;
    v_would_deny text;
    v_left_ppm bigint;
    v_is_low boolean;
    v_quota record;
    v_counted int[];
    v_c int;
    v_k int;

    -- the operation in hand
    v_op record;
    v_status text;
    v_verdict text;
    v_failed text;
    v_numbers jsonb;
    v_answer json;
    v_idx int[];
    v_ids uuid[];
    v_budget_id uuid;
    v_paths text[];
    v_path text;
    v_run_path text;
    v_template jsonb;
    v_permission text;
    v_is_live boolean;
    v_replayed boolean;
    i int;
    v_remaining bigint;
    v_room bigint;
    v_delta bigint;
    v_charged bigint;
    v_short bigint;
    v_expires timestamptz;
    v_debts bigint[];
    v_opened int[];
    v_deltas bigint[];
    v_balances bigint[];

    -- what will be written
    w_entry ledger_entry; w_entries ledger_entry[];
    w_decision decision; w_decisions decision[];
    w_hold reservation; w_holds reservation[];
    w_settled reservation[];
    v_answers json[];
BEGIN
    -- Who shows no good key gets no lock, no opened period and no line in the books.
    SELECT array_agg(coalesce(o.n, 0)) INTO v_keyed
    FROM jsonb_to_recordset(p_operations) AS o (n int, key_id text, digest bytea, is_trusted boolean)
    LEFT JOIN api_key AS k ON k.key_id = o.key_id
    WHERE o.is_trusted
        OR (k.status = 'ACTIVE' AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp()) AND o.digest IN (k.digest, k.previous_digest));
    IF v_keyed IS NULL THEN
        SELECT array_to_json(array_agg(json_build_object('status', 'UNAUTHORIZED', 'id', o.id, 'replayed', false, 'slug', '') ORDER BY o.n))
        INTO v_answer
        FROM jsonb_to_recordset(p_operations) AS o (n int, id uuid);
        RETURN v_answer;
    END IF;
    SELECT * INTO STRICT v_head FROM ledger_head WHERE id = 1 FOR UPDATE;
    v_now := date_trunc('milliseconds', clock_timestamp());
    v_now_ms := (extract(EPOCH FROM v_now) * 1000)::bigint;
    v_root := 'tenant:' || v_head.slug;
    v_seq := v_head.last_seq;

    -- Budgets of the paths asked for and of the reservations to be settled; stale periods are opened first, so that no worker is waited for.
    LOOP
        SELECT array_agg(b.id), array_agg(b.scope_path), array_agg(b.unit), array_agg(b.status), array_agg(b.run_id), array_agg(b.allocated),
            array_agg(b.reserved), array_agg(b.spent), array_agg(b.debt), array_agg(b.uncovered), array_agg(b.overdraft_limit),
            array_agg(b.is_capped), array_agg(b.is_low), array_agg(b.period_starts_at), array_agg(b.period_ends_at), array_agg(false), array_agg(false),
            array_agg(b.id) FILTER (WHERE b.period_ends_at <= v_now AND b.status <> 'CLOSED')
        INTO b_id, b_path, b_unit, b_status, b_run, b_allocated, b_reserved, b_spent, b_debt, b_uncovered, b_limit, b_capped, b_low, b_starts, b_ends,
            b_touched, b_new, v_due
        FROM (
            SELECT budget.id
            FROM jsonb_to_recordset(p_operations) AS o (n int, suffixes text[], run text)
            CROSS JOIN LATERAL unnest(o.suffixes || ('/run:' || o.run)) AS suffix
            JOIN budget ON budget.scope_path = v_root || suffix
            WHERE coalesce(o.n, 0) = ANY (v_keyed)
            UNION
            SELECT held.id
            FROM jsonb_to_recordset(p_operations) AS o (n int, target uuid)
            JOIN reservation AS r ON r.id = o.target
            CROSS JOIN LATERAL unnest(r.budget_ids) AS held (id)
            WHERE coalesce(o.n, 0) = ANY (v_keyed)
        ) AS wanted
        JOIN budget AS b ON b.id = wanted.id;
        EXIT WHEN v_due IS NULL;
        PERFORM roll_periods_v1(v_due, v_now);
        SELECT last_seq INTO STRICT v_seq FROM ledger_head WHERE id = 1;
    END LOOP;
    v_known := coalesce(cardinality(b_id), 0);
    SELECT coalesce(jsonb_object_agg(b_path[n] || '|' || b_unit[n], n), '{}'), coalesce(jsonb_object_agg(b_id[n]::text, n), '{}')
    INTO v_by_path, v_by_id
    FROM generate_series(1, v_known) AS n;
    IF p_operations @? '$[*].run' THEN
        SELECT coalesce(jsonb_object_agg(t.name, to_jsonb(t)), '{}') || coalesce(jsonb_object_agg('', to_jsonb(t)) FILTER (WHERE t.is_default), '{}')
        INTO v_templates
        FROM run_template AS t;
    END IF;

    SELECT r.document INTO v_rules FROM ruleset AS r WHERE r.id = 1;
    SELECT jsonb_agg(jsonb_build_object('level', k.level, 'name', k.name, 'mode', k.mode, 'reason', k.reason, 'since', k.thrown_at))
    INTO v_switches
    FROM (
        SELECT level, name, mode, reason, thrown_at FROM kill_switch WHERE lifted_at IS NULL AND (ends_at IS NULL OR ends_at > v_now)
        UNION ALL
        SELECT level, name, mode, reason, thrown_at FROM public.platform_switch WHERE lifted_at IS NULL AND (ends_at IS NULL OR ends_at > v_now)
    ) AS k;
    SELECT array_agg(r.run_id), array_agg(r.started_at), array_agg(r.lease_until), array_agg(r.iterations), array_agg(r.tokens),
        array_agg(r.tokens_held), array_agg(r.gave_up_code), array_agg(false), array_agg(false)
    INTO r_id, r_started, r_lease, r_iterations, r_tokens, r_held, r_gave_up, r_touched, r_new
    FROM (
        SELECT o.run AS run_id FROM jsonb_to_recordset(p_operations) AS o (run text) WHERE o.run IS NOT NULL
        UNION
        SELECT h.run_id
        FROM jsonb_to_recordset(p_operations) AS o (target uuid)
        JOIN reservation AS h ON h.id = o.target
        WHERE h.run_id IS NOT NULL
    ) AS wanted
    JOIN run AS r ON r.run_id = wanted.run_id;

    FOR v_op IN
        SELECT o.*,
            k.permissions, k.scope_filter,
            k.status = 'ACTIVE' AND (k.expires_at IS NULL OR k.expires_at > v_now)
            AND (k.digest = o.digest OR (k.previous_digest = o.digest AND k.previous_expires_at > v_now)) AS is_key_good,
            d.id AS decision_id, d.payload_hash AS decision_hash, d.verdict AS decision_verdict, d.reason_code AS decision_reason,
            d.failed_scope AS decision_failed, d.numbers AS decision_numbers, d.ledger_seq AS decision_seq, d.budget_ids AS decision_budgets,
            d.balances AS decision_balances, d.admission AS decision_admission, d.amount AS decision_amount,
            e.seq AS entry_seq, e.payload_hash AS entry_hash, e.amount AS entry_amount, e.charged AS entry_charged, e.deltas AS entry_deltas,
            e.expires_at AS entry_expires, e.budget_ids AS entry_budgets, e.balances AS entry_balances, e.event_id AS entry_event,
            r.id AS hold_id, r.status AS hold_status, r.unit AS hold_unit, r.amount AS hold_amount, r.overage_policy AS hold_policy,
            r.budget_ids AS hold_budgets, r.scope_path AS hold_path, r.run_id AS hold_run, r.expires_at AS hold_expires, r.due_at AS hold_due,
            r.grace_ms AS hold_grace_ms, r.extensions AS hold_extensions, r.tokens AS hold_tokens
        FROM jsonb_to_recordset(p_operations) AS o (
            n int, op text, id uuid, key_id text, digest bytea, is_trusted boolean, actor text, actor_type text, idem text, hash bytea, tenant text, suffixes text[],
            run text, template text, unit text, amount bigint, ttl_ms bigint, grace_ms int, policy text, is_dry boolean, subject jsonb,
            action jsonb, metadata jsonb, metrics jsonb, target uuid, extend_ms bigint, reason text, request_id text, trace_id text,
            endpoint text, facts jsonb, priority text, price jsonb
        )
        LEFT JOIN api_key AS k ON k.key_id = o.key_id
        LEFT JOIN decision AS d
            ON o.op IN ('reserve', 'decide') AND d.is_replayable AND d.idempotency_key = o.idem AND d.endpoint = coalesce(o.endpoint, o.op)
        LEFT JOIN ledger_entry AS e
            ON o.op NOT IN ('reserve', 'decide') AND e.idempotency_key = o.idem AND e.endpoint = o.op
            AND (e.target = o.target OR (e.target IS NULL AND o.target IS NULL))
        LEFT JOIN reservation AS r ON r.id = o.target
        ORDER BY o.n
    LOOP
        v_status := NULL; v_verdict := NULL; v_failed := NULL; v_numbers := NULL; v_answer := NULL; v_replayed := false; v_charged := NULL;
        v_judged := NULL; v_candidate := NULL; v_candidates := NULL; v_would_deny := NULL; v_r := NULL; v_counted := '{}'; v_run_path := NULL;
        v_idx := '{}'; v_ids := '{}'; v_paths := '{}'; v_deltas := '{}'; v_balances := '{}'; v_expires := NULL;
        v_is_live := v_op.op = 'reserve' AND NOT coalesce(v_op.is_dry, false);
        v_path := v_root || coalesce(v_op.suffixes[cardinality(v_op.suffixes)], '');

        -- 1. Who asks, and may they
        IF NOT coalesce(v_op.is_trusted, false) THEN
            v_permission := CASE v_op.op
                WHEN 'reserve' THEN 'reservations:create'
                WHEN 'decide' THEN 'reservations:create'
                WHEN 'event' THEN 'reservations:create'
                ELSE 'reservations:' || v_op.op
            END;
            IF v_op.is_key_good IS NOT TRUE THEN
                v_answers := array_append(
                    v_answers, json_build_object('status', 'UNAUTHORIZED', 'id', v_op.id, 'replayed', false, 'slug', '')
                );
                CONTINUE;
            ELSIF NOT v_permission = ANY (v_op.permissions) THEN
                v_status := 'FORBIDDEN';
                v_numbers := jsonb_build_object('reason', 'PERMISSION_MISSING', 'permission', v_permission);
            ELSIF v_op.tenant IS NOT NULL AND lower(v_op.tenant) <> v_head.slug THEN
                v_status := 'FORBIDDEN';
                v_numbers := jsonb_build_object('reason', 'TENANT_MISMATCH');
            ELSIF v_op.target IS NOT NULL AND v_op.hold_id IS NULL THEN
                v_status := 'NOT_FOUND';
                v_numbers := jsonb_build_object('reason', 'RESERVATION_NOT_FOUND');
            ELSIF cardinality(v_op.scope_filter) > 0 AND NOT EXISTS (
                SELECT FROM unnest(v_op.scope_filter) AS allowed
                WHERE coalesce(v_op.hold_path, v_path) = allowed OR starts_with(coalesce(v_op.hold_path, v_path), allowed || '/')
            ) THEN
                v_status := 'FORBIDDEN';
                v_numbers := jsonb_build_object('reason', 'SCOPE_FILTERED');
            END IF;
        ELSIF v_op.hold_id IS NULL AND v_op.target IS NOT NULL THEN
            v_status := 'NOT_FOUND';
            v_numbers := jsonb_build_object('reason', 'RESERVATION_NOT_FOUND');
        END IF;

        -- 2. Has it happened already
        IF v_status IS NULL AND v_op.decision_id IS NOT NULL THEN
            v_replayed := true;
            IF v_op.decision_hash <> v_op.hash THEN
                v_status := 'IDEMPOTENCY_MISMATCH';
            ELSE
                v_status := 'OK';
                v_op.id := v_op.decision_id;
                v_verdict := v_op.decision_verdict;
                v_failed := v_op.decision_failed;
                v_numbers := v_op.decision_numbers;
                v_ids := v_op.decision_budgets;
                v_balances := v_op.decision_balances;
                v_judged := v_op.decision_admission;
                v_op.amount := v_op.decision_amount;
                IF v_op.decision_seq IS NOT NULL THEN
                    SELECT e.budget_ids, e.balances, e.expires_at INTO STRICT v_ids, v_balances, v_expires
                    FROM ledger_entry AS e
                    WHERE e.seq = v_op.decision_seq;
                    SELECT r.status INTO v_op.hold_status FROM reservation AS r WHERE r.id = v_op.decision_id;
                END IF;
            END IF;
        ELSIF v_status IS NULL AND v_op.entry_seq IS NOT NULL THEN
            v_replayed := true;
            IF v_op.entry_hash <> v_op.hash THEN
                v_status := 'IDEMPOTENCY_MISMATCH';
            ELSE
                v_status := 'OK';
                v_op.id := coalesce(v_op.entry_event, v_op.id);
                v_charged := v_op.entry_charged;
                v_expires := v_op.entry_expires;
                v_ids := v_op.entry_budgets;
                v_balances := v_op.entry_balances;
            END IF;
        END IF;
        IF v_replayed AND v_status = 'OK' THEN
            SELECT coalesce(array_agg(b.scope_path ORDER BY u.n), '{}') INTO v_paths
            FROM unnest(v_ids) WITH ORDINALITY AS u (id, n)
            JOIN budget AS b ON b.id = u.id;
        END IF;

        -- 3. Is the tenant in business. What was really spent is still booked for a suspended tenant: refusing would lose it.
        IF v_status IS NULL THEN
            IF v_head.status = 'CLOSED' AND v_op.op <> 'expire' THEN
                v_status := 'TENANT_CLOSED';
            ELSIF v_head.status = 'SUSPENDED' AND v_op.op IN ('reserve', 'decide', 'extend') THEN
                v_status := 'TENANT_SUSPENDED';
            END IF;
        END IF;

        -- 4. Which budgets it touches
        IF v_status IS NULL AND v_op.op IN ('reserve', 'decide', 'event') THEN
            FOREACH v_path IN ARRAY v_op.suffixes LOOP
                i := (v_by_path ->> (v_root || v_path || '|' || v_op.unit))::int;
                IF i IS NOT NULL THEN
                    v_idx := v_idx || i;
                END IF;
            END LOOP;
            v_path := v_root || v_path;
            IF v_op.run IS NOT NULL THEN
                v_run_path := v_root || '/run:' || v_op.run;
                i := (v_by_path ->> (v_run_path || '|' || v_op.unit))::int;
                IF i IS NULL OR (b_new[i] AND NOT b_touched[i]) THEN
                    -- A run's budget is opened by the first reservation or event of the run that is let through; until then it is
                    -- only imagined.
                    v_template := coalesce(v_templates -> v_op.template, v_templates -> '');
                    IF v_template ->> 'unit' = v_op.unit AND cardinality(v_idx) > 0 THEN
                        IF i IS NULL THEN
                            v_known := v_known + 1;
                            i := v_known;
                            v_by_path := v_by_path || jsonb_build_object(v_run_path || '|' || v_op.unit, i);
                        END IF;
                        b_id[i] := gen_random_uuid(); b_path[i] := v_run_path; b_unit[i] := v_op.unit; b_status[i] := 'ACTIVE';
                        b_run[i] := v_op.run; b_allocated[i] := (v_template ->> 'amount')::bigint; b_reserved[i] := 0; b_spent[i] := 0;
                        b_debt[i] := 0; b_uncovered[i] := 0; b_limit[i] := 0; b_capped[i] := false; b_low[i] := false; b_touched[i] := false; b_new[i] := true;
                    ELSE
                        i := NULL;
                    END IF;
                END IF;
                IF i IS NOT NULL THEN
                    v_idx := v_idx || i;
                END IF;
            END IF;
            -- 4. to 7. The rules: who is stopped, what the run may still do, which tools and models, and how much of what a day
            IF v_op.op <> 'event' AND (v_rules IS NOT NULL OR v_switches IS NOT NULL) THEN
                IF v_op.run IS NOT NULL THEN
                    v_r := array_position(r_id, v_op.run);
                    IF v_r IS NULL THEN
                        v_r := coalesce(cardinality(r_id), 0) + 1;
                        r_id[v_r] := v_op.run;
                        -- A run may have begun before its first call came here, never after.
                        r_started[v_r] := least(
                            v_now, to_timestamp(((v_op.facts -> 'run' ->> 'started_at_ms')::bigint / 1000.0)::double precision)
                        ); r_lease[v_r] := v_now; r_iterations[v_r] := 0; r_tokens[v_r] := 0;
                        r_held[v_r] := 0; r_gave_up[v_r] := NULL; r_touched[v_r] := false; r_new[v_r] := true;
                    END IF;
                END IF;
                v_is_first_of_run := v_r IS NOT NULL AND r_new[v_r] AND NOT r_touched[v_r];
                SELECT array_agg(v_root || suffix ORDER BY n) INTO v_paths FROM unnest(v_op.suffixes) WITH ORDINALITY AS u (suffix, n);
                v_left_ppm := NULL;
                v_is_low := false;
                IF v_rules -> 'low_water' IS NOT NULL THEN
                    FOREACH i IN ARRAY v_idx LOOP
                        CONTINUE WHEN b_run[i] IS NOT NULL OR b_allocated[i] = 0;
                        v_left_ppm := least(
                            v_left_ppm, floor((b_allocated[i]::numeric - b_spent[i] - b_reserved[i]) * 1000000 / b_allocated[i])::bigint
                        );
                        IF public.is_low_v1(
                            b_low[i], b_allocated[i], b_spent[i]::numeric + b_reserved[i], v_rules -> 'low_water', b_starts[i], b_ends[i], v_now
                        ) = b_low[i] THEN
                            v_is_low := v_is_low OR b_low[i];
                            CONTINUE;
                        END IF;
                        v_is_low := v_is_low OR NOT b_low[i];
                        IF v_is_live THEN
                            b_low[i] := NOT b_low[i];
                            b_touched[i] := true;
                            INSERT INTO outbox_event (id, at, event_type, scope_path, payload, request_id, trace_id)
                            VALUES (
                                gen_random_uuid(), v_now, CASE WHEN b_low[i] THEN 'budget.low_water_entered' ELSE 'budget.low_water_left' END,
                                b_path[i], jsonb_build_object('left_ppm', v_left_ppm), coalesce(v_op.request_id, ''), coalesce(v_op.trace_id, '')
                            );
                        END IF;
                    END LOOP;
                END IF;
                v_judged := public.judge_rules_v1(
                    v_rules, v_switches,
                    jsonb_build_object(
                        'kind', v_op.action ->> 'kind', 'name', v_op.action ->> 'name', 'levels', v_op.subject, 'paths', to_jsonb(v_paths),
                        'key_id', v_op.key_id, 'amount', v_op.amount, 'policy', v_op.policy, 'request', v_op.facts, 'priority', v_op.priority
                    ),
                    CASE WHEN v_r IS NOT NULL THEN jsonb_build_object(
                        'iterations', r_iterations[v_r], 'tokens', r_tokens[v_r], 'tokens_held', r_held[v_r],
                        'seconds', extract(EPOCH FROM v_now - r_started[v_r])
                    ) END,
                    v_is_low, v_left_ppm
                );
                v_status := v_judged ->> 'status';
                v_numbers := v_judged -> 'numbers';
                v_candidates := v_judged -> 'candidates';

                -- 6. Counted quotas, of actions and of runs
                IF v_status IS NULL AND v_rules IS NOT NULL THEN
                    FOR v_quota IN SELECT * FROM public.quotas_of_v1(
                        v_rules, v_op.action, v_paths, v_op.run, v_is_first_of_run, v_head.time_zone, v_now
                    ) LOOP
                        IF v_quota.key IS NULL THEN
                            v_status := 'RUN_REQUIRED';
                            v_numbers := jsonb_build_object('quota', v_quota.quota -> 'id');
                            EXIT;
                        END IF;
                        v_c := array_position(c_key, v_quota.key);
                        IF v_c IS NULL THEN
                            v_c := coalesce(cardinality(c_key), 0) + 1;
                            c_key[v_c] := v_quota.key; c_touched[v_c] := false;
                            c_used[v_c] := coalesce((SELECT q.used FROM quota_counter AS q WHERE q.key = v_quota.key AND q.expires_at > v_now), 0);
                        END IF;
                        c_expires[v_c] := v_quota.expires_at;
                        c_quota[v_c] := v_quota.quota || jsonb_build_object('scope', v_quota.scope);
                        IF c_used[v_c] >= v_quota.quota_max THEN
                            v_status := v_quota.status;
                            v_failed := v_quota.scope;
                            v_numbers := jsonb_strip_nulls(jsonb_build_object(
                                'quota', v_quota.quota -> 'id', 'policy_id', v_quota.quota -> 'policy_id', 'used', c_used[v_c],
                                'limit', v_quota.quota_max, 'window', v_quota.quota -> 'window', 'resets_at', v_quota.expires_at,
                                'action_kind', v_op.action -> 'kind', 'risk_class', v_quota.quota -> 'risk_class'
                            ));
                            EXIT;
                        END IF;
                        v_counted := v_counted || v_c;
                    END LOOP;
                    IF v_status IS NULL AND v_is_first_of_run AND v_rules -> 'limits' ->> 'concurrent_runs_max' IS NOT NULL THEN
                        -- A run that goes quiet loses its lease by the clock, so none can leak.
                        IF v_leases IS NULL THEN
                            SELECT count(*) INTO v_leases FROM run AS r WHERE r.lease_until > v_now;
                        END IF;
                        IF v_leases >= (v_rules -> 'limits' ->> 'concurrent_runs_max')::bigint THEN
                            v_status := 'CONCURRENT_RUNS_EXCEEDED';
                            v_numbers := jsonb_build_object('used', v_leases, 'limit', v_rules -> 'limits' -> 'concurrent_runs_max');
                        END IF;
                    END IF;
                END IF;
                v_paths := '{}';
                IF v_status IS NOT NULL AND (
                    (v_rules -> 'shadow' ->> 'is_on')::boolean AND public.check_of_v1(v_status) IS NOT NULL
                    OR v_rules -> 'shadow' -> 'checks' ? public.check_of_v1(v_status)
                ) THEN
                    -- In shadow: written down, and judged on as if the rule were not there. Without a model to price nothing is held.
                    v_would_deny := v_status;
                    v_status := NULL; v_numbers := NULL; v_failed := NULL; v_counted := '{}';
                    v_op.amount := coalesce(v_op.amount, CASE WHEN v_candidates IS NULL THEN 0 END);
                END IF;
            END IF;
            IF v_status IS NULL AND v_op.amount IS NULL AND v_candidates IS NULL THEN
                v_status := 'NO_ROUTE';
            END IF;
            IF v_status IS NULL AND cardinality(v_idx) = 0 THEN
                SELECT b_path[n], jsonb_build_object('requested_unit', v_op.unit, 'expected_units', jsonb_agg(DISTINCT b_unit[n]))
                INTO v_failed, v_numbers
                FROM generate_series(1, v_known) AS n
                WHERE NOT b_new[n] AND b_path[n] = ANY (SELECT v_root || s FROM unnest(v_op.suffixes) AS s)
                GROUP BY b_path[n]
                ORDER BY length(b_path[n]) DESC
                LIMIT 1;
                v_status := CASE WHEN v_failed IS NULL THEN 'BUDGET_NOT_FOUND' ELSE 'UNIT_MISMATCH' END;
                v_failed := coalesce(v_failed, v_path);
            END IF;
        ELSIF v_status IS NULL THEN
            FOREACH v_budget_id IN ARRAY v_op.hold_budgets LOOP
                v_idx := v_idx || (v_by_id ->> v_budget_id::text)::int;
            END LOOP;
            v_path := v_op.hold_path;
        END IF;

        -- 5. The verdict, root to leaf; the first failure names the refusal
        IF v_op.op IN ('reserve', 'decide') AND NOT v_replayed AND v_status IS NULL THEN
            v_k := 0;
            LOOP
                -- 8. The first candidate that fits wins; without candidates there is the caller's own estimate.
                IF v_candidates IS NOT NULL THEN
                    v_candidate := v_candidates -> v_k;
                    v_op.amount := (v_candidate ->> 'amount')::bigint;
                    v_status := NULL; v_failed := NULL; v_numbers := NULL;
                END IF;
                FOREACH i IN ARRAY v_idx LOOP
                    v_remaining := b_allocated[i] - b_reserved[i] - b_spent[i] - b_debt[i];
                    v_status := CASE
                        WHEN b_status[i] = 'FROZEN' THEN 'BUDGET_FROZEN'
                        WHEN b_status[i] = 'CLOSED' THEN 'BUDGET_CLOSED'
                        WHEN b_capped[i] OR b_debt[i] > b_limit[i] THEN 'OVERDRAFT_LIMIT_EXCEEDED'
                        WHEN b_debt[i] > 0 THEN 'DEBT_OUTSTANDING'
                        WHEN v_remaining < v_op.amount THEN 'BUDGET_EXCEEDED'
                        WHEN v_op.amount > AMOUNT_MAX - b_reserved[i] - b_spent[i] - b_debt[i] - b_uncovered[i] THEN 'BUDGET_EXCEEDED'
                    END;
                    IF v_status IS NOT NULL THEN
                        v_failed := b_path[i];
                        v_numbers := jsonb_build_object('remaining', v_remaining, 'requested', v_op.amount, 'unit', v_op.unit, 'debt', b_debt[i]);
                        EXIT;
                    END IF;
                END LOOP;
                v_k := v_k + 1;
                EXIT WHEN v_status IS NULL OR v_candidates IS NULL OR v_k >= jsonb_array_length(v_candidates);
            END LOOP;
        END IF;
        IF v_op.op IN ('reserve', 'decide') AND NOT v_replayed THEN
            -- A budget in shadow blocks nothing: what it would have refused is written down, and nothing is held for it.
            IF public.check_of_v1(v_status) = 'money' AND (
                (v_rules -> 'shadow' ->> 'is_on')::boolean OR v_rules -> 'shadow' -> 'checks' ? 'money'
                OR v_rules -> 'shadow' -> 'scopes' ? v_failed
            ) THEN
                v_would_deny := coalesce(v_would_deny, v_status);
                v_status := NULL;
                v_op.amount := 0;
            END IF;
            IF v_would_deny IS NOT NULL THEN
                -- What was let through without cover must be able to settle.
                v_op.policy := 'ALLOW_IF_AVAILABLE';
            END IF;
            -- The give-up rule speaks once in a run's life.
            IF v_is_live AND v_r IS NOT NULL AND r_gave_up[v_r] IS NULL AND (r_touched[v_r] OR NOT r_new[v_r]) AND (
                v_status IN ('MAX_ITERATIONS_REACHED', 'MAX_TOKENS_REACHED', 'MAX_WALL_TIME_REACHED')
                OR (v_status = 'BUDGET_EXCEEDED' AND v_failed = v_run_path)
            ) THEN
                r_gave_up[v_r] := CASE v_status WHEN 'BUDGET_EXCEEDED' THEN 'MAX_COST_REACHED' ELSE v_status END;
                r_touched[v_r] := true;
                INSERT INTO outbox_event (id, at, event_type, scope_path, payload, request_id, trace_id)
                VALUES (
                    gen_random_uuid(), v_now, 'run.' || lower(r_gave_up[v_r]), v_root || '/run:' || v_op.run,
                    jsonb_build_object('run_id', v_op.run, 'code', r_gave_up[v_r], 'numbers', v_numbers, 'fallback', v_judged -> 'fallback'),
                    coalesce(v_op.request_id, ''), coalesce(v_op.trace_id, '')
                );
            END IF;
            IF v_status IS NULL THEN
                v_status := 'OK';
                IF v_candidate -> 'max_tokens' IS NOT NULL THEN
                    v_judged := v_judged || jsonb_build_object(
                        'caps', coalesce(v_judged -> 'caps', '{}') || jsonb_build_object('max_tokens', v_candidate -> 'max_tokens')
                    );
                END IF;
                v_verdict := CASE WHEN v_judged -> 'caps' IS NULL OR v_would_deny IS NOT NULL THEN 'ALLOW' ELSE 'ALLOW_WITH_CAPS' END;
                IF v_is_live THEN
                    IF v_r IS NOT NULL THEN
                        IF r_new[v_r] AND NOT r_touched[v_r] AND v_leases IS NOT NULL THEN
                            v_leases := v_leases + 1;
                        END IF;
                        r_iterations[v_r] := r_iterations[v_r] + 1;
                        r_held[v_r] := r_held[v_r] + coalesce((v_candidate ->> 'tokens')::bigint, (v_judged ->> 'tokens')::bigint, 0);
                        r_lease[v_r] := greatest(r_lease[v_r], v_now + (v_op.ttl_ms + v_op.grace_ms) * interval '1 millisecond');
                        r_touched[v_r] := true;
                    END IF;
                    FOREACH v_c IN ARRAY v_counted LOOP
                        c_used[v_c] := c_used[v_c] + 1;
                        c_touched[v_c] := true;
                        IF c_used[v_c] = (c_quota[v_c] ->> 'threshold')::bigint THEN
                            INSERT INTO outbox_event (id, at, event_type, scope_path, payload, request_id, trace_id)
                            VALUES (
                                gen_random_uuid(), v_now, 'quota.threshold_approaching', c_quota[v_c] ->> 'scope',
                                jsonb_build_object('quota', c_quota[v_c], 'used', c_used[v_c]),
                                coalesce(v_op.request_id, ''), coalesce(v_op.trace_id, '')
                            );
                        END IF;
                    END LOOP;
                    v_expires := v_now + v_op.ttl_ms * interval '1 millisecond';
                    FOREACH i IN ARRAY v_idx LOOP
                        b_reserved[i] := b_reserved[i] + v_op.amount;
                        b_touched[i] := true;
                        v_deltas := v_deltas || ARRAY[0, v_op.amount, 0, 0, 0];
                    END LOOP;
                END IF;
            END IF;

        ELSIF v_status IS NULL AND v_op.op IN ('commit', 'event') THEN
            -- The part above the hold is paid as the overage policy says; an event is a commit of a hold of nothing.
            IF v_op.op = 'commit' AND v_op.hold_status IN ('COMMITTED', 'RELEASED') THEN
                v_status := 'RESERVATION_FINALIZED';
                v_numbers := jsonb_build_object('state', v_op.hold_status);
            ELSIF v_op.op = 'commit' AND v_op.unit <> v_op.hold_unit THEN
                v_status := 'UNIT_MISMATCH';
                v_failed := v_path;
                v_numbers := jsonb_build_object('requested_unit', v_op.unit, 'expected_units', jsonb_build_array(v_op.hold_unit));
            ELSIF v_op.op = 'commit' AND (v_op.hold_status = 'EXPIRED' OR v_now > v_op.hold_due) THEN
                v_status := 'RESERVATION_EXPIRED';
            END IF;
            v_op.hold_amount := coalesce(v_op.hold_amount, 0);
            v_op.policy := coalesce(v_op.hold_policy, v_op.policy, v_head.overage_policy);
            v_delta := greatest(v_op.amount - v_op.hold_amount, 0);
            v_room := v_delta;
            v_debts := '{}';
            IF v_status IS NULL AND v_op.policy <> 'REJECT' THEN
                -- What a scope neither has nor lends is left uncovered, on every scope alike.
                FOREACH i IN ARRAY v_idx LOOP
                    IF v_op.policy = 'ALLOW_IF_AVAILABLE' OR b_limit[i] = 0 THEN
                        v_room := least(v_room, greatest(b_allocated[i] - b_reserved[i] - b_spent[i] - b_debt[i], 0));
                    END IF;
                END LOOP;
            END IF;
            IF v_status IS NULL THEN
                FOREACH i IN ARRAY v_idx LOOP
                    v_remaining := b_allocated[i] - b_reserved[i] - b_spent[i] - b_debt[i];
                    v_short := 0;
                    IF v_op.op = 'event' AND b_status[i] = 'CLOSED' THEN
                        v_status := 'BUDGET_CLOSED';
                    ELSIF v_delta > AMOUNT_MAX - b_reserved[i] - b_spent[i] - b_debt[i] - b_uncovered[i] THEN
                        v_status := CASE v_op.policy WHEN 'ALLOW_WITH_OVERDRAFT' THEN 'OVERDRAFT_LIMIT_EXCEEDED' ELSE 'BUDGET_EXCEEDED' END;
                    ELSIF v_delta = 0 THEN
                        NULL;
                    ELSIF v_op.policy = 'REJECT' AND (v_op.op = 'commit' OR v_remaining < v_delta) THEN
                        v_status := 'BUDGET_EXCEEDED';
                    ELSIF v_op.policy = 'ALLOW_WITH_OVERDRAFT' AND b_limit[i] > 0 AND v_room > 0 AND v_remaining < v_room THEN
                        v_short := v_room;
                        IF b_debt[i] + v_short > b_limit[i] THEN
                            v_status := 'OVERDRAFT_LIMIT_EXCEEDED';
                        END IF;
                    END IF;
                    v_debts := v_debts || v_short;
                    IF v_status IS NOT NULL THEN
                        v_failed := b_path[i];
                        v_numbers := jsonb_build_object(
                            'remaining', v_remaining, 'requested', v_op.amount, 'unit', v_op.unit, 'held', v_op.hold_amount,
                            'debt', b_debt[i], 'overdraft_limit', b_limit[i], 'overage_policy', v_op.policy
                        );
                        EXIT;
                    END IF;
                END LOOP;
            END IF;
            IF v_status IS NULL THEN
                v_status := 'OK';
                v_charged := least(v_op.amount, v_op.hold_amount + v_room);
                FOR j IN 1..cardinality(v_idx) LOOP
                    i := v_idx[j];
                    IF v_room < v_delta AND (v_op.policy = 'ALLOW_IF_AVAILABLE' OR b_limit[i] = 0)
                        AND b_allocated[i] - b_reserved[i] - b_spent[i] - b_debt[i] < v_delta THEN
                        b_capped[i] := true;
                    END IF;
                    b_reserved[i] := b_reserved[i] - v_op.hold_amount;
                    b_spent[i] := b_spent[i] + v_charged - v_debts[j];
                    b_debt[i] := b_debt[i] + v_debts[j];
                    b_uncovered[i] := b_uncovered[i] + v_op.amount - v_charged;
                    b_touched[i] := true;
                    v_deltas := v_deltas || ARRAY[0, -v_op.hold_amount, v_charged - v_debts[j], v_debts[j], v_op.amount - v_charged];
                END LOOP;
            END IF;

        ELSIF v_status IS NULL AND v_op.op IN ('release', 'expire') THEN
            IF v_op.hold_status IN ('COMMITTED', 'RELEASED') THEN
                v_status := 'RESERVATION_FINALIZED';
                v_numbers := jsonb_build_object('state', v_op.hold_status);
            ELSIF v_op.hold_status = 'EXPIRED' OR (v_op.op = 'release' AND v_now > v_op.hold_due AND NOT coalesce(v_op.is_trusted, false)) THEN
                v_status := 'RESERVATION_EXPIRED';
            ELSIF v_op.op = 'expire' AND v_now <= v_op.hold_due THEN
                v_status := 'NOT_DUE';
            ELSE
                v_status := 'OK';
                v_op.amount := v_op.hold_amount;
                FOREACH i IN ARRAY v_idx LOOP
                    b_reserved[i] := b_reserved[i] - v_op.hold_amount;
                    b_touched[i] := true;
                    v_deltas := v_deltas || ARRAY[0, -v_op.hold_amount, 0, 0, 0];
                END LOOP;
            END IF;

        ELSIF v_status IS NULL AND v_op.op = 'extend' THEN
            IF v_op.hold_status IN ('COMMITTED', 'RELEASED') THEN
                v_status := 'RESERVATION_FINALIZED';
                v_numbers := jsonb_build_object('state', v_op.hold_status);
            ELSIF v_op.hold_status = 'EXPIRED' OR v_now > v_op.hold_expires THEN
                v_status := 'RESERVATION_EXPIRED';
            ELSIF v_op.hold_extensions >= v_head.extensions_max THEN
                v_status := 'MAX_EXTENSIONS_EXCEEDED';
                v_numbers := jsonb_build_object('extensions_max', v_head.extensions_max);
            ELSE
                FOREACH i IN ARRAY v_idx LOOP
                    IF b_status[i] <> 'ACTIVE' THEN
                        v_status := 'BUDGET_' || b_status[i];
                        v_failed := b_path[i];
                        EXIT;
                    END IF;
                    v_deltas := v_deltas || ARRAY[0, 0, 0, 0, 0];
                END LOOP;
                IF v_status IS NULL THEN
                    v_status := 'OK';
                    v_expires := v_op.hold_expires + v_op.extend_ms * interval '1 millisecond';
                END IF;
            END IF;
        END IF;

        -- 6. What a fresh operation leaves behind
        IF v_status = 'OK' AND NOT v_replayed THEN
            FOREACH i IN ARRAY v_idx LOOP
                CONTINUE WHEN b_new[i] AND NOT b_touched[i];
                v_ids := v_ids || b_id[i];
                v_paths := v_paths || b_path[i];
                v_balances := v_balances || ARRAY[
                    b_allocated[i], b_reserved[i], b_spent[i], b_debt[i], b_uncovered[i], b_limit[i],
                    (b_capped[i] OR b_debt[i] > b_limit[i])::int
                ];
            END LOOP;
            IF v_op.op <> 'decide' AND NOT coalesce(v_op.is_dry, false) THEN
                FOREACH i IN ARRAY v_idx LOOP
                    IF b_new[i] AND NOT coalesce(i = ANY (v_opened), false) THEN
                        v_opened := v_opened || i;
                        v_seq := v_seq + 1;
                        w_entry := NULL;
                        w_entry.seq := v_seq; w_entry.kind := 'CREATE'; w_entry.at := v_now; w_entry.unit := v_op.unit;
                        w_entry.amount := b_allocated[i]; w_entry.budget_ids := ARRAY[b_id[i]]; w_entry.deltas := ARRAY[b_allocated[i], 0, 0, 0, 0];
                        w_entry.balances := ARRAY[b_allocated[i], 0, 0, 0, 0, 0, 0]; w_entry.actor := 'run';
                        w_entry.request_id := v_op.request_id; w_entry.trace_id := v_op.trace_id;
                        w_entries := array_append(w_entries, w_entry);
                    END IF;
                END LOOP;
                v_seq := v_seq + 1;
                w_entry := NULL;
                w_entry.seq := v_seq; w_entry.kind := upper(v_op.op); w_entry.at := v_now;
                w_entry.unit := coalesce(v_op.hold_unit, v_op.unit); w_entry.amount := v_op.amount;
                w_entry.budget_ids := v_ids; w_entry.deltas := v_deltas; w_entry.balances := v_balances;
                w_entry.expires_at := v_expires; w_entry.reason := v_op.reason;
                w_entry.actor := coalesce(v_op.actor, v_op.key_id); w_entry.request_id := v_op.request_id; w_entry.trace_id := v_op.trace_id;
                IF v_is_live THEN
                    w_entry.reservation_id := v_op.id;
                ELSIF v_op.op <> 'expire' THEN
                    w_entry.endpoint := v_op.op; w_entry.target := v_op.target; w_entry.idempotency_key := v_op.idem; w_entry.payload_hash := v_op.hash;
                END IF;
                IF v_op.target IS NOT NULL THEN
                    w_entry.reservation_id := v_op.target;
                END IF;
                IF v_op.op IN ('commit', 'event') THEN
                    w_entry.charged := v_charged; w_entry.price := v_op.price;
                END IF;
                IF v_op.op = 'event' THEN
                    w_entry.event_id := v_op.id; w_entry.subject := v_op.subject; w_entry.action := v_op.action;
                    w_entry.metadata := v_op.metadata; w_entry.metrics := v_op.metrics;
                END IF;
                w_entries := array_append(w_entries, w_entry);
            END IF;
            IF v_is_live THEN
                w_hold := NULL;
                w_hold.id := v_op.id; w_hold.unit := v_op.unit; w_hold.amount := v_op.amount;
                w_hold.overage_policy := coalesce(v_op.policy, v_head.overage_policy); w_hold.budget_ids := v_ids; w_hold.scope_path := v_path;
                w_hold.run_id := v_op.run;
                w_hold.tokens := coalesce((v_candidate ->> 'tokens')::bigint, (v_judged ->> 'tokens')::bigint);
                w_hold.subject := v_op.subject; w_hold.action := v_op.action; w_hold.metadata := v_op.metadata;
                w_hold.api_key_id := v_op.key_id; w_hold.idempotency_key := v_op.idem; w_hold.expires_at := v_expires;
                w_hold.due_at := v_expires + v_op.grace_ms * interval '1 millisecond'; w_hold.grace_ms := v_op.grace_ms;
                w_holds := array_append(w_holds, w_hold);
            ELSIF v_op.target IS NOT NULL THEN
                v_r := array_position(r_id, v_op.hold_run);
                IF v_r IS NOT NULL AND v_op.op <> 'extend' THEN
                    r_held[v_r] := greatest(r_held[v_r] - coalesce(v_op.hold_tokens, 0), 0);
                    IF v_op.op = 'commit' THEN
                        r_tokens[v_r] := r_tokens[v_r] + coalesce(
                            (v_op.metrics ->> 'tokens_input')::bigint + (v_op.metrics ->> 'tokens_output')::bigint, v_op.hold_tokens, 0
                        );
                    END IF;
                    r_touched[v_r] := true;
                END IF;
                w_hold := NULL;
                w_hold.id := v_op.target;
                w_hold.status := CASE v_op.op WHEN 'commit' THEN 'COMMITTED' WHEN 'release' THEN 'RELEASED' WHEN 'expire' THEN 'EXPIRED' ELSE 'ACTIVE' END;
                w_hold.expires_at := coalesce(v_expires, v_op.hold_expires);
                w_hold.due_at := w_hold.expires_at + v_op.hold_grace_ms * interval '1 millisecond';
                w_hold.extensions := v_op.hold_extensions + (v_op.op = 'extend')::int;
                IF v_op.op IN ('commit', 'release') THEN
                    w_hold.finalized_at := v_now;
                END IF;
                IF v_op.op = 'commit' THEN
                    w_hold.actual := v_op.amount; w_hold.charged := v_charged;
                    w_hold.committed_metadata := v_op.metadata; w_hold.metrics := v_op.metrics;
                END IF;
                w_settled := array_append(w_settled, w_hold);
            END IF;
        END IF;

        -- What a person did on a tenant's behalf is in the audit trail, in the same transaction.
        IF v_op.actor_type IS NOT NULL AND v_status = 'OK' AND NOT v_replayed THEN
            INSERT INTO audit_entry (
                id, at, actor_type, actor, action, target, reason, before, after, request_id, trace_id, source_ip
            )
            VALUES (
                v_op.id, v_now, v_op.actor_type, v_op.actor, 'reservation.' || lower(w_entry.kind), v_op.target::text, coalesce(v_op.reason, ''),
                jsonb_build_object('status', v_op.hold_status), jsonb_build_object('status', w_hold.status), coalesce(v_op.request_id, ''),
                coalesce(v_op.trace_id, ''), ''
            );
        END IF;

        -- 7. The answer; decide and a dry run answer a refusal with a verdict, everything else with an error
        IF v_op.op IN ('reserve', 'decide') AND NOT v_is_live AND v_status NOT IN ('OK', 'FORBIDDEN', 'IDEMPOTENCY_MISMATCH', 'UNIT_MISMATCH') THEN
            v_verdict := 'DENY';
            v_op.decision_reason := v_status;
            v_status := 'OK';
        END IF;
        IF NOT v_replayed AND (v_status <> 'OK' OR v_verdict IS NOT NULL) AND v_op.op <> 'expire' THEN
            w_decision := NULL;
            w_decision.id := v_op.id; w_decision.at := v_now; w_decision.endpoint := coalesce(v_op.endpoint, v_op.op);
            w_decision.verdict := coalesce(v_verdict, 'DENY');
            w_decision.reason_code := CASE v_status WHEN 'OK' THEN v_op.decision_reason ELSE v_status END;
            w_decision.is_replayable := v_status = 'OK'; w_decision.idempotency_key := v_op.idem; w_decision.payload_hash := v_op.hash;
            w_decision.scope_path := v_path; w_decision.failed_scope := v_failed; w_decision.unit := v_op.unit; w_decision.amount := v_op.amount;
            w_decision.numbers := v_numbers; w_decision.api_key_id := v_op.key_id; w_decision.run_id := coalesce(v_op.run, v_op.hold_run);
            w_decision.reservation_id := CASE WHEN v_is_live AND v_status = 'OK' THEN v_op.id ELSE v_op.target END;
            w_decision.would_deny := v_would_deny;
            IF v_judged IS NOT NULL THEN
                v_judged := (v_judged - '{candidates,status,numbers}'::text[]) || jsonb_strip_nulls(jsonb_build_object(
                    'route', CASE WHEN v_verdict <> 'DENY' THEN v_candidate END, 'would_deny', v_would_deny, 'on_exhaustion',
                    CASE coalesce(v_op.decision_reason, v_status)
                        WHEN 'BUDGET_EXCEEDED' THEN v_rules -> 'on_exhaustion' -> (CASE WHEN v_failed = v_run_path THEN 'session' ELSE 'month' END)
                    END
                ));
                w_decision.admission := v_judged;
            END IF;
            w_decision.request_id := v_op.request_id; w_decision.trace_id := v_op.trace_id;
            IF v_is_live AND v_status = 'OK' THEN
                w_decision.ledger_seq := v_seq;
            ELSE
                -- An allowed reservation keeps its subject and action itself.
                w_decision.subject := v_op.subject; w_decision.action := v_op.action;
                w_decision.budget_ids := v_ids; w_decision.balances := v_balances;
            END IF;
            w_decisions := array_append(w_decisions, w_decision);
        END IF;
        v_answers := array_append(v_answers, json_build_object(
            'status', v_status, 'id', v_op.id, 'replayed', v_replayed, 'verdict', v_verdict, 'reason', v_op.decision_reason, 'scope', v_failed,
            'numbers', v_numbers, 'paths', v_paths, 'balances', v_balances, 'charged', v_charged,
            'held', CASE WHEN v_op.target IS NOT NULL THEN v_op.hold_amount END, 'unit', coalesce(v_op.hold_unit, v_op.unit),
            'expires_ms', (extract(EPOCH FROM v_expires) * 1000)::bigint,
            'left_ms', CASE
                WHEN coalesce(v_op.hold_status, 'ACTIVE') <> 'ACTIVE' THEN 0
                ELSE greatest((extract(EPOCH FROM v_expires) * 1000)::bigint - v_now_ms, 0)
            END,
            'slug', v_head.slug, 'amount', CASE WHEN v_op.op IN ('reserve', 'decide') THEN v_op.amount END, 'admission', v_judged
        ));
    END LOOP;

    -- 8. All effects at once
    IF true = ANY (b_new) THEN
        INSERT INTO budget (
            id, scope_path, depth, unit, allocated, reserved, spent, debt, uncovered, overdraft_limit, is_capped, is_low, status, period, rollover,
            anchor, period_allocation, run_id, created_at
        )
        SELECT
            b_id[n], b_path[n], 2, b_unit[n], b_allocated[n], b_reserved[n], b_spent[n], b_debt[n], b_uncovered[n], 0, b_capped[n], false, 'ACTIVE', 'ONE_OFF',
            'NONE', v_now::date, b_allocated[n], b_run[n], v_now
        FROM generate_series(1, v_known) AS n
        WHERE b_new[n] AND b_touched[n];
    END IF;
    IF true = ANY (b_touched) THEN
        UPDATE budget AS b
        SET reserved = t.reserved, spent = t.spent, debt = t.debt, uncovered = t.uncovered, is_capped = t.is_capped, is_low = t.is_low
        FROM unnest(b_id, b_reserved, b_spent, b_debt, b_uncovered, b_capped, b_low, b_touched, b_new)
            AS t (id, reserved, spent, debt, uncovered, is_capped, is_low, is_touched, is_new)
        WHERE b.id = t.id AND t.is_touched AND NOT t.is_new;
    END IF;
    IF w_holds IS NOT NULL THEN
        INSERT INTO reservation (
            id, status, unit, amount, overage_policy, budget_ids, scope_path, run_id, subject, action, metadata, api_key_id, idempotency_key,
            created_at, expires_at, due_at, grace_ms, extensions, tokens
        )
        SELECT
            h.id, 'ACTIVE', h.unit, h.amount, h.overage_policy, h.budget_ids, h.scope_path, h.run_id, h.subject, h.action, h.metadata, h.api_key_id,
            h.idempotency_key, v_now, h.expires_at, h.due_at, h.grace_ms, 0, h.tokens
        FROM unnest(w_holds) AS h;
    END IF;
    IF true = ANY (r_touched) THEN
        INSERT INTO run (run_id, started_at, lease_until, iterations, tokens, tokens_held, gave_up_code, gave_up_at)
        SELECT t.id, t.started_at, t.lease_until, t.iterations, t.tokens, t.tokens_held, t.gave_up_code, CASE WHEN t.gave_up_code IS NOT NULL THEN v_now END
        FROM unnest(r_id, r_started, r_lease, r_iterations, r_tokens, r_held, r_gave_up, r_touched)
            AS t (id, started_at, lease_until, iterations, tokens, tokens_held, gave_up_code, is_touched)
        WHERE t.is_touched
        ON CONFLICT (run_id) DO UPDATE
        SET lease_until = excluded.lease_until, iterations = excluded.iterations, tokens = excluded.tokens, tokens_held = excluded.tokens_held,
            gave_up_code = excluded.gave_up_code, gave_up_at = coalesce(run.gave_up_at, excluded.gave_up_at);
    END IF;
    IF true = ANY (c_touched) THEN
        INSERT INTO quota_counter (key, used, expires_at)
        SELECT t.key, t.used, t.expires_at
        FROM unnest(c_key, c_used, c_expires, c_touched) AS t (key, used, expires_at, is_touched)
        WHERE t.is_touched
        ON CONFLICT (key) DO UPDATE SET used = excluded.used, expires_at = excluded.expires_at;
    END IF;
    IF w_settled IS NOT NULL THEN
        UPDATE reservation AS r
        SET status = s.status, expires_at = s.expires_at, due_at = s.due_at, extensions = s.extensions, finalized_at = s.finalized_at,
            actual = s.actual, charged = s.charged, committed_metadata = s.committed_metadata, metrics = s.metrics
        FROM unnest(w_settled) AS s
        WHERE r.id = s.id;
    END IF;
    IF w_entries IS NOT NULL THEN
        INSERT INTO ledger_entry (
            seq, kind, at, endpoint, target, idempotency_key, payload_hash, reservation_id, event_id, unit, amount, charged, expires_at,
            budget_ids, deltas, balances, subject, action, metadata, metrics, price, actor, reason, request_id, trace_id
        )
        SELECT
            e.seq, e.kind, e.at, e.endpoint, e.target, e.idempotency_key, e.payload_hash, e.reservation_id, e.event_id, e.unit, e.amount, e.charged,
            e.expires_at, e.budget_ids, e.deltas, e.balances, e.subject, e.action, e.metadata, e.metrics, e.price, e.actor, e.reason, e.request_id, e.trace_id
        FROM unnest(w_entries) AS e;
        UPDATE ledger_head SET last_seq = v_seq WHERE id = 1;
    END IF;
    IF w_decisions IS NOT NULL THEN
        INSERT INTO decision (
            id, at, endpoint, verdict, reason_code, is_replayable, idempotency_key, payload_hash, scope_path, failed_scope, unit, amount, numbers,
            api_key_id, run_id, reservation_id, subject, action, ledger_seq, budget_ids, balances, request_id, trace_id, would_deny, admission
        )
        SELECT
            d.id, d.at, d.endpoint, d.verdict, d.reason_code, d.is_replayable, d.idempotency_key, d.payload_hash, d.scope_path, d.failed_scope,
            d.unit, d.amount, d.numbers, d.api_key_id, d.run_id, d.reservation_id, d.subject, d.action, d.ledger_seq, d.budget_ids, d.balances,
            d.request_id, d.trace_id, d.would_deny, d.admission
        FROM unnest(w_decisions) AS d;
    END IF;
    RETURN array_to_json(v_answers);
END
$$;

-- What a settlement goes by: the reservation as it was made, and the route that its decision chose. Locks nothing.
-- Answers {status, slug, subject, action, unit, tokens, scope_path, run, key_id, created_at_ms, route}; the route has the price of the moment of the
-- decision, and the tokens are those that the rate limits gave for it.
CREATE FUNCTION read_hold_v1(p_query jsonb) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_key record;
    v_hold reservation;
    v_route jsonb;
    v_endpoint text;
BEGIN
    SELECT * INTO STRICT v_key FROM check_key_v1(p_query, 'reservations:commit');
    IF v_key.refusal IS NOT NULL THEN
        RETURN json_build_object('status', v_key.refusal);
    END IF;
    SELECT * INTO v_hold FROM reservation AS r WHERE r.id = (p_query ->> 'target')::uuid;
    IF NOT FOUND THEN
        RETURN json_build_object('status', 'NOT_FOUND');
    ELSIF NOT is_within_v1(v_hold.scope_path, v_key.scope_filter) THEN
        RETURN json_build_object('status', 'FORBIDDEN');
    END IF;
    SELECT d.admission -> 'route', d.endpoint INTO v_route, v_endpoint FROM decision AS d WHERE d.id = v_hold.id;
    RETURN json_build_object(
        'status', 'OK', 'slug', v_key.slug, 'subject', v_hold.subject, 'action', v_hold.action, 'unit', v_hold.unit, 'tokens', CASE
            WHEN v_endpoint = 'admit' THEN v_hold.tokens
            -- A plain reservation took its estimate, where that counts tokens.
            WHEN v_endpoint = 'reserve' THEN CASE v_hold.unit WHEN 'TOKENS' THEN v_hold.amount ELSE 0 END
        END,
        'scope_path', v_hold.scope_path, 'run', v_hold.run_id, 'key_id', v_hold.api_key_id, 'created_at_ms', (extract(EPOCH FROM v_hold.created_at) * 1000)::bigint, 'route', v_route
    );
END
$$;

-- The tool policy's word on tools by name, kill switches included, for whoever may ask about the scope `suffix` below the tenant. Locks nothing.
-- Answers {status, slug, version, verdicts}, the verdicts (allow, deny, gated) in the order of the names.
CREATE FUNCTION read_tools_v1(p_query jsonb) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_key record;
    v_tools jsonb;
    v_stopped text[];
BEGIN
    SELECT * INTO STRICT v_key FROM check_key_v1(p_query, 'reservations:create');
    IF v_key.refusal IS NOT NULL THEN
        RETURN json_build_object('status', v_key.refusal);
    ELSIF NOT is_within_v1('tenant:' || v_key.slug || (p_query ->> 'suffix'), v_key.scope_filter) THEN
        RETURN json_build_object('status', 'FORBIDDEN');
    END IF;
    SELECT r.document -> 'tools' INTO v_tools FROM ruleset AS r WHERE r.id = 1;
    SELECT array_agg(lower(k.name)) INTO v_stopped
    FROM kill_switch AS k
    WHERE k.level = 'tool' AND k.lifted_at IS NULL AND (k.ends_at IS NULL OR k.ends_at > clock_timestamp());
    RETURN json_build_object(
        'status', 'OK', 'slug', v_key.slug, 'version', v_tools -> 'version', 'verdicts', (
            SELECT coalesce(
                json_agg(
                    CASE WHEN lower(t.name) = ANY (v_stopped) THEN 'deny' ELSE public.tool_verdict_v1(v_tools, t.name) END ORDER BY t.n
                ),
                '[]'
            )
            FROM jsonb_array_elements_text(p_query -> 'names') WITH ORDINALITY AS t (name, n)
        )
    );
END
$$;

DROP FUNCTION door_v1;
-- The one door to a tenant's books: names the function to call, and hands its answer through.
--
-- It finds its own schema by its own oid, so that it can be called by its qualified name on any connection, has no SET clause that would outlive
-- a rename of the schema, and keeps one set of plans for each tenant. The setting lasts until the end of the transaction.
CREATE FUNCTION door_v1(p_call text, p_payload jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_self oid;
BEGIN
    GET DIAGNOSTICS v_self = PG_ROUTINE_OID;
    PERFORM pg_catalog.set_config(
        'search_path',
        (
            SELECT pg_catalog.quote_ident(n.nspname) || ', pg_temp'
            FROM pg_catalog.pg_proc AS p
            JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
            WHERE p.oid = v_self
        ),
        true
    );
    CASE p_call
        WHEN 'apply' THEN RETURN apply_operations_v1(p_payload);
        WHEN 'reservations' THEN RETURN read_reservations_v1(p_payload);
        WHEN 'balances' THEN RETURN read_balances_v1(p_payload);
        WHEN 'hold' THEN RETURN read_hold_v1(p_payload);
        WHEN 'tools' THEN RETURN read_tools_v1(p_payload);
        WHEN 'key' THEN RETURN (SELECT json_build_object('status', coalesce(k.refusal, 'OK')) FROM check_key_v1(p_payload, NULL) AS k);
    END CASE;
END
$$;

GRANT SELECT, INSERT, UPDATE ON ruleset, kill_switch, subscription TO watermaster_app;
GRANT SELECT, INSERT ON policy_version TO watermaster_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON run, quota_counter TO watermaster_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON router_model, router_label TO watermaster_app;
ALTER TABLE run SET (fillfactor = 50);
ALTER TABLE quota_counter SET (fillfactor = 50);
CREATE INDEX "quota_counter_key_8a654533_like" ON "quota_counter" ("key" text_pattern_ops);
CREATE UNIQUE INDEX "one_switch_thrown_per_thing" ON "kill_switch" ("level", "name") WHERE "lifted_at" IS NULL;
CREATE INDEX "router_label_at" ON "router_label" ("at");
CREATE INDEX "run_run_id_ef3f59fb_like" ON "run" ("run_id" text_pattern_ops);
CREATE INDEX "run_lease" ON "run" ("lease_until");
CREATE INDEX "ledger_entry_corrects" ON "ledger_entry" ((((metadata ->> 'corrects'))), "seq") WHERE "kind" = 'CORRECTION';
CREATE INDEX "decision_would_deny_at" ON "decision" ("at") WHERE "would_deny" IS NOT NULL;
REVOKE ALL ON api_key FROM watermaster_app;
GRANT SELECT, INSERT, UPDATE ON api_key TO watermaster_app;
CREATE TABLE "audit_entry" ("id" uuid NOT NULL PRIMARY KEY, "at" timestamp with time zone NOT NULL, "actor_type" text NOT NULL, "actor" text NOT NULL, "action" text NOT NULL, "target" text NOT NULL, "reason" text NOT NULL, "before" jsonb NULL, "after" jsonb NULL, "request_id" text NOT NULL, "trace_id" text NOT NULL, "source_ip" text NOT NULL);
CREATE TABLE "outbox_event" ("id" uuid NOT NULL PRIMARY KEY, "at" timestamp with time zone NOT NULL, "event_type" text NOT NULL, "scope_path" text NOT NULL, "payload" jsonb NOT NULL, "request_id" text NOT NULL, "trace_id" text NOT NULL, "delivered_at" timestamp with time zone NULL);
CREATE INDEX "audit_entry_at" ON "audit_entry" ("at");
CREATE INDEX "outbox_event_waiting" ON "outbox_event" ("id") WHERE "delivered_at" IS NULL;
REVOKE ALL ON audit_entry, outbox_event FROM watermaster_app;
GRANT SELECT, INSERT ON audit_entry TO watermaster_app;
GRANT SELECT, INSERT, UPDATE ON outbox_event TO watermaster_app;
CREATE TABLE django_migrations (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    app varchar(255) NOT NULL, name varchar(255) NOT NULL, applied timestamptz NOT NULL
);
INSERT INTO django_migrations (app, name, applied) VALUES
    ('sessions', '0001_initial', now()),
    ('contenttypes', '0001_initial', now()),
    ('contenttypes', '0002_remove_content_type_name', now()),
    ('auth', '0001_initial', now()),
    ('auth', '0002_alter_permission_name_max_length', now()),
    ('auth', '0003_alter_user_email_max_length', now()),
    ('auth', '0004_alter_user_username_opts', now()),
    ('auth', '0005_alter_user_last_login_null', now()),
    ('auth', '0006_require_contenttypes_0002', now()),
    ('auth', '0007_alter_validators_add_error_messages', now()),
    ('auth', '0008_alter_user_username_max_length', now()),
    ('auth', '0009_alter_user_last_name_max_length', now()),
    ('auth', '0010_alter_group_name_max_length', now()),
    ('auth', '0011_update_proxy_permissions', now()),
    ('auth', '0012_alter_user_first_name_max_length', now()),
    ('accounts', '0001_initial', now()),
    ('accounts', '0002_grants', now()),
    ('keys', '0001_initial', now()),
    ('budgets', '0001_initial', now()),
    ('budgets', '0002_functions_and_grants', now()),
    ('budgets', '0003_begun_anew', now()),
    ('budgets', '0004_rules', now()),
    ('budgets', '0005_corrections', now()),
    ('budgets', '0006_would_deny', now()),
    ('keys', '0002_grants', now()),
    ('routing', '0001_price_book', now()),
    ('routing', '0002_price_guards', now()),
    ('routing', '0003_provider_pool', now()),
    ('telemetry', '0001_initial', now()),
    ('telemetry', '0002_grants', now()),
    ('tenants', '0001_initial', now()),
    ('tenants', '0002_tenant_due', now()),
    ('tenants', '0003_grants', now()),
    ('tenants', '0004_platform_switch', now()),
    ('tenants', '0005_judgement', now());
