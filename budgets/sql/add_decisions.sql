-- Adds `fresh` to what is there of the same bucket and the same words.
INSERT INTO decision_rollup (
    bucket_at, scope_path, endpoint, action_kind, action_name, traffic_class, verdict, reason_code, would_deny, agent, count
)
SELECT * FROM fresh
ON CONFLICT (bucket_at, scope_path, endpoint, action_kind, action_name, traffic_class, verdict, reason_code, would_deny) DO UPDATE
SET count = decision_rollup.count + excluded.count
