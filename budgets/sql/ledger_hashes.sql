-- The hash of the entries behind `after` up to `until`, in layout 1: SHA-256 over the SHA-256 of each entry in order, and of an entry SHA-256 over the
-- text of the JSON array of its columns. Times are microseconds since the epoch, so that no setting of a session changes what is hashed; the text of
-- jsonb is the same for the same value. A later layout is another file: this one is frozen.
SELECT
    count(*) AS number, min(x.at) AS first_at, max(x.at) AS last_at,
    sha256(string_agg(x.digest, ''::bytea ORDER BY x.seq)) AS entries_hash
FROM (
    SELECT
        e.seq, e.at,
        sha256(convert_to(jsonb_build_array(
            e.seq, e.kind, (extract(EPOCH FROM e.at) * 1000000)::bigint, e.endpoint, e.target, e.idempotency_key, encode(e.payload_hash, 'hex'),
            e.reservation_id, e.event_id, e.unit, e.amount, e.charged, (extract(EPOCH FROM e.expires_at) * 1000000)::bigint,
            (extract(EPOCH FROM e.period_starts_at) * 1000000)::bigint, e.budget_ids, e.deltas, e.balances, e.subject, e.action, e.metadata, e.metrics,
            e.price, e.actor, e.reason, e.request_id, e.trace_id
        )::text, 'UTF8')) AS digest
    FROM ledger_entry AS e
    WHERE e.seq > %(after)s AND e.seq <= %(until)s
) AS x
