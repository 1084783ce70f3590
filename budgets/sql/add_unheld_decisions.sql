-- Adds the decisions that made no reservation, which have no number in the ledger: those of `since` that are not among `known`, and later ones, some
-- `at_most` of the refusals and of the others. Answers how many, the time of the last one, and which ones are of that same time.
--
-- Whoever writes a decision holds the ledger head and reads the clock behind that lock. So a snapshot sees a beginning of the line of decisions in which
-- times never fall, and whatever it does not see has the last one's time or a later one. That takes two statements apart no more: it is one snapshot.
WITH bound AS (
    SELECT least(
        (SELECT at FROM decision WHERE verdict = 'DENY' AND at >= coalesce(%(since)s, '-infinity'::timestamptz) ORDER BY at OFFSET %(at_most)s LIMIT 1),
        (
            SELECT at
            FROM decision
            WHERE ledger_seq IS NULL AND NOT verdict = 'DENY' AND at >= coalesce(%(since)s, '-infinity'::timestamptz)
            ORDER BY at
            OFFSET %(at_most)s
            LIMIT 1
        ),
        'infinity'
    ) AS until
), seen AS MATERIALIZED (
    SELECT * FROM decision
    WHERE verdict = 'DENY' AND at >= coalesce(%(since)s, '-infinity'::timestamptz) AND at <= (SELECT until FROM bound) AND id <> ALL (%(known)s::uuid[])
    UNION ALL
    SELECT * FROM decision
    WHERE ledger_seq IS NULL AND NOT verdict = 'DENY' AND at >= coalesce(%(since)s, '-infinity'::timestamptz) AND at <= (SELECT until FROM bound)
        AND id <> ALL (%(known)s::uuid[])
), fresh AS (
    SELECT
        date_bin('15 minutes', at, '2000-01-01 00:00:00+00') AS bucket_at, coalesce(scope_path, '') AS scope_path, endpoint,
        coalesce(action ->> 'kind', '') AS action_kind, coalesce(action ->> 'name', '') AS action_name,
        coalesce(admission ->> 'class', '') AS traffic_class, verdict, coalesce(reason_code, '') AS reason_code, coalesce(would_deny, '') AS would_deny,
        coalesce(substring(scope_path FROM '/agent:([^/]+)'), '') AS agent, count(*) AS count
    FROM seen
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
), added AS (
    INSERT INTO decision_rollup (
        bucket_at, scope_path, endpoint, action_kind, action_name, traffic_class, verdict, reason_code, would_deny, agent, count
    )
    SELECT * FROM fresh
    ON CONFLICT (bucket_at, scope_path, endpoint, action_kind, action_name, traffic_class, verdict, reason_code, would_deny) DO UPDATE
    SET count = decision_rollup.count + excluded.count
)
SELECT
    (SELECT count(*) FROM seen) AS number,
    (SELECT max(at) FROM seen) AS last_at,
    ARRAY(SELECT id FROM seen WHERE at = (SELECT max(at) FROM seen)) AS last_ids,
    (SELECT until FROM bound) < 'infinity' AS is_cut
