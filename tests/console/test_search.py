"""Going somewhere by name, and in which colours."""

import re

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import User
from kernel.ids import mint_wire_id, uuid7
from kernel.pages.navigation import OPS_NAVIGATION
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.console import DOLLAR, signed_in


def words(client: Client, address: str) -> list[str]:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return re.findall(r'class="found-words">([^<]*)<', answer.content.decode())


class TestPlatform:
    def test_finds_pages_and_tenants_by_name_and_slug(self, acme: Tenant, browser: Client) -> None:
        assert "Denials" in words(browser, "/ops/search/?q=deni")
        assert words(browser, "/ops/search/?q=corporat") == ["Acme Corporation (acme)"]
        assert words(browser, "/ops/search/?q=acme") == ["Acme Corporation (acme)"]

    def test_lists_every_page_before_anything_is_typed(self, browser: Client) -> None:
        shown = words(browser, "/ops/search/")
        lines = {line.words for group in OPS_NAVIGATION for line in group.lines}

        assert {"Overview", "Tenants"} <= set(shown) <= lines

    def test_goes_straight_to_the_decision_with_this_id(self, books: Books, browser: Client) -> None:
        wire_id = mint_wire_id("dec", books.tenant.tag, books.ask("reserve", amount=DOLLAR).id)

        answer = browser.get(f"/ops/search/?q=+{wire_id}+")

        assert answer["Location"] == f"/ops/tenants/acme/decisions/{wire_id}/"

    def test_gives_htmx_what_was_found_alone(self, acme: Tenant, browser: Client) -> None:
        part = browser.get("/ops/search/?q=acme", headers={"HX-Request": "true", "HX-Request-Type": "partial"})

        assert b"Acme Corporation" in part.content
        assert b"<html" not in part.content

    @pytest.mark.parametrize("search", ["", "%00", "x" * 5000, "%3Cscript%3E", "%FF", "dec_nothing"])
    def test_strange_words_are_found_nowhere_and_shown_as_text(self, browser: Client, search: str) -> None:
        assert b"<script>" not in browser.get(f"/ops/search/?q={search}").content


class TestTenant:
    def test_finds_its_own_pages_and_names_no_other_tenant(self, acme: Tenant, initech: Tenant, ada: User) -> None:
        browser = signed_in(ada)

        assert "Overview" in words(browser, "/t/acme/search/?q=over")
        assert not [found for found in words(browser, "/t/acme/search/?q=initech") if "(" in found]

    def test_goes_to_its_own_decision_and_to_no_other_tenants(self, books: Books, initech: Tenant, ada: User) -> None:
        own = mint_wire_id("dec", books.tenant.tag, books.ask("reserve", amount=DOLLAR).id)
        other = mint_wire_id("dec", initech.tag, uuid7())
        browser = signed_in(ada)

        assert browser.get(f"/t/acme/search/?q={own}")["Location"] == f"/t/acme/decisions/{own}/"
        assert browser.get(f"/t/acme/search/?q={other}").status_code == 200


class TestTheme:
    def test_is_kept_and_said_on_the_root_element(self, browser: Client) -> None:
        answer = browser.post("/theme/", {"theme": "dark", "next": "/ops/denials/"})

        assert (answer.status_code, answer["Location"]) == (303, "/ops/denials/")
        assert 'data-theme="dark"' in browser.get("/ops/").content.decode()
        browser.post("/theme/", {"theme": "auto"})
        assert "data-theme" not in browser.get("/ops/").content.decode()

    @pytest.mark.parametrize("elsewhere", ["//evil.test/", "https://evil.test/", "javascript:alert(1)", ""])
    def test_never_leads_to_another_host(self, browser: Client, elsewhere: str) -> None:
        assert browser.post("/theme/", {"theme": "light", "next": elsewhere})["Location"] == "/"

    def test_nonsense_is_passed_over(self, browser: Client) -> None:
        browser.post("/theme/", {"theme": '"><script>'})
        browser.cookies[settings.THEME_COOKIE_NAME] = '"><script>'

        assert "data-theme" not in browser.get("/ops/").content.decode()
