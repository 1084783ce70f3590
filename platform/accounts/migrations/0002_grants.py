"""What the role of the processes may write of people and their sessions, and of what Django keeps for itself."""

from django.db import migrations
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("sessions", "0001_initial"),
    ]
    operations = [
        RunSQL(
            "REVOKE ALL ON user_account, django_session, django_migrations, django_content_type,"
            " auth_permission, auth_group, auth_group_permissions FROM watermaster_app",
            RunSQL.noop,
        ),
        # Somebody who left is deactivated, never deleted: what they did stays named.
        RunSQL("GRANT SELECT, INSERT, UPDATE ON user_account TO watermaster_app", RunSQL.noop),
        RunSQL("GRANT SELECT, INSERT, UPDATE, DELETE ON django_session TO watermaster_app", RunSQL.noop),
        # Written by migrations alone, as the owner.
        RunSQL(
            "GRANT SELECT ON django_migrations, django_content_type, auth_permission, auth_group,"
            " auth_group_permissions TO watermaster_app",
            RunSQL.noop,
        ),
    ]
