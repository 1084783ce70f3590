-- How many reservations are in each state, with a sum over their ids that another set of reservations would not have.
SELECT
    r.status, count(*) AS number, sum(uuid_hash_extended(r.id, 0)::numeric) AS fingerprint, sum(r.extensions) AS extensions,
    sum(uuid_hash_extended(r.id, 0)::numeric * r.extensions) AS extensions_fingerprint
FROM reservation AS r
GROUP BY r.status
