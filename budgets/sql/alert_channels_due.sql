-- Channels with something to tell, and when: a test at once, if nobody is at it; else not before what belongs together came in, nor soon after they
-- last spoke, nor before another try; and readers who are behind by a time of their own.
SELECT
    c.id,
    CASE
        WHEN c.test_asked_at IS NOT NULL THEN greatest(c.test_asked_at, c.busy_until)
        ELSE least(
            CASE
                WHEN a.tell_at IS NOT NULL
                    THEN greatest(a.tell_at + %(gather)s::interval, c.sent_at + %(pace)s::interval, c.retry_at, c.busy_until)
            END,
            greatest(c.behind_at, CASE WHEN c.behind_at IS NOT NULL THEN c.busy_until END)
        )
    END AS due_at
FROM alert_channel AS c
CROSS JOIN LATERAL (
    SELECT min(tell_at) AS tell_at
    FROM alert
    WHERE
        tell_at > c.told_at AND severity >= c.severity_min AND state = 'OPEN' AND snoozed_until IS NULL
        AND (for_channels IS NULL OR c.id = ANY(for_channels))
) AS a
WHERE c.test_asked_at IS NOT NULL OR (c.is_on AND (a.tell_at IS NOT NULL OR c.behind_at IS NOT NULL))
ORDER BY due_at, c.id
