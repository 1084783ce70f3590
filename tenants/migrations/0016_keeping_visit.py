"""Whose old rows are looked for when."""

from django.db import migrations, models
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0015_waiting_since'),
    ]

    operations = [
        migrations.CreateModel(
            name='KeepingVisit',
            fields=[
                ('tag', models.TextField(primary_key=True, serialize=False)),
                ('asked_at', models.DateTimeField(help_text='When a visit was last asked for.', null=True)),
                ('due_at', models.DateTimeField(help_text='Not before; null before the first visit has ended.', null=True)),
                ('visited_at', models.DateTimeField(null=True)),
                ('dropped', models.BigIntegerField(default=0, help_text='Rows that the last visit dropped.')),
                ('trouble', models.TextField(default='', help_text='Why it dropped nothing, or not all; empty where all went well.')),
            ],
            options={
                'db_table': 'keeping_visit',
            },
        ),
        RunSQL("REVOKE ALL ON keeping_visit FROM watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON keeping_visit TO watermaster_app", RunSQL.noop),
    ]
