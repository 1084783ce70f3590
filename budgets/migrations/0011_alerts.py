"""Alerts, the rules by which they are raised, and the channels that tell of them."""

import django.contrib.postgres.fields
import django.db.models.deletion
import kernel.ids
from django.db import migrations, models
from django.db.migrations.operations import RunSQL

_KINDS = [
    ('budget_threshold', 'Budget Threshold'),
    ('low_water', 'Low Water'),
    ('exhaustion_forecast', 'Exhaustion Forecast'),
    ('burn_rate', 'Burn Rate'),
    ('denial_spike', 'Denial Spike'),
    ('router_accuracy', 'Router Accuracy'),
    ('key_expiring', 'Key Expiring'),
    ('ledger_difference', 'Ledger Difference'),
    ('evidence_leak', 'Evidence Leak'),
    ('webhook_paused', 'Webhook Paused'),
    ('credential_unhealthy', 'Credential Unhealthy'),
    ('usage_difference', 'Usage Difference'),
]
_SEVERITIES = [(1, 'Notice'), (2, 'Warning'), (3, 'Critical')]


class Migration(migrations.Migration):

    dependencies = [
        ('budgets', '0010_usage_days'),
    ]

    operations = [
        migrations.CreateModel(
            name='Alert',
            fields=[
                ('id', models.UUIDField(default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.TextField(choices=_KINDS)),
                ('subject', models.TextField(help_text='What it is about, for the machine: `budget:<id>`, `key:<key id>`, `router`.')),
                ('threshold', models.BigIntegerField(default=0, help_text="In the kind's own measure: see `AlertKind`.")),
                ('period', models.TextField(help_text="In which it is told once: where the budget's period begins, a local day.")),
                ('severity', models.SmallIntegerField(choices=_SEVERITIES)),
                ('scope_path', models.TextField(blank=True, default='')),
                ('unit', models.TextField(blank=True, default='')),
                ('summary', models.TextField(help_text='One sentence, as it was when it was found. No secret.')),
                ('facts', models.JSONField(default=dict, help_text='The numbers of the sentence, as they were then.')),
                ('state', models.TextField(choices=[('OPEN', 'Open'), ('RECOVERED', 'Recovered'), ('RESOLVED', 'Resolved')], default='OPEN')),
                ('opened_at', models.DateTimeField()),
                ('period_ends_at', models.DateTimeField(help_text='After it the alert is over, whatever the numbers are.', null=True)),
                ('snoozed_until', models.DateTimeField(null=True)),
                ('tell_at', models.DateTimeField(help_text='Since when the channels may tell of it: opened, or back after a snooze.')),
                ('ended_at', models.DateTimeField(null=True)),
                ('ended_by', models.TextField(blank=True, default='')),
                ('end_reason', models.TextField(blank=True, default='')),
                ('reopened', models.IntegerField(default=0)),
            ],
            options={
                'db_table': 'alert',
                'indexes': [
                    models.Index(fields=['opened_at', 'id'], name='alert_opened'),
                    models.Index(condition=models.Q(('state', 'OPEN')), fields=['kind'], name='alert_open'),
                    models.Index(fields=['tell_at'], name='alert_told'),
                ],
                'constraints': [
                    models.UniqueConstraint(fields=('kind', 'subject', 'threshold', 'period'), name='one_alert_per_threshold_and_period'),
                    models.CheckConstraint(condition=models.Q(models.Q(('ended_at', None), ('state', 'OPEN')), models.Q(models.Q(('state', 'OPEN'), _negated=True), ('ended_at__isnull', False)), _connector='OR'), name='alert_ends_once'),
                ],
            },
        ),
        migrations.CreateModel(
            name='AlertRule',
            fields=[
                ('id', models.UUIDField(default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.TextField(choices=_KINDS)),
                ('is_on', models.BooleanField(default=True)),
                ('thresholds', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list)),
                ('changed_by', models.TextField()),
                ('changed_at', models.DateTimeField()),
                ('budget', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='budgets.budget')),
            ],
            options={
                'db_table': 'alert_rule',
                'constraints': [models.UniqueConstraint(fields=('kind', 'budget'), name='one_alert_rule_per_kind_and_budget', nulls_distinct=False)],
            },
        ),
        migrations.CreateModel(
            name='AlertChannel',
            fields=[
                ('id', models.UUIDField(default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.TextField(choices=[('email', 'Email'), ('slack', 'Slack'), ('webhook', 'Webhook')])),
                ('name', models.TextField()),
                ('sealed', models.TextField(help_text='The address, by `kernel.sealing`.')),
                ('hint', models.TextField()),
                ('severity_min', models.SmallIntegerField(choices=_SEVERITIES, default=2)),
                ('is_on', models.BooleanField(default=True)),
                ('created_by', models.TextField()),
                ('created_at', models.DateTimeField()),
                ('told_at', models.DateTimeField()),
                ('busy_until', models.DateTimeField(help_text='Until then one worker is telling it.', null=True)),
                ('sent_at', models.DateTimeField(null=True)),
                ('retry_at', models.DateTimeField(null=True)),
                ('failures', models.IntegerField(default=0, help_text='One behind the other.')),
                ('failed_at', models.DateTimeField(null=True)),
                ('failure', models.TextField(blank=True, default='', help_text='In our own words, without any part of the address.')),
            ],
            options={
                'db_table': 'alert_channel',
            },
        ),
        migrations.CreateModel(
            name='AlertMark',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('looked_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'alert_mark',
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='one_alert_mark')],
            },
        ),
        # What was told stays; what a tenant's people have set up they may take away.
        RunSQL("GRANT SELECT, INSERT, UPDATE ON alert, alert_mark TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON alert_rule, alert_channel TO watermaster_app", RunSQL.noop),
    ]
