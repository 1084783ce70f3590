"""The compiled rules of a tenant: written here, read by every decision in its own transaction.

The document has these parts, all of them optional. Amounts and counts are integers, shares are parts per million, names
are lower-case.

    limits      input_tokens_max, output_tokens_max, runs_per_day_max, runs_per_month_max, concurrent_runs_max
    run         iterations_max, tokens_max, wall_seconds_max, fallback
    tools       default (allow | deny | gated), rules: [{pattern, verdict}], version
    actions     allowed, denied, risk_classes {kind: class},
                quotas: [{id, kind | risk_class, scope_path, window, limit}]
    classes     {name: {tier, pattern, iterations_max, input_tokens_max, output_tokens_max, output_tokens_hold,
                priority, timeouts}}
    default_class
    tiers       {small | medium | large: [{provider, model, context_window, capabilities, price}]}
    models      {"provider:model": the same}
    low_water   enter_ppm, leave_ppm, hard_floor_ppm, normal_floor_ppm, low_floor_ppm
    priority    the tenant's own, from its plan
    shadow      is_on

A price is for a million tokens, in USD_MICROCENTS: input, output, long_context_from, long_input, long_output, per_call.
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
