"""When each outbox was visited last: whose turn it is, and whether it was before PostgreSQL began to count anew."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0013_ledger_check")]
    operations = [
        migrations.AddField(
            "webhookdue",
            "visited_at",
            models.DateTimeField(help_text="When its last visit began.", null=True),
        ),
    ]
