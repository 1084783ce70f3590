-- The entries of a range of seq that belong to one run, the oldest first: of its reservations, and whatever touched a budget of its own. No index serves
-- this, so whoever asks keeps the range short.
SELECT *
FROM ledger_entry
WHERE
    seq > %(after)s AND seq <= %(until)s
    AND (reservation_id = ANY(%(reservation_ids)s::uuid[]) OR budget_ids && %(budget_ids)s::uuid[])
ORDER BY seq
