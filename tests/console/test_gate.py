"""Who comes to which page: operators, members, strangers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from kernel.owner import acting_as_owner
from kernel.tenancy import in_public
from tenants.models import Domain, Tenant
from tests.support.console import signed_in
from tests.support.owner import delete_shared


class TestMember:
    def test_reads_their_own_tenant(self, ada: User) -> None:
        page = signed_in(ada).get("/t/acme/")

        assert page.status_code == 200
        assert "Acme Corporation" in page.content.decode()

    def test_is_led_from_the_start_to_their_tenant(self, ada: User) -> None:
        assert signed_in(ada).get("/")["Location"] == "/t/acme/"

    def test_cannot_tell_another_tenant_from_none(self, ada: User, initech: Tenant) -> None:
        browser = signed_in(ada)

        pages = [browser.get(f"{start}{slug}/") for start in ("/t/", "/ops/tenants/") for slug in ("initech", "nobody")]

        assert {page.status_code for page in pages} == {404}
        assert len({page.content for page in pages}) == 1

    @pytest.mark.parametrize("address", ["/", "/explain/nothing/", "/t/acme/", "/accounts/"])
    def test_leaves_nothing_in_a_cache(self, ada: User, address: str) -> None:
        assert "no-store" in signed_in(ada).get(address)["Cache-Control"]

    def test_finds_no_page_of_operators(self, ada: User) -> None:
        browser = signed_in(ada)

        assert browser.get("/ops/").content == browser.get("/ops/nothing/").content
        assert browser.get("/ops/").status_code == 404


class TestOperator:
    def test_is_no_member_by_that_alone(self, olive: User, acme: Tenant) -> None:
        assert signed_in(olive).get("/t/acme/").status_code == 404


class TestSignedOut:
    @pytest.mark.parametrize("address", ["/t/acme/", "/t/nobody/", "/ops/", "/ops/nothing/", "/ops/tenants/nobody/"])
    def test_is_led_to_the_sign_in_from_everywhere_alike(self, database: None, address: str) -> None:
        assert Client().get(address)["Location"] == f"/accounts/login/?next={address}"


class TestOwnDomain:
    @pytest.fixture
    def host(self, acme: Tenant, settings: Settings) -> Iterator[str]:
        settings.ALLOWED_HOSTS = ["*"]
        with acting_as_owner(), in_public():
            domain = Domain.objects.create(domain="agents.acme.test", tenant=acme, is_primary=True)
        yield domain.domain
        delete_shared(Domain.objects.filter(domain=domain.domain))

    def test_leads_to_its_tenant_and_to_no_other(self, host: str, ada: User, olive: User, initech: Tenant) -> None:
        browser = signed_in(ada)

        assert browser.get("/", headers={"host": host})["Location"] == "/t/acme/"
        assert browser.get("/t/acme/", headers={"host": host}).status_code == 200
        assert browser.get("/t/initech/", headers={"host": host}).status_code == 404
        assert signed_in(olive).get("/ops/", headers={"host": host}).status_code == 404


class TestSecondFactor:
    def test_is_asked_of_operators_before_any_page_where_it_is_required(self, olive: User, settings: Settings) -> None:
        settings.OPERATOR_SECOND_FACTOR_IS_REQUIRED = True

        answer = signed_in(olive, has_second_factor=False).get("/ops/tenants/?q=a")

        assert (answer.status_code, answer["Location"]) == (302, reverse("mfa_index"))

    def test_is_not_asked_of_members(self, ada: User, settings: Settings) -> None:
        settings.OPERATOR_SECOND_FACTOR_IS_REQUIRED = True

        assert signed_in(ada).get("/t/acme/").status_code == 200

    def test_is_missed_quietly_where_it_is_not_required(self, olive: User, settings: Settings) -> None:
        settings.OPERATOR_SECOND_FACTOR_IS_REQUIRED = False

        assert b"No second factor yet" in signed_in(olive, has_second_factor=False).get("/ops/").content


class TestImpersonation:
    def test_shows_the_tenants_pages_read_only_with_a_banner(self, olive: User, acme: Tenant) -> None:
        browser = signed_in(olive)
        session = browser.session
        session["impersonation"] = {
            "tag": acme.tag,
            "slug": "acme",
            "reason": "Ticket 4711",
            "operator_email": olive.email,
            "ends_at": (datetime.now(UTC) + timedelta(minutes=1)).isoformat(),
        }
        session.save()

        page = browser.get("/t/acme/")

        assert page.status_code == 200
        assert "Ticket 4711" in page.content.decode()
        assert "read-only" in page.content.decode()
