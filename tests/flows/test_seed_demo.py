"""The demo: what `make up` puts on the stage, once, and again without doing it twice."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.db import connections
from pytest_django import Settings

from accounts.keys.models import ApiKey
from accounts.keys.selectors.keys import verified_key
from accounts.keys.tokens import parse_token
from accounts.models import User
from accounts.selectors.memberships import MemberRole, member_role
from budgets.models import Budget, Decision, LedgerEntry, Reservation, RunTemplate
from budgets.selectors.audit import audit
from budgets.services.demo.access import RUNTIME_PERMISSIONS, ensure_key, read_file
from budgets.services.demo.cast import ACME, INITECH, OPERATOR_EMAIL
from budgets.services.demo.play import play_day
from budgets.services.demo.stage import ACTOR, ensure_tenant
from budgets.services.demo.traffic import day_of_calls
from budgets.services.plan_catalogue import USD
from budgets.services.plan_seeding import ensure_plans
from kernel.ids import PLATFORM_TAG, Tag
from kernel.tenancy import in_public, in_tenant
from tenants.models import Plan, Tenant
from tests.support.demo import seed
from vault.backends.options import CredentialOptions
from vault.kinds import Health
from vault.locations import Location
from vault.selectors.references import reference_lines
from vault.services.fetching import probe


def tag_of(slug: str) -> Tag:
    with in_public():
        return Tenant.objects.get(slug=slug).tag


def count_entries(slug: str) -> int:
    with in_tenant(tag_of(slug)):
        return LedgerEntry.objects.count()


class TestStage:
    def test_every_plan_has_a_first_version(self, folder: Path) -> None:
        seed("--without-traffic")

        plans = set(Plan.objects.values_list("code", "version"))
        assert plans >= {("trial", 1), ("free", 1), ("starter", 1), ("pro", 1), ("enterprise", 1)}

    def test_each_tenant_has_its_plan_and_its_day(self, folder: Path) -> None:
        seed("--without-traffic")

        expected = [("acme", "enterprise", "Asia/Kolkata", 200), ("initech", "trial", "America/New_York", 5)]
        for slug, plan, zone, daily in expected:
            tenant = Tenant.objects.get(slug=slug, plan__code=plan)
            assert tenant.time_zone == zone
            with in_tenant(tenant.tag):
                root = Budget.objects.get(scope_path=f"tenant:{slug}")
                assert (root.allocated, root.period) == (daily * USD, "DAY")
                templates = dict(RunTemplate.objects.values_list("name", "amount"))
                assert templates == {"code-review": 5 * USD, "deep-analysis": 30 * USD, "chat": 1 * USD}

    def test_each_tenant_has_its_references_to_files_that_are_there(self, folder: Path, settings: Settings) -> None:
        settings.CREDENTIALS = CredentialOptions(folder=folder / "credentials")
        for _ in range(2):
            seed("--without-traffic")

        for slug, scopes in (("acme", ["slack:write", "zendesk:read"]), ("initech", ["zendesk:read"])):
            tag = tag_of(slug)
            with in_tenant(tag):
                references = {reference.scope: reference for reference in reference_lines(limit=10)}
            assert sorted(references) == scopes
            for reference in references.values():
                location = Location(path=reference.path, key=reference.key)
                assert probe(tag=tag, back_end=reference.back_end, location=location) == Health.GOOD
                file = folder / "credentials" / "wm" / tag / reference.provider
                assert stat.S_IMODE(file.stat().st_mode) == 0o600


class TestAccess:
    def test_the_file_is_for_its_user_alone(self, folder: Path) -> None:
        seed("--without-traffic")

        assert stat.S_IMODE((folder / "demo.env").stat().st_mode) == 0o600
        assert [path.name for path in folder.iterdir()] == ["demo.env"]

    def test_its_keys_and_its_sign_in_work(self, folder: Path) -> None:
        seed("--without-traffic")

        values = read_file(folder / "demo.env")
        for variable, permission in [
            ("ACME_API_KEY", "reservations:create"),
            ("INITECH_API_KEY", "reservations:create"),
            ("ACME_ADMIN_KEY", "budgets:write"),
            ("INITECH_ADMIN_KEY", "budgets:write"),
        ]:
            parsed = parse_token(values[variable])
            assert parsed is not None
            with in_tenant(tag_of(variable.split("_")[0].lower())):
                key = verified_key(parsed)
            assert key is not None
            assert permission in key.permissions
        platform = parse_token(values["PLATFORM_API_KEY"])
        assert platform is not None
        with in_public():
            assert verified_key(platform) is not None
            assert (
                authenticate(None, username=values["OPERATOR_EMAIL"], password=values["OPERATOR_PASSWORD"]) is not None
            )
            for tenant in (ACME, INITECH):
                password = values[f"{tenant.slug.upper()}_OWNER_PASSWORD"]
                owner = authenticate(None, username=tenant.owner_email, password=password)
                assert isinstance(owner, User)
                assert member_role(owner, tag_of(tenant.slug)) == MemberRole.OWNER
        assert values["API_URL"].startswith("http://")
        assert values["CONSOLE_URL"].startswith("http://")

    def test_a_second_time_they_are_kept(self, folder: Path) -> None:
        seed("--without-traffic")
        first = (folder / "demo.env").read_text()
        seed("--without-traffic")

        assert (folder / "demo.env").read_text() == first

    def test_a_lost_file_ends_the_keys_that_were_in_it(self, folder: Path) -> None:
        seed("--without-traffic")
        first = read_file(folder / "demo.env")
        (folder / "demo.env").unlink()
        seed("--without-traffic")
        second = read_file(folder / "demo.env")

        assert set(first) == set(second)
        with in_tenant(tag_of("acme")):
            lost, good = parse_token(first["ACME_API_KEY"]), parse_token(second["ACME_API_KEY"])
            assert lost is not None
            assert good is not None
            assert verified_key(lost) is None
            assert verified_key(good) is not None
        with in_public():
            assert authenticate(None, username=OPERATOR_EMAIL, password=first["OPERATOR_PASSWORD"]) is None
            assert authenticate(None, username=OPERATOR_EMAIL, password=second["OPERATOR_PASSWORD"]) is not None

    def test_a_file_of_another_database_is_replaced(self, folder: Path) -> None:
        (folder / "demo.env").write_text("ACME_API_KEY=wm_live_of_yesterday\nOPERATOR_EMAIL='half a quote\n")
        seed("--without-traffic")

        assert parse_token(read_file(folder / "demo.env")["ACME_API_KEY"]) is not None

    def test_a_key_of_another_tenant_is_not_kept(self, folder: Path) -> None:
        seed("--without-traffic")
        token, acme = read_file(folder / "demo.env")["INITECH_API_KEY"], tag_of("acme")
        with in_tenant(acme):
            kept = ensure_key(token, tag=acme, name="test", permissions=RUNTIME_PERMISSIONS, now=datetime.now(UTC))
            assert kept != token
            assert ApiKey.objects.filter(name="test", status="ACTIVE").count() == 1

    def test_a_platform_key_is_no_tenants_key(self, folder: Path) -> None:
        seed("--without-traffic")

        parsed = parse_token(read_file(folder / "demo.env")["PLATFORM_API_KEY"])
        assert parsed is not None
        assert parsed.tag == PLATFORM_TAG


class TestTraffic:
    def test_the_same_seed_makes_the_same_calls(self) -> None:
        assert list(day_of_calls(ACME, seed=7, day="d")) == list(day_of_calls(ACME, seed=7, day="d"))
        assert list(day_of_calls(ACME, seed=7, day="d")) != list(day_of_calls(ACME, seed=8, day="d"))

    @pytest.mark.slow
    def test_a_day_has_something_of_everything_and_adds_up(self, folder: Path) -> None:
        said = seed()

        assert said.count("the books add up") == 2
        with in_tenant(tag_of("acme")):
            statuses = set(Reservation.objects.values_list("status", flat=True))
            assert statuses == {"ACTIVE", "COMMITTED", "RELEASED", "EXPIRED"}
            denied = set(Decision.objects.filter(verdict="DENY").values_list("reason_code", "failed_scope"))
            assert ("BUDGET_EXCEEDED", "tenant:acme/workspace:marketing") in denied
            assert any(scope and scope.startswith("tenant:acme/run:analyst-") for _, scope in denied)
            assert Budget.objects.get(scope_path="tenant:acme/workspace:engineering/agent:analyst").debt == 3 * USD
            assert Budget.objects.get(scope_path="tenant:acme").remaining > 50 * USD
        with in_tenant(tag_of("initech")):
            scopes = set(Decision.objects.filter(verdict="DENY").values_list("failed_scope", flat=True))
            assert scopes == {"tenant:initech/workspace:helpdesk/agent:answers"}
            assert Budget.objects.get(scope_path="tenant:initech").remaining > 1 * USD

        entries = count_entries("acme"), count_entries("initech")
        assert seed().count("in the books already") == 2
        assert (count_entries("acme"), count_entries("initech")) == entries

    def test_a_day_that_was_cut_off_is_played_to_its_end(self, folder: Path) -> None:
        now = datetime.now(UTC)
        ensure_plans(actor=ACTOR, now=now)
        tag = ensure_tenant(INITECH, now=now)
        with in_tenant(tag):
            token = ensure_key("", tag=tag, name="test", permissions=RUNTIME_PERMISSIONS, now=now)
        key = parse_token(token)
        assert key is not None
        play_day(INITECH, tag=tag, key=key, seed=1, day="d")
        entries = count_entries("initech")

        play_day(INITECH, tag=tag, key=key, seed=1, day="d")

        assert count_entries("initech") == entries
        assert audit(tag) == []

    def test_a_suspended_tenant_is_left_alone(self, folder: Path) -> None:
        seed("--without-traffic")
        for slug in ("acme", "initech"):
            with in_tenant(tag_of(slug)), connections["default"].cursor() as cursor:
                cursor.execute("UPDATE ledger_head SET status = 'SUSPENDED'")

        assert seed().count("not in business") == 2
