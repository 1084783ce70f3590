"""The one way in which rows of the audit trail may go."""

from django.db import migrations

from kernel.sql_files import create_function, grant_definer


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0005_archive")]
    operations = [
        create_function("telemetry", "drop_audit_v1"),
        grant_definer("drop_audit_v1(text, uuid[])"),
    ]
