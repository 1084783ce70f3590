-- Tenants in whose evidence a leak was found since they were last visited are due for a visit.
UPDATE tenant_standing AS s
SET revisit_at = clock_timestamp()
FROM evidence_standing AS e
WHERE e.tag = s.tag AND e.last_leak_at > s.as_of AND (s.revisit_at IS NULL OR s.revisit_at > clock_timestamp())
