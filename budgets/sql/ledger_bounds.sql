-- The numbers of the last entries booked before each of two moments; 0 where all are later. Entries are numbered without gaps and booked in the order of
-- the database's clock, so each is found by halving: some twenty look-ups by number, and no index over times.
WITH RECURSIVE search AS (
    SELECT m.moment, 0::bigint AS low, h.last_seq AS high
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
