"""Whose books are checked when, and the seal that the last sound check saw."""

from django.db import migrations, models
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0012_webhook_due'),
    ]

    operations = [
        migrations.CreateModel(
            name='LedgerCheck',
            fields=[
                ('tag', models.TextField(primary_key=True, serialize=False)),
                ('asked_at', models.DateTimeField(help_text='When a check was last asked for.', null=True)),
                ('checked_at', models.DateTimeField(null=True)),
                ('sealed_seq', models.BigIntegerField(default=0, help_text='The last entry under a seal, when all was sound.')),
                ('seal_hash', models.TextField(default='', help_text='Of that seal, in hexadecimal.')),
            ],
            options={
                'db_table': 'ledger_check',
            },
        ),
        RunSQL("REVOKE ALL ON ledger_check FROM watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ledger_check TO watermaster_app", RunSQL.noop),
    ]
