"""Invoices that were handed in on a page, in the schema of their tenant."""

from django.db import migrations, models
from django.db.migrations.operations import RunSQL

import kernel.ids


class Migration(migrations.Migration):
    dependencies = [("budgets", "0020_keeping")]
    operations = [
        migrations.CreateModel(
            name="InvoiceFile",
            fields=[
                ("id", models.UUIDField(default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("actor", models.TextField()),
                ("name", models.TextField(help_text="As whoever sent it called it; it names nothing of ours.")),
                ("digest", models.TextField(help_text="SHA-256 of the content, in hex.", unique=True)),
                ("content", models.BinaryField()),
            ],
            options={"db_table": "invoice_file"},
        ),
        RunSQL("REVOKE ALL ON invoice_file FROM watermaster_app", RunSQL.noop),
        # Nobody changes one; the oldest go when there are too many.
        RunSQL("GRANT SELECT, INSERT, DELETE ON invoice_file TO watermaster_app", RunSQL.noop),
    ]
