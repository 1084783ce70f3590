-- The lower of two priorities (low, normal, high); one that is absent does not count.
CREATE FUNCTION public.least_priority_v1(p_one text, p_other text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN 'low' IN (p_one, p_other) THEN 'low'
        WHEN 'normal' IN (p_one, p_other) THEN 'normal'
        WHEN 'high' IN (p_one, p_other) THEN 'high'
        ELSE 'normal'
    END
$$;
