"""Shadow mode on pages: what would have been denied, recommended limits, and enforcing from a moment on."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from accounts.models import User
from budgets.selectors.policies import newest_policy
from budgets.services.policies import NewPolicy, PolicyKind
from kernel.tenancy import in_tenant
from routing.services.policy_saving import put_policy
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.console import signed_in


@pytest.fixture(autouse=True)
def _scene(books: Books) -> None:
    books.add_budget(allocated=1000)
    books.add_budget("/workspace:prod", allocated=10)


def put_in_shadow(tenant: Tenant, **document: object) -> None:
    new = NewPolicy(kind=PolicyKind.SHADOW, document=document or {"is_on": True}, reason="a trial")
    put_policy(tag=tenant.tag, slug=tenant.slug, new=new, actor=TEST_ACTOR)


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return str(answer.content.decode())


class TestShadow:
    def test_counts_what_would_have_been_denied(self, browser: Client, books: Books, acme: Tenant) -> None:
        put_in_shadow(acme)
        for _ in range(2):
            books.ask("reserve", amount=11, suffixes=["", "/workspace:prod"])

        page = text(browser, "/ops/tenants/acme/shadow/")

        assert "In shadow</span>" in page
        assert "2 calls in the last 7 days" in page
        assert "Budget exceeded" in page
        assert "<code>workspace:prod</code>" in page
        found = b"".join(browser.get("/ops/tenants/acme/shadow/?format=csv").streaming_content).decode()  # type: ignore[attr-defined]
        assert "tenant:acme/workspace:prod,BUDGET_EXCEEDED,Budget exceeded,2," in found

    def test_says_what_is_in_shadow_in_part(self, browser: Client, acme: Tenant) -> None:
        put_in_shadow(acme, checks=["tools"], scopes=["tenant:acme/workspace:prod"])

        page = text(browser, "/ops/shadow/?q=acme")

        assert "In part</span>" in page
        assert "checks: tools; scopes: workspace:prod" in page

    def test_says_that_everything_is_enforced(self, browser: Client) -> None:
        page = text(browser, "/ops/tenants/acme/shadow/?within=x")

        assert "Enforced</span>" in page
        assert "Nothing would have been denied" in page
        assert "/shadow/enforce/" not in page

    def test_recommends_limits_when_asked_to_read(self, browser: Client, books: Books) -> None:
        assert "Choose a period" in text(browser, "/ops/tenants/acme/shadow/limits/")

        page = text(browser, "/ops/tenants/acme/shadow/limits/?period=WEEK")

        assert "<code>workspace:prod</code>" in page
        answer = browser.get("/ops/tenants/acme/shadow/limits/?period=own&format=csv")
        assert "tenant:acme,USD_MICROCENTS,MONTH,1000" in b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]

    def test_is_read_by_members_and_not_ended(self, ben: User, acme: Tenant) -> None:
        put_in_shadow(acme)
        client = signed_in(ben)

        assert "Enforce from" not in text(client, "/t/acme/shadow/")
        assert client.post("/t/acme/shadow/enforce/", {"reason": "x"}).status_code == 403


class TestEnforce:
    ADDRESS = "/ops/tenants/acme/shadow/enforce/"

    def document(self, tenant: Tenant) -> dict[str, object]:
        with in_tenant(tenant.tag):
            newest = newest_policy(PolicyKind.SHADOW)
        assert newest is not None
        return dict(newest.document)

    def test_from_the_next_decision_on(self, browser: Client, books: Books, acme: Tenant) -> None:
        put_in_shadow(acme)

        answer = browser.post(self.ADDRESS, {"enforce_from": "", "reason": "The trial went well"})

        assert (answer.status_code, answer["Location"]) == (303, "/ops/tenants/acme/shadow/")
        assert self.document(acme) == {"is_on": False}
        assert books.ask("reserve", amount=11, suffixes=["", "/workspace:prod"]).status == "BUDGET_EXCEEDED"
        assert "from the next decision on" in text(browser, answer["Location"])

    def test_from_a_moment_in_the_tenant_s_time_zone(self, browser: Client, acme: Tenant) -> None:
        put_in_shadow(acme)
        there = (datetime.now(ZoneInfo("Asia/Kolkata")) + timedelta(days=2)).replace(second=0, microsecond=0)
        assert "In Asia/Kolkata" in text(browser, self.ADDRESS)

        browser.post(self.ADDRESS, {"enforce_from": f"{there:%Y-%m-%dT%H:%M}", "reason": "In two days"})

        assert self.document(acme)["enforce_from"] == there.astimezone(UTC).isoformat()
        assert "enforced from" in text(browser, "/ops/tenants/acme/shadow/")

    @pytest.mark.parametrize("moment", ["0001-01-01T00:00", "9999-12-31T23:59"])
    def test_from_the_end_of_all_calendars_is_answered(
        self, browser: Client, acme: Tenant, initech: Tenant, moment: str
    ) -> None:
        for tenant in (acme, initech):
            put_in_shadow(tenant)
            address = f"/ops/tenants/{tenant.slug}/shadow/"

            answer = browser.post(f"{address}enforce/", {"enforce_from": moment, "reason": "x"})

            assert answer.status_code in {303, 422}
            assert browser.get(address).status_code == 200

    def test_twice_says_that_it_is_enforced_already(self, browser: Client, acme: Tenant) -> None:
        put_in_shadow(acme)
        browser.post(self.ADDRESS, {"reason": "now"})

        answer = browser.post(self.ADDRESS, {"reason": "now"})

        assert answer.status_code == 422
        assert "everything is enforced already" in answer.content.decode()

    @pytest.mark.parametrize("form", [{"reason": ""}, {"reason": "x", "enforce_from": "tomorrow"}])
    def test_needs_a_reason_and_a_moment_that_is_one(self, browser: Client, acme: Tenant, form: dict[str, str]) -> None:
        put_in_shadow(acme)

        assert browser.post(self.ADDRESS, form).status_code == 422
        assert self.document(acme) == {"is_on": True}
