-- Decisions that claim an effect: as many as there are RESERVE entries, each on an entry of its own; and refusals that claim one.
SELECT
    count(*) AS number, count(DISTINCT d.ledger_seq) AS entries, count(*) FILTER (WHERE d.verdict = 'DENY') AS denied
FROM decision AS d
WHERE d.ledger_seq <= %(until)s
