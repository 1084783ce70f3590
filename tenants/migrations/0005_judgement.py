"""The functions that judge without looking at any table: one copy serves every tenant."""

from django.db import migrations
from django.db.migrations.operations import RunSQL
from kernel.sql_files import create_function, read_sql

_FUNCTIONS = (
    "tool_verdicts_v1",
    "tool_verdict_v1",
    "price_call_v1",
    "least_priority_v1",
    "is_low_v1",
    "check_of_v1",
    "is_shadowed_v1",
    "front_of_v1",
    "quotas_of_v1",
    "judge_rules_v1",
    "quotas_of_segment_v1",
    "judge_segment_v1",
)
_TYPES = (
    "outcome_v1",
    "audit_draft_v1",
    "event_draft_v1",
    "counter_draft_v1",
    "run_draft_v1",
    "decision_draft_v1",
    "entry_draft_v1",
    "settlement_draft_v1",
    "hold_draft_v1",
    "budget_draft_v1",
    "counted_v1",
    "runs_v1",
    "budgets_v1",
    "head_v1",
    "earlier_v1",
    "known_v1",
    "asked_v1",
)


class Migration(migrations.Migration):
    dependencies = [("tenants", "0004_platform_switch")]
    operations = [
        RunSQL(
            [(read_sql("tenants", "judge/segment_types_v1"), None)],
            [f"DROP TYPE public.{name}" for name in _TYPES],
        ),
        *(create_function("tenants", f"judge/{name}", schema="public") for name in _FUNCTIONS),
    ]
