-- Whether a refusal is only written down, for the tenant is in shadow, or the check that it belongs to is. Never null.
CREATE FUNCTION public.is_shadowed_v1(p_shadow jsonb, p_status text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT p_shadow IS NOT NULL AND public.check_of_v1(p_status) IS NOT NULL
        AND (coalesce((p_shadow ->> 'is_on')::boolean, false) OR coalesce(p_shadow -> 'checks' ? public.check_of_v1(p_status), false))
$$;
