"""Since when a tenant is stopped, so that lists of many tenants can say so."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0007_display_rate")]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="stopped_at",
            field=models.DateTimeField(help_text="Since when a kill switch stops all of it.", null=True),
        ),
        migrations.AddField(
            model_name="tenant",
            name="stop_ends_at",
            field=models.DateTimeField(help_text="When that ends by itself.", null=True),
        ),
    ]
