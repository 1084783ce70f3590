"""The open alerts of every tenant, in the notes on how they stand."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0009_open_request'),
    ]

    operations = [
        migrations.AddField(
            model_name='tenantstanding',
            name='alerts_open',
            field=models.IntegerField(db_default=0, default=0, help_text='Those that nobody has snoozed.'),
        ),
        migrations.AddField(
            model_name='tenantstanding',
            name='alert_severity',
            field=models.SmallIntegerField(db_default=0, default=0, help_text='Of the worst one; zero without any.'),
        ),
        migrations.AddField(
            model_name='tenantstanding',
            name='alert_words',
            field=models.TextField(db_default='', default='', help_text='The worst one as a sentence.'),
        ),
        migrations.AddField(
            model_name='tenantstanding',
            name='tell_at',
            field=models.DateTimeField(help_text='When a channel of the tenant next has something to tell.', null=True),
        ),
        migrations.AddIndex(
            model_name='tenantstanding',
            index=models.Index(condition=models.Q(('tell_at__isnull', False)), fields=['tell_at'], name='tenant_standing_tell'),
        ),
    ]
