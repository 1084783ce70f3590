-- Idempotency keys with more than one effect or answer. The unique indexes forbid them; this does not trust the indexes.
SELECT e.endpoint, e.idempotency_key, count(*) AS number
FROM ledger_entry AS e
WHERE e.idempotency_key IS NOT NULL
GROUP BY e.endpoint, e.idempotency_key, e.target
HAVING count(*) > 1
UNION ALL
SELECT d.endpoint, d.idempotency_key, count(*)
FROM decision AS d
WHERE d.is_replayable
GROUP BY d.endpoint, d.idempotency_key
HAVING count(*) > 1
LIMIT %(at_most)s
