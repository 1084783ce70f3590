-- A line for every tenant with books that has none yet.
INSERT INTO tenant_standing (
    tag, tenant_id, ledger_table, decision_table, inserts_seen, unit, period, allocated, reserved, spent, debt, overdraft_limit, budget_status,
    is_over_limit, more_budgets, taken_ppm, spent_today, spent_hour, quarters, mean_hour_7d, denied_hour, denied_causes, calls_hour, top_agent,
    top_agent_ppm, holds_open
)
SELECT
    substr(t.schema_name, 3), t.id, to_regclass(t.schema_name || '.ledger_entry')::oid::bigint, to_regclass(t.schema_name || '.decision')::oid::bigint,
    -1, '', '', 0, 0, 0, 0, 0, '', false, 0, 0, 0, 0, '{}', 0, 0, '{}', 0, '', 0, 0
FROM tenant AS t
WHERE t.status <> 'PROVISIONING' AND NOT EXISTS (SELECT FROM tenant_standing AS s WHERE s.tenant_id = t.id)
    AND to_regclass(t.schema_name || '.ledger_entry') IS NOT NULL AND to_regclass(t.schema_name || '.decision') IS NOT NULL
ON CONFLICT DO NOTHING
