-- As `tail`, of the refusals alone and along their index: out of the `scanned` newest refusals of one tenant.
SELECT {tag} AS tag, n.id, n.at, n.endpoint, n.verdict, n.reason_code, n.scope_path, n.failed_scope, n.unit, n.amount,
    n.run_id, n.api_key_id, n.would_deny
FROM (SELECT * FROM {schema}.decision WHERE verdict = 'DENY' ORDER BY at DESC LIMIT %(scanned)s) AS n
WHERE %(reason)s = '' OR n.reason_code = %(reason)s
ORDER BY n.id DESC
LIMIT %(at_most)s
