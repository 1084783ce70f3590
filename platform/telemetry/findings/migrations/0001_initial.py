from django.db import migrations, models
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name='EvidenceStanding',
            fields=[
                ('tag', models.TextField(primary_key=True, serialize=False)),
                ('due_at', models.DateTimeField(help_text='From when on the worker has something to do.', null=True)),
                ('last_span_at', models.DateTimeField(help_text='When the last one came in.', null=True)),
                ('leaks', models.BigIntegerField(default=0, help_text="Spans with another tenant's prompt or namespace.")),
                ('last_leak_at', models.DateTimeField(null=True)),
                ('foreign_spans', models.BigIntegerField(default=0, help_text='Refused spans that named another tenant.')),
                ('last_foreign_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'evidence_standing',
                'indexes': [models.Index(condition=models.Q(('due_at__isnull', False)), fields=['due_at'], name='evidence_standing_due')],
            },
        ),
        RunSQL("REVOKE ALL ON evidence_standing FROM watermaster_app", RunSQL.noop),
        # Deleted with its tenant.
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON evidence_standing TO watermaster_app", RunSQL.noop),
    ]
