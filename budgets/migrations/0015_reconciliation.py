"""What came of holding the ledger against invoices, logs and spans."""

from django.db import migrations, models
from django.db.migrations.operations import RunSQL

import kernel.ids


class Migration(migrations.Migration):
    dependencies = [("budgets", "0014_channel_test")]

    operations = [
        migrations.CreateModel(
            name="Reconciliation",
            fields=[
                ("id", models.UUIDField(default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("actor", models.TextField()),
                ("reason", models.TextField(blank=True, default="")),
                ("source", models.TextField(choices=[("invoice", "invoice"), ("session_log", "session_log"), ("spans", "spans")])),
                ("name", models.TextField(help_text="Of the file or folder, without where it lay.")),
                ("digest", models.TextField(blank=True, default="", help_text="SHA-256 of the file, in hex.")),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField(help_text="Exclusive.")),
                ("scope_path", models.TextField(blank=True, default="", help_text="Only charges at or below it were looked at.")),
                ("provider", models.TextField(blank=True, default="", help_text="Only charges of it, or of none, were looked at.")),
                ("by_days", models.BooleanField(help_text="Sums of days were compared, not calls.")),
                ("tolerance_ppm", models.BigIntegerField()),
                ("observed", models.JSONField(help_text="calls, tokens_input, tokens_output, cost.")),
                ("booked", models.JSONField(help_text="The same of the ledger.")),
                ("matched", models.BigIntegerField()),
                ("missing", models.BigIntegerField()),
                ("extra", models.BigIntegerField()),
                ("drift", models.BigIntegerField()),
                ("unread", models.BigIntegerField(help_text="Lines of the source that could not be read.")),
                ("differences", models.JSONField()),
            ],
            options={
                "db_table": "reconciliation",
                "indexes": [models.Index(fields=["at"], name="reconciliation_at")],
            },
        ),
        RunSQL("REVOKE ALL ON reconciliation FROM watermaster_app", RunSQL.noop),
        # What was found stays.
        RunSQL("GRANT SELECT, INSERT ON reconciliation TO watermaster_app", RunSQL.noop),
    ]
