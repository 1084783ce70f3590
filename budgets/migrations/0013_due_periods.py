"""Budgets by the end of their period: how the worker finds those that nobody has touched since.

Calls change other columns only, and budgets of runs have no period: the hot path pays nothing for it.
"""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('budgets', '0012_ledger_seal'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='budget',
            index=models.Index(condition=models.Q(('period_ends_at__isnull', False)), fields=['period_ends_at'], name='budget_period_ends'),
        ),
    ]
