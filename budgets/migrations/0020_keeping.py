"""How long books are kept, the opening at the place where a ledger begins, and the only ways in which rows may go."""

import django.contrib.postgres.fields
from django.db import migrations, models
from django.db.migrations.operations import RunSQL

from kernel.sql_files import create_function, grant_definer


class Migration(migrations.Migration):

    dependencies = [
        ('budgets', '0019_alert_readers'),
        ('telemetry', '0005_archive'),
    ]

    operations = [
        migrations.AddField(
            model_name='rollupmark',
            name='entries_kept_since',
            field=models.DateTimeField(help_text='Of entries before it not all are in the ledger.', null=True),
        ),
        migrations.CreateModel(
            name='KeepingTerm',
            fields=[
                ('kind', models.TextField(choices=[('decisions', 'Decisions'), ('events', 'Events'), ('ledger', 'Ledger')], primary_key=True, serialize=False)),
                ('days', models.IntegerField(help_text='None for ever.', null=True)),
                ('changed_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'keeping_term',
                'constraints': [models.CheckConstraint(condition=models.Q(('days__gt', 0)), name='keeping_term_days_positive')],
            },
        ),
        migrations.CreateModel(
            name='LedgerOpening',
            fields=[
                ('pk', models.CompositePrimaryKey('number', 'budget_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('number', models.BigIntegerField()),
                ('budget_id', models.UUIDField()),
                ('first_seq', models.BigIntegerField()),
                ('balances', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
            ],
            options={
                'db_table': 'ledger_opening',
            },
        ),
        RunSQL("REVOKE ALL ON keeping_term, ledger_opening FROM watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE ON keeping_term TO watermaster_app", RunSQL.noop),
        # Written with its file, and never changed.
        RunSQL("GRANT SELECT, INSERT ON ledger_opening TO watermaster_app", RunSQL.noop),
        create_function("budgets", "drop_decisions_v1"),
        grant_definer("drop_decisions_v1(text, uuid[])"),
        create_function("budgets", "drop_ledger_v1"),
        grant_definer("drop_ledger_v1(text, bigint[])"),
    ]
