"""What the role of the processes may write of second factors, sessions and identities, whose tables are allauth's."""

from django.db import migrations
from django.db.migrations.operations import RunSQL


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_invitation"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("usersessions", "0001_initial"),
        ("socialaccount", "0006_alter_socialaccount_extra_data"),
    ]
    operations = [
        RunSQL(
            "REVOKE ALL ON account_emailaddress, account_emailconfirmation, mfa_authenticator,"
            " usersessions_usersession, socialaccount_socialaccount, socialaccount_socialapp,"
            " socialaccount_socialtoken FROM watermaster_app",
            RunSQL.noop,
        ),
        RunSQL(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON mfa_authenticator, usersessions_usersession TO watermaster_app",
            RunSQL.noop,
        ),
        # Addresses are the people's own rows, and no identity is connected to anybody: these stay empty.
        RunSQL(
            "GRANT SELECT ON account_emailaddress, account_emailconfirmation, socialaccount_socialaccount,"
            " socialaccount_socialapp, socialaccount_socialtoken TO watermaster_app",
            RunSQL.noop,
        ),
    ]
