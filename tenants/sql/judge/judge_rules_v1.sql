-- Judges a request by the tenant's rules, before any money is looked at: switches, run limits, tools and actions, the size of one request, and which
-- models could serve it at what price. Pure: it reads nothing and changes nothing, so the same facts give the same verdict on every endpoint.
--
-- p_rules     the compiled ruleset (`budgets/services/ruleset.py` says its shape)
-- p_switches  the kill switches that are thrown: [{level, name, mode, reason, since}]
-- p_facts     what is asked: kind, name, levels (the subject), key_id, amount, policy, priority,
--             request {model, input_tokens, max_output_tokens, tools, capabilities, class_hint, attempt, is_provider_bound, rate_limited, unavailable}
-- p_run       the run before this request: {iterations, tokens, tokens_held, seconds, provider}; null without a run
-- p_is_low    whether a budget of the path is below its low-water mark
-- p_left_ppm  the share that is left of the tightest budget; null where none is allocated
--
-- Answers {status, numbers} for a refusal. What the rules have in shadow refuses nothing: the first of such refusals stands beside the rest of the
-- answer, which is found as if that rule were not there. Else {class, caps, candidates, tokens, fallback, limits_left, timeouts, context_target_tokens,
-- is_degraded}. Candidates are tried in order; there are none when the request brings its own estimate. Each names its model by its key in the rules.
CREATE FUNCTION public.judge_rules_v1(
    p_rules jsonb, p_switches jsonb, p_facts jsonb, p_run jsonb, p_is_low boolean, p_left_ppm bigint
) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_request jsonb := coalesce(p_facts -> 'request', '{}');
    v_kind text := p_facts ->> 'kind';
    v_name text := lower(p_facts ->> 'name');
    v_is_dispatch boolean := lower(v_kind) = 'tool' OR lower(v_kind) LIKE 'tool.%';
    v_wanted text := lower(v_request ->> 'model');
    v_provider text := p_run ->> 'provider';
    v_input bigint := coalesce((v_request ->> 'input_tokens')::bigint, 0);
    v_switch jsonb;
    v_called text[];
    v_class_name text;
    v_class jsonb;
    v_limits jsonb := coalesce(p_rules -> 'limits', '{}');
    v_run_rules jsonb := coalesce(p_rules -> 'run', '{}');
    v_low jsonb := p_rules -> 'low_water';
    v_limit bigint;
    v_tokens_max bigint;
    v_seconds_max bigint;
    v_tokens_used numeric := (p_run ->> 'tokens')::numeric + (p_run ->> 'tokens_held')::numeric;
    v_left jsonb;
    v_verdict text;
    v_allowed text[];
    v_denied text[];
    v_caps jsonb := '{}';
    v_fallback text;
    v_asked_output bigint := (v_request ->> 'max_output_tokens')::bigint;
    v_output_max bigint;
    v_output_held bigint;
    v_output bigint;
    v_counted bigint;
    v_priority text;
    v_is_degraded boolean := false;
    v_tier text;
    v_tiers text[];
    v_key text;
    v_model jsonb;
    v_amount numeric;
    v_candidates jsonb := '[]';
    v_passed text[] := '{}';
    v_checks jsonb := coalesce(p_rules -> 'shadow' -> 'checks', '[]');
    v_is_shadow boolean := coalesce((p_rules -> 'shadow' ->> 'is_on')::boolean, false);
    v_refusal jsonb;
    v_shadowed jsonb;
BEGIN
    -- 3. Kill switches
    IF p_switches IS NOT NULL THEN
        -- Everything that the call may be known by: a deployment of a model is that model, and a bare name is whatever model has it.
        v_called := ARRAY(SELECT split_part(n, '@', 1) FROM unnest(ARRAY[v_wanted, v_name]) AS n WHERE n IS NOT NULL);
        v_called := v_called || ARRAY(
            SELECT (m.value ->> 'provider') || ':' || (m.value ->> 'model')
            FROM jsonb_each(p_rules -> 'models') AS m
            WHERE m.value ->> 'model' = ANY (v_called)
        );
        SELECT s.value INTO v_switch
        FROM jsonb_array_elements(p_switches) AS s
        CROSS JOIN LATERAL (SELECT s.value ->> 'level' AS level, s.value ->> 'name' AS name) AS w
        WHERE w.level IN ('platform', 'tenant')
            OR (w.level IN ('workspace', 'app', 'workflow', 'agent', 'toolset') AND w.name = lower(p_facts -> 'levels' ->> w.level))
            OR (w.level = 'key' AND w.name = p_facts ->> 'key_id')
            OR (w.level = 'tool' AND v_is_dispatch AND lower(w.name) = v_name)
            OR (w.level = 'model' AND EXISTS (
                SELECT FROM unnest(v_called) AS c WHERE c = w.name OR c = split_part(w.name, ':', 2) OR split_part(c, ':', 2) = w.name
            ))
            OR (w.level = 'provider' AND EXISTS (SELECT FROM unnest(v_called) AS c WHERE c LIKE '%:%' AND split_part(c, ':', 1) = w.name))
        LIMIT 1;
    END IF;
    IF v_switch IS NOT NULL THEN
        RETURN jsonb_build_object('status', 'KILL_SWITCH', 'numbers', v_switch);
    END IF;
    IF p_rules IS NULL THEN
        RETURN '{}';
    END IF;

    -- A hint chooses the class, and the class's own caps bound whoever hints falsely. An unsure hint goes to the middle.
    v_class_name := coalesce(v_request -> 'class_hint' ->> 'class', p_rules ->> 'default_class');
    IF p_rules -> 'classes' -> v_class_name IS NULL THEN
        v_class_name := p_rules ->> 'default_class';
    END IF;
    v_class := coalesce(p_rules -> 'classes' -> v_class_name, '{}');
    v_fallback := coalesce(v_class ->> 'fallback', v_run_rules ->> 'fallback', 'interim_message');

    -- 4. Run limits
    IF p_run IS NOT NULL THEN
        v_limit := least((v_run_rules ->> 'iterations_max')::bigint, (v_class ->> 'iterations_max')::bigint);
        v_tokens_max := (v_run_rules ->> 'tokens_max')::bigint;
        v_seconds_max := (v_run_rules ->> 'wall_seconds_max')::bigint;
        IF (p_run ->> 'iterations')::bigint >= v_limit THEN
            v_refusal := jsonb_build_object('status', 'MAX_ITERATIONS_REACHED', 'fallback', v_fallback, 'numbers', jsonb_build_object(
                'limit', v_limit, 'used', p_run -> 'iterations'));
        ELSIF (p_run ->> 'seconds')::numeric > v_seconds_max THEN
            v_refusal := jsonb_build_object('status', 'MAX_WALL_TIME_REACHED', 'fallback', v_fallback, 'numbers', jsonb_build_object(
                'limit', v_seconds_max, 'used', floor((p_run ->> 'seconds')::numeric)));
        ELSIF v_tokens_used + v_input + coalesce(v_asked_output, 0) > v_tokens_max THEN
            v_refusal := jsonb_build_object('status', 'MAX_TOKENS_REACHED', 'fallback', v_fallback, 'numbers', jsonb_build_object(
                'limit', v_tokens_max, 'used', v_tokens_used, 'requested', v_input + coalesce(v_asked_output, 0)));
        END IF;
        IF v_refusal IS NULL THEN
            v_left := jsonb_strip_nulls(jsonb_build_object(
                'iterations', v_limit - (p_run ->> 'iterations')::bigint - 1,
                'tokens', v_tokens_max - v_tokens_used - v_input - coalesce(v_asked_output, 0),
                'seconds', v_seconds_max - floor((p_run ->> 'seconds')::numeric)));
            IF v_limit IS NOT NULL THEN
                v_caps := v_caps || jsonb_build_object('max_steps_remaining', v_left -> 'iterations');
            END IF;
        ELSIF NOT (v_is_shadow OR v_checks ? 'run') THEN
            RETURN v_refusal;
        END IF;
        v_shadowed := v_refusal;
    END IF;

    -- 5. Actions, tools, models
    FOR v_switch IN
        SELECT p.value
        FROM jsonb_array_elements(p_rules -> 'actions' -> 'policies') AS p
        WHERE p.value ->> 'scope' IS NULL
            OR EXISTS (SELECT FROM jsonb_array_elements_text(p_facts -> 'paths') AS path WHERE path ~ (p.value ->> 'scope'))
    LOOP
        IF v_switch -> 'denied' ? v_kind THEN
            v_refusal := jsonb_build_object('status', 'ACTION_KIND_DENIED', 'numbers', jsonb_build_object(
                'action_kind', v_kind, 'policy_id', v_switch -> 'id'));
        ELSIF jsonb_array_length(coalesce(v_switch -> 'allowed', '[]')) > 0 AND NOT v_switch -> 'allowed' ? v_kind THEN
            v_refusal := jsonb_build_object('status', 'ACTION_KIND_NOT_ALLOWED', 'numbers', jsonb_build_object(
                'action_kind', v_kind, 'policy_id', v_switch -> 'id', 'allowed', v_switch -> 'allowed'));
        ELSE
            CONTINUE;
        END IF;
        IF NOT (v_is_shadow OR v_checks ? 'actions') THEN
            RETURN v_refusal;
        END IF;
        v_shadowed := coalesce(v_shadowed, v_refusal);
        EXIT;
    END LOOP;
    IF v_is_dispatch AND p_rules -> 'tools' IS NOT NULL THEN
        v_verdict := public.tool_verdict_v1(p_rules -> 'tools', p_facts ->> 'name');
        IF v_verdict <> 'allow' THEN
            v_refusal := jsonb_build_object('status', CASE v_verdict WHEN 'gated' THEN 'TOOL_GATED' ELSE 'TOOL_DENIED' END,
                'numbers', jsonb_build_object('tool', p_facts ->> 'name', 'policy_version', p_rules -> 'tools' -> 'version'));
            IF NOT (v_is_shadow OR v_checks ? 'tools') THEN
                RETURN v_refusal;
            END IF;
            v_shadowed := coalesce(v_shadowed, v_refusal);
        END IF;
    END IF;
    IF jsonb_array_length(v_request -> 'tools') > 0 AND (p_rules -> 'tools' IS NOT NULL OR p_switches IS NOT NULL) THEN
        SELECT array_agg(t.tool ORDER BY t.n) FILTER (WHERE NOT t.is_denied), array_agg(t.tool ORDER BY t.n) FILTER (WHERE t.is_denied)
        INTO v_allowed, v_denied
        FROM (
            SELECT u.tool, u.n, u.verdict = 'deny' OR lower(u.tool) IN (
                SELECT lower(s.value ->> 'name') FROM jsonb_array_elements(p_switches) AS s WHERE s.value ->> 'level' = 'tool'
            ) AS is_denied
            FROM unnest(
                ARRAY(SELECT jsonb_array_elements_text(v_request -> 'tools')),
                public.tool_verdicts_v1(p_rules -> 'tools', ARRAY(SELECT jsonb_array_elements_text(v_request -> 'tools')))
            ) WITH ORDINALITY AS u (tool, verdict, n)
        ) AS t;
    END IF;
    IF v_denied IS NOT NULL THEN
        v_caps := v_caps || jsonb_build_object('tool_allowlist', to_jsonb(coalesce(v_allowed, '{}')), 'tool_denylist', to_jsonb(v_denied));
    END IF;
    IF v_wanted IS NOT NULL AND NOT coalesce(p_rules -> 'models', '{}') ? v_wanted THEN
        v_refusal := jsonb_build_object(
            'status', CASE WHEN p_rules -> 'models_refused' ? v_wanted THEN 'MODEL_NOT_ALLOWED' ELSE 'MODEL_UNKNOWN' END,
            'numbers', jsonb_build_object('model', v_wanted));
        IF NOT (v_is_shadow OR v_checks ? 'routes') THEN
            RETURN v_refusal;
        END IF;
        v_shadowed := coalesce(v_shadowed, v_refusal);
    END IF;

    -- 6. The rate, as the buckets saw it, and the size of one request
    IF v_request -> 'rate_limited' IS NOT NULL THEN
        v_refusal := jsonb_build_object('status', 'RATE_LIMITED', 'numbers', v_request -> 'rate_limited');
        IF NOT (v_is_shadow OR v_checks ? 'rate') THEN
            RETURN v_refusal;
        END IF;
        v_shadowed := coalesce(v_shadowed, v_refusal);
    END IF;
    v_limit := least((v_limits ->> 'input_tokens_max')::bigint, (v_class ->> 'input_tokens_max')::bigint);
    IF v_input > v_limit THEN
        v_refusal := jsonb_build_object('status', 'TOKENS_PER_REQUEST_EXCEEDED', 'numbers', jsonb_build_object(
            'limit', v_limit, 'requested', v_input));
        IF NOT (v_is_shadow OR v_checks ? 'limits') THEN
            RETURN v_refusal;
        END IF;
        v_shadowed := coalesce(v_shadowed, v_refusal);
    END IF;
    v_output_max := least(v_asked_output, (v_class ->> 'output_tokens_max')::bigint, (v_limits ->> 'output_tokens_max')::bigint);

    -- 7. Which models could serve it. Below the low-water mark the compact tier goes first; what may still pass depends on the priority.
    v_priority := public.least_priority_v1(p_facts ->> 'priority', coalesce(p_rules ->> 'priority', v_class ->> 'priority'));
    IF v_low IS NOT NULL AND p_left_ppm < (CASE v_priority
        WHEN 'high' THEN NULL
        WHEN 'low' THEN coalesce((v_low ->> 'low_floor_ppm')::bigint, 100000)
        ELSE coalesce((v_low ->> 'normal_floor_ppm')::bigint, 50000)
    END) THEN
        v_refusal := jsonb_build_object('status', 'BELOW_FLOOR', 'numbers', jsonb_build_object('left_ppm', p_left_ppm, 'priority', v_priority));
        IF NOT (v_is_shadow OR v_checks ? 'routes') THEN
            RETURN v_refusal;
        END IF;
        v_shadowed := coalesce(v_shadowed, v_refusal);
    END IF;
    v_is_degraded := v_low IS NOT NULL AND CASE v_priority
        WHEN 'high' THEN p_left_ppm < coalesce((v_low ->> 'hard_floor_ppm')::bigint, 50000)
        ELSE p_is_low
    END;
    v_counted := v_input + coalesce(v_output_max, 0);
    IF v_is_dispatch AND p_facts ->> 'amount' IS NULL THEN
        v_candidates := jsonb_build_array(jsonb_build_object(
            'amount', coalesce((p_rules -> 'tool_prices' ->> v_name)::bigint, 0), 'tokens', 0));
    ELSIF p_facts ->> 'amount' IS NULL THEN
        v_tier := coalesce(v_class ->> 'tier', 'medium');
        -- Who has no such tier stays where the class is.
        IF p_rules -> 'tiers' ? 'medium'
            AND (v_request -> 'class_hint' ->> 'confidence')::numeric * 1000000 < (p_rules ->> 'hint_confidence_min_ppm')::numeric THEN
            v_tier := 'medium';
        END IF;
        IF p_rules -> 'tiers' ? (p_rules ->> 'force_tier') THEN
            v_tier := p_rules ->> 'force_tier';
        END IF;
        v_tiers := CASE
            WHEN v_is_degraded THEN ARRAY['small', v_tier]
            WHEN v_class ->> 'pattern' = 'cascade' THEN ARRAY['small', 'medium', 'large']
            WHEN v_class ->> 'pattern' = 'soft' AND v_request -> 'attempt' ->> 'of_decision' IS NULL THEN ARRAY['small', v_tier]
            -- A tier whose deployments are all full falls to the ones below.
            WHEN v_request -> 'unavailable' IS NULL THEN ARRAY[v_tier]
            WHEN v_tier = 'large' THEN ARRAY['large', 'medium', 'small']
            WHEN v_tier = 'medium' THEN ARRAY['medium', 'small']
            ELSE ARRAY[v_tier]
        END;
        FOR v_tier, v_key IN
            SELECT r.tier, r.key
            FROM (
                SELECT t.tier, k.key, t.n, k.m
                FROM unnest(v_tiers) WITH ORDINALITY AS t (tier, n)
                CROSS JOIN LATERAL jsonb_array_elements_text(p_rules -> 'tiers' -> t.tier) WITH ORDINALITY AS k (key, m)
                WHERE v_wanted IS NULL
                UNION ALL
                SELECT 'named', coalesce(d.key, v_wanted), 1, d.m
                FROM (SELECT) AS one
                LEFT JOIN LATERAL jsonb_array_elements_text(p_rules -> 'models' -> v_wanted -> 'deployments') WITH ORDINALITY AS d (key, m) ON true
                WHERE v_wanted IS NOT NULL
            ) AS r
            -- Within a tier a run stays with the provider that it began with.
            ORDER BY r.n, p_rules -> 'models' -> r.key ->> 'provider' = v_provider DESC NULLS LAST, r.m
        LOOP
            v_model := p_rules -> 'models' -> v_key;
            CONTINUE WHEN v_key = ANY (v_passed);
            v_passed := v_passed || v_key;
            CONTINUE WHEN v_model IS NULL OR v_request -> 'unavailable' ? v_key
                OR NOT coalesce(v_model -> 'capabilities', '[]') @> coalesce(v_request -> 'capabilities', '[]');
            -- What another provider has signed or encrypted is worth nothing to this one.
            CONTINUE WHEN (v_request ->> 'is_provider_bound')::boolean AND v_model ->> 'provider' <> v_provider;
            CONTINUE WHEN EXISTS (
                SELECT FROM jsonb_array_elements(p_switches) AS s
                WHERE (s.value ->> 'level' = 'model' AND s.value ->> 'name' IN ((v_model ->> 'provider') || ':' || (v_model ->> 'model'), v_model ->> 'model'))
                    OR (s.value ->> 'level' = 'provider' AND s.value ->> 'name' = v_model ->> 'provider')
            );
            -- The cap of a model that reasons leaves it room to. Held is what calls of the class need, and all of it when the budget is nearly
            -- gone or may not be exceeded.
            v_output := greatest(coalesce(v_output_max, 4096), (v_model ->> 'output_tokens_min')::bigint);
            v_output_held := CASE
                WHEN p_is_low OR p_facts ->> 'policy' = 'REJECT' THEN v_output
                ELSE least(coalesce((v_class ->> 'output_tokens_hold')::bigint, v_output), v_output)
            END;
            v_counted := ceil(v_input::numeric * coalesce((v_model ->> 'input_factor_ppm')::bigint, 1000000) / 1000000);
            CONTINUE WHEN (v_model ->> 'context_window')::bigint < v_counted + v_output;
            v_amount := public.price_call_v1(v_model -> 'price', v_counted, v_output_held);
            CONTINUE WHEN v_amount IS NULL OR v_amount > 9223372036854775807;
            v_candidates := v_candidates || jsonb_strip_nulls(jsonb_build_object(
                'tier', v_tier, 'key', v_key, 'amount', v_amount::bigint, 'input', v_input, 'tokens', v_counted + v_output_held,
                'max_tokens', CASE WHEN v_output = v_asked_output THEN NULL ELSE v_output END
            ));
        END LOOP;
        IF v_candidates = '[]' THEN
            v_refusal := jsonb_build_object('status', 'NO_ROUTE', 'numbers', jsonb_strip_nulls(jsonb_build_object(
                'class', v_class_name, 'model', v_wanted, 'tiers', CASE WHEN v_wanted IS NULL THEN to_jsonb(v_tiers) END, 'unavailable',
                v_request -> 'unavailable')));
            IF NOT (v_is_shadow OR v_checks ? 'routes') THEN
                RETURN v_refusal;
            END IF;
            v_shadowed := coalesce(v_shadowed, v_refusal);
        END IF;
    ELSIF v_output_max < coalesce(v_asked_output, v_output_max + 1) THEN
        v_caps := v_caps || jsonb_build_object('max_tokens', v_output_max);
    END IF;
    IF v_class -> 'cooldown_ms' IS NOT NULL THEN
        v_caps := v_caps || jsonb_build_object('cooldown_ms', v_class -> 'cooldown_ms');
    END IF;
    RETURN jsonb_strip_nulls(jsonb_build_object(
        'class', v_class_name, 'caps', nullif(v_caps, '{}'), 'candidates', nullif(v_candidates, '[]'), 'tokens', v_counted,
        'fallback', CASE WHEN p_run IS NOT NULL THEN v_fallback END, 'limits_left', nullif(v_left, '{}'), 'timeouts', v_class -> 'timeouts',
        'is_degraded', CASE WHEN v_is_degraded THEN true END,
        'context_target_tokens', CASE
            WHEN v_is_degraded THEN (v_class ->> 'context_target_tokens')::bigint * coalesce((v_low ->> 'context_target_ppm')::bigint, 500000) / 1000000
            ELSE (v_class ->> 'context_target_tokens')::bigint
        END
    )) || coalesce(v_shadowed, '{}');
END
$$;
