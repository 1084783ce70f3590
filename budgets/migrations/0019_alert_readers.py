"""Who was not told of an alert though others were: channels that it recovered before, readers that took no mail."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("budgets", "0018_credential_expiring")]
    operations = [
        migrations.AddField(
            "alert",
            "for_channels",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.UUIDField(),
                help_text="The channels that had not told it when it recovered in its period; NULL: it is for all.",
                null=True,
                size=None,
            ),
        ),
        migrations.AddField(
            "alertchannel",
            "behind",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.TextField(),
                db_default=[],
                default=list,
                help_text="Readers who did not take a mail.",
                size=None,
            ),
        ),
        migrations.AddField(
            "alertchannel",
            "behind_since",
            models.DateTimeField(help_text="How far all of those were told.", null=True),
        ),
        migrations.AddField(
            "alertchannel", "behind_at", models.DateTimeField(help_text="When they are told again.", null=True)
        ),
        migrations.AddField("alertchannel", "behind_tries", models.IntegerField(db_default=0, default=0)),
    ]
