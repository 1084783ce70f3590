"""The first functions, the view on the books, and what the runtime's role may do with each table."""

from django.db import migrations
from django.db.migrations.operations import RunSQL
from kernel.sql_files import create_function, read_sql

# Hot rows are updated in place (HOT) while their page has room, and their dead versions are cleared early.
_HOT_ROWS = "fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0"


class Migration(migrations.Migration):
    dependencies = [("budgets", "0001_initial"), ("keys", "0001_initial")]
    operations = [
        create_function("budgets", "period_bounds_v1"),
        create_function("budgets", "operations_collide_v1"),
        create_function("budgets", "apply_operations_v1"),
        create_function("budgets", "is_within_v1"),
        create_function("budgets", "check_key_v1"),
        create_function("budgets", "reservation_matches_v1"),
        create_function("budgets", "read_reservations_v1"),
        create_function("budgets", "read_balances_v1"),
        RunSQL([(read_sql("budgets", "ledger_posting"), None)], "DROP VIEW ledger_posting"),
        RunSQL(f"ALTER TABLE ledger_head SET ({_HOT_ROWS})", RunSQL.noop),
        RunSQL(f"ALTER TABLE budget SET ({_HOT_ROWS})", RunSQL.noop),
        RunSQL("ALTER TABLE reservation SET (fillfactor = 70)", RunSQL.noop),
        # Entries and decisions are written once and never changed: what the role may not do, no bug can.
        RunSQL("GRANT SELECT, INSERT ON ledger_entry, decision TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT ON ledger_posting TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE ON ledger_head TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE ON budget, reservation TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON run_template TO watermaster_app", RunSQL.noop),
    ]
