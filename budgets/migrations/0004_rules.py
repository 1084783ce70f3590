"""What the books judge by besides money; functions that read it; what the runtime's role may do with it."""

import kernel.ids
from django.db import migrations, models
from django.db.migrations.operations import RunSQL
from kernel.sql_files import create_function, replace_function

_HOT = ("ledger_head", "budget", "run", "quota_counter")
_GROWING = ("reservation", "ledger_entry", "decision")
_NEVER_ANALYZED = "autovacuum_analyze_threshold = 2000000000, autovacuum_analyze_scale_factor = 0"
_SELDOM_ANALYZED = "autovacuum_analyze_threshold = 10000, autovacuum_analyze_scale_factor = 1"


class Migration(migrations.Migration):

    dependencies = [
        ('budgets', '0003_begun_anew'),
    ]

    operations = [
        migrations.CreateModel(
            name='PolicyVersion',
            fields=[
                ('kind', models.TextField(choices=[('limits', 'Limits'), ('tools', 'Tools'), ('actions', 'Actions'), ('routing', 'Routing'), ('shadow', 'Shadow'), ('router_switch', 'Router Switch')])),
                ('version', models.BigIntegerField()),
                ('pk', models.CompositePrimaryKey('kind', 'version', blank=True, editable=False, primary_key=True, serialize=False)),
                ('document', models.JSONField()),
                ('reason', models.TextField()),
                ('actor', models.TextField()),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'policy_version',
            },
        ),
        migrations.CreateModel(
            name='QuotaCounter',
            fields=[
                ('key', models.TextField(primary_key=True, serialize=False)),
                ('used', models.BigIntegerField()),
                ('expires_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'quota_counter',
            },
        ),
        migrations.CreateModel(
            name='RouterModel',
            fields=[
                ('version', models.BigIntegerField(primary_key=True, serialize=False)),
                ('trained_at', models.DateTimeField()),
                ('examples', models.BigIntegerField()),
                ('accuracy_ppm', models.BigIntegerField(help_text='On examples that were held out.')),
                ('content', models.BinaryField(help_text='Numbers and JSON; nothing in it can run.')),
                ('actor', models.TextField()),
            ],
            options={
                'db_table': 'router_model',
            },
        ),
        migrations.AddField(
            model_name='budget',
            name='is_low',
            field=models.BooleanField(default=False, help_text='Below the low-water mark, until it recovers.'),
        ),
        migrations.AddField(
            model_name='decision',
            name='admission',
            field=models.JSONField(help_text='How far the checks came, class, route and caps.', null=True),
        ),
        migrations.AddField(
            model_name='decision',
            name='would_deny',
            field=models.TextField(help_text='In shadow mode: the refusal that did not block.', null=True),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='price',
            field=models.JSONField(help_text='Unit prices, their source and version, of a charge that was priced.', null=True),
        ),
        migrations.AddField(
            model_name='reservation',
            name='tokens',
            field=models.BigIntegerField(help_text="What it holds of its run's tokens.", null=True),
        ),
        migrations.CreateModel(
            name='KillSwitch',
            fields=[
                ('id', models.UUIDField(default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('level', models.TextField(choices=[('platform', 'Platform'), ('tenant', 'Tenant'), ('workspace', 'Workspace'), ('app', 'App'), ('workflow', 'Workflow'), ('agent', 'Agent'), ('toolset', 'Toolset'), ('tool', 'Tool'), ('key', 'Key'), ('model', 'Model'), ('provider', 'Provider')])),
                ('name', models.TextField(blank=True, default='', help_text="Lower-cased; a tool's and a key's as they are.")),
                ('mode', models.TextField(choices=[('STOP_NEW', 'Stop New'), ('CANCEL_HOLDS', 'Cancel Holds')], default='STOP_NEW')),
                ('reason', models.TextField()),
                ('actor', models.TextField()),
                ('thrown_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField(null=True)),
                ('lifted_at', models.DateTimeField(null=True)),
                ('lifted_by', models.TextField(blank=True, default='')),
            ],
            options={
                'db_table': 'kill_switch',
                'abstract': False,
                'constraints': [models.UniqueConstraint(condition=models.Q(('lifted_at', None)), fields=('level', 'name'), name='one_switch_thrown_per_thing')],
            },
        ),
        migrations.CreateModel(
            name='RouterLabel',
            fields=[
                ('decision_id', models.UUIDField(primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('chosen', models.TextField()),
                ('needed', models.TextField()),
                ('actor', models.TextField()),
            ],
            options={
                'db_table': 'router_label',
                'indexes': [models.Index(fields=['at'], name='router_label_at')],
            },
        ),
        migrations.CreateModel(
            name='Ruleset',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('version', models.BigIntegerField()),
                ('document', models.JSONField()),
                ('compiled_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'ruleset',
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='one_ruleset')],
            },
        ),
        migrations.CreateModel(
            name='Run',
            fields=[
                ('run_id', models.TextField(primary_key=True, serialize=False)),
                ('started_at', models.DateTimeField()),
                ('lease_until', models.DateTimeField(help_text='Until then it counts as running; every reservation prolongs it.')),
                ('iterations', models.BigIntegerField(default=0)),
                ('tokens', models.BigIntegerField(default=0)),
                ('tokens_held', models.BigIntegerField(default=0)),
                ('gave_up_code', models.TextField(null=True)),
                ('gave_up_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'run',
                'indexes': [models.Index(fields=['lease_until'], name='run_lease')],
            },
        ),
        migrations.CreateModel(
            name='Subscription',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('plan_code', models.TextField()),
                ('plan_version', models.IntegerField()),
                ('since', models.DateTimeField()),
                ('next_plan_code', models.TextField(null=True)),
                ('next_plan_version', models.IntegerField(null=True)),
                ('next_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'subscription',
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='one_subscription'), models.CheckConstraint(condition=models.Q(models.Q(('next_at', None), ('next_plan_code', None), ('next_plan_version', None)), models.Q(('next_at__isnull', False), ('next_plan_code__isnull', False), ('next_plan_version__isnull', False)), _connector='OR'), name='next_plan_has_a_date')],
            },
        ),
        replace_function("budgets", "roll_periods_v1"),
        replace_function("budgets", "apply_segment_v1"),
        create_function("budgets", "read_hold_v1"),
        create_function("budgets", "read_tools_v1"),
        replace_function("budgets", "door_v1"),
        # A stop is lifted and a policy followed by the next version; neither is ever deleted.
        RunSQL("GRANT SELECT, INSERT, UPDATE ON ruleset, kill_switch, subscription TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT ON policy_version TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON run, quota_counter TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON router_model, router_label TO watermaster_app", RunSQL.noop),
        RunSQL("ALTER TABLE run SET (fillfactor = 50)", RunSQL.noop),
        RunSQL("ALTER TABLE quota_counter SET (fillfactor = 50)", RunSQL.noop),
        # Each ANALYZE makes every connection plan anew what it keeps of the table. The hot path's plans go by no statistics; rows that are updated all
        # the time need none, and what only grows is looked at when it has doubled.
        *(RunSQL(f"ALTER TABLE {table} SET ({_NEVER_ANALYZED})", RunSQL.noop) for table in _HOT),
        *(RunSQL(f"ALTER TABLE {table} SET ({_SELDOM_ANALYZED})", RunSQL.noop) for table in _GROWING),
    ]
