"""A real browser: Debian's Chromium, driven by Playwright, in a profile of its own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from django.conf import settings
from playwright.sync_api import ConsoleMessage, Page, Playwright

PHONE_WIDTH: Final = 390
DESKTOP_WIDTH: Final = 1280
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_AXE: Final = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"


def find_chromium() -> str | None:
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


@dataclass(slots=True)
class Tab:
    """One page and what its console said: a broken policy or a script's error is said there."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def sign_in(self, url: str, *, email: str, password: str) -> None:
        self.page.goto(url)
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.wait_for_url("**/ops/")

    def be(self, session: str, *, url: str) -> None:
        """From now on whoever this session belongs to, without a sign-in."""
        self.page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": url}])

    def show(self, *, scheme: Literal["light", "dark"] = "light", width: int = DESKTOP_WIDTH) -> None:
        """The page as it stands, in other light or on another screen."""
        self.page.emulate_media(color_scheme=scheme)
        self.page.set_viewport_size({"width": width, "height": 844 if width == PHONE_WIDTH else 860})

    def axe_violations(self, *, only: str = "") -> list[str]:
        """What axe finds wrong on the page as it stands, one line each; by the one rule `only`, or by all.

        All are those of axe's own choice and the one about the size of targets (WCAG 2.2 AA: 24 px).
        """
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(_AXE.read_text())
        options: dict[str, Any] = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
        if only:
            options = {"resultTypes": ["violations"], "runOnly": [only]}
        result: dict[str, Any] = self.page.evaluate("options => axe.run(document, options)", options)
        return [
            f"{violation['id']}: {violation['help']}: {node['html'][:160]}"
            for violation in result["violations"]
            for node in violation["nodes"]
        ]

    def scrolls_sideways(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


@contextmanager
def open_tab(
    playwright: Playwright,
    profile: Path,
    *,
    width: int = DESKTOP_WIDTH,
    scheme: Literal["light", "dark"] = "light",
    javascript: bool = True,
) -> Iterator[Tab]:
    context = playwright.chromium.launch_persistent_context(
        profile,
        executable_path=find_chromium(),
        headless=True,
        args=[*_FLAGS],
        color_scheme=scheme,
        java_script_enabled=javascript,
        viewport={"width": width, "height": 844 if width == PHONE_WIDTH else 860},
    )
    tab = Tab(context.pages[0] if context.pages else context.new_page())

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            tab.complaints.append(message.text)

    tab.page.on("console", note)
    tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    try:
        yield tab
    finally:
        context.close()
