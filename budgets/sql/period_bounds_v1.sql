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
    v_count int;
BEGIN
    IF p_period = 'DAY' THEN
        starts_at := v_day::timestamp AT TIME ZONE p_time_zone;
        ends_at := (v_day + 1)::timestamp AT TIME ZONE p_time_zone;
    ELSIF p_period = 'WEEK' THEN
        v_count := floor((v_day - p_anchor) / 7.0);
        starts_at := (p_anchor + 7 * v_count)::timestamp AT TIME ZONE p_time_zone;
        ends_at := (p_anchor + 7 * (v_count + 1))::timestamp AT TIME ZONE p_time_zone;
    ELSIF p_period = 'MONTH' THEN
        v_count := (extract(YEAR FROM v_day) - extract(YEAR FROM p_anchor)) * 12
            + extract(MONTH FROM v_day) - extract(MONTH FROM p_anchor);
        IF (p_anchor + make_interval(months => v_count))::date > v_day THEN
            v_count := v_count - 1;
        END IF;
        starts_at := (p_anchor + make_interval(months => v_count)) AT TIME ZONE p_time_zone;
        ends_at := (p_anchor + make_interval(months => v_count + 1)) AT TIME ZONE p_time_zone;
    END IF;
END
$$;
