"""What shadow mode has written down, by time. The index is partial: who is not in shadow pays nothing for it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("budgets", "0005_corrections")]
    operations = [
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(
                condition=models.Q(("would_deny__isnull", False)), fields=["at"], name="decision_would_deny_at"
            ),
        ),
    ]
