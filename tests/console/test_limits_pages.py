"""Limits and routing of one tenant: where each limit comes from, policies in versions, and the test box of calls."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from budgets.models import Decision, LedgerHead, PolicyVersion
from budgets.services import lifecycle
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.console import DOLLAR, signed_in
from tests.support.plans import USD, a_plan, money, tenant_on
from tests.support.rules import rule

HOSTILE = "<script>alert(1)</script>"


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return str(answer.content.decode())


def csv_of(client: Client, address: str) -> str:
    return b"".join(client.get(address).streaming_content).decode()  # type: ignore[attr-defined]


@pytest.fixture
def umbrella(database: None) -> Iterator[Tenant]:
    plan = a_plan(
        budgets=[money(10 * USD)],
        limits={"input_tokens_max": 32_000},
        run={"wall_seconds_max": 900},
        rate=[{"name": "calls", "level": "agent", "counts": "requests", "capacity": 60, "per_minute": 120}],
        tools={"default": "deny", "rules": [{"pattern": "crm.*", "verdict": "gated"}]},
    )
    with tenant_on(plan) as tenant:
        yield tenant


class TestLimits:
    def test_are_in_words_with_the_place_of_each(self, browser: Client, umbrella: Tenant) -> None:
        save(browser, "limits", {"run": {"iterations_max": 5}}, tenant="umbrella", reason=HOSTILE)

        page = text(browser, "/ops/tenants/umbrella/limits/")

        for words in ("32,000 tokens", "15 min", "60 requests at once, 120 a minute, each agent", "$10.00"):
            assert words in page
        assert "crm.* gated; others deny" in page
        assert "override v1 by olive@example.test" in page
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page

    def test_are_a_file_too(self, browser: Client, umbrella: Tenant) -> None:
        found = csv_of(browser, "/ops/tenants/umbrella/limits/?format=csv")

        assert 'limits.input_tokens_max,"Input of one request, at most","32,000 tokens",32000,,plan plan-' in found

    def test_are_read_by_members_and_not_changed(self, ben: User, acme: Tenant) -> None:
        client = signed_in(ben)
        page = text(client, "/t/acme/limits/")

        assert "ask your operator" in page
        assert "Change plan" not in page
        assert "Override limits" not in page
        for address in ("/t/acme/routing/", "/t/acme/routing/tools/", "/t/acme/shadow/"):
            assert "/edit/" not in text(client, address)
        assert client.get("/t/acme/routing/tools/edit/").status_code == 403
        assert client.post("/t/acme/routing/tools/restore/1/").status_code == 403


def save(client: Client, kind: str, document: Any, *, tenant: str = "acme", based_on: int = 0, **fields: Any) -> Any:
    written = document if isinstance(document, str) else json.dumps(document)
    body = {"document": written, "based_on": based_on, "reason": "because"} | fields
    return client.post(f"/ops/tenants/{tenant}/routing/{kind}/edit/", body)


class TestPolicies:
    def test_are_saved_in_versions_and_in_force(self, browser: Client, acme: Tenant) -> None:
        answer = save(browser, "tools", {"default": "deny"})

        assert (answer.status_code, answer["Location"]) == (303, "/ops/tenants/acme/routing/tools/")
        page = text(browser, answer["Location"])
        assert "v1 is in force" in page
        with in_tenant(acme.tag):
            entry = AuditEntry.objects.get(action="policy.created")
        assert (entry.actor, entry.actor_type, entry.reason) == ("olive@example.test", "admin_on_behalf_of", "because")

    def test_go_back_to_an_earlier_version(self, browser: Client, acme: Tenant) -> None:
        save(browser, "tools", {"default": "deny"})
        save(browser, "tools", {}, based_on=1)
        assert "Go back to v1" in text(browser, "/ops/tenants/acme/routing/tools/restore/1/")

        answer = browser.post("/ops/tenants/acme/routing/tools/restore/1/", {"reason": "too wide"})

        assert answer.status_code == 303
        with in_tenant(acme.tag):
            newest = PolicyVersion.objects.latest("version")
        assert (newest.version, newest.document, newest.reason) == (3, {"default": "deny"}, "too wide")
        assert browser.get("/ops/tenants/acme/routing/tools/restore/9/").status_code == 404
        assert csv_of(browser, "/ops/tenants/acme/routing/tools/?format=csv").count("olive@example.test") == 3

    def test_that_somebody_changed_meanwhile_are_refused_and_keep_what_was_typed(
        self, browser: Client, acme: Tenant
    ) -> None:
        save(browser, "tools", {"default": "deny"})

        answer = save(browser, "tools", {"default": "gated"}, based_on=0)

        assert answer.status_code == 422
        page = answer.content.decode()
        assert "somebody saved v1 since you began with v0" in page
        assert "gated" in page
        with in_tenant(acme.tag):
            assert PolicyVersion.objects.count() == 1

    def test_that_somebody_changed_meanwhile_are_saved_on_top_when_sent_again(
        self, browser: Client, acme: Tenant
    ) -> None:
        save(browser, "tools", {"default": "deny"})
        page = save(browser, "tools", {"default": "gated"}, based_on=0).content.decode()

        (based_on,) = re.findall(r'name="based_on" value="(\d+)"', page)

        assert save(browser, "tools", {"default": "gated"}, based_on=int(based_on)).status_code == 303
        with in_tenant(acme.tag):
            assert PolicyVersion.objects.count() == 2

    @pytest.mark.parametrize(
        ("kind", "document", "words"),
        [
            ("tools", "{", "Line 1, column 2"),
            ("tools", '{"default": "maybe"}', "In the document, default"),
            ("limits", '{"limits": {"input_tokens_max": 0}}', "limits.input_tokens_max"),
            ("routing", '{"tiers": {"small": ["openai:none-such"]}}', "without a price"),
            ("shadow", '{"scopes": ["tenant:initech"]}', "tenant:acme"),
        ],
    )
    def test_are_refused_with_the_place(
        self, browser: Client, acme: Tenant, kind: str, document: str, words: str
    ) -> None:
        answer = save(browser, kind, document)

        assert answer.status_code == 422
        assert words in answer.content.decode().replace("&#x27;", "'")

    def test_of_a_closed_tenant_stay(self, browser: Client, acme: Tenant) -> None:
        lifecycle.close_tenant(tag=acme.tag, actor=TEST_ACTOR)

        answer = save(browser, "tools", {"default": "deny"})

        assert answer.status_code == 422
        assert "the tenant is closed" in answer.content.decode()

    def test_of_no_kind_have_no_page(self, browser: Client, acme: Tenant) -> None:
        for path in ("other/", "other/edit/", "tools/restore/1/"):
            assert browser.get(f"/ops/tenants/acme/routing/{path}").status_code == 404


class TestCallBox:
    ADDRESS = "/ops/tenants/acme/routing/?try=1&priority=normal"

    @pytest.fixture(autouse=True)
    def _rules(self, books: Books) -> None:
        books.add_budget(allocated=DOLLAR)
        books.add_budget("/workspace:prod", allocated=DOLLAR // 10)
        rule(books, tools={"default": "allow", "version": 3, "rules": [{"pattern": "slack.*", "verdict": "deny"}]})

    def test_allows_with_a_sentence_and_checks(self, browser: Client) -> None:
        page = text(browser, f"{self.ADDRESS}&input_tokens=1000&model=openai:gpt-4o-mini")

        assert "This call would be allowed" in page
        assert "Pass</span>" in page
        assert "gpt-4o-mini" in page

    def test_denies_a_tool(self, browser: Client) -> None:
        page = text(browser, f"{self.ADDRESS}&input_tokens=1000&tool=slack.post")

        assert "This call would be denied because" in page
        assert "Tool denied" in page

    def test_denies_what_a_budget_has_no_room_for_to_the_last_microcent(self, browser: Client) -> None:
        there = f"{self.ADDRESS}&input_tokens=0&workspace=Prod&estimate="

        assert "would be allowed" in text(browser, f"{there}0.1")
        denied = text(browser, f"{there}0.10000001")
        assert "would be denied" in denied
        assert "workspace prod" in denied

    def test_keeps_nothing_of_it(self, browser: Client, acme: Tenant) -> None:
        with in_tenant(acme.tag):
            before = (Decision.objects.count(), LedgerHead.objects.get(pk=1).last_seq)

        text(browser, f"{self.ADDRESS}&input_tokens=1000")
        text(browser, f"{self.ADDRESS}&input_tokens=1000&tool=slack.post")

        with in_tenant(acme.tag):
            assert (Decision.objects.count(), LedgerHead.objects.get(pk=1).last_seq) == before

    @pytest.mark.parametrize("query", ["input_tokens=x", "input_tokens=-1", "input_tokens=1&workspace=a/b"])
    def test_asks_again_for_what_is_no_call(self, browser: Client, query: str) -> None:
        page = text(browser, f"{self.ADDRESS}&{query}")

        assert "field-error" in page
        assert "This call would" not in page

    def test_shows_what_was_typed_as_text(self, browser: Client) -> None:
        page = text(browser, f"{self.ADDRESS}&input_tokens=1&estimate=0.01&tool={HOSTILE}&model={HOSTILE}")

        assert HOSTILE not in page

    def test_is_for_members_too(self, ben: User) -> None:
        page = text(signed_in(ben), self.ADDRESS.replace("/ops/tenants/", "/t/") + "&input_tokens=1000")

        assert "This call would be allowed" in page


def test_a_call_without_rules_or_estimate_has_no_price(browser: Client, books: Books) -> None:
    books.add_budget(allocated=DOLLAR)

    page = text(browser, "/ops/tenants/acme/routing/?try=1&priority=normal&input_tokens=1000")

    assert "This call would be denied because no model was found to price it by" in page
