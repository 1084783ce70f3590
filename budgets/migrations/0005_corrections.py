"""Entries that correct a charge, and how they are found by it. The index has no other entries: the hot path pays
nothing for it.
"""

import django.db.models.expressions
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('budgets', '0004_rules'),
    ]

    operations = [
        migrations.AlterField(
            model_name='ledgerentry',
            name='kind',
            field=models.TextField(choices=[('RESERVE', 'Reserve'), ('COMMIT', 'Commit'), ('RELEASE', 'Release'), ('EXPIRE', 'Expire'), ('EXTEND', 'Extend'), ('EVENT', 'Event'), ('CREATE', 'Create'), ('CREDIT', 'Credit'), ('DEBIT', 'Debit'), ('RESET', 'Reset'), ('RESET_SPENT', 'Reset Spent'), ('REPAY_DEBT', 'Repay Debt'), ('REALLOCATE', 'Reallocate'), ('ROLLOVER', 'Rollover'), ('UPDATE', 'Update'), ('FREEZE', 'Freeze'), ('UNFREEZE', 'Unfreeze'), ('CLOSE', 'Close'), ('CORRECTION', 'Correction')]),
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(django.db.models.expressions.RawSQL("(metadata ->> 'corrects')", ()), models.F('seq'), condition=models.Q(('kind', 'CORRECTION')), name='ledger_entry_corrects'),
        ),
    ]
