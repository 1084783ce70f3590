"""From when on decisions without effect are still there: what rollups of earlier ones cannot be made from again."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('budgets', '0016_first_token'),
    ]

    operations = [
        migrations.AddField(
            model_name='rollupmark',
            name='decisions_kept_since',
            field=models.DateTimeField(help_text='Earlier decisions were exported and dropped.', null=True),
        ),
    ]
