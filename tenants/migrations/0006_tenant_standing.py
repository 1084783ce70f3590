"""How every tenant stands, as the worker last noted it."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0005_judgement'),
    ]

    operations = [
        migrations.CreateModel(
            name='TenantStanding',
            fields=[
                ('tag', models.TextField(primary_key=True, serialize=False)),
                ('as_of', models.DateTimeField(null=True)),
                ('asked_at', models.DateTimeField(help_text='When a visit was last asked for.', null=True)),
                ('revisit_at', models.DateTimeField(help_text='When what is said here is no longer true by itself.', null=True)),
                ('ledger_table', models.BigIntegerField(help_text="The oid of the tenant's ledger_entry.")),
                ('decision_table', models.BigIntegerField(help_text="The oid of the tenant's decision.")),
                ('inserts_seen', models.BigIntegerField(default=-1, help_text='Rows ever inserted into both, when it was visited.')),
                ('unit', models.TextField(default='', help_text='Empty for a tenant without a budget of its own.')),
                ('period', models.TextField(default='')),
                ('period_starts_at', models.DateTimeField(null=True)),
                ('period_ends_at', models.DateTimeField(null=True)),
                ('allocated', models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ('reserved', models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ('spent', models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ('debt', models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ('overdraft_limit', models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ('budget_status', models.TextField(default='')),
                ('is_over_limit', models.BooleanField(default=False)),
                ('more_budgets', models.IntegerField(default=0, help_text="The tenant's own budgets in other units.")),
                ('taken_ppm', models.BigIntegerField(default=0, help_text='Reserved, spent and owed of what is allocated.')),
                ('day_starts_at', models.DateTimeField(help_text="The tenant's local midnight.", null=True)),
                ('day_ends_at', models.DateTimeField(null=True)),
                ('spent_today', models.DecimalField(decimal_places=0, default=0, help_text='Charged since then.', max_digits=40)),
                ('spent_hour', models.DecimalField(decimal_places=0, default=0, help_text='Charged in the last hour.', max_digits=40)),
                ('quarters_until', models.DateTimeField(help_text='Where the last of `quarters` ends.', null=True)),
                ('quarters', django.contrib.postgres.fields.ArrayField(base_field=models.DecimalField(decimal_places=0, max_digits=40), default=list, help_text='Charged in each of the last 96 quarters of an hour, the oldest first; the last one is under way.')),
                ('mean_hour_7d', models.DecimalField(decimal_places=0, default=0, help_text='Charged in an hour of the last seven days, on average.', max_digits=40)),
                ('exhausts_at', models.DateTimeField(help_text='When nothing remains if it goes on like in the last hour.', null=True)),
                ('denied_hour', models.BigIntegerField(default=0, help_text='Calls refused in the last 60 minutes.')),
                ('denied_causes', models.JSONField(default=dict, help_text='So many of them for each reason code.')),
                ('calls_hour', models.BigIntegerField(default=0, help_text='Calls charged in the last hour.')),
                ('top_agent', models.TextField(default='', help_text='Who was charged most in the last hour.')),
                ('top_agent_ppm', models.BigIntegerField(default=0, help_text='Its share of what was charged.')),
                ('holds_open', models.BigIntegerField(default=0)),
                ('oldest_hold_at', models.DateTimeField(null=True)),
                ('tenant', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='standing', to='tenants.tenant')),
            ],
            options={
                'db_table': 'tenant_standing',
                'constraints': [models.CheckConstraint(condition=models.Q(('tag__regex', '^[a-z2-7]{20}$')), name='tenant_standing_tag_is_opaque')],
            },
        ),
        # The note of a tenant that is gone is dropped.
        RunSQL("REVOKE ALL ON tenant_standing FROM watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_standing TO watermaster_app", RunSQL.noop),
    ]
