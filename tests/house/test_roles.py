"""What the role of api, console and workers may and may not do."""

from typing import Final

import pytest
from django.apps import apps
from django.db import ProgrammingError, connection, connections

from kernel.owner import acting_as_owner

READ: Final = {"SELECT"}
ADD: Final = {"SELECT", "INSERT"}
KEEP: Final = {"SELECT", "INSERT", "UPDATE"}
EVERYTHING: Final = {"SELECT", "INSERT", "UPDATE", "DELETE"}
#: What the role may do with each table of the shared schema; those of `routing` have tests of their own.
GRANTS: Final = {
    "account_emailaddress": READ,
    "account_emailconfirmation": READ,
    "api_key": KEEP,
    "archive_file": ADD,
    "audit_entry": ADD,
    "auth_group": READ,
    "auth_group_permissions": READ,
    "auth_permission": READ,
    "display_rate": ADD,
    "django_content_type": READ,
    "django_migrations": READ,
    "django_session": EVERYTHING,
    "invitation": KEEP,
    "membership": EVERYTHING,
    "mfa_authenticator": EVERYTHING,
    "open_request": {"SELECT", "INSERT", "DELETE"},
    "outbox_event": KEEP,
    "plan": ADD,
    "platform_switch": KEEP,
    "tenant": KEEP,
    "tenant_domain": ADD,
    "keeping_visit": EVERYTHING,
    "ledger_check": EVERYTHING,
    "evidence_standing": EVERYTHING,
    "tenant_due": EVERYTHING,
    "tenant_standing": EVERYTHING,
    "socialaccount_socialaccount": READ,
    "socialaccount_socialapp": READ,
    "socialaccount_socialtoken": READ,
    "user_account": KEEP,
    "usersessions_usersession": EVERYTHING,
    "webhook_delivery": EVERYTHING,
    "webhook_due": EVERYTHING,
    "webhook_subscription": EVERYTHING,
    "verification": EVERYTHING,
}

pytestmark = pytest.mark.usefixtures("database")


class TestRuntimeRole:
    def test_is_the_role_that_owns_nothing(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT session_user, current_user")

            assert cursor.fetchone() == ("watermaster_runtime", "watermaster_app")

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE TABLE public.x (y int)",
            "CREATE TEMPORARY TABLE x (y int)",
            "CREATE SCHEMA x",
            "DROP TABLE public.tenant",
            "ALTER TABLE public.tenant ADD COLUMN x int",
            "TRUNCATE public.tenant",
        ],
    )
    def test_cannot_change_the_shape_of_anything(self, statement: str) -> None:
        with connection.cursor() as cursor, pytest.raises(ProgrammingError):
            cursor.execute(statement)

    def test_reads_and_writes_the_shared_tables(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM public.tenant")

            assert cursor.fetchone() is not None

    def test_may_do_with_the_shared_tables_what_is_written_here(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT c.relname, array_agg(verb) FILTER (WHERE has_table_privilege(c.oid, verb))"
                " FROM pg_class AS c CROSS JOIN unnest(%s::text[]) AS verb"
                " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
                " GROUP BY c.relname",
                [["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"]],
            )
            granted = {table: set(verbs or []) for table, verbs in cursor.fetchall()}

        of_routing = {model._meta.db_table for model in apps.get_app_config("routing").get_models()}
        assert {table: verbs for table, verbs in granted.items() if table not in of_routing} == GRANTS

    def test_may_only_read_a_new_shared_table_until_it_is_granted_more(self) -> None:
        with acting_as_owner(), connections["default"].cursor() as cursor:
            cursor.execute("BEGIN; CREATE TABLE public.x (y int)")
            cursor.execute(
                "SELECT array_agg(verb) FROM unnest(%s::text[]) AS verb"
                " WHERE has_table_privilege('watermaster_app', 'public.x', verb)",
                [sorted(EVERYTHING)],
            )
            (verbs,) = cursor.fetchone()
            cursor.execute("ROLLBACK")

        assert set(verbs) == READ


class TestOwnerAlias:
    def test_logs_in_as_the_owner_of_the_schemas(self) -> None:
        with connections["owner"].cursor() as cursor:
            cursor.execute("SELECT current_user")

            assert cursor.fetchone() == ("watermaster_owner",)
