"""A forgotten password from the sign-in page to the next sign-in, in a real browser and by a real mail."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, Request, expect, sync_playwright
from pytest_django import DjangoDbBlocker

from accounts.models import OperatorRole
from tests.browser.chromium import find_chromium, open_tab
from tests.browser.console_process import running_console
from tests.browser.gallery import Gallery, View
from tests.plugins.servers import ROOT
from tests.support.console import person
from tests.support.console_scene import Reader
from tests.support.mail_server import MailServer, listening_for_mail

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed: apt-get install chromium"),
]

EMAIL = "olive@example.test"
NEW = "the-heron-stands-in-the-ford"


@dataclass(frozen=True, slots=True)
class Stage:
    """The console, and the mail server that it sends by."""

    url: str
    mail: MailServer
    log: Path


@pytest.fixture(scope="module")
def stage(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    log = tmp_path_factory.mktemp("console") / "log"
    with (
        listening_for_mail() as mail,
        running_console(log, WATERMASTER_OPERATOR_MFA="optional", EMAIL_URL=mail.url) as url,
    ):
        yield Stage(url=url, mail=mail, log=log)


@pytest.fixture(scope="module")
def playwright(stage: Stage) -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(autouse=True)
def olive(stage: Stage, playwright: Playwright, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        # Playwright keeps an event loop in this thread, and Django takes the test for a part of it.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "yes")
        with person("olive", OperatorRole.OWNER):
            yield


def link_in(mail: MailServer, count: int) -> str:
    """The link in the mail that came as the one with this number."""
    message = mail.wait_for(count)[count - 1]
    assert message["To"] == EMAIL
    found = re.search(r"^http://\S+/accounts/password/reset/\S+$", message.get_content(), re.MULTILINE)
    assert found is not None, message.get_content()
    return found[0]


class TestPasswordReset:
    def test_leads_from_the_sign_in_page_to_the_next_sign_in(
        self, stage: Stage, playwright: Playwright, tmp_path: Path
    ) -> None:
        already = len(stage.mail.received)
        with open_tab(playwright, tmp_path, javascript=False) as tab:
            page = tab.page
            told: list[str] = []

            def note(request: Request) -> None:
                told.append(request.headers.get("referer", ""))

            page.on("request", note)
            page.goto(f"{stage.url}/accounts/login/")
            page.get_by_role("link", name="Forgot your password?").click()
            page.get_by_label("E-mail").fill(EMAIL)
            page.get_by_role("button", name="Send the link").click()
            expect(page.get_by_role("heading")).to_have_text("Look into your mail")

            link = link_in(stage.mail, already + 1)
            page.goto(link)
            page.get_by_label("New password, 12 characters at least").fill(NEW)
            page.get_by_label("New password again").fill(NEW)
            page.get_by_role("button", name="Change password").click()
            expect(page.get_by_role("status")).to_have_text("Your password is changed. Sign in with it.")
            tab.sign_in(f"{stage.url}/accounts/login/", email=EMAIL, password=NEW)

            page.goto(link)
            expect(page.get_by_role("heading")).to_have_text("This link does not work any more")
            proof = link.rstrip("/").rpartition("-")[2]
            assert [each for each in told if proof in each] == []
            assert proof not in stage.log.read_text()

    def test_pages_can_be_used_by_everybody(self, stage: Stage, playwright: Playwright, tmp_path: Path) -> None:
        already = len(stage.mail.received)
        pictures = ROOT / "var" / "screenshots"
        pictures.mkdir(parents=True, exist_ok=True)
        gallery = Gallery(pictures)
        with open_tab(playwright, tmp_path) as tab:
            for name, path in {
                "password-offer": "login/",
                "password-ask": "password/reset/",
                "password-sent": "password/reset/sent/",
            }.items():
                gallery.look_at(tab, View(name, f"/accounts/{path}", Reader.SIGNED_OUT), url=stage.url)
            tab.page.goto(f"{stage.url}/accounts/password/reset/")
            tab.page.get_by_label("E-mail").fill(EMAIL)
            tab.page.get_by_role("button", name="Send the link").click()
            tab.page.goto(link_in(stage.mail, already + 1))
            choose = View("password-choose", "/accounts/password/reset/choose/", Reader.SIGNED_OUT)
            gallery.look_at(tab, choose, url=stage.url)
            tab.page.context.clear_cookies()
            tab.page.goto(stage.url + choose.address)
            over = tab.axe_violations()
            tab.page.screenshot(path=pictures / "password-over-light.png", full_page=True)

        assert gallery.wrong == {}
        assert over == []
