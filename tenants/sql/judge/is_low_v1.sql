-- Whether a budget is below its low-water mark, now that somebody looks. Between the two marks it stays what it was, so that one at the edge does
-- not flicker. It also counts as low when, spent as until now, it would be gone before its period ends; the first thirtieth of a period
-- says nothing about the rest. `routing/services/low_water.py` makes the same comparisons.
CREATE FUNCTION public.is_low_v1(
    p_was_low boolean, p_allocated bigint, p_used numeric, p_marks jsonb, p_starts_at timestamptz, p_ends_at timestamptz, p_now timestamptz
) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_left_ppm numeric := (p_allocated - p_used) * 1000000;
    v_elapsed bigint := extract(EPOCH FROM p_now - p_starts_at)::bigint;
    v_period bigint := extract(EPOCH FROM p_ends_at - p_starts_at)::bigint;
    v_projected numeric := 0;
BEGIN
    IF v_elapsed > 0 AND v_elapsed * 30 >= v_period AND p_allocated > 0 THEN
        v_projected := div(p_used * v_period * 1000000, v_elapsed::numeric * p_allocated);
    END IF;
    IF v_left_ppm < coalesce((p_marks ->> 'enter_ppm')::bigint, 200000)::numeric * p_allocated
        OR v_projected > coalesce((p_marks ->> 'forecast_enter_ppm')::bigint, 1000000) THEN
        RETURN true;
    END IF;
    RETURN p_was_low AND NOT (
        v_left_ppm > coalesce((p_marks ->> 'leave_ppm')::bigint, 250000)::numeric * p_allocated
        AND v_projected <= coalesce((p_marks ->> 'forecast_leave_ppm')::bigint, 900000)
    );
END
$$;
