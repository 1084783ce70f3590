import kernel.ids
from django.db import migrations, models
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):
    dependencies = [("vault", "0001_credential_reference")]

    operations = [
        migrations.CreateModel(
            name="CredentialLease",
            fields=[
                ("id", models.UUIDField(default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("reference_id", models.UUIDField()),
                ("decision_id", models.UUIDField(help_text="The decision that it stands on.")),
                (
                    "path",
                    models.TextField(
                        help_text="The template that was resolved; with the two below it says which secret."
                    ),
                ),
                ("key", models.TextField(blank=True, default="")),
                ("version", models.TextField(blank=True, default="")),
                ("leased_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(help_text="Until then whoever leased it may use it.")),
                (
                    "ended_at",
                    models.DateTimeField(help_text="When it was given back, or ended by somebody else.", null=True),
                ),
                ("renewals", models.IntegerField(default=0)),
                ("store_lease_id", models.TextField(blank=True, default="")),
                ("store_ends_at", models.DateTimeField(help_text="When the back end ends it by itself.", null=True)),
            ],
            options={
                "db_table": "credential_lease",
                "indexes": [
                    models.Index(fields=["decision_id"], name="credential_lease_decision"),
                    models.Index(fields=["expires_at"], name="credential_lease_expires"),
                    models.Index(
                        condition=models.Q(("store_lease_id", ""), _negated=True),
                        fields=["store_ends_at"],
                        name="credential_lease_at_store",
                    ),
                ],
            },
        ),
        # Who had what is in the trail; these rows are for leases that live, and go a week after they end.
        RunSQL("REVOKE ALL ON credential_lease FROM watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON credential_lease TO watermaster_app", RunSQL.noop),
    ]
