-- Judges a request by the tenant's rules, before any money is looked at: switches, run limits, tools and actions, quotas on size, and which models
-- could serve it at what price. Pure: it reads nothing and changes nothing, so the same facts give the same verdict on every endpoint.
--
-- p_rules     the compiled ruleset (budgets.services.ruleset says its shape)
-- p_switches  the kill switches that are on: [{level, name, mode, reason, since}]
-- p_facts     what is asked: kind, name, path levels, key_id, amount, request {...}, priority
-- p_run       the run's counters before this request: {iterations, tokens, tokens_held, seconds, is_new}
-- p_is_low    whether a budget of the path is below its low-water mark; p_left_ppm the tightest budget's share that is left
--
-- Answers {stage, status, numbers, class, caps, candidates}: status is absent when nothing refuses; candidates are tried in order and
-- absent when the request brings its own estimate and names no model to choose.
CREATE FUNCTION public.judge_rules_v1(
    p_rules jsonb, p_switches jsonb, p_facts jsonb, p_run jsonb, p_is_low boolean, p_left_ppm bigint
) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_request jsonb := coalesce(p_facts -> 'request', '{}');
    v_kind text := p_facts ->> 'kind';
    v_tools text[] := CASE
        WHEN v_kind LIKE 'tool.%' OR v_kind = 'tool' THEN ARRAY[p_facts ->> 'name']
        ELSE ARRAY(SELECT jsonb_array_elements_text(coalesce(v_request -> 'tools', '[]')))
    END;
    v_is_dispatch boolean := v_kind LIKE 'tool.%' OR v_kind = 'tool';
    v_switch jsonb;
    v_class_name text;
    v_class jsonb;
    v_limits jsonb := coalesce(p_rules -> 'limits', '{}');
    v_run_rules jsonb := coalesce(p_rules -> 'run', '{}');
    v_iterations_max bigint;
    v_tokens_max bigint;
    v_seconds_max bigint;
    v_input bigint := coalesce((v_request ->> 'input_tokens')::bigint, 0);
    v_output_max bigint;
    v_output_held bigint;
    v_tier text;
    v_tiers text[];
    v_wanted text := lower(v_request ->> 'model');
    v_model jsonb;
    v_candidates jsonb := '[]';
    v_denied text[] := '{}';
    v_tool text;
    v_verdict text;
    v_low jsonb := p_rules -> 'low_water';
    v_priority text;
    v_caps jsonb := '{}';
    v_capabilities jsonb := coalesce(v_request -> 'capabilities', '[]');
    v_amount numeric;
BEGIN
    -- 3. Kill switches
    SELECT s.value INTO v_switch
    FROM jsonb_array_elements(coalesce(p_switches, '[]')) AS s
    WHERE s.value ->> 'level' IN ('platform', 'tenant')
        OR (s.value ->> 'level' IN ('workspace', 'app', 'workflow', 'agent', 'toolset')
            AND s.value ->> 'name' = lower(p_facts -> 'levels' ->> (s.value ->> 'level')))
        OR (s.value ->> 'level' = 'key' AND s.value ->> 'name' = p_facts ->> 'key_id')
        OR (s.value ->> 'level' = 'tool' AND v_is_dispatch AND s.value ->> 'name' = p_facts ->> 'name')
        OR (s.value ->> 'level' = 'model' AND s.value ->> 'name' IN (v_wanted, lower(p_facts ->> 'name')))
        OR (s.value ->> 'level' = 'provider' AND s.value ->> 'name' IN (split_part(v_wanted, ':', 1), split_part(lower(p_facts ->> 'name'), ':', 1)))
    LIMIT 1;
    IF v_switch IS NOT NULL THEN
        RETURN jsonb_build_object('stage', 3, 'status', 'KILL_SWITCH', 'numbers', v_switch);
    END IF;
    IF p_rules IS NULL THEN
        RETURN jsonb_build_object('stage', 9);
    END IF;

    -- The class names the caps. A hint that claims another class is bounded by that class's own caps.
    v_class_name := coalesce(v_request -> 'class_hint' ->> 'class', p_rules ->> 'default_class');
    v_class := coalesce(p_rules -> 'classes' -> v_class_name, p_rules -> 'classes' -> (p_rules ->> 'default_class'), '{}');

    -- 4. Run limits
    IF p_run IS NOT NULL THEN
        v_iterations_max := least((v_run_rules ->> 'iterations_max')::bigint, (v_class ->> 'iterations_max')::bigint);
        v_tokens_max := (v_run_rules ->> 'tokens_max')::bigint;
        v_seconds_max := (v_run_rules ->> 'wall_seconds_max')::bigint;
        IF (p_run ->> 'iterations')::bigint + 1 > v_iterations_max THEN
            RETURN jsonb_build_object('stage', 4, 'status', 'MAX_ITERATIONS_REACHED', 'numbers', jsonb_build_object(
                'limit', v_iterations_max, 'used', p_run -> 'iterations', 'fallback', v_run_rules -> 'fallback'));
        ELSIF (p_run ->> 'seconds')::numeric > v_seconds_max THEN
            RETURN jsonb_build_object('stage', 4, 'status', 'MAX_WALL_TIME_REACHED', 'numbers', jsonb_build_object(
                'limit', v_seconds_max, 'used', floor((p_run ->> 'seconds')::numeric), 'fallback', v_run_rules -> 'fallback'));
        ELSIF (p_run ->> 'tokens')::bigint + (p_run ->> 'tokens_held')::bigint + v_input
            + coalesce((v_request ->> 'max_output_tokens')::bigint, 0) > v_tokens_max THEN
            RETURN jsonb_build_object('stage', 4, 'status', 'MAX_TOKENS_REACHED', 'numbers', jsonb_build_object(
                'limit', v_tokens_max, 'used', (p_run ->> 'tokens')::bigint + (p_run ->> 'tokens_held')::bigint,
                'fallback', v_run_rules -> 'fallback'));
        END IF;
        IF v_iterations_max IS NOT NULL THEN
            v_caps := v_caps || jsonb_build_object('max_steps_remaining', v_iterations_max - (p_run ->> 'iterations')::bigint - 1);
        END IF;
    END IF;

    -- 5. Actions, tools, models
    IF p_rules -> 'actions' -> 'denied' ? v_kind THEN
        RETURN jsonb_build_object('stage', 5, 'status', 'ACTION_KIND_DENIED', 'numbers', jsonb_build_object('action_kind', v_kind));
    ELSIF jsonb_array_length(coalesce(p_rules -> 'actions' -> 'allowed', '[]')) > 0 AND NOT p_rules -> 'actions' -> 'allowed' ? v_kind THEN
        RETURN jsonb_build_object('stage', 5, 'status', 'ACTION_KIND_NOT_ALLOWED', 'numbers', jsonb_build_object(
            'action_kind', v_kind, 'allowed', p_rules -> 'actions' -> 'allowed'));
    END IF;
    FOREACH v_tool IN ARRAY v_tools LOOP
        v_verdict := public.tool_verdict_v1(p_rules -> 'tools', v_tool);
        IF v_verdict <> 'allow' AND v_is_dispatch THEN
            RETURN jsonb_build_object('stage', 5, 'status', CASE v_verdict WHEN 'gated' THEN 'TOOL_GATED' ELSE 'TOOL_DENIED' END,
                'numbers', jsonb_build_object('tool', v_tool, 'policy_version', p_rules -> 'tools' -> 'version'));
        ELSIF v_verdict = 'deny' THEN
            v_denied := v_denied || v_tool;
        END IF;
    END LOOP;
    IF cardinality(v_denied) > 0 THEN
        v_caps := v_caps || jsonb_build_object('tool_denylist', to_jsonb(v_denied));
    END IF;
    IF v_wanted IS NOT NULL AND NOT coalesce(p_rules -> 'models', '{}') ? v_wanted THEN
        RETURN jsonb_build_object('stage', 5, 'status', 'MODEL_UNKNOWN', 'numbers', jsonb_build_object('model', v_wanted));
    END IF;

    -- 6. Size of one request
    IF v_input > (v_limits ->> 'input_tokens_max')::bigint OR v_input > (v_class ->> 'input_tokens_max')::bigint THEN
        RETURN jsonb_build_object('stage', 6, 'status', 'TOKENS_PER_REQUEST_EXCEEDED', 'numbers', jsonb_build_object(
            'limit', least((v_limits ->> 'input_tokens_max')::bigint, (v_class ->> 'input_tokens_max')::bigint), 'requested', v_input));
    END IF;
    v_output_max := least(
        (v_request ->> 'max_output_tokens')::bigint, (v_class ->> 'output_tokens_max')::bigint, (v_limits ->> 'output_tokens_max')::bigint
    );
    IF v_output_max < coalesce((v_request ->> 'max_output_tokens')::bigint, v_output_max + 1) THEN
        v_caps := v_caps || jsonb_build_object('max_tokens', v_output_max);
    END IF;

    -- 7. Which models could serve it. Below the low-water mark the compact tier goes first; what may still pass depends on the priority.
    v_priority := public.least_priority_v1(p_facts ->> 'priority', coalesce(p_rules ->> 'priority', v_class ->> 'priority'));
    IF v_low IS NOT NULL AND p_left_ppm IS NOT NULL THEN
        IF p_left_ppm < (CASE v_priority
            WHEN 'high' THEN 0
            WHEN 'low' THEN coalesce((v_low ->> 'low_floor_ppm')::bigint, 100000)
            ELSE coalesce((v_low ->> 'normal_floor_ppm')::bigint, 50000)
        END) THEN
            RETURN jsonb_build_object('stage', 7, 'status', 'BELOW_FLOOR', 'numbers', jsonb_build_object(
                'left_ppm', p_left_ppm, 'priority', v_priority));
        END IF;
    END IF;
    IF p_facts ->> 'amount' IS NULL THEN
        v_tier := coalesce(v_class ->> 'tier', 'medium');
        IF p_is_low AND (v_priority <> 'high' OR p_left_ppm < coalesce((v_low ->> 'hard_floor_ppm')::bigint, 50000)) THEN
            v_tiers := ARRAY['small', v_tier];
        ELSE
            v_tiers := CASE v_class ->> 'pattern'
                WHEN 'cascade' THEN ARRAY['small', 'medium', 'large']
                WHEN 'soft' THEN CASE WHEN v_request -> 'attempt' ->> 'of_decision' IS NULL THEN ARRAY['small', v_tier] ELSE ARRAY[v_tier] END
                ELSE ARRAY[v_tier]
            END;
        END IF;
        v_output_held := least(coalesce((v_class ->> 'output_tokens_hold')::bigint, v_output_max), v_output_max);
        IF v_output_held IS NULL THEN
            v_output_held := coalesce(v_output_max, 4096);
        END IF;
        FOR v_tier, v_model IN
            SELECT t.tier, m.value
            FROM unnest(v_tiers) WITH ORDINALITY AS t (tier, n)
            CROSS JOIN LATERAL jsonb_array_elements(coalesce(p_rules -> 'tiers' -> t.tier, '[]')) WITH ORDINALITY AS m (value, k)
            WHERE v_wanted IS NULL
            UNION ALL
            SELECT 'named', p_rules -> 'models' -> v_wanted
            WHERE v_wanted IS NOT NULL
        LOOP
            CONTINUE WHEN (v_model ->> 'context_window')::bigint < v_input + v_output_held;
            CONTINUE WHEN NOT coalesce(v_model -> 'capabilities', '[]') @> v_capabilities;
            CONTINUE WHEN EXISTS (
                SELECT FROM jsonb_array_elements(coalesce(p_switches, '[]')) AS s
                WHERE (s.value ->> 'level' = 'model' AND s.value ->> 'name' = (v_model ->> 'provider') || ':' || (v_model ->> 'model'))
                    OR (s.value ->> 'level' = 'provider' AND s.value ->> 'name' = v_model ->> 'provider')
            );
            v_amount := public.price_call_v1(v_model -> 'price', v_input, v_output_held);
            CONTINUE WHEN v_amount IS NULL OR v_amount > 9223372036854775807;
            v_candidates := v_candidates || jsonb_build_object(
                'tier', v_tier, 'provider', v_model ->> 'provider', 'model', v_model ->> 'model', 'amount', v_amount::bigint,
                'price', v_model -> 'price', 'tokens', v_input + v_output_held
            );
        END LOOP;
        IF v_candidates = '[]' THEN
            RETURN jsonb_build_object('stage', 7, 'status', 'NO_ROUTE', 'numbers', jsonb_build_object('class', v_class_name, 'tier', v_tier));
        END IF;
    END IF;
    RETURN jsonb_strip_nulls(jsonb_build_object(
        'stage', 9, 'class', v_class_name, 'caps', nullif(v_caps, '{}'), 'candidates', nullif(v_candidates, '[]'),
        'tokens', v_input + coalesce(v_output_held, v_output_max, 0), 'timeouts', v_class -> 'timeouts'
    ));
END
$$;
