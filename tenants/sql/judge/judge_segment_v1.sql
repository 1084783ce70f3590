-- Judges operations that share no idempotency key and no reservation, in order, by what the tenant's own function has read for them. It reads no
-- table and writes none: everything comes in as arguments and everything to be written goes back, so that one copy serves all tenants and a
-- connection keeps one plan of each expression. Its search_path is fixed for the same reason: a plan is good for one path only.
--
-- Promises: every operation sees the balances that the ones before it left. An operation either has its whole effect on all its scopes or
--           none; refusals are answers, not exceptions, and are kept as decisions.
-- Repeated: answers from p_earlier; only the remaining time is reckoned anew.
--
-- p_known     one for each of p_asked, in its order; p_earlier likewise, or null when nothing was answered before
-- b_...       the budgets of the paths asked for and of the reservations named, an array a column; none is due for a new period
-- r_...       the runs that are asked for or that hold something, likewise
-- p_by_path, p_by_id: the number of a budget by its path and unit, and by its id
-- p_templates {name: run template}, the default one also under ''
-- p_quotas    what `quotas_of_segment_v1` gives, with the counters; p_leases is how many runs hold a lease; both null where no rule asks
--
-- Entries carry flat arrays, one stride a budget:
--   deltas   5 numbers: allocated, reserved, spent, debt, uncovered
--   balances 7 numbers after the entry: the same five, overdraft_limit, is_over_limit (0 or 1)
--
-- PL/pgSQL prepares each expression anew in each transaction, at about a microsecond, which is most of what a lone operation costs here. So what is
-- worked on comes in as parameters and not in a DECLARE with a default, a variable that starts as null starts so by its block, and one CASE
-- stands where a chain of IFs could.
CREATE FUNCTION public.judge_segment_v1(
    p_now timestamptz, p_head public.head_v1, p_asked public.asked_v1[], p_known public.known_v1[], p_earlier public.earlier_v1[],
    b_id uuid[], b_path text[], b_unit text[], b_status text[], b_run text[], b_allocated bigint[], b_reserved bigint[], b_spent bigint[], b_debt bigint[],
    b_uncovered bigint[], b_limit bigint[], b_capped boolean[], b_low boolean[], b_starts timestamptz[], b_ends timestamptz[], b_touched boolean[],
    b_new boolean[], p_budgets int, p_by_path jsonb, p_by_id jsonb,
    r_id text[], r_started timestamptz[], r_lease timestamptz[], r_iterations bigint[], r_tokens bigint[], r_held bigint[], r_gave_up text[], r_provider text[],
    r_touched boolean[], r_new boolean[],
    p_templates jsonb, p_rules jsonb, p_switches jsonb, p_quotas public.counted_v1[], p_leases bigint
) RETURNS public.outcome_v1
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    AMOUNT_MAX CONSTANT bigint := 9223372036854775807;
    v_root text := 'tenant:' || p_head.slug;
    v_has_rules boolean := p_rules IS NOT NULL OR p_switches IS NOT NULL;
    v_n int := 0;
    v_op public.asked_v1;
    -- the counters that were met
    c_key text[]; c_quota jsonb[]; c_used bigint[]; c_expires timestamptz[]; c_touched boolean[];
    v_q int;
    -- the runs' budgets that have their first entry
    v_opened int[];

    -- what will be written
    w_budgets public.budget_draft_v1[];
    w_holds public.hold_draft_v1[];
    w_settlements public.settlement_draft_v1[];
    w_entries public.entry_draft_v1[];
    w_decisions public.decision_draft_v1[];
    w_runs public.run_draft_v1[];
    w_counters public.counter_draft_v1[];
    w_events public.event_draft_v1[];
    w_audits public.audit_draft_v1[];
    v_answers json[];
BEGIN
    IF (p_rules -> 'shadow' ->> 'enforce_from')::timestamptz <= p_now THEN
        p_rules := p_rules - 'shadow';
    END IF;
    FOREACH v_op IN ARRAY p_asked LOOP
    DECLARE
        -- the operation in hand
        v_hold public.known_v1;
        v_before public.earlier_v1;
        v_asks boolean;
        v_is_live boolean;
        v_replayed boolean;
        v_refusal text;
        v_status text;
        v_verdict text;
        v_reason text;
        v_failed text;
        v_numbers jsonb;
        v_idx int[];
        v_ids uuid[];
        v_budget_id uuid;
        v_paths text[];
        v_path text;
        v_run_path text;
        v_template jsonb;
        v_settled text;
        i int;
        v_room bigint;
        v_delta bigint;
        v_charged bigint;
        v_short bigint;
        v_expires timestamptz;
        v_debts bigint[];
        v_deltas bigint[];
        v_balances bigint[];
        -- what the rules say of it
        v_r int;
        v_is_first_of_run boolean;
        v_judged jsonb;
        v_shadow jsonb;
        v_candidate jsonb;
        v_model jsonb;
        v_candidates jsonb;
        v_k int;
        v_would_deny text;
        v_would_numbers jsonb;
        v_route_refusal text;
        v_left_ppm bigint;
        v_is_low boolean;
        v_suffix text;
        v_quota public.counted_v1;
        v_counted int[];
        v_c int;
    BEGIN
        v_n := v_n + 1;
        v_hold := p_known[v_n];
        v_asks := v_op.op IN ('reserve', 'decide');
        v_is_live := v_op.op = 'reserve' AND v_op.is_dry IS NOT TRUE;
        v_path := v_root || coalesce(v_op.suffixes[cardinality(v_op.suffixes)], '');

        -- 1. Who asks, and may they
        v_refusal := CASE
            WHEN v_op.is_trusted THEN CASE WHEN v_op.target IS NOT NULL AND v_hold.hold_id IS NULL THEN 'RESERVATION_NOT_FOUND' END
            WHEN v_hold.is_key_good IS NOT TRUE THEN 'UNAUTHORIZED'
            WHEN NOT 'reservations:' || CASE WHEN v_asks OR v_op.op = 'event' THEN 'create' ELSE v_op.op END = ANY (v_hold.permissions)
                THEN 'PERMISSION_MISSING'
            WHEN lower(v_op.tenant) <> p_head.slug THEN 'TENANT_MISMATCH'
            WHEN v_op.target IS NOT NULL AND v_hold.hold_id IS NULL THEN 'RESERVATION_NOT_FOUND'
            WHEN cardinality(v_hold.scope_filter) > 0 THEN 'SCOPE_FILTERED'
        END;
        IF v_refusal IS NOT NULL THEN
            IF v_refusal = 'UNAUTHORIZED' THEN
                v_answers := array_append(
                    v_answers, json_build_object('status', 'UNAUTHORIZED', 'id', v_op.id, 'replayed', false, 'slug', '')
                );
                CONTINUE;
            ELSIF v_refusal = 'RESERVATION_NOT_FOUND' THEN
                v_status := 'NOT_FOUND';
            ELSIF v_refusal <> 'SCOPE_FILTERED' OR NOT EXISTS (
                SELECT FROM unnest(v_hold.scope_filter) AS allowed
                WHERE coalesce(v_hold.path, v_path) = allowed OR starts_with(coalesce(v_hold.path, v_path), allowed || '/')
            ) THEN
                v_status := 'FORBIDDEN';
            END IF;
            IF v_status IS NOT NULL THEN
                v_numbers := jsonb_strip_nulls(jsonb_build_object('reason', v_refusal, 'permission', CASE
                    WHEN v_refusal = 'PERMISSION_MISSING'
                        THEN 'reservations:' || CASE WHEN v_asks OR v_op.op = 'event' THEN 'create' ELSE v_op.op END
                END));
            END IF;
        END IF;

        -- 2. Has it happened already
        IF v_hold.is_repeated THEN
            v_before := p_earlier[v_n];
            v_reason := v_before.reason;
            IF v_status IS NULL THEN
                v_replayed := true;
                IF v_before.hash <> v_op.hash THEN
                    v_status := 'IDEMPOTENCY_MISMATCH';
                ELSE
                    v_status := 'OK';
                    v_op.id := coalesce(v_before.id, v_op.id);
                    v_verdict := v_before.verdict;
                    v_failed := v_before.failed_scope;
                    v_numbers := v_before.numbers;
                    v_judged := v_before.admission;
                    v_charged := v_before.charged;
                    v_expires := v_before.expires_at;
                    v_paths := v_before.paths;
                    v_balances := v_before.balances;
                    IF v_asks THEN
                        v_op.amount := v_before.amount;
                        v_hold.status := v_before.hold_status;
                    END IF;
                END IF;
            END IF;
        END IF;

        -- 3. Is the tenant in business. What was really spent is still booked for a suspended tenant: refusing would lose it.
        IF v_status IS NULL AND p_head.status <> 'ACTIVE' THEN
            IF p_head.status = 'CLOSED' AND v_op.op <> 'expire' THEN
                v_status := 'TENANT_CLOSED';
            ELSIF p_head.status = 'SUSPENDED' AND v_op.op IN ('reserve', 'decide', 'extend') THEN
                v_status := 'TENANT_SUSPENDED';
            END IF;
        END IF;

        -- 4. Which budgets it touches
        IF v_status IS NULL AND (v_asks OR v_op.op = 'event') THEN
            FOREACH v_path IN ARRAY v_op.suffixes LOOP
                i := (p_by_path ->> (v_root || v_path || '|' || v_op.unit))::int;
                IF i IS NOT NULL THEN
                    v_idx := v_idx || i;
                END IF;
            END LOOP;
            v_path := v_root || v_path;
            IF v_op.run IS NOT NULL THEN
                v_run_path := v_root || '/run:' || v_op.run;
                i := (p_by_path ->> (v_run_path || '|' || v_op.unit))::int;
                IF i IS NULL OR (b_new[i] AND NOT b_touched[i]) THEN
                    -- A run's budget is opened by the first reservation or event of the run that is let through; until then it is
                    -- only imagined.
                    v_template := coalesce(p_templates -> v_op.template, p_templates -> '');
                    IF v_template ->> 'unit' = v_op.unit AND v_idx IS NOT NULL THEN
                        IF i IS NULL THEN
                            p_budgets := p_budgets + 1;
                            i := p_budgets;
                            p_by_path := p_by_path || jsonb_build_object(v_run_path || '|' || v_op.unit, i);
                        END IF;
                        b_id[i] := gen_random_uuid(); b_path[i] := v_run_path; b_unit[i] := v_op.unit; b_status[i] := 'ACTIVE';
                        b_run[i] := v_op.run; b_allocated[i] := (v_template ->> 'amount')::bigint; b_reserved[i] := 0; b_spent[i] := 0;
                        b_debt[i] := 0; b_uncovered[i] := 0; b_limit[i] := 0; b_capped[i] := false; b_low[i] := false;
                        b_touched[i] := false; b_new[i] := true;
                    ELSE
                        i := NULL;
                    END IF;
                END IF;
                IF i IS NOT NULL THEN
                    v_idx := v_idx || i;
                END IF;
            END IF;
            -- 4. to 7. The rules: who is stopped, what the run may still do, which tools and models, and how much of what a day
            IF v_has_rules AND v_asks THEN
                IF v_op.run IS NOT NULL THEN
                    v_r := array_position(r_id, v_op.run);
                    IF v_r IS NULL THEN
                        v_r := coalesce(cardinality(r_id), 0) + 1;
                        r_id[v_r] := v_op.run;
                        -- A run may have begun before its first call came here, never after.
                        r_started[v_r] := least(
                            p_now, to_timestamp(((v_op.facts -> 'run' ->> 'started_at_ms')::bigint / 1000.0)::double precision)
                        );
                        r_lease[v_r] := p_now; r_iterations[v_r] := 0; r_tokens[v_r] := 0; r_held[v_r] := 0; r_gave_up[v_r] := NULL;
                        r_provider[v_r] := NULL;
                        r_touched[v_r] := false; r_new[v_r] := true;
                    END IF;
                END IF;
                v_is_first_of_run := v_r IS NOT NULL AND r_new[v_r] AND NOT r_touched[v_r];
                v_is_low := false;
                IF p_rules -> 'low_water' IS NOT NULL AND v_idx IS NOT NULL THEN
                    FOREACH i IN ARRAY v_idx LOOP
                        CONTINUE WHEN b_run[i] IS NOT NULL OR b_allocated[i] = 0;
                        v_room := floor((b_allocated[i]::numeric - b_spent[i] - b_reserved[i]) * 1000000 / b_allocated[i])::bigint;
                        v_left_ppm := least(v_left_ppm, v_room);
                        IF public.is_low_v1(
                            b_low[i], b_allocated[i], b_spent[i]::numeric + b_reserved[i], p_rules -> 'low_water', b_starts[i], b_ends[i], p_now
                        ) = b_low[i] THEN
                            v_is_low := v_is_low OR b_low[i];
                            CONTINUE;
                        END IF;
                        v_is_low := v_is_low OR NOT b_low[i];
                        IF v_is_live THEN
                            b_low[i] := NOT b_low[i];
                            b_touched[i] := true;
                            w_events := array_append(w_events, ROW(
                                CASE WHEN b_low[i] THEN 'budget.low_water_entered' ELSE 'budget.low_water_left' END, b_path[i],
                                jsonb_build_object('left_ppm', v_room), v_op.request_id, v_op.trace_id
                            )::public.event_draft_v1);
                        END IF;
                    END LOOP;
                END IF;
                FOREACH v_suffix IN ARRAY v_op.suffixes LOOP
                    v_paths := v_paths || (v_root || v_suffix);
                END LOOP;
                v_judged := public.judge_rules_v1(
                    p_rules, p_switches,
                    jsonb_build_object(
                        'kind', v_op.action ->> 'kind', 'name', v_op.action ->> 'name', 'levels', v_op.subject, 'paths', to_jsonb(v_paths),
                        'key_id', v_op.key_id, 'amount', v_op.amount, 'policy', v_op.policy, 'request', v_op.facts, 'priority', v_op.priority
                    ),
                    CASE WHEN v_r IS NOT NULL THEN jsonb_build_object(
                        'iterations', r_iterations[v_r], 'tokens', r_tokens[v_r], 'tokens_held', r_held[v_r],
                        'seconds', extract(EPOCH FROM p_now - r_started[v_r]), 'provider', r_provider[v_r]
                    ) END,
                    v_is_low, v_left_ppm
                );
                v_paths := NULL;
                v_status := v_judged ->> 'status';
                v_candidates := v_judged -> 'candidates';
                v_shadow := p_rules -> 'shadow';
                IF v_status IS NOT NULL THEN
                    v_numbers := v_judged -> 'numbers';
                    IF public.is_shadowed_v1(v_shadow, v_status) THEN
                        -- Written down, and judged on as if the rule were not there. Without a model to price nothing is held.
                        v_would_deny := v_status; v_would_numbers := v_numbers;
                        v_status := NULL; v_numbers := NULL;
                    ELSIF v_status IN ('BELOW_FLOOR', 'NO_ROUTE') THEN
                        -- Routes come after quotas: who has used up the day is told so, whether or not there was a model.
                        v_route_refusal := v_status;
                        v_status := NULL;
                    END IF;
                END IF;

                -- 6. Counted quotas, of actions and of runs
                IF v_status IS NULL AND p_quotas IS NOT NULL THEN
                    v_q := coalesce(v_q, 1);
                    WHILE (p_quotas[v_q]).n < v_n LOOP
                        v_q := v_q + 1;
                    END LOOP;
                    FOR j IN v_q..cardinality(p_quotas) LOOP
                        v_quota := p_quotas[j];
                        EXIT WHEN v_quota.n <> v_n;
                        CONTINUE WHEN v_quota.status <> 'ACTION_QUOTA_EXCEEDED' AND NOT v_is_first_of_run;
                        IF v_quota.key IS NULL THEN
                            v_numbers := jsonb_build_object('quota', v_quota.quota -> 'id');
                            IF NOT public.is_shadowed_v1(v_shadow, 'RUN_REQUIRED') THEN
                                v_status := 'RUN_REQUIRED';
                                EXIT;
                            END IF;
                            v_would_numbers := CASE WHEN v_would_deny IS NULL THEN v_numbers ELSE v_would_numbers END;
                            v_would_deny := coalesce(v_would_deny, 'RUN_REQUIRED');
                            v_numbers := NULL;
                            CONTINUE;
                        END IF;
                        v_c := array_position(c_key, v_quota.key);
                        IF v_c IS NULL THEN
                            v_c := coalesce(cardinality(c_key), 0) + 1;
                            c_key[v_c] := v_quota.key; c_used[v_c] := v_quota.used; c_touched[v_c] := false;
                        END IF;
                        c_expires[v_c] := v_quota.expires_at;
                        c_quota[v_c] := v_quota.quota || jsonb_build_object('scope', v_quota.scope);
                        IF c_used[v_c] >= v_quota.quota_max THEN
                            v_numbers := jsonb_strip_nulls(jsonb_build_object(
                                'quota', v_quota.quota -> 'id', 'policy_id', v_quota.quota -> 'policy_id', 'used', c_used[v_c],
                                'limit', v_quota.quota_max, 'window', v_quota.quota -> 'window', 'resets_at', v_quota.expires_at,
                                'action_kind', v_op.action -> 'kind', 'risk_class', v_quota.quota -> 'risk_class'
                            ));
                            IF NOT public.is_shadowed_v1(v_shadow, v_quota.status) THEN
                                v_status := v_quota.status;
                                v_failed := v_quota.scope;
                                EXIT;
                            END IF;
                            v_would_numbers := CASE WHEN v_would_deny IS NULL THEN v_numbers ELSE v_would_numbers END;
                            v_would_deny := coalesce(v_would_deny, v_quota.status);
                            v_numbers := NULL;
                            CONTINUE;
                        END IF;
                        v_counted := v_counted || v_c;
                    END LOOP;
                END IF;
                -- A run that went quiet has lost its place, and needs one again.
                IF v_status IS NULL AND r_lease[v_r] <= p_now AND p_leases >= (p_rules -> 'limits' ->> 'concurrent_runs_max')::bigint THEN
                    v_numbers := jsonb_build_object('used', p_leases, 'limit', p_rules -> 'limits' -> 'concurrent_runs_max');
                    IF public.is_shadowed_v1(v_shadow, 'CONCURRENT_RUNS_EXCEEDED') THEN
                        v_would_numbers := CASE WHEN v_would_deny IS NULL THEN v_numbers ELSE v_would_numbers END;
                        v_would_deny := coalesce(v_would_deny, 'CONCURRENT_RUNS_EXCEEDED');
                        v_numbers := NULL;
                    ELSE
                        v_status := 'CONCURRENT_RUNS_EXCEEDED';
                    END IF;
                END IF;
                IF v_route_refusal IS NOT NULL AND v_status IS NULL THEN
                    v_status := v_route_refusal;
                    v_numbers := v_judged -> 'numbers';
                END IF;
                IF v_would_deny IS NOT NULL AND v_candidates IS NULL THEN
                    v_op.amount := coalesce(v_op.amount, 0);
                END IF;
            END IF;
            IF v_status IS NULL AND v_op.amount IS NULL AND v_candidates IS NULL THEN
                v_status := 'NO_ROUTE';
            ELSIF v_status IS NULL AND v_idx IS NULL THEN
                SELECT b_path[n], jsonb_build_object('requested_unit', v_op.unit, 'expected_units', jsonb_agg(DISTINCT b_unit[n]))
                INTO v_failed, v_numbers
                FROM generate_series(1, p_budgets) AS n
                WHERE NOT b_new[n] AND b_path[n] = ANY (SELECT v_root || s FROM unnest(v_op.suffixes) AS s)
                GROUP BY b_path[n]
                ORDER BY length(b_path[n]) DESC
                LIMIT 1;
                v_status := CASE WHEN v_failed IS NULL THEN 'BUDGET_NOT_FOUND' ELSE 'UNIT_MISMATCH' END;
                v_failed := coalesce(v_failed, v_path);
            END IF;
        ELSIF v_status IS NULL THEN
            FOREACH v_budget_id IN ARRAY v_hold.budget_ids LOOP
                v_idx := v_idx || (p_by_id ->> v_budget_id::text)::int;
            END LOOP;
            v_path := v_hold.path;
        END IF;

        -- 5. The verdict, root to leaf; the first failure names the refusal
        IF v_asks AND v_replayed IS NOT TRUE THEN
            IF v_status IS NULL THEN
                LOOP
                    -- 8. The first candidate that fits wins; without candidates there is the caller's own estimate.
                    IF v_candidates IS NOT NULL THEN
                        v_candidate := v_candidates -> coalesce(v_k, 0);
                        v_op.amount := (v_candidate ->> 'amount')::bigint;
                        v_status := NULL; v_failed := NULL; v_numbers := NULL;
                    END IF;
                    FOREACH i IN ARRAY v_idx LOOP
                        v_status := CASE
                            WHEN b_status[i] = 'FROZEN' THEN 'BUDGET_FROZEN'
                            WHEN b_status[i] = 'CLOSED' THEN 'BUDGET_CLOSED'
                            WHEN b_capped[i] OR b_debt[i] > b_limit[i] THEN 'OVERDRAFT_LIMIT_EXCEEDED'
                            WHEN b_debt[i] > 0 THEN 'DEBT_OUTSTANDING'
                            WHEN b_allocated[i] - b_reserved[i] - b_spent[i] - b_debt[i] < v_op.amount THEN 'BUDGET_EXCEEDED'
                            WHEN v_op.amount > AMOUNT_MAX - b_reserved[i] - b_spent[i] - b_debt[i] - b_uncovered[i] THEN 'BUDGET_EXCEEDED'
                        END;
                        IF v_status IS NOT NULL THEN
                            v_failed := b_path[i];
                            v_numbers := jsonb_build_object(
                                'remaining', b_allocated[i] - b_reserved[i] - b_spent[i] - b_debt[i], 'requested', v_op.amount, 'unit', v_op.unit,
                                'debt', b_debt[i]
                            );
                            EXIT;
                        END IF;
                    END LOOP;
                    EXIT WHEN v_status IS NULL OR v_candidates IS NULL;
                    v_k := coalesce(v_k, 0) + 1;
                    EXIT WHEN v_k >= jsonb_array_length(v_candidates);
                END LOOP;
            END IF;
            IF v_has_rules THEN
                -- A budget in shadow blocks nothing: what it would have refused is written down, and nothing is held for it.
                IF public.check_of_v1(v_status) = 'money' AND (
                    public.is_shadowed_v1(v_shadow, v_status) OR v_shadow -> 'scopes' ? v_failed
                ) THEN
                    v_would_numbers := CASE WHEN v_would_deny IS NULL THEN v_numbers ELSE v_would_numbers END;
                    v_would_deny := coalesce(v_would_deny, v_status);
                    v_status := NULL;
                    v_op.amount := 0;
                END IF;
                IF v_would_deny IS NOT NULL THEN
                    -- What was let through without cover must be able to settle.
                    v_op.policy := 'ALLOW_IF_AVAILABLE';
                END IF;
                -- The give-up rule speaks once in a run's life.
                IF v_is_live AND v_r IS NOT NULL AND r_gave_up[v_r] IS NULL AND (r_touched[v_r] OR NOT r_new[v_r]) AND (
                    v_status IN ('MAX_ITERATIONS_REACHED', 'MAX_TOKENS_REACHED', 'MAX_WALL_TIME_REACHED')
                    OR (v_status = 'BUDGET_EXCEEDED' AND v_failed = v_run_path)
                ) THEN
                    r_gave_up[v_r] := CASE v_status WHEN 'BUDGET_EXCEEDED' THEN 'MAX_COST_REACHED' ELSE v_status END;
                    r_touched[v_r] := true;
                    w_events := array_append(w_events, ROW(
                        'run.' || lower(r_gave_up[v_r]), v_root || '/run:' || v_op.run,
                        jsonb_build_object('run_id', v_op.run, 'code', r_gave_up[v_r], 'numbers', v_numbers, 'fallback', v_judged -> 'fallback'),
                        v_op.request_id, v_op.trace_id
                    )::public.event_draft_v1);
                END IF;
            END IF;
            IF v_status IS NULL THEN
                v_status := 'OK';
                v_verdict := 'ALLOW';
                IF v_has_rules THEN
                    IF v_candidate -> 'key' IS NOT NULL THEN
                        -- What the chosen model is, and its price at this moment: a settlement goes by it.
                        v_model := p_rules -> 'models' -> (v_candidate ->> 'key');
                        v_candidate := v_candidate || jsonb_strip_nulls(jsonb_build_object(
                            'provider', v_model -> 'provider', 'model', v_model -> 'model', 'deployment', v_model -> 'deployment',
                            'price', v_model -> 'price'
                        ));
                    END IF;
                    IF v_candidate -> 'max_tokens' IS NOT NULL THEN
                        v_judged := v_judged || jsonb_build_object(
                            'caps', coalesce(v_judged -> 'caps', '{}') || jsonb_build_object('max_tokens', v_candidate -> 'max_tokens')
                        );
                    END IF;
                    IF v_judged -> 'caps' IS NOT NULL AND v_would_deny IS NULL THEN
                        v_verdict := 'ALLOW_WITH_CAPS';
                    END IF;
                    IF v_is_live AND v_r IS NOT NULL THEN
                        IF r_lease[v_r] <= p_now THEN
                            -- It had none, or a lapsed one.
                            p_leases := p_leases + 1;
                        END IF;
                        r_iterations[v_r] := r_iterations[v_r] + 1;
                        r_provider[v_r] := coalesce(r_provider[v_r], v_candidate ->> 'provider');
                        r_held[v_r] := r_held[v_r] + coalesce((v_candidate ->> 'tokens')::bigint, (v_judged ->> 'tokens')::bigint, 0);
                        r_lease[v_r] := greatest(r_lease[v_r], p_now + (v_op.ttl_ms + v_op.grace_ms) * interval '1 millisecond');
                        r_touched[v_r] := true;
                    END IF;
                    IF v_is_live AND v_counted IS NOT NULL THEN
                        FOREACH v_c IN ARRAY v_counted LOOP
                            c_used[v_c] := c_used[v_c] + 1;
                            c_touched[v_c] := true;
                            IF c_used[v_c] = (c_quota[v_c] ->> 'threshold')::bigint THEN
                                w_events := array_append(w_events, ROW(
                                    'quota.threshold_approaching', c_quota[v_c] ->> 'scope',
                                    jsonb_build_object('quota', c_quota[v_c], 'used', c_used[v_c]), v_op.request_id, v_op.trace_id
                                )::public.event_draft_v1);
                            END IF;
                        END LOOP;
                    END IF;
                END IF;
                IF v_is_live THEN
                    v_expires := p_now + v_op.ttl_ms * interval '1 millisecond';
                    FOREACH i IN ARRAY v_idx LOOP
                        b_reserved[i] := b_reserved[i] + v_op.amount;
                        b_touched[i] := true;
                        v_deltas := v_deltas || ARRAY[0, v_op.amount, 0, 0, 0];
                    END LOOP;
                END IF;
            END IF;

        ELSIF v_status IS NULL AND v_op.op IN ('commit', 'event') THEN
            -- The part above the hold is paid as the overage policy says; an event is a commit of a hold of nothing.
            IF v_op.op = 'commit' AND v_hold.status IN ('COMMITTED', 'RELEASED') THEN
                v_status := 'RESERVATION_FINALIZED';
                v_numbers := jsonb_build_object('state', v_hold.status);
            ELSIF v_op.op = 'commit' AND v_op.unit <> v_hold.unit THEN
                v_status := 'UNIT_MISMATCH';
                v_failed := v_path;
                v_numbers := jsonb_build_object('requested_unit', v_op.unit, 'expected_units', jsonb_build_array(v_hold.unit));
            ELSIF v_op.op = 'commit' AND (v_hold.status = 'EXPIRED' OR p_now > v_hold.due_at) THEN
                v_status := 'RESERVATION_EXPIRED';
            END IF;
            v_hold.amount := coalesce(v_hold.amount, 0);
            v_op.policy := coalesce(v_hold.policy, v_op.policy, p_head.overage_policy);
            v_delta := greatest(v_op.amount - v_hold.amount, 0);
            v_room := v_delta;
            IF v_status IS NULL AND v_op.policy <> 'REJECT' THEN
                -- What a scope neither has nor lends is left uncovered, on every scope alike.
                FOREACH i IN ARRAY v_idx LOOP
                    IF v_op.policy = 'ALLOW_IF_AVAILABLE' OR b_limit[i] = 0 THEN
                        v_room := least(v_room, greatest(b_allocated[i] - b_reserved[i] - b_spent[i] - b_debt[i], 0));
                    END IF;
                END LOOP;
            END IF;
            IF v_status IS NULL THEN
                FOREACH i IN ARRAY v_idx LOOP
                    v_short := 0;
                    IF v_op.op = 'event' AND b_status[i] = 'CLOSED' THEN
                        v_status := 'BUDGET_CLOSED';
                    ELSIF v_delta > AMOUNT_MAX - b_reserved[i] - b_spent[i] - b_debt[i] - b_uncovered[i] THEN
                        v_status := CASE v_op.policy WHEN 'ALLOW_WITH_OVERDRAFT' THEN 'OVERDRAFT_LIMIT_EXCEEDED' ELSE 'BUDGET_EXCEEDED' END;
                    ELSIF v_delta = 0 THEN
                        NULL;
                    ELSIF v_op.policy = 'REJECT' AND (
                        v_op.op = 'commit' OR b_allocated[i] - b_reserved[i] - b_spent[i] - b_debt[i] < v_delta
                    ) THEN
                        v_status := 'BUDGET_EXCEEDED';
                    ELSIF v_op.policy = 'ALLOW_WITH_OVERDRAFT' AND b_limit[i] > 0 AND v_room > 0
                        AND b_allocated[i] - b_reserved[i] - b_spent[i] - b_debt[i] < v_room THEN
                        v_short := v_room;
                        IF b_debt[i] + v_short > b_limit[i] THEN
                            v_status := 'OVERDRAFT_LIMIT_EXCEEDED';
                        END IF;
                    END IF;
                    v_debts := v_debts || v_short;
                    IF v_status IS NOT NULL THEN
                        v_failed := b_path[i];
                        v_numbers := jsonb_build_object(
                            'remaining', b_allocated[i] - b_reserved[i] - b_spent[i] - b_debt[i], 'requested', v_op.amount, 'unit', v_op.unit,
                            'held', v_hold.amount,
                            'debt', b_debt[i], 'overdraft_limit', b_limit[i], 'overage_policy', v_op.policy
                        );
                        EXIT;
                    END IF;
                END LOOP;
            END IF;
            IF v_status IS NULL THEN
                v_status := 'OK';
                v_charged := least(v_op.amount, v_hold.amount + v_room);
                FOR j IN 1..cardinality(v_idx) LOOP
                    i := v_idx[j];
                    IF v_room < v_delta AND (v_op.policy = 'ALLOW_IF_AVAILABLE' OR b_limit[i] = 0)
                        AND b_allocated[i] - b_reserved[i] - b_spent[i] - b_debt[i] < v_delta THEN
                        b_capped[i] := true;
                    END IF;
                    b_reserved[i] := b_reserved[i] - v_hold.amount;
                    b_spent[i] := b_spent[i] + v_charged - v_debts[j];
                    b_debt[i] := b_debt[i] + v_debts[j];
                    b_uncovered[i] := b_uncovered[i] + v_op.amount - v_charged;
                    b_touched[i] := true;
                    v_deltas := v_deltas || ARRAY[0, -v_hold.amount, v_charged - v_debts[j], v_debts[j], v_op.amount - v_charged];
                END LOOP;
            END IF;

        ELSIF v_status IS NULL AND v_op.op IN ('release', 'expire') THEN
            IF v_hold.status IN ('COMMITTED', 'RELEASED') THEN
                v_status := 'RESERVATION_FINALIZED';
                v_numbers := jsonb_build_object('state', v_hold.status);
            ELSIF v_hold.status = 'EXPIRED' OR (v_op.op = 'release' AND p_now > v_hold.due_at AND v_op.is_trusted IS NOT TRUE) THEN
                v_status := 'RESERVATION_EXPIRED';
            ELSIF v_op.op = 'expire' AND p_now <= v_hold.due_at THEN
                v_status := 'NOT_DUE';
            ELSE
                v_status := 'OK';
                v_op.amount := v_hold.amount;
                FOREACH i IN ARRAY v_idx LOOP
                    b_reserved[i] := b_reserved[i] - v_hold.amount;
                    b_touched[i] := true;
                    v_deltas := v_deltas || ARRAY[0, -v_hold.amount, 0, 0, 0];
                END LOOP;
            END IF;

        ELSIF v_status IS NULL AND v_op.op = 'extend' THEN
            IF v_hold.status IN ('COMMITTED', 'RELEASED') THEN
                v_status := 'RESERVATION_FINALIZED';
                v_numbers := jsonb_build_object('state', v_hold.status);
            ELSIF v_hold.status = 'EXPIRED' OR p_now > v_hold.expires_at THEN
                v_status := 'RESERVATION_EXPIRED';
            ELSIF v_hold.extensions >= p_head.extensions_max THEN
                v_status := 'MAX_EXTENSIONS_EXCEEDED';
                v_numbers := jsonb_build_object('extensions_max', p_head.extensions_max);
            ELSE
                FOREACH i IN ARRAY v_idx LOOP
                    IF b_status[i] <> 'ACTIVE' THEN
                        v_status := 'BUDGET_' || b_status[i];
                        v_failed := b_path[i];
                        EXIT;
                    END IF;
                    v_deltas := v_deltas || ARRAY[0, 0, 0, 0, 0];
                END LOOP;
                IF v_status IS NULL THEN
                    v_status := 'OK';
                    v_expires := v_hold.expires_at + v_op.extend_ms * interval '1 millisecond';
                END IF;
            END IF;
        END IF;

        -- 6. What a fresh operation leaves behind
        IF v_status = 'OK' AND v_replayed IS NOT TRUE THEN
            FOREACH i IN ARRAY v_idx LOOP
                CONTINUE WHEN b_new[i] AND NOT b_touched[i];
                v_ids := v_ids || b_id[i];
                v_paths := v_paths || b_path[i];
                v_balances := v_balances || ARRAY[
                    b_allocated[i], b_reserved[i], b_spent[i], b_debt[i], b_uncovered[i], b_limit[i],
                    (b_capped[i] OR b_debt[i] > b_limit[i])::int
                ];
            END LOOP;
            IF v_is_live OR NOT v_asks THEN
                -- The run's own budget is the last one.
                i := v_idx[cardinality(v_idx)];
                IF v_op.run IS NOT NULL AND b_new[i] AND (i = ANY (v_opened)) IS NOT TRUE THEN
                    v_opened := v_opened || i;
                    p_head.last_seq := p_head.last_seq + 1;
                    w_entries := array_append(w_entries, ROW(
                        p_head.last_seq, 'CREATE', NULL, NULL, NULL, NULL, NULL, NULL, v_op.unit, b_allocated[i], NULL, NULL,
                        ARRAY[b_id[i]], ARRAY[b_allocated[i], 0, 0, 0, 0], ARRAY[b_allocated[i], 0, 0, 0, 0, 0, 0],
                        NULL, NULL, NULL, NULL, NULL, 'run', NULL, v_op.request_id, v_op.trace_id
                    )::public.entry_draft_v1);
                END IF;
                p_head.last_seq := p_head.last_seq + 1;
            END IF;
            IF v_is_live THEN
                w_entries := array_append(w_entries, ROW(
                    -- seq, kind, endpoint, target, idempotency_key, payload_hash, reservation_id, event_id
                    p_head.last_seq, 'RESERVE', NULL, NULL, NULL, NULL, v_op.id, NULL,
                    -- unit, amount, charged, expires_at, budget_ids, deltas, balances
                    v_op.unit, v_op.amount, NULL, v_expires, v_ids, v_deltas, v_balances,
                    -- subject, action, metadata, metrics, price, actor, reason, request_id, trace_id
                    NULL, NULL, NULL, NULL, NULL, coalesce(v_op.actor, v_op.key_id), v_op.reason, v_op.request_id, v_op.trace_id
                )::public.entry_draft_v1);
                w_holds := array_append(w_holds, ROW(
                    v_op.id, v_op.unit, v_op.amount, coalesce(v_op.policy, p_head.overage_policy), v_ids, v_path, v_op.run, v_op.subject, v_op.action,
                    v_op.metadata, v_op.key_id, v_op.idem, v_expires, v_expires + v_op.grace_ms * interval '1 millisecond', v_op.grace_ms,
                    coalesce((v_candidate ->> 'tokens')::bigint, (v_judged ->> 'tokens')::bigint)
                )::public.hold_draft_v1);
            ELSIF NOT v_asks THEN
                w_entries := array_append(w_entries, ROW(
                    -- seq, kind
                    p_head.last_seq, upper(v_op.op),
                    -- endpoint, target, idempotency_key, payload_hash: nobody repeats an expiry
                    CASE WHEN v_op.op <> 'expire' THEN v_op.op END, CASE WHEN v_op.op <> 'expire' THEN v_op.target END,
                    CASE WHEN v_op.op <> 'expire' THEN v_op.idem END, CASE WHEN v_op.op <> 'expire' THEN v_op.hash END,
                    -- reservation_id, event_id, unit, amount, charged, expires_at, budget_ids, deltas, balances
                    v_op.target, CASE WHEN v_op.op = 'event' THEN v_op.id END, coalesce(v_hold.unit, v_op.unit), v_op.amount, v_charged, v_expires,
                    v_ids, v_deltas, v_balances,
                    -- subject, action, metadata, metrics: a reservation has its own
                    CASE WHEN v_op.op = 'event' THEN v_op.subject END, CASE WHEN v_op.op = 'event' THEN v_op.action END,
                    CASE WHEN v_op.op = 'event' THEN v_op.metadata END, CASE WHEN v_op.op = 'event' THEN v_op.metrics END,
                    -- price, actor, reason, request_id, trace_id
                    CASE WHEN v_op.op IN ('commit', 'event') THEN v_op.price END, coalesce(v_op.actor, v_op.key_id), v_op.reason,
                    v_op.request_id, v_op.trace_id
                )::public.entry_draft_v1);
            END IF;
            IF v_op.op = 'event' AND v_op.run IS NOT NULL THEN
                -- What a run used without a hold, or after its hold was over, counts in its tokens too.
                v_r := array_position(r_id, v_op.run);
                IF v_r IS NOT NULL THEN
                    r_tokens[v_r] := least(AMOUNT_MAX, r_tokens[v_r] + coalesce(
                        (v_op.metrics ->> 'tokens_input')::numeric + (v_op.metrics ->> 'tokens_output')::numeric, 0
                    ));
                    r_touched[v_r] := true;
                END IF;
            END IF;
            IF v_op.target IS NOT NULL THEN
                v_r := array_position(r_id, v_hold.run);
                IF v_r IS NOT NULL AND v_op.op = 'extend' THEN
                    r_lease[v_r] := greatest(r_lease[v_r], v_expires + v_hold.grace_ms * interval '1 millisecond');
                    r_touched[v_r] := true;
                ELSIF v_r IS NOT NULL THEN
                    r_held[v_r] := greatest(r_held[v_r] - coalesce(v_hold.tokens, 0), 0);
                    IF v_op.op = 'commit' THEN
                        -- Whatever the caller says that it measured, the money is settled.
                        r_tokens[v_r] := least(AMOUNT_MAX, r_tokens[v_r] + coalesce(
                            (v_op.metrics ->> 'tokens_input')::numeric + (v_op.metrics ->> 'tokens_output')::numeric, v_hold.tokens, 0
                        ));
                    END IF;
                    r_touched[v_r] := true;
                END IF;
                v_settled := CASE v_op.op WHEN 'commit' THEN 'COMMITTED' WHEN 'release' THEN 'RELEASED' WHEN 'expire' THEN 'EXPIRED' ELSE 'ACTIVE' END;
                w_settlements := array_append(w_settlements, ROW(
                    -- id, status, expires_at, due_at, extensions, finalized_at
                    v_op.target, v_settled, coalesce(v_expires, v_hold.expires_at),
                    coalesce(v_expires, v_hold.expires_at) + v_hold.grace_ms * interval '1 millisecond',
                    v_hold.extensions + (v_op.op = 'extend')::int, CASE WHEN v_op.op IN ('commit', 'release') THEN p_now END,
                    -- actual, charged, committed_metadata, metrics
                    CASE WHEN v_op.op = 'commit' THEN v_op.amount END, v_charged, CASE WHEN v_op.op = 'commit' THEN v_op.metadata END,
                    CASE WHEN v_op.op = 'commit' THEN v_op.metrics END
                )::public.settlement_draft_v1);
            END IF;
            -- What a person did on a tenant's behalf is in the audit trail, in the same transaction.
            IF v_op.actor_type IS NOT NULL THEN
                w_audits := array_append(w_audits, ROW(
                    v_op.id, v_op.actor_type, v_op.actor, 'reservation.' || v_op.op, v_op.target::text, coalesce(v_op.reason, ''),
                    jsonb_build_object('status', v_hold.status), jsonb_build_object('status', v_settled), v_op.request_id, v_op.trace_id
                )::public.audit_draft_v1);
            END IF;
        END IF;

        -- 7. The answer; decide and a dry run answer a refusal with a verdict, everything else with an error
        IF v_asks AND NOT v_is_live AND v_status NOT IN ('OK', 'FORBIDDEN', 'IDEMPOTENCY_MISMATCH', 'UNIT_MISMATCH') THEN
            v_verdict := 'DENY';
            v_reason := v_status;
            v_status := 'OK';
        END IF;
        IF v_replayed IS NOT TRUE AND (v_status <> 'OK' OR v_verdict IS NOT NULL) AND v_op.op <> 'expire' THEN
            IF v_judged IS NOT NULL THEN
                v_judged := (v_judged - '{candidates,status,numbers}'::text[]) || jsonb_strip_nulls(jsonb_build_object(
                    'route', CASE WHEN v_verdict <> 'DENY' THEN v_candidate END, 'would_deny', v_would_deny, 'would_deny_numbers', v_would_numbers,
                    'on_exhaustion',
                    CASE coalesce(v_reason, v_status)
                        WHEN 'BUDGET_EXCEEDED' THEN p_rules -> 'on_exhaustion' -> (CASE WHEN v_failed = v_run_path THEN 'session' ELSE 'month' END)
                    END
                ));
            END IF;
            -- Whether a reservation was made: then it keeps the subject and the action itself, and its entry the balances.
            v_is_live := v_is_live AND v_status = 'OK';
            w_decisions := array_append(w_decisions, ROW(
                -- id, endpoint, verdict, reason_code, is_replayable, idempotency_key, payload_hash
                v_op.id, coalesce(v_op.endpoint, v_op.op), coalesce(v_verdict, 'DENY'), CASE v_status WHEN 'OK' THEN v_reason ELSE v_status END,
                v_status = 'OK', v_op.idem, v_op.hash,
                -- scope_path, failed_scope, unit, amount, numbers, api_key_id, run_id
                v_path, v_failed, v_op.unit, v_op.amount, v_numbers, v_op.key_id, coalesce(v_op.run, v_hold.run),
                -- reservation_id, subject, action, ledger_seq, budget_ids, balances
                CASE WHEN v_is_live THEN v_op.id ELSE v_op.target END, CASE WHEN NOT v_is_live THEN v_op.subject END,
                CASE WHEN NOT v_is_live THEN v_op.action END, CASE WHEN v_is_live THEN p_head.last_seq END,
                CASE WHEN NOT v_is_live THEN coalesce(v_ids, '{}') END, CASE WHEN NOT v_is_live THEN coalesce(v_balances, '{}') END,
                -- request_id, trace_id, would_deny, admission
                v_op.request_id, v_op.trace_id, v_would_deny, v_judged
            )::public.decision_draft_v1);
        END IF;
        v_answers := array_append(v_answers, json_build_object(
            'status', v_status, 'id', v_op.id, 'replayed', coalesce(v_replayed, false), 'verdict', v_verdict, 'reason', v_reason, 'scope', v_failed,
            'numbers', v_numbers, 'paths', coalesce(v_paths, '{}'), 'balances', coalesce(v_balances, '{}'), 'charged', v_charged,
            'held', CASE WHEN v_op.target IS NOT NULL THEN v_hold.amount END, 'unit', coalesce(v_hold.unit, v_op.unit),
            'expires_ms', (extract(EPOCH FROM v_expires) * 1000)::bigint,
            'left_ms', CASE
                WHEN coalesce(v_hold.status, 'ACTIVE') <> 'ACTIVE' THEN 0
                ELSE greatest((extract(EPOCH FROM v_expires - p_now) * 1000)::bigint, 0)
            END,
            'slug', p_head.slug, 'amount', CASE WHEN v_asks THEN v_op.amount END, 'admission', v_judged
        ));
    END;
    END LOOP;

    -- 8. What was touched, as it stands after the last of them
    FOR n IN 1..p_budgets LOOP
        IF b_touched[n] THEN
            w_budgets := array_append(w_budgets, ROW(
                b_id[n], b_path[n], b_unit[n], b_allocated[n], b_reserved[n], b_spent[n], b_debt[n], b_uncovered[n], b_capped[n], b_low[n], b_run[n],
                b_new[n]
            )::public.budget_draft_v1);
        END IF;
    END LOOP;
    IF r_id IS NOT NULL THEN
        FOR n IN 1..cardinality(r_id) LOOP
            IF r_touched[n] THEN
                w_runs := array_append(w_runs, ROW(
                    r_id[n], r_started[n], r_lease[n], r_iterations[n], r_tokens[n], r_held[n], r_gave_up[n], r_provider[n]
                )::public.run_draft_v1);
            END IF;
        END LOOP;
    END IF;
    IF c_key IS NOT NULL THEN
        FOR n IN 1..cardinality(c_key) LOOP
            IF c_touched[n] THEN
                w_counters := array_append(w_counters, ROW(c_key[n], c_used[n], c_expires[n])::public.counter_draft_v1);
            END IF;
        END LOOP;
    END IF;
    RETURN ROW(
        array_to_json(v_answers), p_head.last_seq, w_budgets, w_holds, w_settlements, w_entries, w_decisions, w_runs, w_counters, w_events, w_audits
    )::public.outcome_v1;
END
$$;
