"""Signing in in a real browser: with an authenticator app, and with a passkey that a virtual authenticator keeps."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, expect, sync_playwright
from pytest_django import DjangoDbBlocker

from accounts.models import OperatorRole
from tests.browser.chromium import DESKTOP_WIDTH, PHONE_WIDTH, Tab, find_chromium, open_tab
from tests.browser.console_process import running_console
from tests.support.console import PASSWORD, person
from tests.support.sign_in import code_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed: apt-get install chromium"),
]

EMAIL = "olive@example.test"


@pytest.fixture(scope="module")
def running(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    log = tmp_path_factory.mktemp("console") / "log"
    with running_console(log, WATERMASTER_OPERATOR_MFA="required") as url:
        # A passkey belongs to a name; a number has none.
        yield url.replace("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def playwright(running: str) -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture
def console(running: str, playwright: Playwright, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        # Playwright keeps an event loop in this thread, and Django takes the test for a part of it.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "yes")
        with person("olive", OperatorRole.OWNER):
            yield running


def enter_password(tab: Tab, url: str) -> None:
    tab.page.goto(url)
    tab.page.get_by_label("E-mail").fill(EMAIL)
    tab.page.get_by_label("Password").fill(PASSWORD)
    tab.page.get_by_role("button", name="Sign in", exact=True).click()


def set_up_app(tab: Tab) -> str:
    tab.page.get_by_role("link", name="Set up the app").click()
    secret = tab.page.locator("#totp-secret").inner_text()
    tab.page.get_by_label("Code that the app shows").fill(code_of(secret))
    tab.page.get_by_role("button", name="Turn it on").click()
    expect(tab.page.locator("#recovery-codes")).to_be_visible()
    return secret


class TestApp:
    def test_is_set_up_on_the_way_in_and_asked_for_from_then_on(
        self, console: str, playwright: Playwright, tmp_path: Path
    ) -> None:
        with open_tab(playwright, tmp_path, javascript=False) as tab:
            enter_password(tab, f"{console}/ops/tenants/")
            expect(tab.page.get_by_role("status").first).to_contain_text("Operators need a second factor")
            secret = set_up_app(tab)
            tab.page.get_by_role("link", name="Go on").click()
            tab.page.wait_for_url("**/ops/tenants/")
            tab.page.get_by_role("button", name="Sign out").click()

            enter_password(tab, f"{console}/ops/")
            # The next half minute's: the present one was used, and both stay good if the clock goes on meanwhile.
            tab.page.get_by_label("Code").fill(code_of(secret, steps=1))
            tab.page.get_by_role("button", name="Sign in", exact=True).click()
            tab.page.wait_for_url("**/ops/")

            assert tab.complaints == []


class TestPasskey:
    def test_is_made_and_signs_in_without_a_password(
        self, console: str, playwright: Playwright, tmp_path: Path
    ) -> None:
        with open_tab(playwright, tmp_path) as tab:
            session = tab.page.context.new_cdp_session(tab.page)
            session.send("WebAuthn.enable")
            session.send(
                "WebAuthn.addVirtualAuthenticator",
                {
                    "options": {
                        "protocol": "ctap2",
                        "transport": "internal",
                        "hasResidentKey": True,
                        "hasUserVerification": True,
                        "isUserVerified": True,
                        "automaticPresenceSimulation": True,
                    }
                },
            )
            enter_password(tab, f"{console}/accounts/2fa/")
            tab.page.get_by_role("link", name="Add a passkey").click()
            tab.page.get_by_label("Name, to tell it from others").fill("Laptop")
            tab.page.get_by_label("Sign in with it alone").check()
            tab.page.get_by_role("button", name="Make the passkey").click()
            expect(tab.page.locator("#recovery-codes")).to_be_visible()
            tab.page.get_by_role("button", name="Sign out").click()

            tab.page.get_by_role("button", name="Sign in with a passkey").click()
            tab.page.wait_for_url("**/ops/")
            tab.page.get_by_role("button", name="Sign out").click()

            enter_password(tab, f"{console}/ops/")
            tab.page.get_by_role("button", name="Use a passkey").click()
            tab.page.wait_for_url("**/ops/")

            assert tab.complaints == []


class TestPages:
    @pytest.mark.parametrize(
        ("width", "scheme"), [(DESKTOP_WIDTH, "light"), (DESKTOP_WIDTH, "dark"), (PHONE_WIDTH, "light")]
    )
    def test_can_be_used_by_everybody(
        self, console: str, playwright: Playwright, tmp_path: Path, width: int, scheme: str
    ) -> None:
        with open_tab(playwright, tmp_path, width=width, scheme=scheme) as tab:  # type: ignore[arg-type]
            seen = {"sign-in": _faults(tab, f"{console}/accounts/login/")}
            enter_password(tab, f"{console}/accounts/2fa/")
            for path in (
                "",
                "2fa/",
                "2fa/totp/activate/",
                "2fa/webauthn/",
                "2fa/webauthn/add/",
                "password/change/",
                "reauthenticate/",
                "sessions/",
            ):
                seen[path] = _faults(tab, f"{console}/accounts/{path}")
            tab.page.goto(f"{console}/accounts/2fa/")
            set_up_app(tab)
            seen["codes"] = _faults(tab)
            for path in ("operators/", "operators/invite/"):
                seen[path] = _faults(tab, f"{console}/ops/{path}")

            assert {name: faults for name, faults in seen.items() if faults} == {}
            assert tab.complaints == []


def _faults(tab: Tab, address: str | None = None) -> list[str]:
    if address:
        tab.page.goto(address)
    wide = ["scrolls sideways"] if tab.scrolls_sideways() else []
    return [*tab.axe_violations(), *wide]
