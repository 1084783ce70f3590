-- The numbers of the last entries booked before each of two moments; where all are later, the one behind which the ledger begins: 0, or the last one that
-- was archived. Entries are numbered without gaps and booked in the order of the database's clock, so each is found by halving: some twenty look-ups by
-- number, and no index over times.
WITH RECURSIVE search AS (
    SELECT
        m.moment,
        coalesce((SELECT (a.facts ->> 'until')::bigint FROM archive_file AS a WHERE a.kind = 'ledger' ORDER BY a.number DESC LIMIT 1), 0) AS low,
        h.last_seq AS high
    FROM ledger_head AS h
    CROSS JOIN (VALUES (%(since)s::timestamptz), (%(until)s::timestamptz)) AS m (moment)
    UNION ALL
    SELECT s.moment, CASE WHEN e.at < s.moment THEN e.seq ELSE s.low END, CASE WHEN e.at < s.moment THEN s.high ELSE e.seq - 1 END
    FROM search AS s
    JOIN ledger_entry AS e ON e.seq = (s.low + s.high + 1) / 2
    WHERE s.low < s.high
)
SELECT
    min(s.low) FILTER (WHERE s.moment = %(since)s) AS after,
    min(s.low) FILTER (WHERE s.moment = %(until)s) AS until
FROM search AS s
WHERE s.low = s.high
