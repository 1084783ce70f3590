-- The part of a compiled ruleset that a process looks at before it asks the books: `budgets/services/front.py`.
CREATE FUNCTION public.front_of_v1(p_rules jsonb) RETURNS json
LANGUAGE sql IMMUTABLE AS $$
    SELECT json_build_object(
        'rate', coalesce(p_rules -> 'rate', '[]'), 'shadow', coalesce(p_rules -> 'shadow', '{}'),
        'share_weight', coalesce(p_rules -> 'share_weight', '1'),
        'models', (SELECT coalesce(json_agg(m.key), '[]') FROM jsonb_object_keys(p_rules -> 'models') AS m (key))
    )
$$;
