-- What `tool_verdicts_v1` says of one tool.
CREATE FUNCTION public.tool_verdict_v1(p_tools jsonb, p_tool text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT (public.tool_verdicts_v1(p_tools, ARRAY[p_tool]))[1]
$$;
