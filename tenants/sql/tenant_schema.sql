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

-- Says whether two operations of a batch share an idempotency key or a reservation.
-- Locks nothing and changes nothing. A false alarm costs time only, so the endpoint is left out of the comparison.
CREATE FUNCTION operations_collide_v1(p_operations jsonb) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT count(*) <> count(DISTINCT name)
    FROM jsonb_to_recordset(p_operations) AS o (id text, target text, idem text)
    CROSS JOIN LATERAL (VALUES ('r' || o.id), ('r' || o.target), ('k' || o.idem)) AS names (name)
    WHERE name IS NOT NULL
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
DROP FUNCTION IF EXISTS roll_periods_v1;
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

DROP FUNCTION IF EXISTS apply_segment_v1;
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
    v_names text[] := ARRAY(SELECT jsonb_array_elements_text(p_query -> 'names'));
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
            SELECT coalesce(json_agg(CASE WHEN lower(t.name) = ANY (v_stopped) THEN 'deny' ELSE t.verdict END ORDER BY t.n), '[]')
            FROM unnest(v_names, public.tool_verdicts_v1(v_tools, v_names)) WITH ORDINALITY AS t (name, verdict, n)
        )
    );
END
$$;

DROP FUNCTION IF EXISTS door_v1;
-- The one door to a tenant's books: names the function to call, and hands its answer through.
--
-- It finds its own schema by its own oid, so that it can be called by its qualified name on any connection, has no SET clause that would outlive
-- a rename of the schema, and keeps one set of plans for each tenant. The setting lasts until the end of the transaction.
CREATE FUNCTION door_v1(p_call text, p_payload jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_self oid;
    v_search_path text;
BEGIN
    GET DIAGNOSTICS v_self = PG_ROUTINE_OID;
    -- An expression and no query, which would cost four times as much.
    v_search_path := pg_catalog.set_config(
        'search_path', (pg_catalog.pg_identify_object('pg_catalog.pg_proc'::pg_catalog.regclass, v_self, 0)).schema || ', pg_temp', true
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
ALTER TABLE ledger_head SET (autovacuum_analyze_threshold = 2000000000, autovacuum_analyze_scale_factor = 0);
ALTER TABLE budget SET (autovacuum_analyze_threshold = 2000000000, autovacuum_analyze_scale_factor = 0);
ALTER TABLE run SET (autovacuum_analyze_threshold = 2000000000, autovacuum_analyze_scale_factor = 0);
ALTER TABLE quota_counter SET (autovacuum_analyze_threshold = 2000000000, autovacuum_analyze_scale_factor = 0);
ALTER TABLE reservation SET (autovacuum_analyze_threshold = 10000, autovacuum_analyze_scale_factor = 1);
ALTER TABLE ledger_entry SET (autovacuum_analyze_threshold = 10000, autovacuum_analyze_scale_factor = 1);
ALTER TABLE decision SET (autovacuum_analyze_threshold = 10000, autovacuum_analyze_scale_factor = 1);
CREATE INDEX "quota_counter_key_8a654533_like" ON "quota_counter" ("key" text_pattern_ops);
CREATE UNIQUE INDEX "one_switch_thrown_per_thing" ON "kill_switch" ("level", "name") WHERE "lifted_at" IS NULL;
CREATE INDEX "router_label_at" ON "router_label" ("at");
CREATE INDEX "run_run_id_ef3f59fb_like" ON "run" ("run_id" text_pattern_ops);
CREATE INDEX "run_lease" ON "run" ("lease_until");
CREATE INDEX "ledger_entry_corrects" ON "ledger_entry" ((((metadata ->> 'corrects'))), "seq") WHERE "kind" = 'CORRECTION';
CREATE INDEX "decision_would_deny_at" ON "decision" ("at") WHERE "would_deny" IS NOT NULL;
ALTER TABLE "run" ADD COLUMN "provider" text NULL;
CREATE TABLE "decision_rollup" ("bucket_at" timestamp with time zone NOT NULL, "scope_path" text NOT NULL, "endpoint" text NOT NULL, "action_kind" text NOT NULL, "action_name" text NOT NULL, "traffic_class" text NOT NULL, "verdict" text NOT NULL, "reason_code" text NOT NULL, "would_deny" text NOT NULL, "agent" text NOT NULL, "count" bigint NOT NULL, PRIMARY KEY ("bucket_at", "scope_path", "endpoint", "action_kind", "action_name", "traffic_class", "verdict", "reason_code", "would_deny"));
CREATE TABLE "rollup_mark" ("id" smallint NOT NULL PRIMARY KEY, "ledger_seq" bigint NOT NULL, "decisions_at" timestamp with time zone NULL, "decision_ids" uuid[] NOT NULL, "rolled_up_at" timestamp with time zone NULL);
CREATE TABLE "usage_rollup" ("bucket_at" timestamp with time zone NOT NULL, "scope_path" text NOT NULL, "model" text NOT NULL, "tool" text NOT NULL, "traffic_class" text NOT NULL, "unit" text NOT NULL, "agent" text NOT NULL, "calls" bigint NOT NULL, "events" bigint NOT NULL, "charged" numeric(40, 0) NOT NULL, "uncovered" numeric(40, 0) NOT NULL, "corrections" bigint NOT NULL, "corrected" numeric(40, 0) NOT NULL, "priced_calls" bigint NOT NULL, "priced_charged" numeric(40, 0) NOT NULL, "provider_cost" numeric(40, 0) NOT NULL, "tokens_input" numeric(40, 0) NOT NULL, "tokens_output" numeric(40, 0) NOT NULL, "tokens_cached" numeric(40, 0) NOT NULL, "tokens_reasoning" numeric(40, 0) NOT NULL, "holds" bigint NOT NULL, "held" numeric(40, 0) NOT NULL, "commits" bigint NOT NULL, "planned" numeric(40, 0) NOT NULL, "observed" numeric(40, 0) NOT NULL, "releases" bigint NOT NULL, "expiries" bigint NOT NULL, "given_back" numeric(40, 0) NOT NULL, "latency_ms" numeric(40, 0) NOT NULL, "latency_counts" bigint[] NOT NULL, PRIMARY KEY ("bucket_at", "scope_path", "model", "tool", "traffic_class", "unit"));
CREATE INDEX "decision_unheld_at" ON "decision" ("at") WHERE ("ledger_seq" IS NULL AND NOT ("verdict" = 'DENY'));
ALTER TABLE "rollup_mark" ADD CONSTRAINT "one_rollup_mark" CHECK ("id" = 1);
ALTER TABLE usage_rollup SET (fillfactor = 70);
ALTER TABLE decision_rollup SET (fillfactor = 70);
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_rollup, decision_rollup TO watermaster_app;
GRANT SELECT, INSERT, UPDATE ON rollup_mark TO watermaster_app;
CREATE TABLE "budget_request" ("id" uuid NOT NULL PRIMARY KEY, "scope_path" text NOT NULL, "unit" text NOT NULL, "amount" bigint NOT NULL, "reason" text NOT NULL, "asked_by" text NOT NULL, "asked_at" timestamp with time zone NOT NULL, "state" text NOT NULL, "granted" bigint NULL, "answer" text NOT NULL, "answered_by" text NOT NULL, "answered_at" timestamp with time zone NULL, CONSTRAINT "budget_request_asks_for_something" CHECK ("amount" > 0), CONSTRAINT "budget_request_is_answered_once" CHECK ((("answered_at" IS NULL AND "state" = 'OPEN') OR (NOT ("state" = 'OPEN') AND "answered_at" IS NOT NULL))), CONSTRAINT "budget_request_grants_something" CHECK ((("granted" > 0 AND "state" = 'GRANTED') OR (NOT ("state" = 'GRANTED') AND "granted" IS NULL))));
GRANT SELECT, INSERT, UPDATE ON budget_request TO watermaster_app;
CREATE INDEX "budget_request_asked" ON "budget_request" ("asked_at", "id");
CREATE TABLE "usage_day" ("scope_path" text NOT NULL, "model" text NOT NULL, "tool" text NOT NULL, "traffic_class" text NOT NULL, "unit" text NOT NULL, "agent" text NOT NULL, "calls" bigint NOT NULL, "events" bigint NOT NULL, "charged" numeric(40, 0) NOT NULL, "uncovered" numeric(40, 0) NOT NULL, "corrections" bigint NOT NULL, "corrected" numeric(40, 0) NOT NULL, "priced_calls" bigint NOT NULL, "priced_charged" numeric(40, 0) NOT NULL, "provider_cost" numeric(40, 0) NOT NULL, "tokens_input" numeric(40, 0) NOT NULL, "tokens_output" numeric(40, 0) NOT NULL, "tokens_cached" numeric(40, 0) NOT NULL, "tokens_reasoning" numeric(40, 0) NOT NULL, "holds" bigint NOT NULL, "held" numeric(40, 0) NOT NULL, "commits" bigint NOT NULL, "planned" numeric(40, 0) NOT NULL, "observed" numeric(40, 0) NOT NULL, "releases" bigint NOT NULL, "expiries" bigint NOT NULL, "given_back" numeric(40, 0) NOT NULL, "latency_ms" numeric(40, 0) NOT NULL, "latency_counts" bigint[] NOT NULL, "day" date NOT NULL, PRIMARY KEY ("day", "scope_path", "model", "tool", "traffic_class", "unit"));
ALTER TABLE usage_day SET (fillfactor = 70);
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_day TO watermaster_app;
WITH fresh AS (SELECT bucket_at, scope_path, model, tool, traffic_class, unit, agent, calls, events, charged, uncovered, corrections, corrected, priced_calls, priced_charged, provider_cost, tokens_input, tokens_output, tokens_cached, tokens_reasoning, holds, held, commits, planned, observed, releases, expiries, given_back, latency_ms, latency_counts FROM usage_rollup), days AS (
-- `fresh` by local days of the tenant.
SELECT
    (f.bucket_at AT TIME ZONE h.time_zone)::date AS day, f.scope_path, f.model, f.tool, f.traffic_class, f.unit, f.agent,
    sum(calls) AS calls, sum(events) AS events, sum(charged) AS charged, sum(uncovered) AS uncovered, sum(corrections) AS corrections, sum(corrected) AS corrected,
    sum(priced_calls) AS priced_calls, sum(priced_charged) AS priced_charged, sum(provider_cost) AS provider_cost, sum(tokens_input) AS tokens_input, sum(tokens_output) AS tokens_output, sum(tokens_cached) AS tokens_cached,
    sum(tokens_reasoning) AS tokens_reasoning, sum(holds) AS holds, sum(held) AS held, sum(commits) AS commits, sum(planned) AS planned, sum(observed) AS observed,
    sum(releases) AS releases, sum(expiries) AS expiries, sum(given_back) AS given_back, sum(latency_ms) AS latency_ms,
    ARRAY[
        sum(latency_counts[1]), sum(latency_counts[2]), sum(latency_counts[3]), sum(latency_counts[4]), sum(latency_counts[5]),
        sum(latency_counts[6]), sum(latency_counts[7]), sum(latency_counts[8]), sum(latency_counts[9]), sum(latency_counts[10]),
        sum(latency_counts[11]), sum(latency_counts[12]), sum(latency_counts[13])
    ]::bigint[] AS latency_counts
FROM fresh AS f
CROSS JOIN ledger_head AS h
GROUP BY 1, 2, 3, 4, 5, 6, 7
) INSERT INTO usage_day (day, scope_path, model, tool, traffic_class, unit, agent, calls, events, charged, uncovered, corrections, corrected, priced_calls, priced_charged, provider_cost, tokens_input, tokens_output, tokens_cached, tokens_reasoning, holds, held, commits, planned, observed, releases, expiries, given_back, latency_ms, latency_counts) SELECT * FROM days;
CREATE TABLE "alert" ("id" uuid NOT NULL PRIMARY KEY, "kind" text NOT NULL, "subject" text NOT NULL, "threshold" bigint NOT NULL, "period" text NOT NULL, "severity" smallint NOT NULL, "scope_path" text NOT NULL, "unit" text NOT NULL, "summary" text NOT NULL, "facts" jsonb NOT NULL, "state" text NOT NULL, "opened_at" timestamp with time zone NOT NULL, "period_ends_at" timestamp with time zone NULL, "snoozed_until" timestamp with time zone NULL, "tell_at" timestamp with time zone NOT NULL, "ended_at" timestamp with time zone NULL, "ended_by" text NOT NULL, "end_reason" text NOT NULL, "reopened" integer NOT NULL, CONSTRAINT "one_alert_per_threshold_and_period" UNIQUE ("kind", "subject", "threshold", "period"), CONSTRAINT "alert_ends_once" CHECK ((("ended_at" IS NULL AND "state" = 'OPEN') OR (NOT ("state" = 'OPEN') AND "ended_at" IS NOT NULL))));
CREATE TABLE "alert_rule" ("id" uuid NOT NULL PRIMARY KEY, "kind" text NOT NULL, "is_on" boolean NOT NULL, "thresholds" bigint[] NOT NULL, "changed_by" text NOT NULL, "changed_at" timestamp with time zone NOT NULL, "budget_id" uuid NULL);
CREATE TABLE "alert_channel" ("id" uuid NOT NULL PRIMARY KEY, "kind" text NOT NULL, "name" text NOT NULL, "sealed" text NOT NULL, "hint" text NOT NULL, "severity_min" smallint NOT NULL, "is_on" boolean NOT NULL, "created_by" text NOT NULL, "created_at" timestamp with time zone NOT NULL, "told_at" timestamp with time zone NOT NULL, "busy_until" timestamp with time zone NULL, "sent_at" timestamp with time zone NULL, "retry_at" timestamp with time zone NULL, "failures" integer NOT NULL, "failed_at" timestamp with time zone NULL, "failure" text NOT NULL);
CREATE TABLE "alert_mark" ("id" smallint NOT NULL PRIMARY KEY, "looked_at" timestamp with time zone NULL, CONSTRAINT "one_alert_mark" CHECK ("id" = 1));
GRANT SELECT, INSERT, UPDATE ON alert, alert_mark TO watermaster_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON alert_rule, alert_channel TO watermaster_app;
CREATE INDEX "alert_opened" ON "alert" ("opened_at", "id");
CREATE INDEX "alert_open" ON "alert" ("kind") WHERE "state" = 'OPEN';
CREATE INDEX "alert_told" ON "alert" ("tell_at");
ALTER TABLE "alert_rule" ADD CONSTRAINT "one_alert_rule_per_kind_and_budget" UNIQUE NULLS NOT DISTINCT ("kind", "budget_id");
CREATE INDEX "alert_rule_budget_id_a99b8d08" ON "alert_rule" ("budget_id");
CREATE TABLE "ledger_seal" ("number" bigint NOT NULL PRIMARY KEY, "layout" smallint NOT NULL, "first_seq" bigint NOT NULL, "last_seq" bigint NOT NULL, "first_at" timestamp with time zone NOT NULL, "last_at" timestamp with time zone NOT NULL, "entries_hash" bytea NOT NULL, "previous_hash" bytea NOT NULL, "hash" bytea NOT NULL, "signature" bytea NOT NULL, "sealed_at" timestamp with time zone NOT NULL, CONSTRAINT "ledger_seal_is_not_empty" CHECK ("first_seq" <= ("last_seq")), CONSTRAINT "one_seal_per_entry" UNIQUE ("first_seq"));
GRANT SELECT, INSERT ON ledger_seal TO watermaster_app;
CREATE INDEX "budget_period_ends" ON "budget" ("period_ends_at") WHERE "period_ends_at" IS NOT NULL;
ALTER TABLE "alert_channel" ADD COLUMN "test_asked_at" timestamp with time zone NULL;
CREATE TABLE "reconciliation" ("id" uuid NOT NULL PRIMARY KEY, "at" timestamp with time zone NOT NULL, "actor" text NOT NULL, "reason" text NOT NULL, "source" text NOT NULL, "name" text NOT NULL, "digest" text NOT NULL, "since" timestamp with time zone NOT NULL, "until" timestamp with time zone NOT NULL, "scope_path" text NOT NULL, "provider" text NOT NULL, "by_days" boolean NOT NULL, "tolerance_ppm" bigint NOT NULL, "observed" jsonb NOT NULL, "booked" jsonb NOT NULL, "matched" bigint NOT NULL, "missing" bigint NOT NULL, "extra" bigint NOT NULL, "drift" bigint NOT NULL, "unread" bigint NOT NULL, "differences" jsonb NOT NULL);
REVOKE ALL ON reconciliation FROM watermaster_app;
GRANT SELECT, INSERT ON reconciliation TO watermaster_app;
CREATE INDEX "reconciliation_at" ON "reconciliation" ("at");
ALTER TABLE "usage_rollup" ADD COLUMN "first_token_ms" numeric(40, 0) DEFAULT 0 NOT NULL;
ALTER TABLE "usage_rollup" ALTER COLUMN "first_token_ms" DROP DEFAULT;
ALTER TABLE "usage_rollup" ADD COLUMN "first_token_counts" bigint[] DEFAULT '{0,0,0,0,0,0,0,0,0,0,0,0,0}'::int8[] NOT NULL;
ALTER TABLE "usage_rollup" ALTER COLUMN "first_token_counts" DROP DEFAULT;
ALTER TABLE "usage_day" ADD COLUMN "first_token_ms" numeric(40, 0) DEFAULT 0 NOT NULL;
ALTER TABLE "usage_day" ALTER COLUMN "first_token_ms" DROP DEFAULT;
ALTER TABLE "usage_day" ADD COLUMN "first_token_counts" bigint[] DEFAULT '{0,0,0,0,0,0,0,0,0,0,0,0,0}'::int8[] NOT NULL;
ALTER TABLE "usage_day" ALTER COLUMN "first_token_counts" DROP DEFAULT;
ALTER TABLE "rollup_mark" ADD COLUMN "decisions_kept_since" timestamp with time zone NULL;
ALTER TABLE "alert" ADD COLUMN "for_channels" uuid[] NULL;
ALTER TABLE "alert_channel" ADD COLUMN "behind" text[] DEFAULT '{}'::text[] NOT NULL;
ALTER TABLE "alert_channel" ADD COLUMN "behind_since" timestamp with time zone NULL;
ALTER TABLE "alert_channel" ADD COLUMN "behind_at" timestamp with time zone NULL;
ALTER TABLE "alert_channel" ADD COLUMN "behind_tries" integer DEFAULT 0 NOT NULL;
CREATE TABLE "evidence_note" ("day" date NOT NULL, "kind" text NOT NULL, "about" text NOT NULL, "count" bigint NOT NULL, "first_at" timestamp with time zone NOT NULL, "last_at" timestamp with time zone NOT NULL, "trace_id" text NOT NULL, PRIMARY KEY ("day", "kind", "about"));
CREATE TABLE "span" ("trace_id" text NOT NULL, "span_id" text NOT NULL, "parent_id" text NOT NULL, "received_at" timestamp with time zone NOT NULL, "started_at" timestamp with time zone NOT NULL, "duration_us" bigint NOT NULL, "kind" text NOT NULL, "name" text NOT NULL, "service" text NOT NULL, "instrumentation" text NOT NULL, "is_error" boolean NOT NULL, "error_type" text NOT NULL, "tenant" text NOT NULL, "prompt_source_tenant" text NULL, "namespace_tenant" text NULL, "namespace" text NOT NULL, "cache_key" text NOT NULL, "agent" text NOT NULL, "tool" text NOT NULL, "run_id" text NOT NULL, "decision_id" text NOT NULL, "provider" text NOT NULL, "model" text NOT NULL, "response_id" text NOT NULL, "tokens_input" bigint NOT NULL, "tokens_output" bigint NOT NULL, "tokens_cached" bigint NOT NULL, "tokens_cache_write" bigint NOT NULL, "tokens_reasoning" bigint NOT NULL, "first_token_us" bigint NULL, "is_counted" boolean NULL, "same_as" text NULL, "cost" bigint NULL, "is_fallback_price" boolean NULL, CONSTRAINT "span_duration_not_negative" CHECK ("duration_us" >= 0), PRIMARY KEY ("trace_id", "span_id"));
CREATE INDEX span_leak ON span (started_at DESC) WHERE prompt_source_tenant <> tenant OR namespace_tenant <> tenant;
CREATE INDEX span_namespace ON span (namespace) WHERE namespace <> '';
CREATE INDEX span_cache_key ON span (cache_key) WHERE cache_key <> '';
REVOKE ALL ON span, evidence_note FROM watermaster_app;
GRANT SELECT, INSERT, DELETE ON span TO watermaster_app;
GRANT UPDATE (is_counted, same_as, cost, is_fallback_price) ON span TO watermaster_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON evidence_note TO watermaster_app;
CREATE UNIQUE INDEX "an_answer_is_counted_once" ON "span" ("response_id") WHERE ("is_counted" AND NOT ("response_id" = ''));
CREATE INDEX "span_started_at" ON "span" ("started_at");
CREATE INDEX "span_uncounted" ON "span" ("received_at") WHERE "is_counted" IS NULL;
CREATE TABLE "evidence_mark" ("id" smallint NOT NULL PRIMARY KEY, "counted_at" timestamp with time zone NULL, "forgotten_at" timestamp with time zone NULL);
CREATE TABLE "span_rollup" ("bucket_at" timestamp with time zone NOT NULL, "kind" text NOT NULL, "provider" text NOT NULL, "subject" text NOT NULL, "agent" text NOT NULL, "spans" bigint NOT NULL, "repeats" bigint NOT NULL, "errors" bigint NOT NULL, "leaks" bigint NOT NULL, "tokens_input" numeric(40, 0) NOT NULL, "tokens_output" numeric(40, 0) NOT NULL, "tokens_cached" numeric(40, 0) NOT NULL, "tokens_cache_write" numeric(40, 0) NOT NULL, "tokens_reasoning" numeric(40, 0) NOT NULL, "cost" numeric(40, 0) NOT NULL, "unpriced" bigint NOT NULL, "durations" bigint[] NOT NULL, "first_tokens" bigint[] NOT NULL, PRIMARY KEY ("bucket_at", "kind", "provider", "subject", "agent"));
DROP INDEX IF EXISTS "an_answer_is_counted_once";
CREATE UNIQUE INDEX "an_answer_is_counted_once" ON "span" ("response_id") WHERE ("is_counted" AND "kind" IN ('inference', 'embedding') AND NOT ("response_id" = ''));
ALTER TABLE "evidence_mark" ADD CONSTRAINT "one_evidence_mark" CHECK ("id" = 1);
ALTER TABLE span_rollup SET (fillfactor = 70);
REVOKE ALL ON span_rollup, evidence_mark FROM watermaster_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON span_rollup TO watermaster_app;
GRANT SELECT, INSERT, UPDATE ON evidence_mark TO watermaster_app;
REVOKE ALL ON api_key FROM watermaster_app;
GRANT SELECT, INSERT, UPDATE ON api_key TO watermaster_app;
CREATE TABLE "audit_entry" ("id" uuid NOT NULL PRIMARY KEY, "at" timestamp with time zone NOT NULL, "actor_type" text NOT NULL, "actor" text NOT NULL, "action" text NOT NULL, "target" text NOT NULL, "reason" text NOT NULL, "before" jsonb NULL, "after" jsonb NULL, "request_id" text NOT NULL, "trace_id" text NOT NULL, "source_ip" text NOT NULL);
CREATE TABLE "outbox_event" ("id" uuid NOT NULL PRIMARY KEY, "at" timestamp with time zone NOT NULL, "event_type" text NOT NULL, "scope_path" text NOT NULL, "payload" jsonb NOT NULL, "request_id" text NOT NULL, "trace_id" text NOT NULL, "delivered_at" timestamp with time zone NULL);
CREATE INDEX "audit_entry_at" ON "audit_entry" ("at");
CREATE INDEX "outbox_event_waiting" ON "outbox_event" ("id") WHERE "delivered_at" IS NULL;
REVOKE ALL ON audit_entry, outbox_event FROM watermaster_app;
GRANT SELECT, INSERT ON audit_entry TO watermaster_app;
GRANT SELECT, INSERT, UPDATE ON outbox_event TO watermaster_app;
ALTER TABLE outbox_event ADD COLUMN seq bigint GENERATED BY DEFAULT AS IDENTITY;
DROP INDEX IF EXISTS "outbox_event_waiting";
CREATE INDEX "outbox_event_waiting" ON "outbox_event" ("seq") WHERE "delivered_at" IS NULL;
CREATE INDEX "outbox_event_seq" ON "outbox_event" ("seq");
CREATE TABLE "webhook_subscription" ("id" uuid NOT NULL PRIMARY KEY, "name" text NOT NULL, "description" text NOT NULL, "url" text NOT NULL, "event_types" text[] NOT NULL, "event_categories" text[] NOT NULL, "scope_filter" text NOT NULL, "thresholds" jsonb NULL, "metadata" jsonb NULL, "secret" text NOT NULL, "previous_secret" text NOT NULL, "previous_secret_until" timestamp with time zone NULL, "headers" text NOT NULL, "header_names" text[] NOT NULL, "status" text NOT NULL, "status_reason" text NOT NULL, "max_retries" integer NOT NULL, "initial_delay_ms" integer NOT NULL, "backoff_multiplier" double precision NOT NULL, "max_delay_ms" integer NOT NULL, "disable_after_failures" integer NOT NULL, "consecutive_failures" integer NOT NULL, "created_at" timestamp with time zone NOT NULL, "updated_at" timestamp with time zone NOT NULL, "listens_since" timestamp with time zone NOT NULL, "quiet_until" timestamp with time zone NULL, "last_triggered_at" timestamp with time zone NULL, "last_success_at" timestamp with time zone NULL, "last_failure_at" timestamp with time zone NULL, CONSTRAINT "webhook_subscription_selects_something" CHECK ((CASE WHEN "event_types" IS NULL THEN NULL ELSE coalesce(array_length("event_types", 1), 0) END > 0 OR CASE WHEN "event_categories" IS NULL THEN NULL ELSE coalesce(array_length("event_categories", 1), 0) END > 0)), CONSTRAINT "webhook_subscription_status" CHECK ("status" IN ('ACTIVE', 'PAUSED', 'DISABLED')));
CREATE TABLE "webhook_delivery" ("id" bigint NOT NULL PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, "event_id" uuid NOT NULL, "event_type" text NOT NULL, "trace_id" text NOT NULL, "replay_id" uuid NULL, "body" text NULL, "status" text NOT NULL, "attempts" integer NOT NULL, "created_at" timestamp with time zone NOT NULL, "next_attempt_at" timestamp with time zone NOT NULL, "attempted_at" timestamp with time zone NULL, "completed_at" timestamp with time zone NULL, "response_status" integer NULL, "response_time_ms" integer NULL, "error" text NOT NULL, "subscription_id" uuid NOT NULL, CONSTRAINT "webhook_delivery_status" CHECK ("status" IN ('PENDING', 'SUCCESS', 'FAILED', 'RETRYING')));
REVOKE ALL ON webhook_subscription, webhook_delivery FROM watermaster_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_subscription, webhook_delivery TO watermaster_app;
CREATE UNIQUE INDEX "one_delivery_of_an_event" ON "webhook_delivery" ("subscription_id", "event_id") WHERE "replay_id" IS NULL;
CREATE INDEX "webhook_delivery_of" ON "webhook_delivery" ("subscription_id", "id");
CREATE INDEX "webhook_delivery_due" ON "webhook_delivery" ("subscription_id", "next_attempt_at") WHERE "status" IN ('PENDING', 'RETRYING');
CREATE TABLE "credential_reference" ("id" uuid NOT NULL PRIMARY KEY, "name" text NOT NULL, "provider" text NOT NULL, "scope" text NOT NULL, "tools" text NOT NULL, "back_end" text NOT NULL, "path" text NOT NULL, "key" text NOT NULL, "version" text NOT NULL, "note" text NOT NULL, "status" text NOT NULL, "created_at" timestamp with time zone NOT NULL, "expires_at" timestamp with time zone NULL, "revoked_at" timestamp with time zone NULL, "rotated_at" timestamp with time zone NULL, "previous_path" text NOT NULL, "previous_key" text NOT NULL, "previous_version" text NOT NULL, "previous_until" timestamp with time zone NULL, "last_used_at" timestamp with time zone NULL, "health" text NOT NULL, "checked_at" timestamp with time zone NULL, CONSTRAINT "credential_path_names_tenant" CHECK (("path"::text LIKE '%{tenant}%' AND ("previous_path" = '' OR "previous_path"::text LIKE '%{tenant}%'))), CONSTRAINT "revoked_reference_has_time" CHECK ((("revoked_at" IS NOT NULL AND "status" = 'REVOKED') OR ("revoked_at" IS NULL AND "status" = 'ACTIVE'))));
REVOKE ALL ON credential_reference FROM watermaster_app;
GRANT SELECT, INSERT, UPDATE ON credential_reference TO watermaster_app;
CREATE UNIQUE INDEX "one_active_reference_per_scope" ON "credential_reference" ("scope") WHERE "status" = 'ACTIVE';
CREATE UNIQUE INDEX "one_active_reference_per_name" ON "credential_reference" ("name") WHERE "status" = 'ACTIVE';
CREATE INDEX "credential_reference_created" ON "credential_reference" ("created_at");
CREATE TABLE "credential_lease" ("id" uuid NOT NULL PRIMARY KEY, "reference_id" uuid NOT NULL, "decision_id" uuid NOT NULL, "path" text NOT NULL, "key" text NOT NULL, "version" text NOT NULL, "leased_at" timestamp with time zone NOT NULL, "expires_at" timestamp with time zone NOT NULL, "ended_at" timestamp with time zone NULL, "renewals" integer NOT NULL, "store_lease_id" text NOT NULL, "store_ends_at" timestamp with time zone NULL);
REVOKE ALL ON credential_lease FROM watermaster_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON credential_lease TO watermaster_app;
CREATE INDEX "credential_lease_decision" ON "credential_lease" ("decision_id");
CREATE INDEX "credential_lease_expires" ON "credential_lease" ("expires_at");
CREATE INDEX "credential_lease_at_store" ON "credential_lease" ("store_ends_at") WHERE NOT ("store_lease_id" = '');
CREATE TABLE django_migrations (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    app varchar(255) NOT NULL, name varchar(255) NOT NULL, applied timestamptz NOT NULL
);
INSERT INTO django_migrations (app, name, applied) VALUES
    ('accounts', '0001_initial', now()),
    ('account', '0001_initial', now()),
    ('account', '0002_email_max_length', now()),
    ('account', '0003_alter_emailaddress_create_unique_verified_email', now()),
    ('account', '0004_alter_emailaddress_drop_unique_email', now()),
    ('account', '0005_emailaddress_idx_upper_email', now()),
    ('account', '0006_emailaddress_lower', now()),
    ('account', '0007_emailaddress_idx_email', now()),
    ('account', '0008_emailaddress_unique_primary_email_fixup', now()),
    ('account', '0009_emailaddress_unique_primary_email', now()),
    ('usersessions', '0001_initial', now()),
    ('socialaccount', '0001_initial', now()),
    ('socialaccount', '0002_token_max_lengths', now()),
    ('socialaccount', '0003_extra_data_default_dict', now()),
    ('socialaccount', '0004_app_provider_id_settings', now()),
    ('socialaccount', '0005_socialtoken_nullable_app', now()),
    ('socialaccount', '0006_alter_socialaccount_extra_data', now()),
    ('mfa', '0001_initial', now()),
    ('mfa', '0002_authenticator_timestamps', now()),
    ('mfa', '0003_authenticator_type_uniq', now()),
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
    ('accounts', '0002_grants', now()),
    ('accounts', '0003_membership', now()),
    ('accounts', '0004_invitation', now()),
    ('accounts', '0005_sign_in_grants', now()),
    ('keys', '0001_initial', now()),
    ('budgets', '0001_initial', now()),
    ('budgets', '0002_functions_and_grants', now()),
    ('budgets', '0003_begun_anew', now()),
    ('budgets', '0004_rules', now()),
    ('budgets', '0005_corrections', now()),
    ('budgets', '0006_would_deny', now()),
    ('budgets', '0007_run_provider', now()),
    ('budgets', '0008_rollups', now()),
    ('budgets', '0009_requests', now()),
    ('budgets', '0010_usage_days', now()),
    ('budgets', '0011_alerts', now()),
    ('budgets', '0012_ledger_seal', now()),
    ('budgets', '0013_due_periods', now()),
    ('budgets', '0014_channel_test', now()),
    ('budgets', '0015_reconciliation', now()),
    ('budgets', '0016_first_token', now()),
    ('budgets', '0017_decisions_kept', now()),
    ('budgets', '0018_credential_expiring', now()),
    ('budgets', '0019_alert_readers', now()),
    ('evidence', '0001_initial', now()),
    ('evidence', '0002_counting', now()),
    ('findings', '0001_initial', now()),
    ('keys', '0002_grants', now()),
    ('routing', '0001_price_book', now()),
    ('routing', '0002_price_guards', now()),
    ('routing', '0003_provider_pool', now()),
    ('telemetry', '0001_initial', now()),
    ('telemetry', '0002_grants', now()),
    ('telemetry', '0003_outbox_order', now()),
    ('telemetry', '0004_webhooks', now()),
    ('tenants', '0001_initial', now()),
    ('tenants', '0002_tenant_due', now()),
    ('tenants', '0003_grants', now()),
    ('tenants', '0004_platform_switch', now()),
    ('tenants', '0005_judgement', now()),
    ('tenants', '0006_tenant_standing', now()),
    ('tenants', '0007_display_rate', now()),
    ('tenants', '0008_tenant_stop', now()),
    ('tenants', '0009_open_request', now()),
    ('tenants', '0010_standing_alerts', now()),
    ('tenants', '0011_verification', now()),
    ('tenants', '0012_webhook_due', now()),
    ('tenants', '0013_ledger_check', now()),
    ('tenants', '0014_webhook_visited', now()),
    ('tenants', '0015_waiting_since', now()),
    ('vault', '0001_credential_reference', now()),
    ('vault', '0002_credential_lease', now());
