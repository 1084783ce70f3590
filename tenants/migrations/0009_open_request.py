"""The requests of all tenants that nobody has answered: the row goes when the answer comes."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0008_tenant_stop'),
    ]

    operations = [
        migrations.CreateModel(
            name='OpenRequest',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('scope_path', models.TextField()),
                ('unit', models.TextField()),
                ('amount', models.BigIntegerField()),
                ('reason', models.TextField()),
                ('asked_by', models.TextField()),
                ('asked_at', models.DateTimeField()),
                ('tenant', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='open_requests', to='tenants.tenant')),
            ],
            options={
                'db_table': 'open_request',
                'indexes': [models.Index(fields=['asked_at', 'id'], name='open_request_asked')],
            },
        ),
        RunSQL("REVOKE ALL ON open_request FROM watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, DELETE ON open_request TO watermaster_app", RunSQL.noop),
    ]
