from django.db import migrations
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0001_initial")]
    operations = [
        # The trail only grows.
        RunSQL("REVOKE ALL ON audit_entry, outbox_event FROM watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT ON audit_entry TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE ON outbox_event TO watermaster_app", RunSQL.noop),
    ]
