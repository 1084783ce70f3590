"""The time to the first token in the rollups, counted as latencies are.

What was rolled up before has none of it: where callers have sent it already, rebuild the rollups.
"""

import budgets.models.rollups
import django.contrib.postgres.fields
from django.db import migrations, models


def _columns(model_name):
    return [
        migrations.AddField(
            model_name=model_name,
            name='first_token_ms',
            field=models.DecimalField(decimal_places=0, default=0, help_text='Until the first token came, of the calls that measured it, together.', max_digits=40),
        ),
        migrations.AddField(
            model_name=model_name,
            name='first_token_counts',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=budgets.models.rollups.no_counts, help_text='As `latency_counts`, of the time to the first token.'),
        ),
    ]


class Migration(migrations.Migration):

    dependencies = [
        ('budgets', '0015_reconciliation'),
    ]

    operations = [*_columns('usagerollup'), *_columns('usageday')]
