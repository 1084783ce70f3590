-- How many things have an open alert that nobody put off, and the worst of them.
SELECT
    count(DISTINCT (kind, subject)),
    max(severity),
    (array_agg(summary ORDER BY severity DESC, opened_at DESC, id DESC))[1]
FROM alert
WHERE state = 'OPEN' AND snoozed_until IS NULL
