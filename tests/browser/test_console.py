"""The console in a real browser: signing in, finding acme, and pages that everybody can use."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import pytest
from playwright.sync_api import Playwright, expect, sync_playwright
from pytest_django import DjangoDbBlocker

from accounts.models import OperatorRole
from budgets.services.lifecycle import create_tenant
from budgets.services.switches import throw_switch
from kernel.actor import Actor
from kernel.stops import Stop
from kernel.switches import SwitchLevel
from tenants.models import Tenant
from tenants.services.provisioning import NewTenant
from tests.browser.chromium import DESKTOP_WIDTH, PHONE_WIDTH, Tab, find_chromium, open_tab
from tests.browser.console_process import running_console
from tests.plugins.servers import ROOT
from tests.support.books import Books
from tests.support.console import CENT, DOLLAR, PASSWORD, day_bounds, explain_address, person, play_busy_day
from tests.support.rules import SMALL, denying, rule
from tests.support.tenants import drop_tenant

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed: apt-get install chromium"),
]

TABLET_WIDTH: Final = 820
#: Tables that reach beyond the panel they are in, and cannot be moved there.
_CUT_OFF: Final = """() => [...document.querySelectorAll("main .panel")]
    .filter((panel) => panel.scrollWidth > panel.clientWidth)
    .filter((panel) => !["auto", "scroll"].includes(getComputedStyle(panel).overflowX))
    .map((panel) => panel.innerText.slice(0, 60))"""
SCREENSHOTS: Final = ROOT / "var" / "screenshots"


@dataclass(frozen=True, slots=True)
class Console:
    """A running console process with something to see. `pages` are addresses by name."""

    url: str
    email: str
    pages: dict[str, str]


@pytest.fixture(scope="module")
def console(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Console]:
    with (
        pytest.MonkeyPatch.context() as patch,
        django_db_blocker.unblock(),
        person("olive", OperatorRole.OWNER) as olive,
    ):
        # Playwright keeps an event loop in this thread, and Django takes the test for a part of it.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "yes")
        tenants: list[Tenant] = []
        try:
            pages = _set_scene(tenants)
            with running_console(
                tmp_path_factory.mktemp("console") / "log", WATERMASTER_OPERATOR_MFA="optional"
            ) as url:
                yield Console(url=url, email=olive.email, pages=pages)
        finally:
            for tenant in tenants:
                drop_tenant(tenant)


@pytest.fixture(scope="module")
def playwright(console: Console) -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


class TestOperator:
    def test_signs_in_finds_acme_and_reads_why_a_call_was_denied(
        self, console: Console, playwright: Playwright, tmp_path: Path
    ) -> None:
        with open_tab(playwright, tmp_path) as tab:
            tab.sign_in(console.url, email=console.email, password=PASSWORD)
            page = tab.page
            page.get_by_role("link", name="Acme Corporation", exact=True).click()
            expect(page.get_by_role("heading", level=1)).to_have_text("Acme Corporation")
            page.get_by_role("link", name="Why this reservation was denied").nth(2).click()
            expect(page.locator(".banner")).to_contain_text("workspace marketing had $0.41 left")
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")

            assert tab.complaints == []

    def test_filters_tenants_while_typing_and_keeps_the_filter_in_the_address(
        self, console: Console, playwright: Playwright, tmp_path: Path
    ) -> None:
        with open_tab(playwright, tmp_path) as tab:
            tab.sign_in(console.url, email=console.email, password=PASSWORD)
            tab.page.goto(f"{console.url}/ops/tenants/")
            tab.page.get_by_label("Name or slug").press_sequentially("ini")
            expect(tab.page.get_by_role("link", name="Acme Corporation", exact=True)).to_have_count(0)
            expect(tab.page.get_by_role("link", name="Initech", exact=True)).to_be_visible()
            tab.page.wait_for_url("**q=ini**")

            assert tab.page.get_by_label("Name or slug").input_value() == "ini"
            assert tab.complaints == []

    def test_does_the_same_without_javascript(self, console: Console, playwright: Playwright, tmp_path: Path) -> None:
        with open_tab(playwright, tmp_path, javascript=False) as tab:
            tab.sign_in(console.url, email=console.email, password=PASSWORD)
            tab.page.goto(f"{console.url}/ops/tenants/")
            tab.page.get_by_label("Name or slug").fill("ini")
            tab.page.get_by_role("button", name="Filter").click()
            expect(tab.page.get_by_role("link", name="Initech", exact=True)).to_be_visible()
            expect(tab.page.get_by_role("link", name="Acme Corporation", exact=True)).to_have_count(0)

    def test_reaches_the_content_with_the_keyboard_first(
        self, console: Console, playwright: Playwright, tmp_path: Path
    ) -> None:
        with open_tab(playwright, tmp_path) as tab:
            tab.sign_in(console.url, email=console.email, password=PASSWORD)
            tab.page.keyboard.press("Tab")
            expect(tab.page.locator(":focus")).to_have_text("Skip to content")
            tab.page.keyboard.press("Enter")
            expect(tab.page.locator(":focus")).to_have_id("main")


class TestEveryPage:
    @pytest.mark.parametrize(("scheme", "width"), [("light", DESKTOP_WIDTH), ("dark", PHONE_WIDTH)])
    def test_is_accessible_and_fits(
        self, console: Console, playwright: Playwright, tmp_path: Path, scheme: Literal["light", "dark"], width: int
    ) -> None:
        found: dict[str, list[str]] = {}
        with open_tab(playwright, tmp_path, scheme=scheme, width=width) as tab:
            tab.page.goto(console.url)
            found["sign_in"] = _look_at(tab, f"sign_in-{scheme}-{width}")
            tab.sign_in(console.url, email=console.email, password=PASSWORD)
            for name, address in console.pages.items():
                tab.page.goto(console.url + address)
                found[name] = _look_at(tab, f"{name}-{scheme}-{width}")

        assert {name: complaints for name, complaints in found.items() if complaints} == {}


class TestOnAPhone:
    def test_the_tab_of_the_page_is_in_sight(self, console: Console, playwright: Playwright, tmp_path: Path) -> None:
        with open_tab(playwright, tmp_path, width=PHONE_WIDTH) as tab:
            tab.sign_in(console.url, email=console.email, password=PASSWORD)
            tab.page.goto(f"{console.url}/ops/tenants/acme/audit/")

            expect(tab.page.locator(".tenant-tabs [aria-current]")).to_be_in_viewport()
            assert tab.page.evaluate("window.scrollY") == 0


class TestOnATablet:
    def test_nothing_is_cut_off(self, console: Console, playwright: Playwright, tmp_path: Path) -> None:
        found: dict[str, list[str]] = {}
        with open_tab(playwright, tmp_path, width=TABLET_WIDTH) as tab:
            tab.sign_in(console.url, email=console.email, password=PASSWORD)
            for name, address in (console.pages | {"audit": "/ops/tenants/acme/audit/"}).items():
                tab.page.goto(console.url + address)
                found[name] = tab.page.evaluate(_CUT_OFF)
                assert not tab.scrolls_sideways()

        assert {name: cut for name, cut in found.items() if cut} == {}


def _look_at(tab: Tab, name: str) -> list[str]:
    """Everything that is wrong with the page; keeps a picture of it for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    tab.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    complaints = [*tab.axe_violations(), *tab.complaints]
    tab.complaints.clear()
    return [*complaints, "scrolls sideways"] if tab.scrolls_sideways() else complaints


def _set_scene(tenants: list[Tenant]) -> dict[str, str]:
    def books(slug: str, name: str, time_zone: str) -> Books:
        tenant = create_tenant(NewTenant(slug=slug, name=name, time_zone=time_zone), now=datetime.now(UTC))
        tenants.append(tenant)
        return Books(tenant)

    acme = books("acme", "Acme Corporation", "Asia/Kolkata")
    denied = play_busy_day(acme)
    acme.add_key(scope_filter=["tenant:acme/workspace:support"])
    initech = books("initech", "Initech", "America/New_York")
    initech.add_budget(allocated=5 * DOLLAR, **day_bounds(initech.tenant))
    hold = initech.ask("reserve", amount=470 * CENT)
    initech.ask("commit", target=hold.id, amount=469 * CENT)
    initech.ask("reserve", amount=50 * CENT)
    long_name = "Consolidated Widget Manufacturing and Distribution of Northern Europe"
    globex = books("globex", long_name, "Europe/Berlin")
    globex.add_budget(allocated=DOLLAR)
    globex.ask("reserve", amount=DOLLAR)
    books("umbrella", "Umbrella Labs", "UTC")
    hooli = books("hooli", "Hooli", "Europe/London")
    return _decisions_by_rules(hooli) | {
        "overview": "/ops/",
        "denials": "/ops/denials/",
        "denials-none": "/ops/denials/?after=zzz",
        "tenants": "/ops/tenants/",
        "tenants-none": "/ops/tenants/?q=nobody",
        "tenant": "/ops/tenants/acme/",
        "tenant-empty": "/ops/tenants/umbrella/",
        "decisions": "/ops/tenants/acme/decisions/",
        "decision-denied": explain_address(acme, denied),
        "decision-allowed": explain_address(initech, hold.id),
    }


def _decisions_by_rules(books: Books) -> dict[str, str]:
    """A call with everything that rules can give, one that shadow mode let through, and one that a switch stopped."""
    books.add_budget(allocated=100 * DOLLAR)
    price = {"input": 15 * 10**6, "output": 60 * 10**6, "source": "list", "version": "2026-11-20/7"}
    timeouts = {"total_ms": 30_000, "model_ms": 12_500, "tools": {"zendesk.search": 2_000}}
    rule(
        books,
        models={"openai:gpt-4o-mini": SMALL | {"price": price}},
        classes={"chat": {"tier": "small", "output_tokens_max": 500, "timeouts": timeouts}},
        run={"iterations_max": 25, "tokens_max": 200_000, "wall_seconds_max": 900},
        tools={"default": "allow", "version": 3, "rules": [{"pattern": "slack.*", "verdict": "deny"}]},
        actions=denying("message.email"),
        shadow={"checks": ["actions"]},
    )
    facts = {"input_tokens": 1_000, "tools": ["slack.post", "zendesk.search"]}
    capped = books.ask("reserve", endpoint="admit", facts=facts, run="r-1")
    mail = {"kind": "message.email", "name": "smtp"}
    shadowed = books.ask("reserve", amount=CENT, action=mail)
    olive = Actor(name="olive@example.test", actor_type="admin", reason="")
    throw_switch(
        tag=books.tenant.tag,
        stop=Stop(level=SwitchLevel.AGENT, name="triage", reason="It answers its own mail"),
        actor=olive,
    )
    stopped = books.ask("reserve", amount=CENT, run="r-1", subject={"tenant": "hooli", "agent": "triage"})
    return {
        "decisions-by-rules": "/ops/tenants/hooli/decisions/",
        "decision-capped": explain_address(books, capped.id),
        "decision-shadowed": explain_address(books, shadowed.id),
        "decision-stopped": explain_address(books, stopped.id),
    }
