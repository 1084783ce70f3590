-- When a channel next has something to tell: not before what belongs together came in, nor soon after it last spoke, nor while it is being tried.
SELECT
    min(greatest(a.tell_at + %(gather)s::interval, c.sent_at + %(pace)s::interval, c.retry_at, c.busy_until))
FROM alert_channel AS c
CROSS JOIN LATERAL (
    SELECT min(tell_at) AS tell_at
    FROM alert
    WHERE tell_at > c.told_at AND severity >= c.severity_min AND state = 'OPEN' AND snoozed_until IS NULL
) AS a
WHERE c.is_on AND a.tell_at IS NOT NULL
