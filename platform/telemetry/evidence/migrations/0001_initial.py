"""Spans, and what was refused of them.

The leaks have an index of their own, which is empty as long as all is well. What a span said cannot be changed: only
the columns that the worker fills in may be.
"""

from django.db import migrations, models
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name='EvidenceNote',
            fields=[
                ('pk', models.CompositePrimaryKey('day', 'kind', 'about', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('kind', models.TextField(choices=[('leak', 'Leak'), ('foreign', 'Says that it is of another tenant'), ('malformed', 'Malformed'), ('out_of_time', 'Too old, or of the future')])),
                ('about', models.TextField()),
                ('count', models.BigIntegerField()),
                ('first_at', models.DateTimeField()),
                ('last_at', models.DateTimeField()),
                ('trace_id', models.TextField(help_text='The latest.')),
            ],
            options={
                'db_table': 'evidence_note',
            },
        ),
        migrations.CreateModel(
            name='Span',
            fields=[
                ('pk', models.CompositePrimaryKey('trace_id', 'span_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('trace_id', models.TextField()),
                ('span_id', models.TextField()),
                ('parent_id', models.TextField(help_text='Empty for the first span of a trace.')),
                ('received_at', models.DateTimeField()),
                ('started_at', models.DateTimeField(help_text="By the runtime's clock.")),
                ('duration_us', models.BigIntegerField()),
                ('kind', models.TextField(choices=[('inference', 'Model call'), ('embedding', 'Embedding'), ('retrieval', 'Retrieval'), ('tool', 'Tool'), ('agent', 'Agent'), ('other', 'Other')])),
                ('name', models.TextField()),
                ('service', models.TextField()),
                ('instrumentation', models.TextField(help_text='Which library made it.')),
                ('is_error', models.BooleanField()),
                ('error_type', models.TextField()),
                ('tenant', models.TextField()),
                ('prompt_source_tenant', models.TextField(help_text='Whose prompt or context it says was used.', null=True)),
                ('namespace_tenant', models.TextField(help_text='To whom the namespace belongs that it searched.', null=True)),
                ('namespace', models.TextField()),
                ('cache_key', models.TextField()),
                ('agent', models.TextField()),
                ('tool', models.TextField()),
                ('run_id', models.TextField()),
                ('decision_id', models.TextField()),
                ('provider', models.TextField()),
                ('model', models.TextField()),
                ('response_id', models.TextField(help_text="The provider's own id of the answer.")),
                ('tokens_input', models.BigIntegerField(help_text='Cached ones included.')),
                ('tokens_output', models.BigIntegerField(help_text='Reasoning included.')),
                ('tokens_cached', models.BigIntegerField(help_text="Of the input, read from the provider's cache.")),
                ('tokens_cache_write', models.BigIntegerField(help_text='Of the input, written to it.')),
                ('tokens_reasoning', models.BigIntegerField(help_text='Of the output.')),
                ('first_token_us', models.BigIntegerField(null=True)),
                ('is_counted', models.BooleanField(help_text='False where another span is of the same call; null until the worker has looked.', null=True)),
                ('same_as', models.TextField(help_text='The span that is counted in its place.', null=True)),
                ('cost', models.BigIntegerField(help_text='In USD_MICROCENTS, of a counted call of a model.', null=True)),
                ('is_fallback_price', models.BooleanField(null=True)),
            ],
            options={
                'db_table': 'span',
                'indexes': [models.Index(fields=['started_at'], name='span_started_at'), models.Index(condition=models.Q(('is_counted', None)), fields=['received_at'], name='span_uncounted')],
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('is_counted', True), models.Q(('response_id', ''), _negated=True)), fields=('response_id',), name='an_answer_is_counted_once'),
                    models.CheckConstraint(condition=models.Q(('duration_us__gte', 0)), name='span_duration_not_negative'),
                ],
            },
        ),
        RunSQL(
            "CREATE INDEX span_leak ON span (started_at DESC)"
            " WHERE prompt_source_tenant <> tenant OR namespace_tenant <> tenant",
            "DROP INDEX span_leak",
        ),
        RunSQL("CREATE INDEX span_namespace ON span (namespace) WHERE namespace <> ''", "DROP INDEX span_namespace"),
        RunSQL("CREATE INDEX span_cache_key ON span (cache_key) WHERE cache_key <> ''", "DROP INDEX span_cache_key"),
        RunSQL("REVOKE ALL ON span, evidence_note FROM watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, DELETE ON span TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT UPDATE (is_counted, same_as, cost, is_fallback_price) ON span TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON evidence_note TO watermaster_app", RunSQL.noop),
    ]
