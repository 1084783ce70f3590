-- Tenants whose channels have something to tell, the longest waiting first. Each is asked for again after a while, unless it was told meanwhile.
UPDATE tenant_standing AS s
SET tell_at = clock_timestamp() + make_interval(secs => %(retry_after_s)s)
FROM (
    SELECT tag FROM tenant_standing WHERE tell_at <= clock_timestamp() ORDER BY tell_at LIMIT %(at_most)s FOR UPDATE SKIP LOCKED
) AS d
WHERE s.tag = d.tag
RETURNING s.tag
