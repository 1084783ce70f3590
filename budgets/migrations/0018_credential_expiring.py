"""One more kind of alert; nothing changes in the tables."""

from django.db import migrations, models

_KINDS = [
    ("budget_threshold", "Budget Threshold"),
    ("low_water", "Low Water"),
    ("exhaustion_forecast", "Exhaustion Forecast"),
    ("burn_rate", "Burn Rate"),
    ("denial_spike", "Denial Spike"),
    ("router_accuracy", "Router Accuracy"),
    ("key_expiring", "Key Expiring"),
    ("credential_expiring", "Credential Expiring"),
    ("ledger_difference", "Ledger Difference"),
    ("evidence_leak", "Evidence Leak"),
    ("webhook_paused", "Webhook Paused"),
    ("credential_unhealthy", "Credential Unhealthy"),
    ("usage_difference", "Usage Difference"),
]


class Migration(migrations.Migration):
    dependencies = [("budgets", "0017_decisions_kept")]
    operations = [
        migrations.AlterField("alert", "kind", models.TextField(choices=_KINDS)),
        migrations.AlterField("alertrule", "kind", models.TextField(choices=_KINDS)),
    ]
