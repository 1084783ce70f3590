"""Whether a budget got its money anew since some entry, without reading what happened since.

The index is partial: the entries of the hot path are not in it and pay nothing for it.
"""

import django.db.models.expressions
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("budgets", "0002_functions_and_grants")]
    operations = [
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(
                django.db.models.expressions.RawSQL("(budget_ids[1])", ()),
                models.F("seq"),
                condition=models.Q(("kind__in", ("ROLLOVER", "RESET", "RESET_SPENT"))),
                name="ledger_entry_begins_anew",
            ),
        ),
    ]
