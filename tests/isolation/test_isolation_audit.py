"""``manage.py isolation_audit`` sees what is there: surfaces are isolated, and leaky once something is planted."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from pytest_django import Settings

from budgets.isolation.database import database_surfaces
from budgets.isolation.doors import door_surfaces, strange_keys
from budgets.isolation.files import file_surfaces
from budgets.isolation.roles import role_surfaces
from budgets.isolation.secrets import secret_surfaces
from budgets.isolation.surface import Surface, Verdict
from budgets.isolation.traffic import traffic_surfaces
from budgets.services.evidence import keep_evidence
from budgets.services.isolation import isolation_of
from kernel.ids import mint_tag
from kernel.owner import acting_as_owner
from kernel.postgresql.base import TAKES_ROLES
from kernel.roles import ACROSS_ROLE, APP_ROLE, TENANT_ROLE, tenant_role
from kernel.tenancy import in_tenant
from kernel.valkey import shared_valkey
from telemetry.evidence.otlp.protobuf import read_protobuf
from telemetry.evidence.reading import Owner
from telemetry.findings.models import EvidenceStanding
from telemetry.services import audit
from telemetry.services.audit_archive import drop_trail
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR
from tests.support.owner import as_owner, delete_shared
from tests.support.spans import request_of, span
from vault.backends.options import CredentialOptions
from vault.kinds import OPERATOR_BACK_ENDS, BackEnd
from vault.locations import Location
from vault.models import CredentialReference
from vault.services.reference_checks import NewReference
from vault.services.references import add_reference


@pytest.fixture
def two(acme: Tenant, initech: Tenant) -> Iterator[list[Tenant]]:
    yield [acme, initech]
    delete_shared(EvidenceStanding.objects.filter(tag__in=[acme.tag, initech.tag]))


def keep(tenant: Tenant, **attributes: Any) -> None:
    sent = read_protobuf(request_of(span(**attributes)).SerializeToString())
    keep_evidence(sent, owner=Owner(tag=tenant.tag, slug=tenant.slug), actor=TEST_ACTOR, now=datetime.now(UTC))


def database(two: list[Tenant]) -> dict[str, Surface]:
    return {surface.name.split(": ")[1]: surface for surface in database_surfaces([tenant.tag for tenant in two])}


def doors(two: list[Tenant]) -> dict[str, Surface]:
    return {surface.name.split(":")[0]: surface for surface in door_surfaces([tenant.tag for tenant in two])}


def secrets(two: list[Tenant]) -> dict[str, Surface]:
    found = secret_surfaces([(tenant.tag, tenant.slug) for tenant in two])
    return {surface.name.split(": ")[1]: surface for surface in found}


def refer(tenant: Tenant) -> CredentialReference:
    new = NewReference(
        name="Slack",
        provider="slack",
        scope="slack:write",
        back_end=BackEnd.FILE,
        location=Location(path="wm/{tenant}/slack"),
    )
    with in_tenant(tenant.tag):
        return add_reference(new, allowed=OPERATOR_BACK_ENDS, actor=TEST_ACTOR, now=datetime.now(UTC))


def traffic(two: list[Tenant]) -> dict[str, Surface]:
    found = traffic_surfaces(
        [(tenant.tag, tenant.slug) for tenant in two], now=datetime.now(UTC) + timedelta(minutes=1)
    )
    return {surface.name.split(":")[0]: surface for surface in found}


class TestDatabase:
    def test_is_isolated(self, two: list[Tenant]) -> None:
        found = database(two).values()

        assert [surface for surface in found if surface.verdict != Verdict.ISOLATED] == []

    def test_without_a_tenant_is_not_known_to_be(self, database: None) -> None:
        assert Verdict.UNKNOWN in {surface.verdict for surface in database_surfaces([])}

    @pytest.mark.parametrize(
        ("damage", "surface"),
        [
            ("CREATE VIEW all_spans AS SELECT * FROM {other}.span", "no schema leads into another"),
            (
                "ALTER TABLE span ADD COLUMN run_template_id uuid REFERENCES {other}.outbox_event (id)",
                "no schema leads into another",
            ),
            (
                "CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM {other}.span'",
                "functions name no schema",
            ),
            (
                # Named like one of those that drop what was archived, and bound to no schema.
                "CREATE FUNCTION drop_mighty_v1() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
                "functions name no schema",
            ),
            (
                "CREATE FUNCTION drop_x_v1() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = x RETURN 1",
                "functions name no schema",
            ),
            (
                "CREATE FUNCTION mighty() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
                "functions name no schema",
            ),
            (
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = {other} AS 'SELECT 1'",
                "functions name no schema",
            ),
        ],
    )
    def test_with_a_way_into_another_schema_is_leaky(self, damage: str, surface: str, two: list[Tenant]) -> None:
        acme, initech = two
        as_owner(acme.tag, damage.format(other=initech.schema_name))
        try:
            found = database(two)[surface]
        finally:
            # Or the neighbour's schema could not be dropped.
            as_owner(
                acme.tag, "DROP VIEW IF EXISTS all_spans", "ALTER TABLE span DROP COLUMN IF EXISTS run_template_id"
            )

        assert found.verdict == Verdict.LEAKY
        assert any(acme.schema_name in offender for offender in found.offenders)

    def test_with_a_mighty_function_that_finds_its_own_schema_alone_is_isolated(self, two: list[Tenant]) -> None:
        acme, _ = two
        as_owner(
            acme.tag,
            "CREATE FUNCTION mighty() RETURNS int LANGUAGE sql SECURITY DEFINER"
            f" SET search_path = {acme.schema_name}, pg_temp AS 'SELECT 1'",
            "REVOKE ALL ON FUNCTION mighty FROM PUBLIC",
        )

        assert database(two)["functions name no schema"].verdict == Verdict.ISOLATED


class TestRoles:
    def test_are_isolated(self, two: list[Tenant]) -> None:
        found = role_surfaces([tenant.tag for tenant in two])

        assert [(surface.verdict, surface.offenders) for surface in found] == [(Verdict.ISOLATED, ())] * 2

    @pytest.mark.parametrize(
        "damage",
        [
            "GRANT SELECT ON span TO {other}",
            "GRANT SELECT (cost) ON span TO PUBLIC",
            "GRANT INSERT ON ledger_entry TO watermaster_app",
            "GRANT INSERT ON span TO watermaster_across",
            "GRANT SELECT ON ledger_entry TO watermaster_across",
            "GRANT SELECT (digest) ON api_key TO watermaster_across",
            "GRANT USAGE ON SCHEMA {schema} TO {other}",
            "GRANT EXECUTE ON FUNCTION door_v1 TO watermaster_app",
            "GRANT {role} TO {other}",
            "GRANT {role} TO watermaster_app WITH INHERIT TRUE",
            "ALTER ROLE {role} LOGIN",
        ],
    )
    def test_that_may_more_than_they_should_are_leaky(self, damage: str, two: list[Tenant]) -> None:
        acme, initech = two
        names = {"schema": acme.schema_name, "role": tenant_role(acme.schema_name)}
        other = tenant_role(initech.schema_name)
        as_owner(acme.tag, damage.format(other=other, **names))
        try:
            found = role_surfaces([tenant.tag for tenant in two])[0]
        finally:
            # Or the neighbour's role could not be dropped.
            as_owner(
                acme.tag, f"REVOKE ALL ON span FROM {other}", f"REVOKE ALL ON SCHEMA {acme.schema_name} FROM {other}"
            )

        assert found.verdict == Verdict.LEAKY

    @pytest.mark.parametrize("process_role", [APP_ROLE, ACROSS_ROLE, TENANT_ROLE])
    def test_of_the_processes_that_may_what_another_may_are_leaky(self, process_role: str, acme: Tenant) -> None:
        with acting_as_owner(), transaction.atomic(), connections["default"].cursor() as cursor:
            # As somebody would have them read everything; nobody else sees it before it is taken back.
            cursor.execute("CREATE ROLE watermaster_reads_all NOLOGIN")
            cursor.execute(f"GRANT watermaster_reads_all TO {process_role}")
            found = role_surfaces([acme.tag])[0]
            transaction.set_rollback(True)

        assert found.verdict == Verdict.LEAKY

    def test_that_nobody_takes_on_are_leaky(self, two: list[Tenant], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(connections["default"].settings_dict, TAKES_ROLES, value=False)
        connections["default"].close()

        found = role_surfaces([tenant.tag for tenant in two])

        assert [surface.verdict for surface in found] == [Verdict.ISOLATED, Verdict.LEAKY]

    def test_that_are_not_there_are_not_known_to_be_right(self, acme: Tenant) -> None:
        found = role_surfaces([acme.tag, mint_tag()])

        assert found[0].verdict == Verdict.UNKNOWN


class TestDoors:
    @pytest.mark.parametrize("door", ["pages", "tasks", "cache", "names for what is kept outside"])
    def test_are_isolated(self, door: str, two: list[Tenant]) -> None:
        found = doors(two)[door]

        assert (found.verdict, found.offenders) == (Verdict.ISOLATED, ())

    def test_with_a_cache_that_knows_no_tenant_are_leaky(self, two: list[Tenant], settings: Settings) -> None:
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

        assert doors(two)["cache"].verdict == Verdict.LEAKY

    def test_with_a_task_that_takes_a_tenant_and_opens_none_are_leaky(self, two: list[Tenant]) -> None:
        @current_app.task(name="tests.loose")
        def loose(*, tag: str) -> None: ...

        try:
            found = doors(two)["tasks"]
        finally:
            current_app.tasks.unregister("tests.loose")

        assert (found.verdict, found.offenders) == (Verdict.LEAKY, ("tests.loose",))


class TestValkey:
    @pytest.mark.parametrize(
        "key",
        [
            "rate:{%s}:calls:x",
            "wm:t_%s:1:x",
            "pool:{openai}:17",
            "metrics:recent:17",
            "celery:unacked",
            "wm:public:1:x",
        ],
    )
    def test_knows_what_is_a_tenants_and_what_is_nobodys(self, key: str) -> None:
        tag = mint_tag()

        assert list(strange_keys([key.replace("%s", tag)], [tag])) == []

    @pytest.mark.parametrize(
        "key", ["answers:what-is-your-refund-policy", "my:celery:results", "rate:{%s}:x", "rate:{t}:x", "wm:1:x"]
    )
    def test_does_not_know_what_belongs_to_no_tenant_that_is_here(self, key: str) -> None:
        key = key.replace("%s", mint_tag())

        assert list(strange_keys([key], [mint_tag()])) == [key]

    def test_is_looked_through(self, two: list[Tenant]) -> None:
        key = f"answers:{mint_tag()}"
        shared_valkey().set(key, "x", ex=60)
        try:
            found = doors(two)["Valkey"]
        finally:
            shared_valkey().delete(key)

        assert found.verdict == Verdict.UNKNOWN


class TestSecrets:
    def test_with_each_path_in_its_tenants_place_are_isolated(
        self, two: list[Tenant], settings: Settings, tmp_path: Path
    ) -> None:
        for tenant in two:
            refer(tenant)
            (tmp_path / "wm" / tenant.tag).mkdir(parents=True)
        variables = {f"CREDENTIAL_{two[0].tag.upper()}_SLACK": "x"}
        settings.CREDENTIALS = CredentialOptions(folder=tmp_path, variables=variables)

        found = secrets(two)

        assert {surface.verdict for surface in found.values()} == {Verdict.ISOLATED}
        assert found["each path is the tenant's own"].seen == "2 places of 2 tenants"
        assert found["stores of this machine"].seen == "3 folders and variables"

    @pytest.mark.parametrize("path", ["wm/{{tenant}}/../{other}/slack", "wm/{other}/{{tenant}}", "wm/{{tenant}}/%2e"])
    @pytest.mark.parametrize("column", ["path", "previous_path"])
    def test_with_a_path_that_was_changed_past_the_checks_are_leaky(
        self, column: str, path: str, two: list[Tenant]
    ) -> None:
        acme, initech = two
        reference = refer(acme)
        with in_tenant(acme.tag):
            CredentialReference.objects.filter(pk=reference.pk).update(**{column: path.format(other=initech.tag)})

        found = secrets(two)["each path is the tenant's own"]

        assert (found.verdict, found.offenders) == (Verdict.LEAKY, ("acme: Slack leads out of its tenant's place",))

    def test_with_a_folder_that_is_a_link_are_leaky_and_with_one_of_nobody_unknown(
        self, two: list[Tenant], settings: Settings, tmp_path: Path
    ) -> None:
        settings.CREDENTIALS = CredentialOptions(folder=tmp_path)
        (tmp_path / "wm" / mint_tag()).mkdir(parents=True)
        assert secrets(two)["stores of this machine"].verdict == Verdict.UNKNOWN

        (tmp_path / "wm" / two[0].tag).symlink_to(tmp_path)
        assert secrets(two)["stores of this machine"].verdict == Verdict.LEAKY


class TestFiles:
    @pytest.fixture(autouse=True)
    def archives(self, two: list[Tenant], settings: Settings, tmp_path: Path) -> Path:
        """Of each tenant one row, of ages ago, has gone into a file of its own."""
        settings.ARCHIVE_DIR = str(tmp_path)
        for tenant in two:
            old = datetime.now(UTC) - timedelta(days=200)
            with in_tenant(tenant.tag):
                audit.record(actor=TEST_ACTOR, action="x", target="x", at=old)
                now = datetime.now(UTC)
                drop_trail(owner=tenant.tag, before=now, now=now, has_time=lambda: True)
        return tmp_path

    def verdict(self, two: list[Tenant]) -> tuple[Verdict, tuple[str, ...]]:
        (found,) = file_surfaces([(tenant.tag, tenant.slug) for tenant in two])
        assert found.seen == "2 folders, 2 files of 2 tenants" or found.verdict != Verdict.ISOLATED
        return found.verdict, found.offenders

    def test_in_folders_of_their_tenants_are_isolated(self, two: list[Tenant]) -> None:
        assert self.verdict(two) == (Verdict.ISOLATED, ())

    def test_in_a_folder_of_nobody_are_unknown(self, two: list[Tenant], archives: Path) -> None:
        (archives / "acme").mkdir()

        assert self.verdict(two) == (Verdict.UNKNOWN, ("acme is no tenant's",))

    def test_behind_a_link_are_leaky(self, two: list[Tenant], archives: Path) -> None:
        mine, theirs = (archives / tenant.tag for tenant in two)
        (mine / "audit-000002.jsonl.gz").symlink_to(theirs / "audit-000001.jsonl.gz")

        assert self.verdict(two) == (Verdict.LEAKY, (f"{mine.name}/audit-000002.jsonl.gz is a link",))

    def test_of_which_another_tenants_is_noted_are_leaky(self, two: list[Tenant]) -> None:
        mine, theirs = two
        as_owner(
            mine.tag,
            f"UPDATE archive_file AS a SET signature = b.signature FROM {theirs.schema_name}.archive_file AS b",
        )

        assert self.verdict(two) == (Verdict.LEAKY, ("acme: audit-000001.jsonl.gz is not its own",))


class TestTraffic:
    def test_that_says_all_is_isolated(self, two: list[Tenant]) -> None:
        for tenant in two:
            own = isolation_of(tenant.tag)
            keep(tenant, gen_ai__operation__name="chat", prompt_source_tenant=tenant.slug)
            keep(
                tenant,
                watermaster__vector_namespace=own.vector_namespace,
                watermaster__cache_key=f"{own.cache_key_prefix}answers",
            )

        assert {surface.verdict for surface in traffic(two).values()} == {Verdict.ISOLATED}

    @pytest.mark.parametrize(
        ("attributes", "surface"),
        [
            ({"prompt_source_tenant": "initech"}, "prompts"),
            ({"db__collection__name": "docs", "namespace_tenant": "initech"}, "vector namespaces"),
        ],
    )
    def test_with_something_of_another_tenant_is_leaky(
        self, attributes: dict[str, Any], surface: str, two: list[Tenant]
    ) -> None:
        keep(two[0], **attributes)

        found = traffic(two)[surface]

        assert (found.verdict, found.offenders) == (Verdict.LEAKY, ("acme: 1 spans",))

    @pytest.mark.parametrize(
        ("name", "surface"), [("cache_key", "cache keys"), ("vector_namespace", "vector namespaces")]
    )
    def test_with_one_name_in_two_tenants_is_leaky(self, name: str, surface: str, two: list[Tenant]) -> None:
        for tenant in two:
            keep(tenant, **{f"watermaster__{name}": "the-same"})

        found = traffic(two)[surface]

        assert (found.verdict, found.offenders) == (Verdict.LEAKY, ("the-same in acme, initech",))

    @pytest.mark.parametrize(
        ("attributes", "surface"),
        [
            ({"watermaster__cache_key": "answers"}, "cache keys"),
            ({"db__collection__name": "docs"}, "vector namespaces"),
            ({"gen_ai__operation__name": "chat"}, "prompts"),
        ],
    )
    def test_that_does_not_say_is_unknown(self, attributes: dict[str, Any], surface: str, two: list[Tenant]) -> None:
        keep(two[0], **attributes)

        assert traffic(two)[surface].verdict == Verdict.UNKNOWN


class TestCommand:
    def test_lists_every_surface_and_fails_unless_all_are_isolated(self, two: list[Tenant]) -> None:
        keep(two[0], prompt_source_tenant="initech")
        output = StringIO()

        with pytest.raises(CommandError, match="are not known to be isolated"):
            call_command("isolation_audit", stdout=output)

        lines = output.getvalue().splitlines()
        assert any(line.startswith("leaky     prompts:") for line in lines)
        assert sum(line.startswith(("isolated", "leaky", "unknown")) for line in lines) == 18
