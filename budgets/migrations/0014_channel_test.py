"""A message that is a test, asked for on the page and sent by the worker."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('budgets', '0013_due_periods'),
    ]

    operations = [
        migrations.AddField(
            model_name='alertchannel',
            name='test_asked_at',
            field=models.DateTimeField(help_text='Somebody waits for a message that is a test.', null=True),
        ),
    ]
