from django.db import migrations
from django.db.migrations.operations import RunSQL

# A string is no number, a fraction no price; 10^13 is what keeps tokens times rates inside 64 bits.
# Strict: else a list would be looked into instead of refused. Silent: what has another shape has no path.
_NO_RATE = "strict %s ? (@.type() != \"number\" || @ < 0 || @ > 10000000000000 || @.floor() != @)"


def _has(column, path):
    return f"jsonb_path_exists({column}, '{path}', '{{}}', true)"


class Migration(migrations.Migration):
    dependencies = [("routing", "0001_price_book")]
    operations = [
        RunSQL(
            "ALTER TABLE price_version ADD CONSTRAINT price_rates_are_whole_and_not_negative CHECK ("
            " jsonb_typeof(rates) = 'object' AND jsonb_exists(rates, 'standard')"
            f" AND NOT {_has('rates', 'strict $.* ? (@.type() != "object")')} AND NOT {_has('rates', _NO_RATE % '$.*.*')})",
            "ALTER TABLE price_version DROP CONSTRAINT price_rates_are_whole_and_not_negative",
        ),
        RunSQL(
            "ALTER TABLE price_version ADD CONSTRAINT price_tool_fees_are_whole_and_not_negative CHECK ("
            " jsonb_typeof(tool_fees) = 'object'"
            f" AND NOT {_has('tool_fees', _NO_RATE % '$.*')})",
            "ALTER TABLE price_version DROP CONSTRAINT price_tool_fees_are_whole_and_not_negative",
        ),
        # A price that was ever proposed keeps its numbers; a decision changes its dates and its status.
        RunSQL("REVOKE ALL ON price_version, price_multiplier FROM watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT ON price_version, price_multiplier TO watermaster_app", RunSQL.noop),
        RunSQL(
            "GRANT UPDATE (status, effective, decided_at, decided_by) ON price_version TO watermaster_app",
            RunSQL.noop,
        ),
        RunSQL("GRANT UPDATE (effective) ON price_multiplier TO watermaster_app", RunSQL.noop),
    ]
