"""The door of a tenant's books is at work as the tenant's own role."""

from django.db import migrations
from kernel.sql_files import replace_function


class Migration(migrations.Migration):
    dependencies = [("budgets", "0021_invoice_file")]
    operations = [replace_function("budgets", "door_v1")]
