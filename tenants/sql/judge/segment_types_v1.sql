-- What a tenant's own function and the shared judge say to each other. They are types of the shared schema, because the judge has one plan for all
-- tenants and must not see any tenant's table. Fields are in the order of the columns that they are written to.

-- One operation, as the program asks for it (`budgets/services/operations.py`).
CREATE TYPE public.asked_v1 AS (
    op text, id uuid, key_id text, digest bytea, is_trusted boolean, actor text, actor_type text, idem text, hash bytea, tenant text, suffixes text[],
    run text, template text, unit text, amount bigint, ttl_ms bigint, grace_ms int, policy text, is_dry boolean, subject jsonb, action jsonb,
    metadata jsonb, metrics jsonb, target uuid, extend_ms bigint, reason text, request_id text, trace_id text, endpoint text, facts jsonb,
    priority text, price jsonb
);

-- What the tenant's tables know of one operation: its key, the reservation that it names, and whether it was answered before.
CREATE TYPE public.known_v1 AS (
    is_key_good boolean, permissions text[], scope_filter text[], is_repeated boolean,
    hold_id uuid, status text, unit text, amount bigint, policy text, budget_ids uuid[], path text, run text,
    expires_at timestamptz, due_at timestamptz, grace_ms int, extensions smallint, tokens bigint
);

-- The answer that an operation was given before.
CREATE TYPE public.earlier_v1 AS (
    hash bytea, id uuid, verdict text, reason text, failed_scope text, numbers jsonb, amount bigint, charged bigint, admission jsonb,
    paths text[], balances bigint[], expires_at timestamptz, hold_status text
);

-- The head of the books.
CREATE TYPE public.head_v1 AS (
    slug text, status text, time_zone text, last_seq bigint, overage_policy text, extensions_max smallint
);

-- Budgets in play, an array a column: number n of every one is of the same budget. `by_path` and `by_id` say which number that is.
CREATE TYPE public.budgets_v1 AS (
    id uuid[], path text[], unit text[], status text[], run_id text[], allocated bigint[], reserved bigint[], spent bigint[], debt bigint[],
    uncovered bigint[], overdraft_limit bigint[], is_capped boolean[], is_low boolean[], starts_at timestamptz[], ends_at timestamptz[],
    n int, by_path jsonb, by_id jsonb
);

-- Runs in play, likewise.
CREATE TYPE public.runs_v1 AS (
    id text[], started_at timestamptz[], lease_until timestamptz[], iterations bigint[], tokens bigint[], tokens_held bigint[], gave_up_code text[],
    provider text[], n int
);

-- A counted quota that operation number n falls under, with what its counter says.
CREATE TYPE public.counted_v1 AS (
    n int, quota jsonb, key text, quota_max bigint, expires_at timestamptz, scope text, status text, used bigint
);

CREATE TYPE public.budget_draft_v1 AS (
    id uuid, scope_path text, unit text, allocated bigint, reserved bigint, spent bigint, debt bigint, uncovered bigint, is_capped boolean, is_low boolean,
    run_id text, is_new boolean
);
CREATE TYPE public.hold_draft_v1 AS (
    id uuid, unit text, amount bigint, overage_policy text, budget_ids uuid[], scope_path text, run_id text, subject jsonb, action jsonb, metadata jsonb,
    api_key_id text, idempotency_key text, expires_at timestamptz, due_at timestamptz, grace_ms int, tokens bigint
);
CREATE TYPE public.settlement_draft_v1 AS (
    id uuid, status text, expires_at timestamptz, due_at timestamptz, extensions smallint, finalized_at timestamptz, actual bigint, charged bigint,
    committed_metadata jsonb, metrics jsonb
);
CREATE TYPE public.entry_draft_v1 AS (
    seq bigint, kind text, endpoint text, target uuid, idempotency_key text, payload_hash bytea, reservation_id uuid, event_id uuid, unit text,
    amount bigint, charged bigint, expires_at timestamptz, budget_ids uuid[], deltas bigint[], balances bigint[], subject jsonb, action jsonb,
    metadata jsonb, metrics jsonb, price jsonb, actor text, reason text, request_id text, trace_id text
);
CREATE TYPE public.decision_draft_v1 AS (
    id uuid, endpoint text, verdict text, reason_code text, is_replayable boolean, idempotency_key text, payload_hash bytea, scope_path text,
    failed_scope text, unit text, amount bigint, numbers jsonb, api_key_id text, run_id text, reservation_id uuid, subject jsonb, action jsonb,
    ledger_seq bigint, budget_ids uuid[], balances bigint[], request_id text, trace_id text, would_deny text, admission jsonb
);
CREATE TYPE public.run_draft_v1 AS (
    run_id text, started_at timestamptz, lease_until timestamptz, iterations bigint, tokens bigint, tokens_held bigint, gave_up_code text,
    provider text
);
CREATE TYPE public.counter_draft_v1 AS (key text, used bigint, expires_at timestamptz);
CREATE TYPE public.event_draft_v1 AS (event_type text, scope_path text, payload jsonb, request_id text, trace_id text);
CREATE TYPE public.audit_draft_v1 AS (
    id uuid, actor_type text, actor text, action text, target text, reason text, before jsonb, after jsonb, request_id text, trace_id text
);

-- What a judged segment comes to: the answers, in the order of the operations, and everything to be written. An array is null when it is empty.
CREATE TYPE public.outcome_v1 AS (
    answers json, last_seq bigint, budgets public.budget_draft_v1[], holds public.hold_draft_v1[], settlements public.settlement_draft_v1[],
    entries public.entry_draft_v1[], decisions public.decision_draft_v1[], runs public.run_draft_v1[], counters public.counter_draft_v1[],
    events public.event_draft_v1[], audits public.audit_draft_v1[]
);
