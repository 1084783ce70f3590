"""When each tenant's books were last proven, and what was found."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):
    dependencies = [("tenants", "0010_standing_alerts")]

    operations = [
        migrations.CreateModel(
            name="Verification",
            fields=[
                ("tag", models.TextField()),
                ("part", models.TextField(choices=[("ledger", "Ledger"), ("rollups", "Rollups"), ("seals", "Seals")])),
                ("pk", models.CompositePrimaryKey("tag", "part", blank=True, editable=False, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("took_ms", models.BigIntegerField()),
                ("read", models.BigIntegerField(help_text="Rows that the proof went through.")),
                ("differences", models.BigIntegerField()),
                ("first_difference", models.TextField(blank=True, default="")),
                ("tenant", models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name="verifications", to="tenants.tenant")),
            ],
            options={"db_table": "verification"},
        ),
        RunSQL("REVOKE ALL ON verification FROM watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON verification TO watermaster_app", RunSQL.noop),
    ]
