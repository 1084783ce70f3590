"""Files into which old rows were written, and the one way in which events of the outbox may go."""

from django.db import migrations, models
from django.db.migrations.operations import RunSQL

from kernel.sql_files import create_function, grant_definer


class Migration(migrations.Migration):

    dependencies = [
        ('telemetry', '0004_webhooks'),
    ]

    operations = [
        migrations.CreateModel(
            name='ArchiveFile',
            fields=[
                ('name', models.TextField(primary_key=True, serialize=False)),
                ('kind', models.TextField(choices=[('audit', 'Audit'), ('decisions', 'Decisions'), ('events', 'Events'), ('ledger', 'Ledger'), ('spans', 'Spans')])),
                ('number', models.BigIntegerField()),
                ('rows', models.BigIntegerField()),
                ('until_at', models.DateTimeField(help_text='All that is in the file is from before.')),
                ('facts', models.JSONField(default=dict, help_text='What else is true of the rows in it.')),
                ('digest', models.BinaryField(help_text='SHA-256 of the file.')),
                ('signature', models.BinaryField(help_text='HMAC of all above, by a key that the database does not hold.')),
                ('made_at', models.DateTimeField()),
                ('dropped_at', models.DateTimeField(help_text='When the last of its rows was gone.', null=True)),
            ],
            options={
                'db_table': 'archive_file',
                'constraints': [models.UniqueConstraint(fields=('kind', 'number'), name='one_archive_file_of_a_number'), models.CheckConstraint(condition=models.Q(('number__gt', 0), ('rows__gt', 0)), name='archive_file_is_not_empty')],
            },
        ),
        RunSQL("REVOKE ALL ON archive_file FROM watermaster_app", RunSQL.noop),
        # Written once; but for when its rows were gone.
        RunSQL("GRANT SELECT, INSERT ON archive_file TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT UPDATE (dropped_at) ON archive_file TO watermaster_app", RunSQL.noop),
        create_function("telemetry", "drop_events_v1"),
        grant_definer("drop_events_v1(text, bigint[])"),
    ]
