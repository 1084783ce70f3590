-- What a call is held for, in USD_MICROCENTS, rounded up once. Prices are for a million tokens. A request with more input tokens than
-- `long_context_from` has the long prices, all of it. Null where there is no price: nothing is ever free by omission.
CREATE FUNCTION public.price_call_v1(p_price jsonb, p_input bigint, p_output bigint) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT ceil((
        p_input::numeric * CASE
            WHEN p_input > (p_price ->> 'long_context_from')::bigint THEN (p_price ->> 'long_input')::numeric
            ELSE (p_price ->> 'input')::numeric
        END
        + p_output::numeric * CASE
            WHEN p_input > (p_price ->> 'long_context_from')::bigint THEN (p_price ->> 'long_output')::numeric
            ELSE (p_price ->> 'output')::numeric
        END
    ) / 1000000) + coalesce((p_price ->> 'per_call')::numeric, 0)
$$;
