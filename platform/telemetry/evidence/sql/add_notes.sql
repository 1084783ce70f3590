-- Counts what `notes` says to the day's notes, and says which of them are the first of their day. In one order, so that two at once do not wait for each
-- other in a circle.
INSERT INTO evidence_note AS e (day, kind, about, count, first_at, last_at, trace_id)
SELECT (%(now)s AT TIME ZONE 'UTC')::date, n.kind, n.about, n.count, %(now)s, %(now)s, n.trace_id
FROM jsonb_to_recordset(%(notes)s::jsonb) AS n (kind text, about text, count bigint, trace_id text)
ORDER BY n.kind, n.about
ON CONFLICT (day, kind, about) DO UPDATE SET
    count = e.count + excluded.count, last_at = greatest(e.last_at, excluded.last_at), trace_id = excluded.trace_id
RETURNING e.kind, e.about, e.count, e.trace_id, e.xmax = 0 AS is_first
