"""Rates by which pages show amounts in other currencies."""

from django.db import migrations, models
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0006_tenant_standing'),
    ]

    operations = [
        migrations.CreateModel(
            name='DisplayRate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('currency', models.TextField(help_text='Its three letters, as INR.')),
                ('micros_per_usd', models.BigIntegerField(help_text='Millionths of the currency for 1 USD.')),
                ('as_of', models.DateField(help_text='The day whose rate it is.')),
                ('source', models.TextField(help_text='Who says so, as pages state it.')),
                ('set_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'display_rate',
                'indexes': [models.Index(fields=['currency', '-as_of', '-id'], name='display_rate_latest')],
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('micros_per_usd__gt', 0)), name='display_rate_is_positive'),
                    models.CheckConstraint(condition=models.Q(('currency__regex', '^[A-Z]{3}$')), name='display_rate_names_currency'),
                ],
            },
        ),
        # A rate is never edited: a later one takes its place.
        RunSQL("REVOKE ALL ON display_rate FROM watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT ON display_rate TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT USAGE ON SEQUENCE display_rate_id_seq TO watermaster_app", RunSQL.noop),
    ]
