"""The functions that judge without looking at any table: one copy serves every tenant."""

from django.db import migrations
from kernel.sql_files import create_function

_FUNCTIONS = (
    "tool_verdict_v1",
    "price_call_v1",
    "least_priority_v1",
    "is_low_v1",
    "check_of_v1",
    "front_of_v1",
    "quotas_of_v1",
    "judge_rules_v1",
)


class Migration(migrations.Migration):
    dependencies = [("tenants", "0004_platform_switch")]
    operations = [create_function("tenants", f"judge/{name}", schema="public") for name in _FUNCTIONS]
