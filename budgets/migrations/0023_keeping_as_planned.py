"""A tenant may go by its plan again: its own term goes."""

from django.db import migrations
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):
    dependencies = [("budgets", "0022_role_of_the_door")]
    operations = [RunSQL("GRANT DELETE ON keeping_term TO watermaster_app", RunSQL.noop)]
