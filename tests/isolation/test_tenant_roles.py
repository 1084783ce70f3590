"""A tenant's role may do nothing in another tenant's schema, however the way there was mistaken."""

import re
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import pytest
from django.core.management import call_command
from django.db import DatabaseError, ProgrammingError, connection, connections, transaction

from budgets.models import Budget
from budgets.services import engine
from kernel.across import rows_across
from kernel.ids import Tag, mint_tag, schema_name
from kernel.lanes import shared_lanes
from kernel.owner import acting_as_owner
from kernel.roles import ACROSS_ROLE, APP_ROLE, tenant_role
from kernel.tenancy import CELL, across_tenants, in_public, in_tenant
from tenants.models import Tenant
from tenants.services.roles import READ_ACROSS, grants, schemas_without_role, settle_role
from tenants.services.template import read_template
from tests.plugins.servers import ROOT
from tests.support.books import Books
from tests.support.owner import as_owner

VERBS: Final = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"]
STATEMENTS: Final = {
    "SELECT": "SELECT FROM {table}",
    "INSERT": "INSERT INTO {table} DEFAULT VALUES",
    "UPDATE": "UPDATE {table} SET {column} = DEFAULT",
    "DELETE": "DELETE FROM {table}",
    "TRUNCATE": "TRUNCATE {table}",
    "LOCK": "LOCK {table}",
}
REFUSED: Final = (psycopg.errors.InsufficientPrivilege,)
#: What a view says to who may see that it is there.
_NO_TABLE: Final = (psycopg.errors.ObjectNotInPrerequisiteState, psycopg.errors.WrongObjectType)
#: A schema that a role may not look into is passed over in a search path, as one that is not there.
NOT_FOUND: Final = (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable)


@pytest.fixture
def two(acme: Tenant, initech: Tenant) -> tuple[Tenant, Tenant]:
    for tenant in (acme, initech):
        Books(tenant).add_budget(allocated=1_000)
    return acme, initech


def tables_of(tenant: Tenant) -> dict[str, str]:
    """Its tables and views with one column each, as the owner sees them."""
    with acting_as_owner(), in_public(), connections[CELL].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, min(a.attname) FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid"
            " WHERE c.relnamespace = %s::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
            " AND a.attnum > 0 AND NOT a.attisdropped GROUP BY c.relname",
            [tenant.schema_name],
        )
        found = dict(cursor.fetchall())
    assert {"budget", "ledger_entry", "api_key", "audit_entry", "span", "ledger_posting"} <= found.keys()
    return found


def rights_in(tenant: Tenant, role: str) -> dict[str, set[str]]:
    """What a role may do with each table of a tenant, or with some column of it."""
    with acting_as_owner(), in_public(), connections[CELL].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, array_agg(verb) FROM pg_class AS c CROSS JOIN unnest(%s::text[]) AS verb"
            " WHERE c.relnamespace = %s::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"
            " AND CASE WHEN c.relkind = 'S'"
            " THEN verb IN ('SELECT', 'UPDATE') AND has_sequence_privilege(%s, c.oid, verb)"
            " ELSE has_table_privilege(%s, c.oid, verb) OR verb IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')"
            " AND has_any_column_privilege(%s, c.oid, verb) END GROUP BY c.relname",
            [VERBS, tenant.schema_name, role, role, role],
        )
        return {table: set(verbs) for table, verbs in cursor.fetchall()}


def refusals(statements: dict[str, str], kinds: tuple[type[Exception], ...]) -> list[str]:
    """Those that were not refused, each tried in the current place."""
    passed = []
    for what, statement in statements.items():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement)
        except DatabaseError as error:
            if not isinstance(error.__cause__, kinds):
                passed.append(f"{what}: {error}")
        else:
            passed.append(what)
    return passed


def every_statement(tables: dict[str, str], prefix: str = "") -> dict[str, str]:
    return {
        f"{verb} {table}": text.format(table=f"{prefix}{table}", column=column)
        for table, column in tables.items()
        for verb, text in STATEMENTS.items()
    }


def current_user() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        return str(cursor.fetchone()[0])


class TestAnotherTenantsTables:
    def test_are_refused_by_their_qualified_names(self, two: tuple[Tenant, Tenant]) -> None:
        mine, other = two
        statements = every_statement(tables_of(other), f'"{other.schema_name}".')

        with in_tenant(mine.tag):
            assert current_user() == tenant_role(mine.schema_name)
            assert refusals(statements, REFUSED) == []

    def test_are_not_found_by_a_wrong_search_path(self, two: tuple[Tenant, Tenant]) -> None:
        mine, other = two
        lost = f'SET LOCAL search_path = "{other.schema_name}"'
        statements = {what: f"{lost}; {text}" for what, text in every_statement(tables_of(other)).items()}

        with in_tenant(mine.tag):
            assert refusals(statements, NOT_FOUND) == []

    def test_are_refused_to_a_statement_that_was_prepared_as_their_tenant(self, two: tuple[Tenant, Tenant]) -> None:
        mine, other = two
        with in_tenant(other.tag), connection.cursor() as cursor:
            cursor.execute(f'PREPARE peek AS SELECT count(*) FROM "{other.schema_name}".budget')
            cursor.execute("EXECUTE peek")

        with in_tenant(mine.tag), connection.cursor() as cursor, pytest.raises(ProgrammingError, match="denied"):
            cursor.execute("EXECUTE peek")

    @pytest.mark.parametrize("verb", ["SELECT", "UPDATE"])
    def test_are_refused_to_a_function_that_names_them(self, two: tuple[Tenant, Tenant], verb: str) -> None:
        mine, other = two
        table = f'"{other.schema_name}".budget'
        text = {"SELECT": "SELECT allocated FROM {}", "UPDATE": "UPDATE {} SET allocated = 0 RETURNING allocated"}
        statement = text[verb].format(table)
        as_owner(mine.tag, f"CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql AS '{statement}'")

        with in_tenant(mine.tag), connection.cursor() as cursor, pytest.raises(ProgrammingError, match="denied"):
            cursor.execute("SELECT peek()")

    def test_give_no_right_to_the_role(self, two: tuple[Tenant, Tenant]) -> None:
        mine, other = two

        assert rights_in(mine, tenant_role(mine.schema_name))
        assert rights_in(other, tenant_role(mine.schema_name)) == {}


class TestProcesses:
    def test_may_touch_no_table_of_a_tenant_until_they_take_on_its_role(self, acme: Tenant) -> None:
        statements = every_statement(tables_of(acme), f'"{acme.schema_name}".')

        with in_public():
            assert current_user() == APP_ROLE
            assert refusals(statements, (*REFUSED, *_NO_TABLE)) == []
        assert rights_in(acme, APP_ROLE) == {}
        assert rights_in(acme, "watermaster_runtime") == {}
        assert rights_in(acme, "watermaster_tenant") == {}

    def test_read_of_many_tenants_what_is_written_here_and_write_nothing(self, acme: Tenant) -> None:
        assert rights_in(acme, ACROSS_ROLE) == {table: {"SELECT"} for table in READ_ACROSS}

        with across_tenants():
            assert current_user() == ACROSS_ROLE
            hidden = tables_of(acme).keys() - set(READ_ACROSS)
            assert refusals({table: f'SELECT FROM "{acme.schema_name}".{table}' for table in hidden}, REFUSED) == []

    def test_read_of_many_tenants_every_table_that_a_statement_names(self) -> None:
        packages = [ROOT / package for package in ("budgets", "routing", "tenants", "platform")]
        texts = [path.read_text() for package in packages for path in package.rglob("sql/**/*.sql")]
        named = {table for text in texts for table in re.findall(r"\{schema\}\.([a-z_]+)", text)}

        # Sums of days are composed with each tenant's own month.
        assert named | {"usage_day"} == set(READ_ACROSS)

    def test_read_many_tenants_from_within_one_and_come_back_to_it(self, two: tuple[Tenant, Tenant]) -> None:
        mine, other = two
        with in_tenant(mine.tag):
            rows_across("vault", "references_due", [mine.tag, other.tag], {"before": datetime.now(UTC)})

            assert current_user() == tenant_role(mine.schema_name)

    def test_find_no_tenants_role_in_the_shared_tables(self, acme: Tenant) -> None:
        with in_tenant(acme.tag):
            shared = {"user": "public.user_account", "keys": "public.api_key", "tenants": "public.tenant"}
            assert refusals({name: f"SELECT FROM {table}" for name, table in shared.items()}, REFUSED) == []


class TestDoor:
    def test_is_at_work_as_the_tenants_role_and_leaves_it_behind(self, acme: Tenant) -> None:
        as_owner(
            acme.tag,
            "CREATE OR REPLACE FUNCTION read_balances_v1(p_query jsonb) RETURNS json LANGUAGE sql AS"
            " 'SELECT to_json(current_user)'",
        )

        assert engine.read(acme.tag, "balances", b"null") == f'"{tenant_role(acme.schema_name)}"'.encode()
        assert user_of_lane(acme.tag) == APP_ROLE

    def test_leaves_it_behind_when_it_fails(self, acme: Tenant) -> None:
        with pytest.raises(psycopg.Error):
            engine.call_door(acme.tag, "no such call", b"null")

        assert user_of_lane(acme.tag) == APP_ROLE

    def test_that_leads_into_another_tenants_schema_finds_nothing(self, two: tuple[Tenant, Tenant]) -> None:
        mine, other = two
        as_owner(
            mine.tag,
            "CREATE OR REPLACE FUNCTION read_balances_v1(p_query jsonb) RETURNS json LANGUAGE sql AS"
            f""" 'SELECT to_json(count(*)) FROM "{other.schema_name}".budget'""",
        )

        with pytest.raises(engine.EngineUnavailable):
            engine.read(mine.tag, "balances", b"null")

    def test_of_a_tenant_without_a_role_gives_no_verdict(self, acme: Tenant, caplog: pytest.LogCaptureFixture) -> None:
        drop_role(acme)

        with pytest.raises(engine.EngineUnavailable):
            engine.read(acme.tag, "balances", b"null")
        assert "run manage.py migrate_all" in caplog.text

    def test_of_another_tenant_is_closed_to_a_tenants_role(self, two: tuple[Tenant, Tenant]) -> None:
        mine, other = two
        with in_tenant(mine.tag):
            call = f"""SELECT "{other.schema_name}".door_v1('front', 'null')"""
            assert refusals({"door": call}, REFUSED) == []


def drop_role(tenant: Tenant) -> None:
    """As it is where a dump was restored and nobody made the role."""
    role, schema = tenant_role(tenant.schema_name), tenant.schema_name
    as_owner(
        tenant.tag,
        f'REVOKE ALL ON ALL TABLES IN SCHEMA "{schema}" FROM "{role}"',
        f'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA "{schema}" FROM "{role}"',
        f'REVOKE ALL ON SCHEMA "{schema}" FROM "{role}"',
        f'DROP ROLE "{role}"',
    )


def user_of_lane(tag: Tag) -> str:
    with shared_lanes().lane(tag) as lane:
        assert lane.connection is not None
        row: Any = lane.connection.execute("SELECT current_user::text").fetchone()
    return str(row[0])


class TestConnection:
    def test_is_nobodys_in_particular_after_the_block(self, acme: Tenant) -> None:
        with in_tenant(acme.tag):
            assert current_user() == tenant_role(acme.schema_name)

        assert current_user() == APP_ROLE

    def test_is_nobodys_after_a_block_that_failed_in_a_transaction(self, acme: Tenant) -> None:
        with pytest.raises(DatabaseError), transaction.atomic(), in_tenant(acme.tag), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

        assert current_user() == APP_ROLE

    @pytest.mark.parametrize("is_first_outside", [True, False])
    def test_has_the_right_role_after_a_savepoint_is_rolled_back(self, acme: Tenant, is_first_outside: bool) -> None:
        with transaction.atomic():
            if is_first_outside:
                assert current_user() == APP_ROLE
            with pytest.raises(DatabaseError), transaction.atomic(), in_tenant(acme.tag), connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")

            assert current_user() == APP_ROLE
            with in_tenant(acme.tag):
                assert current_user() == tenant_role(acme.schema_name)

    def test_has_the_right_role_after_a_failed_transaction_is_committed(self, two: tuple[Tenant, Tenant]) -> None:
        mine, other = two
        with in_tenant(other.tag):
            assert current_user() == tenant_role(other.schema_name)
            with in_tenant(mine.tag):
                with transaction.atomic(), suppress(DatabaseError), connection.cursor() as cursor:
                    cursor.execute("SELECT 1 / 0")

                assert current_user() == tenant_role(mine.schema_name)

    def test_has_the_right_role_for_a_cursor_that_outlives_a_block(self, two: tuple[Tenant, Tenant]) -> None:
        mine, other = two
        for place in (in_tenant(other.tag), in_public()):
            with in_tenant(mine.tag), connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                with place:
                    current_user()

                cursor.execute("SELECT current_user, current_schema()")
                assert cursor.fetchone() == (tenant_role(mine.schema_name), mine.schema_name)

    def test_changes_from_tenant_to_tenant_and_back(self, two: tuple[Tenant, Tenant]) -> None:
        mine, other = two
        places: list[tuple[AbstractContextManager[None], str]] = [
            (in_tenant(other.tag), tenant_role(other.schema_name)),
            (in_public(), APP_ROLE),
            (across_tenants(), ACROSS_ROLE),
        ]
        with in_tenant(mine.tag):
            for place, role in places:
                with place:
                    assert current_user() == role
                assert current_user() == tenant_role(mine.schema_name)

    def test_that_was_lost_comes_back_with_the_role(self, acme: Tenant) -> None:
        with in_tenant(acme.tag):
            assert current_user() == tenant_role(acme.schema_name)
            connection.close()

            assert current_user() == tenant_role(acme.schema_name)

    def test_runs_nothing_for_a_tenant_without_a_role(self, acme: Tenant) -> None:
        gone = mint_tag()
        with in_tenant(acme.tag):
            assert current_user() == tenant_role(acme.schema_name)
        for _ in range(2):
            with in_tenant(gone), pytest.raises(ProgrammingError, match="no role"):
                Budget.objects.count()

        assert current_user() == APP_ROLE

    def test_of_the_owner_stays_the_owners(self, acme: Tenant) -> None:
        with acting_as_owner(), in_tenant(acme.tag), connections[CELL].cursor() as cursor:
            cursor.execute("SELECT current_user")
            assert cursor.fetchone() == ("watermaster_owner",)


class TestSettling:
    def test_finds_nobody_to_settle_after_provisioning(self, acme: Tenant) -> None:
        with acting_as_owner():
            assert acme.schema_name not in schemas_without_role()

    def test_gives_a_schema_from_before_there_were_roles_the_same_rights(self, acme: Tenant) -> None:
        role = tenant_role(acme.schema_name)
        before = rights_in(acme, role)
        as_owner(acme.tag, grants())
        drop_role(acme)
        assert rights_in(acme, APP_ROLE)

        with acting_as_owner():
            assert schemas_without_role() == [acme.schema_name]
            for _ in range(2):
                settle_role(acme.schema_name)
            assert schemas_without_role() == []

        assert rights_in(acme, role) == before
        assert rights_in(acme, APP_ROLE) == {}
        with in_tenant(acme.tag):
            assert current_user() == role

    @pytest.mark.parametrize(
        "statement",
        [
            "GRANT UPDATE ON budget TO watermaster_app",
            "GRANT UPDATE (status) ON budget TO watermaster_app",
            "GRANT EXECUTE ON FUNCTION door_v1 TO watermaster_app",
            f"REVOKE ALL ON span FROM {ACROSS_ROLE}",
        ],
        ids=["table", "column", "function", "across"],
    )
    def test_finds_a_schema_whose_migration_was_cut_off_before_it(self, acme: Tenant, statement: str) -> None:
        as_owner(acme.tag, statement)

        with acting_as_owner():
            assert schemas_without_role() == [acme.schema_name]
        call_command("migrate_all", verbosity=0)

        with acting_as_owner():
            assert schemas_without_role() == []
        assert rights_in(acme, APP_ROLE) == {}
        assert rights_in(acme, ACROSS_ROLE).keys() == set(READ_ACROSS)

    def test_knows_every_grant_of_the_template(self) -> None:
        assert read_template().count(APP_ROLE) == grants().count(APP_ROLE) > 20

    def test_names_roles_as_the_door_does(self) -> None:
        tag = mint_tag()

        assert tenant_role(schema_name(tag)) == f"watermaster_{schema_name(tag)}"
