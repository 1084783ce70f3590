from django.db import migrations
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):
    dependencies = [("keys", "0001_initial")]
    operations = [
        # A key is revoked, never deleted: what it did stays explainable.
        RunSQL("REVOKE ALL ON api_key FROM watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE ON api_key TO watermaster_app", RunSQL.noop),
    ]
