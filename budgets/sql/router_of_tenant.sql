-- The newest version of the switch that takes one tenant's router out, and the newest labels since. {schema} and {tag}
-- are put in by `budgets.selectors.across`, for several tenants in one statement.
SELECT {tag} AS tag, s.document, s.created_at, s.actor, s.reason, n.at, n.chosen, n.needed
FROM (SELECT 1) AS one
LEFT JOIN LATERAL (
    SELECT p.document, p.created_at, p.actor, p.reason FROM {schema}.policy_version AS p
    WHERE p.kind = 'router_switch' ORDER BY p.version DESC LIMIT 1
) AS s ON true
CROSS JOIN LATERAL (
    SELECT array_agg(l.at) AS at, array_agg(l.chosen) AS chosen, array_agg(l.needed) AS needed
    FROM (
        SELECT * FROM {schema}.router_label AS r
        WHERE s.created_at IS NULL OR r.at >= s.created_at ORDER BY r.at DESC LIMIT %(limit)s
    ) AS l
) AS n
