-- The entries of a range of seq: how many of each kind, and the same sum over the reservations that they name.
SELECT
    e.kind, count(*) AS number, count(DISTINCT e.reservation_id) AS reservations,
    coalesce(sum(uuid_hash_extended(e.reservation_id, 0)::numeric), 0) AS fingerprint
FROM ledger_entry AS e
WHERE e.seq > %(after)s AND e.seq <= %(until)s
GROUP BY e.kind
