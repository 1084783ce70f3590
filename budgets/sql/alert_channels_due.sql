-- Channels with something to tell, and when: a test at once, if nobody is at it; else not before what belongs together came in, nor soon after they
-- last spoke, nor before another try.
SELECT
    c.id,
    CASE
        WHEN c.test_asked_at IS NOT NULL THEN greatest(c.test_asked_at, c.busy_until)
        ELSE greatest(a.tell_at + %(gather)s::interval, c.sent_at + %(pace)s::interval, c.retry_at, c.busy_until)
    END AS due_at
FROM alert_channel AS c
CROSS JOIN LATERAL (
    SELECT min(tell_at) AS tell_at
    FROM alert
    WHERE tell_at > c.told_at AND severity >= c.severity_min AND state = 'OPEN' AND snoozed_until IS NULL
) AS a
WHERE c.test_asked_at IS NOT NULL OR (c.is_on AND a.tell_at IS NOT NULL)
ORDER BY due_at, c.id
