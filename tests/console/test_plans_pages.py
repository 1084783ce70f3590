"""Plans: the catalogue, publishing versions, who would break, and putting a tenant on another plan."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.models import MemberRole, OperatorRole, User
from budgets.selectors.subscriptions import current_subscription
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry
from tenants.models import Plan, Tenant
from tenants.selectors.plans import latest_plan, plan_versions
from tests.support.books import Books
from tests.support.console import member_of, person, signed_in
from tests.support.plans import USD, a_plan, money, tenant_on


@pytest.fixture
def olga(database: None) -> Iterator[User]:
    """An operator who owns the platform."""
    with person("olga", OperatorRole.OWNER) as user:
        yield user


@pytest.fixture
def owner(olga: User) -> Client:
    return signed_in(olga)


@pytest.fixture
def small(database: None) -> Plan:
    return a_plan(
        budgets=[money(10 * USD)],
        limits={"runs_per_day_max": 2, "input_tokens_max": 100},
        run={"iterations_max": 5},
    )


@pytest.fixture
def large(database: None) -> Plan:
    return a_plan(budgets=[money(100 * USD, period="MONTH")], limits={"runs_per_day_max": 50}, priority="high")


@pytest.fixture
def umbrella(small: Plan) -> Iterator[Tenant]:
    with tenant_on(small) as tenant:
        yield tenant


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return str(answer.content.decode())


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return found.group(1)


class TestCatalogue:
    def test_shows_each_plan_with_its_tenants(self, browser: Client, small: Plan, umbrella: Tenant) -> None:
        page = text(browser, "/ops/plans/")

        assert f"<code>{small.code}</code> v1" in page
        assert "$10.00" in page

    def test_is_a_file_too(self, browser: Client, small: Plan) -> None:
        answer = browser.get("/ops/plans/?format=csv")
        rows = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]

        assert f"{small.code},1,Plan,0,0,0," in rows

    def test_shows_a_plan_its_versions_and_who_is_on_it(self, browser: Client, small: Plan, umbrella: Tenant) -> None:
        a_plan(small.code, limits={"runs_per_day_max": 1})

        page = text(browser, f"/ops/plans/{small.code}/")

        assert "the latest" in page
        assert "Runs a day, at most" in page
        assert "/ops/tenants/umbrella/limits/" in page
        assert "the latest is v2" in text(browser, f"/ops/plans/{small.code}/?version=1")
        assert browser.get(f"/ops/plans/{small.code}/?version=3").status_code == 404
        assert browser.get("/ops/plans/none/").status_code == 404

    def test_says_who_would_break_on_a_version(self, browser: Client, small: Plan, umbrella: Tenant) -> None:
        books = Books(umbrella)
        books.ask("reserve", amount=5 * USD)
        a_plan(small.code, budgets=[money(USD)])

        page = text(browser, f"/ops/plans/{small.code}/fit/")

        assert "Over at once" in page
        assert "Budget of tenant:umbrella" in page
        assert ">On it</span>" in text(browser, f"/ops/plans/{small.code}/fit/?version=1")


class TestPublishing:
    def fields(self, **fields: Any) -> dict[str, Any]:
        document = {"limits": {"runs_per_day_max": 7}}
        return {"seen": 1, "name": "Pro", "price": "49.5", "document": json.dumps(document), "reason": "r"} | fields

    def test_makes_the_next_version(self, owner: Client, small: Plan) -> None:
        address = f"/ops/plans/{small.code}/new/"
        assert f"Publish v{small.version + 1}" in text(owner, address)

        answer = owner.post(address, self.fields())

        assert (answer.status_code, answer["Location"]) == (303, f"/ops/plans/{small.code}/")
        plan = latest_plan(small.code)
        assert plan is not None
        assert (plan.version, plan.name, plan.price, plan.defaults) == (
            2,
            "Pro",
            49_50 * 10**6,
            {"limits": {"runs_per_day_max": 7}},
        )
        with in_public():
            entry = AuditEntry.objects.filter(action="plan.published").latest("pk")
        assert (entry.actor, entry.reason) == ("olga@example.test", "r")

    @pytest.mark.parametrize(
        ("document", "words"),
        [
            ('{"limits": {', "Line 1, column"),
            ("[]", "must be an object"),
            ('{"a": 1, "a": 2}', "twice"),
            ('{"limits": {"input_tokens_max": NaN}}', "NaN is no number"),
            ('{"limits": {"input_tokens_max": -1}}', "limits.input_tokens_max"),
            ('{"limits": {"x": "\\u0000"}}', "U+0000"),
            ("{}", "without any limit"),
        ],
    )
    def test_says_where_the_document_is_wrong_and_keeps_it(
        self, owner: Client, small: Plan, document: str, words: str
    ) -> None:
        answer = owner.post(f"/ops/plans/{small.code}/new/", self.fields(document=document))

        assert answer.status_code == 422
        assert words in answer.content.decode()
        assert len(plan_versions(small.code)) == 1

    def test_refuses_a_form_that_has_become_old(self, owner: Client, small: Plan) -> None:
        a_plan(small.code, limits={"runs_per_day_max": 1})

        answer = owner.post(f"/ops/plans/{small.code}/new/", self.fields())

        assert answer.status_code == 422
        assert "there is v2 by now" in answer.content.decode()
        assert len(plan_versions(small.code)) == 2

    def test_makes_a_new_plan(self, owner: Client, database: None) -> None:
        code = f"p-{id(self)}"

        answer = owner.post("/ops/plans/new/", self.fields(seen=0, code=code))

        assert answer["Location"] == f"/ops/plans/{code}/"
        assert owner.post("/ops/plans/new/", self.fields(seen=0, code=code)).status_code == 422
        assert owner.post("/ops/plans/new/", self.fields(seen=0, code="new")).status_code == 422

    def test_is_for_owners_of_the_platform(self, browser: Client, small: Plan) -> None:
        assert browser.get(f"/ops/plans/{small.code}/new/").status_code == 403
        assert browser.post("/ops/plans/new/", self.fields()).status_code == 403
        assert "New plan" not in text(browser, "/ops/plans/")


class TestChange:
    def test_takes_three_presses(self, browser: Client, umbrella: Tenant, large: Plan) -> None:
        start = text(browser, "/ops/tenants/umbrella/limits/")
        assert 'href="/ops/tenants/umbrella/limits/plan/"' in start
        choice = text(browser, "/ops/tenants/umbrella/limits/plan/")
        assert f"?plan={large.code}" in choice
        address = f"/ops/tenants/umbrella/limits/plan/?plan={large.code}"
        preview = text(browser, address)
        assert f"Change to {large.code} v1" in preview
        assert "Runs a day, at most" in preview

        form = {"seen": hidden(preview, "seen"), "reason": "The customer asked for it", "note": "T-7"}
        answer = browser.post(address, form)

        assert (answer.status_code, answer["Location"]) == (303, "/ops/tenants/umbrella/limits/")
        with in_tenant(umbrella.tag):
            subscription = current_subscription()
            entry = AuditEntry.objects.filter(action="tenant.plan_changed").latest("pk")
        assert subscription is not None
        assert subscription.plan_code == large.code
        assert (entry.actor, entry.reason) == ("olive@example.test", "The customer asked for it: T-7")
        assert f"is on {large.code} v1 now" in text(browser, answer["Location"])

    def test_says_who_is_over_at_once(self, browser: Client, umbrella: Tenant) -> None:
        Books(umbrella).ask("reserve", amount=5 * USD)
        tiny = a_plan(budgets=[money(USD)])

        page = text(browser, f"/ops/tenants/umbrella/limits/plan/?plan={tiny.code}")

        assert "Over at once" in page
        assert "$5.00 used already, so nothing is left" in page

    def test_of_figures_that_moved_is_refused_with_the_new_ones(
        self, browser: Client, umbrella: Tenant, large: Plan
    ) -> None:
        address = f"/ops/tenants/umbrella/limits/plan/?plan={large.code}"
        seen = hidden(text(browser, address), "seen")
        a_plan(large.code, limits={"runs_per_day_max": 3})

        answer = browser.post(address, {"seen": seen, "reason": "Trial ended", "note": ""})

        assert answer.status_code == 422
        page = answer.content.decode()
        assert "the figures have moved" in page
        assert f"Change to {large.code} v2" in page
        with in_tenant(umbrella.tag):
            subscription = current_subscription()
        assert subscription is not None
        assert subscription.plan_code != large.code
        again = browser.post(address, {"seen": hidden(page, "seen"), "reason": "Trial ended", "note": ""})
        assert again.status_code == 303

    def test_may_wait_for_the_end_of_the_month(self, browser: Client, umbrella: Tenant, large: Plan) -> None:
        address = f"/ops/tenants/umbrella/limits/plan/?plan={large.code}&when=month_end"
        seen = hidden(text(browser, address), "seen")

        browser.post(address, {"seen": seen, "reason": "Trial ended"})

        assert f"<code>{large.code}</code> v1 from" in text(browser, "/ops/tenants/umbrella/limits/")

    def test_to_no_plan_is_no_change(self, browser: Client, umbrella: Tenant) -> None:
        page = text(browser, "/ops/tenants/umbrella/limits/plan/?plan=none&version=x")

        assert "no such plan" in page
        assert browser.post("/ops/tenants/umbrella/limits/plan/?plan=none", {}).status_code == 422

    def test_is_not_for_members(self, umbrella: Tenant) -> None:
        with member_of(umbrella, "una", MemberRole.OWNER) as una:
            client = signed_in(una)

            assert client.get("/t/umbrella/limits/plan/").status_code == 403
            assert "Change plan" not in text(client, "/t/umbrella/limits/")
