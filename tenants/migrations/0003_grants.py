"""What the role of the processes may write in the directory. Nobody is deleted from it: closed tenants stay named."""

from django.db import migrations
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_tenant_due")]
    operations = [
        RunSQL("REVOKE ALL ON tenant, tenant_domain, plan, tenant_due FROM watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE ON tenant TO watermaster_app", RunSQL.noop),
        # A plan's version is never edited, and nothing changes a host name yet.
        RunSQL("GRANT SELECT, INSERT ON tenant_domain, plan TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_due TO watermaster_app", RunSQL.noop),
    ]
