"""The operators' pages: who sees them, and what stands on them."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape

import pytest
from django.db import connections
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import OperatorRole, User
from budgets.models import Budget
from kernel.ids import mint_wire_id, uuid7
from kernel.money import Unit
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.console import DOLLAR, explain_address, person, play_busy_day, signed_in

HOSTILE = '<script>alert("x")</script>\N{RIGHT-TO-LEFT OVERRIDE}{{ 7|add:7 }}'


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    text: str = answer.content.decode()
    return text


def addresses(books: Books) -> dict[str, tuple[str, str]]:
    """For some routes an address that leads to something, and one that leads nowhere."""
    answer = books.ask("reserve", amount=1)
    known, unknown = (explain_address(books, decision_id) for decision_id in (answer.id, uuid7()))
    return {
        "overview": ("/ops/", "/ops/nothing/"),
        "denial_list": ("/ops/denials/", "/ops/denials/nothing/"),
        "tenant_list": ("/ops/tenants/", "/ops/tenant/"),
        "tenant_detail": ("/ops/tenants/acme/", "/ops/tenants/globex/"),
        "decision_list": ("/ops/tenants/acme/decisions/", "/ops/tenants/globex/decisions/"),
        "decision_detail": (known, unknown),
    }


class TestGate:
    @pytest.mark.parametrize("role", OperatorRole)
    def test_every_role_reads_every_page(self, books: Books, role: OperatorRole) -> None:
        with person("ada", role) as user:
            client = signed_in(user)

            answers = {name: client.get(known).status_code for name, (known, _) in addresses(books).items()}

        assert set(answers.values()) == {200}

    def test_whoever_is_signed_out_is_sent_to_sign_in_whether_it_exists_or_not(self, books: Books) -> None:
        for known, unknown in addresses(books).values():
            for address in (known, unknown):
                answer = Client().get(address)

                assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={address}")
                assert answer.content == b""

    def test_a_stranger_reads_the_same_whether_it_exists_or_not(self, books: Books, cy: User) -> None:
        client = signed_in(cy)
        answers = [client.get(address) for pair in addresses(books).values() for address in pair]

        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.content for answer in answers}) == 1
        assert len({tuple(sorted(answer.headers)) for answer in answers}) == 1

    def test_an_operator_gets_404_for_what_does_not_exist(self, books: Books, browser: Client) -> None:
        for _, unknown in addresses(books).values():
            assert browser.get(unknown).status_code == 404

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_nothing_is_changed_here(self, books: Books, browser: Client, method: str) -> None:
        for known, _ in addresses(books).values():
            assert getattr(browser, method)(known).status_code == 405

    def test_a_forged_id_leads_nowhere(self, books: Books, browser: Client) -> None:
        known = addresses(books)["decision_detail"][0]

        assert browser.get(known[:-2] + ("0" if known[-2] != "0" else "1") + "/").status_code == 404
        assert browser.get("/ops/tenants/acme/decisions/dec_x/").status_code == 404

    @pytest.mark.parametrize("address", ["/ops/tenants/a%00b/", "/ops/tenants/?q=%00&after=%00", "/ops/tenants/%FF/"])
    def test_strange_characters_are_no_failure(self, browser: Client, address: str) -> None:
        assert browser.get(address).status_code in {200, 404}

    def test_htmx_takes_the_whole_page_to_the_sign_in(self, database: None) -> None:
        headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/ops/tenants/?q=a"}

        answer = Client().get("/ops/tenants/?q=ac", headers=headers)

        assert answer["HX-Redirect"] == "/accounts/login/?next=/ops/tenants/%3Fq%3Da"


class TestHeaders:
    def test_every_page_forbids_what_it_does_not_need(self, books: Books, browser: Client) -> None:
        for known, unknown in [*addresses(books).values(), ("/accounts/login/", "/nothing/")]:
            for address in (known, unknown):
                headers = browser.get(address).headers
                policy = headers["Content-Security-Policy"]

                assert "default-src 'none'" in policy
                assert "script-src 'self';" in policy
                assert "unsafe" not in policy
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert headers["X-Frame-Options"] == "DENY"
                assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
                assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
                assert headers["Referrer-Policy"] == "same-origin"

    def test_no_page_has_code_or_style_within(self, books: Books, browser: Client) -> None:
        for known, _ in addresses(books).values():
            text = page(browser, known)

            assert "<style" not in text
            assert " style=" not in text
            assert text.count("<script") == text.count('<script src="/static/')
            assert "hx-on" not in text

    def test_no_page_is_kept_by_a_cache(self, books: Books, browser: Client) -> None:
        for pair in addresses(books).values():
            for address in pair:
                assert "no-store" in browser.get(address)["Cache-Control"]


class TestTenantDetail:
    def test_shows_budgets_as_a_tree(self, books: Books, browser: Client) -> None:
        play_busy_day(books)

        text = page(browser, "/ops/tenants/acme/")
        places = [text.index(f"</span> {name}") for name in ("acme", "engineering", "code-review", "marketing")]

        assert places == sorted(places)
        assert "$0.41" in text
        assert "50,000,000 tokens" in text

    def test_shows_keys_without_anything_secret(self, books: Books, browser: Client) -> None:
        text = page(browser, "/ops/tenants/acme/")

        assert books.key.key_id in text
        assert books.key.token not in text
        assert books.key.token.split("_")[4] not in text
        assert books.key.digest.hex() not in text

    def test_says_what_will_appear_and_how(self, acme: Tenant, browser: Client) -> None:
        text = page(browser, "/ops/tenants/acme/")

        assert "Budgets will appear here" in text
        assert "Decisions will appear here" in text
        assert "API keys will appear here" in text
        assert text.count("<pre>") == 3

    def test_counts_tokens_in_tokens(self, books: Books, browser: Client) -> None:
        books.add_budget(allocated=3_000_000, unit=Unit.TOKENS)

        assert "3,000,000 tokens" in page(browser, "/ops/tenants/acme/")

    def test_shows_hostile_names_as_text(self, books: Books, browser: Client) -> None:
        Tenant.objects.filter(pk=books.tenant.pk).update(name=HOSTILE)
        books.add_budget(allocated=DOLLAR)
        answer = books.ask(
            "reserve", amount=2 * DOLLAR, idem=HOSTILE, action={"kind": HOSTILE, "name": HOSTILE}, request_id=HOSTILE
        )

        for address in (*(known for known, _ in addresses(books).values()), explain_address(books, answer.id)):
            assert "<script>alert" not in page(browser, address)
        assert "&lt;script&gt;alert(&quot;x&quot;)" in page(browser, explain_address(books, answer.id))


class TestDecisionList:
    def test_filters_by_verdict_and_reason(self, books: Books, browser: Client) -> None:
        books.add_budget(allocated=DOLLAR)
        books.ask("reserve", amount=1)
        books.ask("reserve", amount=2 * DOLLAR)
        books.ask("reserve", amount=1, unit="TOKENS")
        address = "/ops/tenants/acme/decisions/"

        assert page(browser, address).count(">Why</a>") == 3
        assert page(browser, f"{address}?verdict=deny").count(">Why</a>") == 2
        assert page(browser, f"{address}?verdict=deny&reason=UNIT_MISMATCH").count(">Why</a>") == 1
        assert page(browser, f"{address}?verdict=deny&within=24h&reason=nonsense").count(">Why</a>") == 2
        assert "No decision matches" in page(browser, f"{address}?verdict=deny&reason=TENANT_CLOSED")

    @pytest.mark.parametrize("query", ["", "verdict=deny&"])
    def test_pages_show_each_decision_once(
        self, books: Books, browser: Client, monkeypatch: pytest.MonkeyPatch, query: str
    ) -> None:
        monkeypatch.setattr("budgets.console.decisions._DECISIONS_PER_PAGE", 2)
        refused = [books.ask("reserve", amount=1).id for _ in range(5)]
        seen: list[str] = []
        address = f"/ops/tenants/acme/decisions/?{query}"
        while address:
            text = page(browser, address)
            seen += ["dec_" + part.split('"')[0] for part in text.split('href="/ops/tenants/acme/decisions/dec_')[1:]]
            more = re.search(r'class="pager">\s*<a href="([^"]*)"', text)
            address = "/ops/tenants/acme/decisions/" + unescape(more[1]) if more else ""

        assert seen == [mint_wire_id("dec", books.tenant.tag, one) + "/" for one in reversed(refused)]

    def test_takes_no_cursor_of_another_tenant(self, books: Books, initech: Tenant, browser: Client) -> None:
        cursor = mint_wire_id("dec", initech.tag, uuid7())

        assert browser.get(f"/ops/tenants/acme/decisions/?before={cursor}").status_code == 404


class TestHealth:
    @pytest.fixture
    def without_database(self, database: None) -> Iterator[None]:
        where = connections["default"].settings_dict
        connections["default"].close()
        host, where["HOST"] = where["HOST"], "/nowhere"
        yield
        where["HOST"] = host
        connections["default"].close()

    def test_is_alive_and_ready(self, database: None) -> None:
        assert Client().get("/healthz").status_code == 200
        assert Client().get("/readyz").status_code == 200

    def test_is_alive_but_not_ready_without_its_database(self, without_database: None) -> None:
        assert Client().get("/healthz").status_code == 200
        assert Client().get("/readyz").status_code == 503

    def test_says_in_plain_words_that_the_database_is_away(self, without_database: None) -> None:
        client = Client(raise_request_exception=False)
        client.cookies["watermaster-session"] = "something"

        answer = client.get("/ops/")

        assert (answer.status_code, answer["Retry-After"]) == (503, "5")
        assert b"The database does not answer" in answer.content
        assert "default-src 'none'" in answer["Content-Security-Policy"]


def _let_period_end(books: Books) -> None:
    """Move the budgets' day into yesterday, as if the night had passed."""
    day = timedelta(days=1)
    with in_tenant(books.tenant.tag):
        Budget.objects.update(period_starts_at=F("period_starts_at") - day, period_ends_at=F("period_ends_at") - day)


def _selects(captured: CaptureQueriesContext) -> int:
    return sum(1 for query in captured.captured_queries if not query["sql"].startswith("SET "))
