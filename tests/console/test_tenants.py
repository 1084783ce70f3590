"""The list of tenants, acts on many of them, and a tenant's beginning and end."""

import re
import time
from collections.abc import Iterator
from html import unescape

import pytest
from django.test import Client

from accounts.models import Invitation, OperatorRole, User
from budgets.models import Budget
from kernel.tenancy import in_public, in_tenant
from tenants.models import Tenant, TenantStatus
from tests.support.books import Books
from tests.support.console import DOLLAR, noted, person, signed_in
from tests.support.owner import delete_shared
from tests.support.tenants import drop_tenant

LIST = "/ops/tenants/"
BULK = "/ops/tenant/bulk/"
STOP = {"preset": "Runaway spend", "more": "", "mode": "STOP_NEW"}


def text_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def is_stopped(slug: str) -> bool:
    with in_public():
        return Tenant.objects.get(slug=slug).stopped_at is not None


@pytest.fixture
def olga(database: None) -> Iterator[User]:
    with person("olga", OperatorRole.OWNER) as user:
        yield user


class TestList:
    def test_finds_by_slug_name_and_status(self, acme: Tenant, initech: Tenant, browser: Client) -> None:
        assert "Initech" not in text_of(browser, f"{LIST}?q=corporation")
        assert "Acme" in text_of(browser, f"{LIST}?q=ACM")
        assert "No tenant matches" in text_of(browser, f"{LIST}?q=globex")
        assert "No tenant matches" in text_of(browser, f"{LIST}?status=CLOSED")
        assert "No tenant matches" in text_of(browser, f"{LIST}?plan=nosuchplan")

    def test_finds_the_stopped_ones(self, acme: Tenant, initech: Tenant, browser: Client) -> None:
        assert "No tenant matches" in text_of(browser, f"{LIST}?status=STOPPED")
        browser.post("/ops/tenants/acme/stop/", STOP)

        text = text_of(browser, f"{LIST}?status=STOPPED")

        assert "Acme Corporation" in text
        assert "Initech" not in text

    def test_gives_htmx_the_part_that_it_asks_for(self, acme: Tenant, browser: Client) -> None:
        part = browser.get(f"{LIST}?q=acme", headers={"HX-Request": "true", "HX-Request-Type": "partial"})

        assert b"Acme Corporation" in part.content
        assert b"<html" not in part.content

    @pytest.mark.parametrize("order", ["", "risk", "exhaustion", "denials", "spend"])
    def test_goes_on_where_the_page_before_ended(
        self, acme: Tenant, initech: Tenant, browser: Client, monkeypatch: pytest.MonkeyPatch, order: str
    ) -> None:
        monkeypatch.setattr("budgets.console.tenant_list.TENANTS_PER_PAGE", 1)
        noted(Books(acme))
        address, seen = f"{LIST}?order={order}", []
        while address:
            text = text_of(browser, address)
            seen += re.findall(r'id="tenant-([a-z]+)"', text)
            more = re.search(r'class="pager">\s*<a href="([^"]*)"', text)
            address = LIST + unescape(more[1]) if more else ""

        assert sorted(seen) == ["acme", "initech"]

    def test_is_a_file_too_with_formulas_as_text(self, books: Books, initech: Tenant, browser: Client) -> None:
        Tenant.objects.filter(slug="initech").update(name="=cmd()")
        books.add_budget(allocated=5 * DOLLAR)
        noted(books)

        answer = browser.get("/ops/tenants.csv?q=")
        text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]  # it streams

        assert answer["Content-Disposition"] == 'attachment; filename="tenants.csv"'
        assert "acme,Acme Corporation,ACTIVE,,,,USD_MICROCENTS,500000000,0,0" in text
        assert "'=cmd()" in text


def seen_in(text: str) -> str:
    found = re.search(r'name="seen"[^>]* value="([^"]*)"', text)
    assert found is not None
    return found[1]


class TestBulk:
    def test_shows_the_number_first_and_then_stops_so_many(
        self, acme: Tenant, initech: Tenant, browser: Client
    ) -> None:
        address = f"{BULK}?verb=stop&slug=acme&slug=initech"

        text = text_of(browser, address)
        assert "Stop 2 tenants now" in text
        answer = browser.post(address, STOP | {"seen": seen_in(text)}, follow=True)
        assert "2 tenants stopped." in answer.content.decode()
        assert is_stopped("acme")
        assert is_stopped("initech")

    def test_does_nothing_where_the_number_changed_meanwhile(
        self, acme: Tenant, initech: Tenant, browser: Client
    ) -> None:
        address = f"{BULK}?verb=stop-all&q=&status="
        seen = seen_in(text_of(browser, address))
        browser.post("/ops/tenants/initech/stop/", STOP)

        answer = browser.post(address, STOP | {"seen": seen})

        assert answer.status_code == 422
        assert "There were 2 when you looked, and now there are 1." in answer.content.decode()
        assert not is_stopped("acme")
        browser.post(address, STOP | {"seen": seen_in(answer.content.decode())})
        assert is_stopped("acme")

    def test_does_nothing_where_one_came_and_another_went(self, acme: Tenant, initech: Tenant, browser: Client) -> None:
        address = f"{BULK}?verb=stop-all&q=&status="
        browser.post("/ops/tenants/initech/stop/", STOP)
        seen = seen_in(text_of(browser, address))
        browser.post("/ops/tenants/acme/stop/", STOP)
        browser.post("/ops/tenants/initech/resume/", {"reason": "it was mended"})

        answer = browser.post(address, STOP | {"seen": seen})

        assert answer.status_code == 422
        assert "There were others among them when you looked." in answer.content.decode()
        assert not is_stopped("initech")

    def test_resumes_all_that_the_filter_means(self, acme: Tenant, initech: Tenant, browser: Client) -> None:
        for slug in ("acme", "initech"):
            browser.post(f"/ops/tenants/{slug}/stop/", STOP)
        address = f"{BULK}?verb=resume-all&q=&status=STOPPED"

        text = text_of(browser, address)
        assert "Resume 2 tenants" in text
        browser.post(address, {"seen": seen_in(text)})

        assert not is_stopped("acme")
        assert not is_stopped("initech")

    def test_takes_no_more_than_it_can_do(
        self, acme: Tenant, initech: Tenant, browser: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = seen_in(text_of(browser, f"{BULK}?verb=stop-all"))
        monkeypatch.setattr("budgets.console.tenant_bulk.TENANTS_MAX", 1)

        assert "more than 1" in text_of(browser, f"{BULK}?verb=stop-all")
        browser.post(f"{BULK}?verb=stop-all", STOP | {"seen": seen})

        assert not is_stopped("acme")

    def test_says_when_nobody_is_meant(self, acme: Tenant, browser: Client) -> None:
        assert "nobody to stop" in text_of(browser, f"{BULK}?verb=stop")
        assert "nobody to resume" in text_of(browser, f"{BULK}?verb=resume&slug=acme")


class TestNew:
    FORM = {
        "name": "Globex Health",
        "slug": "",
        "plan": "",
        "time_zone": "Asia/Kolkata",
        "amount": "",
        "period": "MONTH",
    }

    @pytest.fixture(autouse=True)
    def gone_afterwards(self, database: None) -> Iterator[None]:
        yield
        with in_public():
            made = Tenant.objects.filter(slug="globex-health").first()
        if made:
            delete_shared(Invitation.objects.filter(tenant_tag=made.tag))
            drop_tenant(made)

    def test_makes_books_that_work_and_leads_to_them(self, browser: Client) -> None:
        answer = browser.post("/ops/tenant/new/", self.FORM | {"amount": "500.00"})

        assert answer.status_code == 302
        assert answer["Location"].startswith("/ops/tenants/globex-health/")
        made = Tenant.objects.get(slug="globex-health")
        with in_tenant(made.tag):
            budget = Budget.objects.get(depth=1)
        assert (budget.allocated, budget.period) == (500 * DOLLAR, "MONTH")
        assert made.time_zone == "Asia/Kolkata"

    def test_says_that_a_slug_is_taken_and_keeps_what_was_typed(self, acme: Tenant, browser: Client) -> None:
        answer = browser.post("/ops/tenant/new/", self.FORM | {"slug": "acme"})

        assert answer.status_code == 422
        assert b"Another tenant has this slug." in answer.content
        assert b'value="Globex Health"' in answer.content

    @pytest.mark.parametrize(
        ("field", "value"),
        [("slug", "Über"), ("amount", "0"), ("amount", "1e99"), ("time_zone", "Mars/Olympus"), ("name", "日本")],
    )
    def test_refuses_what_cannot_be(self, browser: Client, field: str, value: str) -> None:
        assert browser.post("/ops/tenant/new/", self.FORM | {field: value}).status_code == 422
        assert not Tenant.objects.filter(slug="globex-health").exists()

    def test_invites_the_owner_where_members_may_be_managed(self, olga: User) -> None:
        answer = signed_in(olga).post("/ops/tenant/new/", self.FORM | {"owner": "eve@example.test"}, follow=True)

        assert "eve@example.test" in answer.content.decode()
        made = Tenant.objects.get(slug="globex-health")
        assert Invitation.objects.filter(tenant_tag=made.tag, email="eve@example.test", role="owner").count() == 1

    def test_asks_an_operator_for_no_owner(self, browser: Client) -> None:
        assert 'name="owner"' not in text_of(browser, "/ops/tenant/new/")


class TestClose:
    ADDRESS = "/ops/tenants/acme/close/"

    @pytest.fixture
    def owner(self, olga: User) -> Client:
        """An owner's browser in which they proved a moment ago who they are."""
        client = signed_in(olga)
        session = client.session
        session["account_authentication_methods"] = [{"method": "password", "at": time.time(), "reauthenticated": True}]
        session["account_authentication_methods_user"] = str(olga.pk)
        session.save()
        return client

    def test_wants_the_slug_typed(self, acme: Tenant, owner: Client) -> None:
        answer = owner.post(self.ADDRESS, {"typed": "acm", "reason": "left"})

        assert answer.status_code == 422
        assert b"Type acme to close" in answer.content

    def test_ends_it_for_good(self, books: Books, owner: Client) -> None:
        books.add_budget(allocated=DOLLAR)
        books.ask("reserve", amount=1)

        answer = owner.post(self.ADDRESS, {"typed": "acme", "reason": "left"}, follow=True)

        assert "is closed; 1 holds were given back." in answer.content.decode()
        assert Tenant.objects.get(slug="acme").status == TenantStatus.CLOSED

    def test_asks_again_who_it_is_when_that_is_long_ago(self, acme: Tenant, olga: User) -> None:
        answer = signed_in(olga).post(self.ADDRESS, {"typed": "acme", "reason": "left"})

        assert answer["Location"].startswith("/accounts/reauthenticate/")
        assert Tenant.objects.get(slug="acme").status == TenantStatus.ACTIVE

    def test_is_for_owners_alone(self, acme: Tenant, browser: Client) -> None:
        assert browser.post(self.ADDRESS, {"typed": "acme", "reason": "left"}).status_code == 403
