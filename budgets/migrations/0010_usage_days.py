"""Usage by local days of the tenant, for views of weeks and months; filled from what was rolled up before."""

import django.contrib.postgres.fields
from django.db import migrations, models
from django.db.migrations.operations import RunSQL


_COLUMNS = (
    "scope_path, model, tool, traffic_class, unit, agent, calls, events, charged, uncovered, corrections, corrected, priced_calls, priced_charged,"
    " provider_cost, tokens_input, tokens_output, tokens_cached, tokens_reasoning, holds, held, commits, planned, observed, releases, expiries,"
    " given_back, latency_ms, latency_counts"
)
# As `usage_days.sql` was when this was released: that file goes on with the columns that came later.
_DAYS = """
-- `fresh` by local days of the tenant.
SELECT
    (f.bucket_at AT TIME ZONE h.time_zone)::date AS day, f.scope_path, f.model, f.tool, f.traffic_class, f.unit, f.agent,
    sum(calls) AS calls, sum(events) AS events, sum(charged) AS charged, sum(uncovered) AS uncovered, sum(corrections) AS corrections, sum(corrected) AS corrected,
    sum(priced_calls) AS priced_calls, sum(priced_charged) AS priced_charged, sum(provider_cost) AS provider_cost, sum(tokens_input) AS tokens_input, sum(tokens_output) AS tokens_output, sum(tokens_cached) AS tokens_cached,
    sum(tokens_reasoning) AS tokens_reasoning, sum(holds) AS holds, sum(held) AS held, sum(commits) AS commits, sum(planned) AS planned, sum(observed) AS observed,
    sum(releases) AS releases, sum(expiries) AS expiries, sum(given_back) AS given_back, sum(latency_ms) AS latency_ms,
    ARRAY[
        sum(latency_counts[1]), sum(latency_counts[2]), sum(latency_counts[3]), sum(latency_counts[4]), sum(latency_counts[5]),
        sum(latency_counts[6]), sum(latency_counts[7]), sum(latency_counts[8]), sum(latency_counts[9]), sum(latency_counts[10]),
        sum(latency_counts[11]), sum(latency_counts[12]), sum(latency_counts[13])
    ]::bigint[] AS latency_counts
FROM fresh AS f
CROSS JOIN ledger_head AS h
GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
_FILL = (
    f"WITH fresh AS (SELECT bucket_at, {_COLUMNS} FROM usage_rollup), days AS ({_DAYS})"
    f" INSERT INTO usage_day (day, {_COLUMNS}) SELECT * FROM days"
)


class Migration(migrations.Migration):

    dependencies = [
        ('budgets', '0009_requests'),
    ]

    operations = [
        migrations.CreateModel(
            name='UsageDay',
            fields=[
                ('scope_path', models.TextField(help_text='Of the call, without its run.')),
                ('model', models.TextField()),
                ('tool', models.TextField()),
                ('traffic_class', models.TextField()),
                ('unit', models.TextField()),
                ('agent', models.TextField(help_text='The agent in the scope path, for reading by it.')),
                ('calls', models.BigIntegerField(default=0, help_text='Charges: commits and events.')),
                ('events', models.BigIntegerField(default=0, help_text='Those of the calls that had no hold.')),
                ('charged', models.DecimalField(decimal_places=0, default=0, help_text='What budgets or debt paid, corrections included.', max_digits=40)),
                ('uncovered', models.DecimalField(decimal_places=0, default=0, help_text='What was really spent beyond that.', max_digits=40)),
                ('corrections', models.BigIntegerField(default=0)),
                ('corrected', models.DecimalField(decimal_places=0, default=0, help_text='What the corrections alone came to, in charged.', max_digits=40)),
                ('priced_calls', models.BigIntegerField(default=0, help_text="Calls whose provider's cost is known.")),
                ('priced_charged', models.DecimalField(decimal_places=0, default=0, help_text='What was charged for those.', max_digits=40)),
                ('provider_cost', models.DecimalField(decimal_places=0, default=0, help_text="What those cost at the provider's list price, in USD_MICROCENTS whatever the unit is.", max_digits=40)),
                ('tokens_input', models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ('tokens_output', models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ('tokens_cached', models.DecimalField(decimal_places=0, default=0, help_text='Of the input.', max_digits=40)),
                ('tokens_reasoning', models.DecimalField(decimal_places=0, default=0, help_text='Of the output.', max_digits=40)),
                ('holds', models.BigIntegerField(default=0, help_text='Reservations made.')),
                ('held', models.DecimalField(decimal_places=0, default=0, help_text='What was held for them.', max_digits=40)),
                ('commits', models.BigIntegerField(default=0)),
                ('planned', models.DecimalField(decimal_places=0, default=0, help_text='What was held for the calls that were committed here.', max_digits=40)),
                ('observed', models.DecimalField(decimal_places=0, default=0, help_text='What those really cost, as they were committed.', max_digits=40)),
                ('releases', models.BigIntegerField(default=0)),
                ('expiries', models.BigIntegerField(default=0)),
                ('given_back', models.DecimalField(decimal_places=0, default=0, help_text='What was held for what was released or expired.', max_digits=40)),
                ('latency_ms', models.DecimalField(decimal_places=0, default=0, help_text='Of the calls that measured it, together.', max_digits=40)),
                ('latency_counts', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), help_text='So many calls within each of `LATENCY_BOUNDS_MS`, and longer ones.')),
                ('day', models.DateField()),
                ('pk', models.CompositePrimaryKey('day', 'scope_path', 'model', 'tool', 'traffic_class', 'unit', blank=True, editable=False, primary_key=True, serialize=False)),
            ],
            options={
                'db_table': 'usage_day',
            },
        ),
        RunSQL("ALTER TABLE usage_day SET (fillfactor = 70)", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON usage_day TO watermaster_app", RunSQL.noop),
        RunSQL([(_FILL, None)], RunSQL.noop),
    ]
