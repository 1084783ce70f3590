-- Calls `first` to `last` of a seeded tenant, with everything that they leave: holds, decisions, runs and entries. Of twenty calls the first is refused, the second
-- an event, the third released and all others committed: 37 entries. Times rise with the numbers, as the engine's do.
WITH base AS (
    SELECT %(seq)s::bigint AS seq, 'tenant:' || %(slug)s AS root, (SELECT id FROM budget WHERE depth = 1) AS root_id
), scope AS MATERIALIZED (
    SELECT n, a AS agent, w AS workspace, g.id AS agent_id, s.id AS workspace_id, g.scope_path AS path
    FROM base
    CROSS JOIN unnest(%(agents)s::text[]) WITH ORDINALITY AS u (a, n)
    CROSS JOIN LATERAL (SELECT (%(workspaces)s::text[])[1 + (n - 1) %% 4] AS w) AS v
    JOIN budget AS s ON s.scope_path = base.root || '/workspace:' || w
    JOIN budget AS g ON g.scope_path = base.root || '/workspace:' || w || '/agent:' || a
), call AS MATERIALIZED (
    SELECT
        i, i %% 20 AS place, base.seq + i / 20 * 37 + CASE i %% 20 WHEN 0 THEN 0 WHEN 1 THEN 1 ELSE (i %% 20 - 2) * 2 + 2 END AS seq,
        date_trunc('milliseconds', t.at) AS at, uuidv7(t.at - clock_timestamp()) AS id, s.*, base.root_id, base.root,
        -- An agent has one class of work, and mostly one model.
        (ARRAY['gpt-4o', 'gpt-4o-mini', 'claude-sonnet-5', 'claude-haiku-5', 'gemini-3-flash'])[1 + (n + (i %% 10 = 9)::int) %% 5] AS model,
        (ARRAY['chat', 'code', 'batch'])[1 + n %% 3] AS class,
        50000 + (i * 7919 %% 900000) AS held, 40000 + (i * 7919 %% 900000) * 8 / 10 AS cost, 200 + i * 131 %% 4000 AS tokens,
        'run-' || i / 20 AS run
    FROM base
    CROSS JOIN generate_series(%(first)s::bigint, %(last)s::bigint) AS i
    CROSS JOIN LATERAL (
        SELECT %(until)s::timestamptz - (%(calls)s - i) * (interval '30 days' / %(calls)s::double precision) AS at
    ) AS t
    JOIN scope AS s ON s.n = 1 + (i / 5 + i / 17) %% 8
), word AS MATERIALIZED (
    SELECT
        call.*, ARRAY[root_id, workspace_id, agent_id] AS ids,
        jsonb_build_object('tenant', %(slug)s, 'workspace', workspace, 'agent', agent, 'dimensions', jsonb_build_object('run', run)) AS subject,
        CASE WHEN place = 1 THEN '{"kind": "tool.web", "name": "web_search"}'::jsonb
            ELSE jsonb_build_object('kind', 'llm.completion', 'name', model) END AS action
    FROM call
), held AS (
    INSERT INTO reservation (
        id, status, unit, amount, overage_policy, budget_ids, scope_path, run_id, subject, action, idempotency_key, created_at, expires_at, due_at,
        grace_ms, extensions, finalized_at, actual, charged, metrics
    )
    SELECT id, CASE place WHEN 2 THEN 'RELEASED' ELSE 'COMMITTED' END, 'USD_MICROCENTS', held, 'ALLOW_IF_AVAILABLE', ids, path, run, subject, action,
        'seed-' || i, at, at + interval '1 minute', at + interval '65 seconds', 5000, 0, at + interval '2 seconds',
        CASE WHEN place > 2 THEN cost END, CASE WHEN place > 2 THEN cost END,
        CASE WHEN place > 2 THEN jsonb_build_object('tokens_input', tokens, 'tokens_output', tokens / 5, 'latency_ms', 80 + i * 37 %% 4000) END
    FROM word
    WHERE place > 1
), decided AS (
    INSERT INTO decision (
        id, at, endpoint, verdict, reason_code, is_replayable, idempotency_key, scope_path, failed_scope, unit, amount, numbers, run_id,
        reservation_id, subject, action, ledger_seq, budget_ids, balances, admission
    )
    SELECT id, at, 'reserve', CASE WHEN place = 0 THEN 'DENY' WHEN place = 7 THEN 'ALLOW_WITH_CAPS' ELSE 'ALLOW' END,
        CASE WHEN place = 0 THEN (ARRAY['BUDGET_EXCEEDED', 'RATE_LIMITED', 'TOOL_DENIED', 'MAX_ITERATIONS_REACHED'])[1 + i / 20 %% 4] END,
        place <> 0, 'seed-' || i, path, CASE WHEN place = 0 THEN path END, 'USD_MICROCENTS', held,
        CASE WHEN place = 0 THEN jsonb_build_object(
            'remaining', held / 3, 'requested', held, 'unit', 'USD_MICROCENTS', 'debt', 0, 'tool', 'slack.post', 'policy_version', 3,
            'name', 'decisions_a_minute', 'used', 25, 'limit', 25, 'retry_after_ms', 800
        ) END, run,
        CASE WHEN place > 1 THEN id END, CASE WHEN place = 0 THEN subject END, CASE WHEN place = 0 THEN action END,
        CASE WHEN place > 1 THEN seq END, CASE WHEN place = 0 THEN ids END,
        CASE WHEN place = 0 THEN ARRAY[held, 0, held * 2 / 3, 0, 0, 0, 0, held, 0, held * 2 / 3, 0, 0, 0, 0, held, 0, held * 2 / 3, 0, 0, 0, 0] END,
        jsonb_build_object('class', class, 'tokens', tokens)
    FROM word
    WHERE place <> 1
), ran AS (
    INSERT INTO run (run_id, started_at, lease_until, iterations, tokens, tokens_held)
    SELECT run, at, at + interval '10 minutes', 20, tokens * 20, 0 FROM word WHERE place = 0
    ON CONFLICT DO NOTHING
)
INSERT INTO ledger_entry (
    seq, kind, at, endpoint, reservation_id, event_id, unit, amount, charged, expires_at, budget_ids, deltas, balances, subject, action, metrics, price
)
SELECT e.seq, e.kind, e.at, e.endpoint, e.reservation_id, e.event_id, 'USD_MICROCENTS', e.amount, e.charged, e.expires_at, ids,
    ARRAY[0, e.held, e.spent, 0, 0, 0, e.held, e.spent, 0, 0, 0, e.held, e.spent, 0, 0],
    ARRAY[word.held, word.held, cost, 0, 0, 0, 0, word.held, word.held, cost, 0, 0, 0, 0, word.held, word.held, cost, 0, 0, 0, 0],
    CASE e.kind WHEN 'EVENT' THEN subject END, CASE e.kind WHEN 'EVENT' THEN action END,
    CASE e.kind WHEN 'EVENT' THEN jsonb_build_object('latency_ms', 900) END,
    CASE e.kind WHEN 'COMMIT' THEN jsonb_build_object(
        'provider', split_part(model, '-', 1), 'model', model, 'source', 'catalogue', 'version', 1, 'total', cost, 'provider_cost', cost * 8 / 10,
        'lines', jsonb_build_array(jsonb_build_object('kind', 'cached_input', 'quantity', tokens / 3, 'unit_price', 100, 'per', 1000000, 'amount', 0))
    ) END
FROM word
CROSS JOIN LATERAL (
    SELECT word.seq, 'RESERVE' AS kind, at, NULL AS endpoint, id AS reservation_id, NULL::uuid AS event_id, word.held AS amount,
        NULL::bigint AS charged, at + interval '1 minute' AS expires_at, word.held, 0::bigint AS spent
    WHERE place > 1
    UNION ALL
    SELECT word.seq + 1, CASE place WHEN 2 THEN 'RELEASE' ELSE 'COMMIT' END, at + interval '2 seconds', CASE place WHEN 2 THEN 'release' ELSE 'commit' END,
        id, NULL, CASE place WHEN 2 THEN word.held ELSE cost END, CASE WHEN place > 2 THEN cost END, NULL, -word.held,
        CASE WHEN place > 2 THEN cost ELSE 0 END
    WHERE place > 1
    UNION ALL
    SELECT word.seq, 'EVENT', at, 'event', NULL, id, 12000, 12000, NULL, 0, 12000
    WHERE place = 1
) AS e (seq, kind, at, endpoint, reservation_id, event_id, amount, charged, expires_at, held, spent)
