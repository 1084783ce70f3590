"""Since when events, periods and seals of each tenant wait: what `/metrics` says of them without opening a schema."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0014_webhook_visited")]
    operations = [
        migrations.AddField(
            "webhookdue",
            "oldest_at",
            models.DateTimeField(
                help_text="Since when the oldest of its events waits, as its last visit left it.", null=True
            ),
        ),
        migrations.AddField(
            "tenantstanding",
            "period_due_at",
            models.DateTimeField(help_text="When a budget's next period is to be opened.", null=True),
        ),
        migrations.AddField(
            "tenantstanding",
            "seal_due_at",
            models.DateTimeField(help_text="When the open end of its ledger is to be sealed.", null=True),
        ),
    ]
