-- Says allow, deny or gated for each tool, in whatever case it is written: the first rule whose pattern fits, else the default. A pattern has * for
-- anything and nothing else special. The patterns are made ready once, however many tools there are.
CREATE FUNCTION public.tool_verdicts_v1(p_tools jsonb, p_names text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
    WITH rule AS MATERIALIZED (
        SELECT r.n, r.value ->> 'verdict' AS verdict,
            replace(replace(replace(replace(lower(r.value ->> 'pattern'), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%') AS pattern
        FROM jsonb_array_elements(p_tools -> 'rules') WITH ORDINALITY AS r (value, n)
    )
    SELECT array_agg(
        coalesce(
            (SELECT rule.verdict FROM rule WHERE lower(t.name) LIKE rule.pattern ORDER BY rule.n LIMIT 1), p_tools ->> 'default', 'allow'
        )
        ORDER BY t.k
    )
    FROM unnest(p_names) WITH ORDINALITY AS t (name, k)
$$;
