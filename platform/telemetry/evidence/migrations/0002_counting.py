"""Which spans are counted, their sums, and how far the worker is."""

import django.contrib.postgres.fields
from django.db import migrations, models
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):

    dependencies = [
        ('evidence', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='EvidenceMark',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('counted_at', models.DateTimeField(help_text='Everything that came in before is counted.', null=True)),
                ('forgotten_at', models.DateTimeField(help_text='When old spans were looked for last.', null=True)),
            ],
            options={
                'db_table': 'evidence_mark',
            },
        ),
        migrations.CreateModel(
            name='SpanRollup',
            fields=[
                ('bucket_at', models.DateTimeField(help_text='Where the 15 minutes begin, at a quarter of an hour in UTC.')),
                ('kind', models.TextField(choices=[('inference', 'Model call'), ('embedding', 'Embedding'), ('retrieval', 'Retrieval'), ('tool', 'Tool'), ('agent', 'Agent'), ('other', 'Other')])),
                ('provider', models.TextField()),
                ('subject', models.TextField(help_text='The model, the tool or the namespace.')),
                ('agent', models.TextField()),
                ('pk', models.CompositePrimaryKey('bucket_at', 'kind', 'provider', 'subject', 'agent', blank=True, editable=False, primary_key=True, serialize=False)),
                ('spans', models.BigIntegerField(help_text='Counted ones.')),
                ('repeats', models.BigIntegerField(help_text='Spans of calls that another span is counted for.')),
                ('errors', models.BigIntegerField()),
                ('leaks', models.BigIntegerField(help_text='Counted or not.')),
                ('tokens_input', models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ('tokens_output', models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ('tokens_cached', models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ('tokens_cache_write', models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ('tokens_reasoning', models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ('cost', models.DecimalField(decimal_places=0, default=0, help_text='In USD_MICROCENTS, as the tenant is charged.', max_digits=40)),
                ('unpriced', models.BigIntegerField(help_text="Calls of models without a price, at the fallback's.")),
                ('durations', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), help_text='`telemetry.evidence.histograms`')),
                ('first_tokens', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), help_text='The same, of those that say it.')),
            ],
            options={
                'db_table': 'span_rollup',
            },
        ),
        migrations.RemoveConstraint(
            model_name='span',
            name='an_answer_is_counted_once',
        ),
        migrations.AddConstraint(
            model_name='span',
            constraint=models.UniqueConstraint(condition=models.Q(('is_counted', True), ('kind__in', ['inference', 'embedding']), models.Q(('response_id', ''), _negated=True)), fields=('response_id',), name='an_answer_is_counted_once'),
        ),
        migrations.AddConstraint(
            model_name='evidencemark',
            constraint=models.CheckConstraint(condition=models.Q(('id', 1)), name='one_evidence_mark'),
        ),
        # What is added to again and again is updated in place.
        RunSQL("ALTER TABLE span_rollup SET (fillfactor = 70)", RunSQL.noop),
        RunSQL("REVOKE ALL ON span_rollup, evidence_mark FROM watermaster_app", RunSQL.noop),
        # Deleted when they are older than is kept.
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON span_rollup TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE ON evidence_mark TO watermaster_app", RunSQL.noop),
    ]
