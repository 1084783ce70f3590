"""What a tenant's role may read in the shared schema: what is stopped for everybody."""

from django.db import migrations
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):
    dependencies = [("tenants", "0016_keeping_visit")]
    operations = [RunSQL("GRANT SELECT ON platform_switch TO watermaster_tenant", RunSQL.noop)]
