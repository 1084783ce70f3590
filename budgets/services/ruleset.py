"""The compiled rules of a tenant: written here, read by every decision in its own transaction.

The document has these parts, all of them optional. Amounts and counts are integers, shares are parts per million, names
are lower-case, scopes are anchored patterns. `tenants/sql/judge/` judges by it, `front_of_v1` and `budgets.services`
(`front`, `rates`) look at `rate` before.

    limits      input_tokens_max, output_tokens_max, runs_per_day_max, runs_per_month_max, concurrent_runs_max
    rate        [{name, level, counts (requests | tokens), capacity, per_minute}]
    run         iterations_max, tokens_max, wall_seconds_max, fallback
    tools       default (allow | deny | gated), rules: [{pattern, verdict}], version
    tool_prices {tool: USD_MICROCENTS a call}
    actions     risk_classes {kind: class}, policies: [{id, scope, allowed, denied}],
                quotas: [{id, policy_id, kind | risk_class, scope, window, limit, threshold, run_ttl_ms, hosts,
                recipient_domains, resource_types}]
    classes     {name: {tier, pattern (hard | soft | cascade), iterations_max, input_tokens_max, output_tokens_max,
                output_tokens_hold, priority, context_target_tokens, cooldown_ms, timeouts, fallback}}
    default_class, hint_confidence_min_ppm
    force_tier  the tier that all go to while the router is not trusted
    tiers       {small | medium | large: names in `models`, in order of preference}
    models      {"provider:model" or "provider:model@deployment": {provider, model, deployment, deployments,
                context_window, capabilities, input_factor_ppm, output_tokens_min, price}}
    models_refused  names that have a price and are not in the plan
    low_water   enter_ppm, leave_ppm, forecast_enter_ppm, forecast_leave_ppm, hard_floor_ppm, normal_floor_ppm,
                low_floor_ppm, context_target_ppm
    priority    the tenant's own, from its plan; share_weight: its share of provider pools
    on_exhaustion   {session, month: what the plan offers}
    shadow      is_on, checks (see check_of_v1), scopes (paths of budgets)

A price is for a million tokens, in USD_MICROCENTS: input, output, long_context_from, long_input, long_output, per_call,
and everything else that a settlement wants (`routing.pricing.price`).
"""

from collections.abc import Mapping
from typing import Any

from budgets.models import Ruleset
from budgets.services.journal import Journal


def publish(journal: Journal, *, document: Mapping[str, Any]) -> Ruleset:
    """Make `document` the tenant's rules from the next decision on. The journal holds the ledger head."""
    current = Ruleset.objects.filter(pk=1).first()
    version = 1 if current is None else current.version + 1
    ruleset, _ = Ruleset.objects.update_or_create(
        pk=1, defaults={"version": version, "document": dict(document), "compiled_at": journal.now}
    )
    return ruleset


def current_document() -> dict[str, Any]:
    """The rules in force in the schema that the connection is in; empty where none were ever published."""
    ruleset = Ruleset.objects.filter(pk=1).first()
    return {} if ruleset is None else dict(ruleset.document)
