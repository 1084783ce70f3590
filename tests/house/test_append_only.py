"""What is written in a tenant's books stays: the role of the processes cannot change it, whatever a bug may ask for."""

from itertools import product
from typing import Final

import psycopg
import pytest
from django.db import DatabaseError, connection

from kernel.tenancy import in_public, in_tenant
from tenants.models import Tenant

VERBS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
#: All that the role may do, with each table of a tenant's schema: a new table must be thought of here.
GRANTS: Final = {
    "alert": {"SELECT", "INSERT", "UPDATE"},
    "alert_channel": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "alert_mark": {"SELECT", "INSERT", "UPDATE"},
    "alert_rule": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "api_key": {"SELECT", "INSERT", "UPDATE"},
    # Written once; when its rows were gone is noted in a column of its own.
    "archive_file": {"SELECT", "INSERT"},
    "audit_entry": {"SELECT", "INSERT"},
    "budget": {"SELECT", "INSERT", "UPDATE"},
    "budget_request": {"SELECT", "INSERT", "UPDATE"},
    "credential_lease": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "credential_reference": {"SELECT", "INSERT", "UPDATE"},
    "decision": {"SELECT", "INSERT"},
    "decision_rollup": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "django_migrations": set[str](),
    "evidence_mark": {"SELECT", "INSERT", "UPDATE"},
    "evidence_note": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "invoice_file": {"SELECT", "INSERT", "DELETE"},
    "keeping_term": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "kill_switch": {"SELECT", "INSERT", "UPDATE"},
    "ledger_entry": {"SELECT", "INSERT"},
    "ledger_head": {"SELECT", "INSERT", "UPDATE"},
    "ledger_opening": {"SELECT", "INSERT"},
    "ledger_posting": {"SELECT"},
    "ledger_seal": {"SELECT", "INSERT"},
    "outbox_event": {"SELECT", "INSERT", "UPDATE"},
    "policy_version": {"SELECT", "INSERT"},
    "quota_counter": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "reconciliation": {"SELECT", "INSERT"},
    "reservation": {"SELECT", "INSERT", "UPDATE"},
    "rollup_mark": {"SELECT", "INSERT", "UPDATE"},
    "router_label": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "router_model": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "ruleset": {"SELECT", "INSERT", "UPDATE"},
    "run": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "run_template": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    # Of a span, what the worker makes of it may be written; what was sent may not.
    "span": {"SELECT", "INSERT", "DELETE"},
    "span_rollup": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "subscription": {"SELECT", "INSERT", "UPDATE"},
    "usage_day": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "usage_rollup": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "webhook_delivery": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "webhook_subscription": {"SELECT", "INSERT", "UPDATE", "DELETE"},
}
STATEMENTS: Final = {
    "UPDATE": "UPDATE {table} SET {column} = {column}",
    "DELETE": "DELETE FROM {table}",
    "TRUNCATE": "TRUNCATE {table}",
    "ALTER": "ALTER TABLE {table} ADD COLUMN x int",
    "DROP": "DROP TABLE {table}",
    "TRIGGER": "ALTER TABLE {table} DISABLE TRIGGER ALL",
}
COLUMNS: Final = {
    "archive_file": "rows",
    "audit_entry": "reason",
    "decision": "verdict",
    "ledger_entry": "amount",
    "ledger_opening": "balances",
    "ledger_seal": "hash",
    "policy_version": "reason",
    "reconciliation": "reason",
}
NEVER_CHANGED: Final = sorted(COLUMNS)
NEVER_DELETED: Final = [
    "alert",
    "api_key",
    "budget",
    "budget_request",
    "credential_reference",
    "kill_switch",
    "ledger_head",
    "outbox_event",
    "reservation",
    "rollup_mark",
    "ruleset",
    "subscription",
]


def refuse(statement: str) -> None:
    """Fails unless PostgreSQL says that the role may not."""
    with connection.cursor() as cursor, pytest.raises(DatabaseError) as refusal:
        cursor.execute(statement)
    assert isinstance(refusal.value.__cause__, psycopg.errors.InsufficientPrivilege), refusal.value


class TestTenantBooks:
    @pytest.mark.parametrize(
        ("table", "verb"),
        [*product(NEVER_CHANGED, STATEMENTS), *product(NEVER_DELETED, sorted(STATEMENTS.keys() - {"UPDATE"}))],
    )
    def test_keep_what_is_in_them(self, acme: Tenant, table: str, verb: str) -> None:
        with in_tenant(acme.tag):
            refuse(STATEMENTS[verb].format(table=table, column=COLUMNS.get(table)))

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE TABLE x (y int)",
            "CREATE TEMPORARY TABLE ledger_entry (y int)",
            "CREATE FUNCTION x() RETURNS int LANGUAGE sql RETURN 1",
            "DROP VIEW ledger_posting",
            "DROP FUNCTION door_v1",
            "ALTER FUNCTION door_v1 SECURITY DEFINER",
            "SELECT FROM ledger_entry FOR UPDATE",
            "INSERT INTO audit_entry SELECT * FROM audit_entry ON CONFLICT (id) DO UPDATE SET reason = ''",
            "SET ROLE watermaster_owner",
            "SET session_replication_role = replica",
        ],
    )
    def test_cannot_be_gone_around(self, acme: Tenant, statement: str) -> None:
        with in_tenant(acme.tag):
            refuse(statement)

    def test_are_open_to_the_role_as_far_as_is_written_here(self, acme: Tenant) -> None:
        with in_tenant(acme.tag), connection.cursor() as cursor:
            cursor.execute(
                "SELECT c.relname, array_agg(verb) FILTER (WHERE has_table_privilege(c.oid, verb))"
                " FROM pg_class AS c CROSS JOIN unnest(%s::text[]) AS verb"
                " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
                " GROUP BY c.relname",
                [list(VERBS)],
            )
            granted = {table: set(verbs or []) for table, verbs in cursor.fetchall()}

        assert granted == GRANTS


class TestSharedTrail:
    @pytest.mark.parametrize("verb", STATEMENTS)
    def test_keeps_what_is_in_it(self, database: None, verb: str) -> None:
        with in_public():
            refuse(STATEMENTS[verb].format(table="public.audit_entry", column="reason"))
