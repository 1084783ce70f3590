-- The entries of a range of seq that a list asks for, the newest first: of one kind, of one budget, or within the scopes that a key is confined to.
-- No index serves these, so whoever asks keeps the range short.
WITH range AS (
    SELECT * FROM ledger_entry WHERE seq > %(after)s AND seq <= %(until)s
), reach AS MATERIALIZED (
    SELECT b.id
    FROM budget AS b
    WHERE cardinality(%(scopes)s::text[]) > 0 AND b.id IN (SELECT unnest(range.budget_ids) FROM range) AND is_within_v1(b.scope_path, %(scopes)s)
)
SELECT range.*
FROM range
WHERE (%(kind)s::text IS NULL OR range.kind = %(kind)s)
    AND (%(budget_id)s::uuid IS NULL OR %(budget_id)s = ANY (range.budget_ids))
    AND (
        cardinality(%(scopes)s::text[]) = 0
        OR EXISTS (SELECT FROM unnest(range.budget_ids) AS touched (id) WHERE touched.id IN (SELECT reach.id FROM reach))
    )
ORDER BY range.seq DESC
LIMIT %(at_most)s
