"""Sums per 15 minutes, how far they are, and how decisions without a number in the ledger are found by their time.

The index has no entries of reservations: the hot path pays nothing for it.
"""

import django.contrib.postgres.fields
from django.db import migrations, models
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):

    dependencies = [
        ('budgets', '0007_run_provider'),
    ]

    operations = [
        migrations.CreateModel(
            name='DecisionRollup',
            fields=[
                ('bucket_at', models.DateTimeField(help_text='Where the 15 minutes begin, at a quarter of an hour in UTC.')),
                ('scope_path', models.TextField(help_text='Of what was asked, without its run.')),
                ('endpoint', models.TextField()),
                ('action_kind', models.TextField()),
                ('action_name', models.TextField()),
                ('traffic_class', models.TextField()),
                ('verdict', models.TextField()),
                ('reason_code', models.TextField()),
                ('would_deny', models.TextField(help_text='In shadow mode: the refusal that did not block.')),
                ('pk', models.CompositePrimaryKey('bucket_at', 'scope_path', 'endpoint', 'action_kind', 'action_name', 'traffic_class', 'verdict', 'reason_code', 'would_deny', blank=True, editable=False, primary_key=True, serialize=False)),
                ('agent', models.TextField(help_text='The agent in the scope path, for reading by it.')),
                ('count', models.BigIntegerField()),
            ],
            options={
                'db_table': 'decision_rollup',
            },
        ),
        migrations.CreateModel(
            name='RollupMark',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('ledger_seq', models.BigIntegerField(default=0)),
                ('decisions_at', models.DateTimeField(null=True)),
                ('decision_ids', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list)),
                ('rolled_up_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'rollup_mark',
            },
        ),
        migrations.CreateModel(
            name='UsageRollup',
            fields=[
                ('bucket_at', models.DateTimeField(help_text='Where the 15 minutes begin, at a quarter of an hour in UTC.')),
                ('scope_path', models.TextField(help_text='Of the call, without its run.')),
                ('model', models.TextField()),
                ('tool', models.TextField()),
                ('traffic_class', models.TextField()),
                ('unit', models.TextField()),
                ('pk', models.CompositePrimaryKey('bucket_at', 'scope_path', 'model', 'tool', 'traffic_class', 'unit', blank=True, editable=False, primary_key=True, serialize=False)),
                ('agent', models.TextField(help_text='The agent in the scope path, for reading by it.')),
                ('calls', models.BigIntegerField(default=0, help_text='Charges: commits and events.')),
                ('events', models.BigIntegerField(default=0, help_text='Those of the calls that had no hold.')),
                ('charged', models.DecimalField(decimal_places=0, default=0, help_text='What budgets or debt paid, corrections included.', max_digits=40)),
                ('uncovered', models.DecimalField(decimal_places=0, default=0, help_text='What was really spent beyond that.', max_digits=40)),
                ('corrections', models.BigIntegerField(default=0)),
                ('corrected', models.DecimalField(decimal_places=0, default=0, help_text='What the corrections alone came to, in charged.', max_digits=40)),
                ('priced_calls', models.BigIntegerField(default=0, help_text="Calls whose provider's cost is known.")),
                ('priced_charged', models.DecimalField(decimal_places=0, default=0, help_text='What was charged for those.', max_digits=40)),
                ('provider_cost', models.DecimalField(decimal_places=0, default=0, help_text="What those cost at the provider's list price, in USD_MICROCENTS whatever the unit is.", max_digits=40)),
                ('tokens_input', models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ('tokens_output', models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ('tokens_cached', models.DecimalField(decimal_places=0, default=0, help_text='Of the input.', max_digits=40)),
                ('tokens_reasoning', models.DecimalField(decimal_places=0, default=0, help_text='Of the output.', max_digits=40)),
                ('holds', models.BigIntegerField(default=0, help_text='Reservations made.')),
                ('held', models.DecimalField(decimal_places=0, default=0, help_text='What was held for them.', max_digits=40)),
                ('commits', models.BigIntegerField(default=0)),
                ('planned', models.DecimalField(decimal_places=0, default=0, help_text='What was held for the calls that were committed here.', max_digits=40)),
                ('observed', models.DecimalField(decimal_places=0, default=0, help_text='What those really cost, as they were committed.', max_digits=40)),
                ('releases', models.BigIntegerField(default=0)),
                ('expiries', models.BigIntegerField(default=0)),
                ('given_back', models.DecimalField(decimal_places=0, default=0, help_text='What was held for what was released or expired.', max_digits=40)),
                ('latency_ms', models.DecimalField(decimal_places=0, default=0, help_text='Of the calls that measured it, together.', max_digits=40)),
                ('latency_counts', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), help_text='So many calls within each of `LATENCY_BOUNDS_MS`, and longer ones.')),
            ],
            options={
                'db_table': 'usage_rollup',
            },
        ),
        migrations.AddIndex(
            model_name='decision',
            index=models.Index(condition=models.Q(('ledger_seq__isnull', True), models.Q(('verdict', 'DENY'), _negated=True)), fields=['at'], name='decision_unheld_at'),
        ),
        migrations.AddConstraint(
            model_name='rollupmark',
            constraint=models.CheckConstraint(condition=models.Q(('id', 1)), name='one_rollup_mark'),
        ),
        # What is added to again and again is updated in place.
        RunSQL("ALTER TABLE usage_rollup SET (fillfactor = 70)", RunSQL.noop),
        RunSQL("ALTER TABLE decision_rollup SET (fillfactor = 70)", RunSQL.noop),
        # Deleted when they are made again from the ledger.
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON usage_rollup, decision_rollup TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE ON rollup_mark TO watermaster_app", RunSQL.noop),
    ]
