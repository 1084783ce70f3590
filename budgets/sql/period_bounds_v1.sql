-- The period that holds an instant, for a budget whose periods are counted from an anchor day in the tenant's own time zone.
--
-- Promises: the periods tile the line, without gap or overlap, over time changes and short months too: each bound is computed from the anchor and
-- never from the bound before it (31 January plus two months is 31 March, plus one and one would be 28 March).
CREATE FUNCTION period_bounds_v1(
    p_period text, p_anchor date, p_time_zone text, p_at timestamptz, OUT starts_at timestamptz, OUT ends_at timestamptz
)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_day date := (p_at AT TIME ZONE p_time_zone)::date;
    v_length interval;
    v_count int;
BEGIN
    IF p_period = 'DAY' THEN
        v_length := '1 day';
        v_count := v_day - p_anchor;
    ELSIF p_period = 'WEEK' THEN
        v_length := '7 days';
        v_count := floor((v_day - p_anchor) / 7.0);
    ELSIF p_period = 'MONTH' THEN
        v_length := '1 month';
        v_count := (extract(YEAR FROM v_day) - extract(YEAR FROM p_anchor)) * 12
            + extract(MONTH FROM v_day) - extract(MONTH FROM p_anchor);
    ELSE
        RETURN;
    END IF;
    -- The local day is a guess that is one off at most: before the anchor's day of a month, and where clocks are set back over midnight.
    LOOP
        starts_at := (p_anchor + v_count * v_length) AT TIME ZONE p_time_zone;
        ends_at := (p_anchor + (v_count + 1) * v_length) AT TIME ZONE p_time_zone;
        EXIT WHEN p_at >= starts_at AND p_at < ends_at;
        v_count := v_count + CASE WHEN p_at < starts_at THEN -1 ELSE 1 END;
    END LOOP;
END
$$;
