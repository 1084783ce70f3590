"""Whose events wait: what tells the worker whom to visit."""

from django.db import migrations, models
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):
    dependencies = [("tenants", "0011_verification")]
    operations = [
        migrations.CreateModel(
            name="WebhookDue",
            fields=[
                ("tag", models.TextField(primary_key=True, serialize=False)),
                ("outbox_table", models.BigIntegerField(help_text="The oid of its outbox_event.")),
                (
                    "inserts_seen",
                    models.BigIntegerField(default=-1, help_text="Rows ever inserted there, when it was visited."),
                ),
                (
                    "due_at",
                    models.DateTimeField(help_text="When a delivery is to be tried; NULL while none waits.", null=True),
                ),
                (
                    "asked_at",
                    models.DateTimeField(help_text="When a visit was asked for that has not ended.", null=True),
                ),
            ],
            options={"db_table": "webhook_due"},
        ),
        RunSQL("REVOKE ALL ON webhook_due FROM watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_due TO watermaster_app", RunSQL.noop),
    ]
