-- Says allow, deny or gated for a tool, in whatever case it is written: the first rule whose pattern fits, else the default. A pattern has * for
-- anything and nothing else special.
CREATE FUNCTION public.tool_verdict_v1(p_tools jsonb, p_tool text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(
        (
            SELECT r.value ->> 'verdict'
            FROM jsonb_array_elements(coalesce(p_tools -> 'rules', '[]')) WITH ORDINALITY AS r (value, n)
            WHERE lower(p_tool) LIKE replace(replace(replace(replace(lower(r.value ->> 'pattern'), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')
            ORDER BY r.n
            LIMIT 1
        ),
        p_tools ->> 'default',
        'allow'
    )
$$;
