"""Receivers of events, and what is on its way to them."""

import django.contrib.postgres.fields
import django.db.models.deletion
import kernel.ids
from django.db import migrations, models
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):

    dependencies = [
        ('telemetry', '0003_outbox_order'),
    ]

    operations = [
        migrations.CreateModel(
            name='WebhookSubscription',
            fields=[
                ('id', models.UUIDField(default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.TextField(blank=True, default='')),
                ('description', models.TextField(blank=True, default='')),
                ('url', models.TextField()),
                ('event_types', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list)),
                ('event_categories', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list)),
                ('scope_filter', models.TextField(blank=True, default='', help_text='A scope path that may hold `*`; empty for all.')),
                ('thresholds', models.JSONField(null=True)),
                ('metadata', models.JSONField(null=True)),
                ('secret', models.TextField(help_text='Sealed.')),
                ('previous_secret', models.TextField(blank=True, default='', help_text='Sealed; signs too until its time is over.')),
                ('previous_secret_until', models.DateTimeField(null=True)),
                ('headers', models.TextField(blank=True, default='', help_text='Sealed: a JSON object of names and values.')),
                ('header_names', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list)),
                ('status', models.TextField(choices=[('ACTIVE', 'Active'), ('PAUSED', 'Paused'), ('DISABLED', 'Disabled')], default='ACTIVE')),
                ('status_reason', models.TextField(blank=True, default='')),
                ('max_retries', models.IntegerField(default=5)),
                ('initial_delay_ms', models.IntegerField(default=1000)),
                ('backoff_multiplier', models.FloatField(default=2.0)),
                ('max_delay_ms', models.IntegerField(default=60000)),
                ('disable_after_failures', models.IntegerField(default=10)),
                ('consecutive_failures', models.IntegerField(default=0, help_text='Deliveries given up since the last success.')),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
                ('listens_since', models.DateTimeField(help_text='Made or resumed then: of events before it nothing is delivered.')),
                ('quiet_until', models.DateTimeField(help_text='It did not answer at all, so nothing is tried until then.', null=True)),
                ('last_triggered_at', models.DateTimeField(null=True)),
                ('last_success_at', models.DateTimeField(null=True)),
                ('last_failure_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'webhook_subscription',
                'constraints': [models.CheckConstraint(condition=models.Q(('event_types__len__gt', 0), ('event_categories__len__gt', 0), _connector='OR'), name='webhook_subscription_selects_something'), models.CheckConstraint(condition=models.Q(('status__in', ['ACTIVE', 'PAUSED', 'DISABLED'])), name='webhook_subscription_status')],
            },
        ),
        migrations.CreateModel(
            name='WebhookDelivery',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('event_id', models.UUIDField()),
                ('event_type', models.TextField()),
                ('trace_id', models.TextField(blank=True, default='')),
                ('replay_id', models.UUIDField(help_text='The replay that asked for it.', null=True)),
                ('body', models.TextField(help_text='The event as JSON, where its outbox is that of another schema.', null=True)),
                ('status', models.TextField(choices=[('PENDING', 'Pending'), ('SUCCESS', 'Success'), ('FAILED', 'Failed'), ('RETRYING', 'Retrying')], default='PENDING')),
                ('attempts', models.IntegerField(default=0)),
                ('created_at', models.DateTimeField()),
                ('next_attempt_at', models.DateTimeField(help_text='Not before.')),
                ('attempted_at', models.DateTimeField(null=True)),
                ('completed_at', models.DateTimeField(null=True)),
                ('response_status', models.IntegerField(null=True)),
                ('response_time_ms', models.IntegerField(null=True)),
                ('error', models.TextField(blank=True, default='')),
                ('subscription', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='telemetry.webhooksubscription')),
            ],
            options={
                'db_table': 'webhook_delivery',
                'indexes': [models.Index(fields=['subscription', 'id'], name='webhook_delivery_of'), models.Index(condition=models.Q(('status__in', ('PENDING', 'RETRYING'))), fields=['subscription', 'next_attempt_at'], name='webhook_delivery_due')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('replay_id', None)), fields=('subscription', 'event_id'), name='one_delivery_of_an_event'), models.CheckConstraint(condition=models.Q(('status__in', ['PENDING', 'SUCCESS', 'FAILED', 'RETRYING'])), name='webhook_delivery_status')],
            },
        ),
        RunSQL("REVOKE ALL ON webhook_subscription, webhook_delivery FROM watermaster_app", RunSQL.noop),
        # A subscription that somebody deletes goes with its deliveries.
        RunSQL(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_subscription, webhook_delivery TO watermaster_app", RunSQL.noop
        ),
    ]
