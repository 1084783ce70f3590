"""Seals over closed segments of the ledger: added, never changed and never removed by the processes."""

from django.db import migrations, models
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):

    dependencies = [
        ('budgets', '0011_alerts'),
    ]

    operations = [
        migrations.CreateModel(
            name='LedgerSeal',
            fields=[
                ('number', models.BigIntegerField(help_text='From 1, without gaps.', primary_key=True, serialize=False)),
                ('layout', models.SmallIntegerField(help_text='Which columns of an entry were hashed, and how.')),
                ('first_seq', models.BigIntegerField()),
                ('last_seq', models.BigIntegerField()),
                ('first_at', models.DateTimeField()),
                ('last_at', models.DateTimeField()),
                ('entries_hash', models.BinaryField(help_text='SHA-256 over the SHA-256 of each entry, in order.')),
                ('previous_hash', models.BinaryField(help_text='The hash of the seal before; of the first one, 32 zero bytes.')),
                ('hash', models.BinaryField()),
                ('signature', models.BinaryField(help_text='HMAC of the hash.')),
                ('sealed_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'ledger_seal',
                'constraints': [models.CheckConstraint(condition=models.Q(('first_seq__lte', models.F('last_seq'))), name='ledger_seal_is_not_empty'), models.UniqueConstraint(fields=('first_seq',), name='one_seal_per_entry')],
            },
        ),
        RunSQL("GRANT SELECT, INSERT ON ledger_seal TO watermaster_app", RunSQL.noop),
    ]
