"""Requests for more money: answered once, never deleted."""

from django.db import migrations, models
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):

    dependencies = [
        ('budgets', '0008_rollups'),
    ]

    operations = [
        migrations.CreateModel(
            name='BudgetRequest',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('scope_path', models.TextField()),
                ('unit', models.TextField(choices=[('USD_MICROCENTS', 'USD_MICROCENTS'), ('TOKENS', 'TOKENS'), ('CREDITS', 'CREDITS'), ('RISK_POINTS', 'RISK_POINTS')])),
                ('amount', models.BigIntegerField()),
                ('reason', models.TextField()),
                ('asked_by', models.TextField()),
                ('asked_at', models.DateTimeField()),
                ('state', models.TextField(choices=[('OPEN', 'Open'), ('GRANTED', 'Granted'), ('DECLINED', 'Declined')], default='OPEN')),
                ('granted', models.BigIntegerField(null=True)),
                ('answer', models.TextField(blank=True, default='')),
                ('answered_by', models.TextField(blank=True, default='')),
                ('answered_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'budget_request',
                'indexes': [models.Index(fields=['asked_at', 'id'], name='budget_request_asked')],
                'constraints': [models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='budget_request_asks_for_something'), models.CheckConstraint(condition=models.Q(models.Q(('answered_at', None), ('state', 'OPEN')), models.Q(models.Q(('state', 'OPEN'), _negated=True), ('answered_at__isnull', False)), _connector='OR'), name='budget_request_is_answered_once'), models.CheckConstraint(condition=models.Q(models.Q(('granted__gt', 0), ('state', 'GRANTED')), models.Q(models.Q(('state', 'GRANTED'), _negated=True), ('granted', None)), _connector='OR'), name='budget_request_grants_something')],
            },
        ),
        RunSQL("GRANT SELECT, INSERT, UPDATE ON budget_request TO watermaster_app", RunSQL.noop),
    ]
