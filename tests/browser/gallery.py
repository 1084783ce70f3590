"""Every page of the console as people see it: opened one after the other, looked at in each mode, and kept as pictures.

A page is loaded once; light, dark and a phone's width are shown of it without asking for it again, unless it draws.
`glance` is the short form: one mode a page, and no pictures.
"""

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Page

from tests.browser.chromium import DESKTOP_WIDTH, PHONE_WIDTH, Tab
from tests.support.console_pages import OWN_BOOKS, ConsolePage, console_pages
from tests.support.console_scene import Reader, Scene

type Scheme = Literal["light", "dark"]

type Mode = tuple[str, Scheme, int]

#: Name, colours and width of each way to look at a page.
MODES: Final[tuple[Mode, ...]] = (
    ("light", "light", DESKTOP_WIDTH),
    ("dark", "dark", DESKTOP_WIDTH),
    ("390", "light", PHONE_WIDTH),
)
_NO_PAGES: Final = frozenset({"accounts:sign_out", "explain", "home"})


@dataclass(frozen=True, slots=True)
class View:
    """One address, for one reader; `name` is what its pictures are called."""

    name: str
    address: str
    reader: Reader

    @property
    def mode(self) -> Mode:
        """The one in which a glance shows it: always the same, whatever other pages there are."""
        return MODES[zlib.crc32(self.name.encode()) % len(MODES)]


@dataclass(slots=True)
class Gallery:
    """`findings` are axe's and our own, by page and mode; empty where nothing is wrong."""

    folder: Path
    findings: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    @property
    def wrong(self) -> dict[str, dict[str, list[str]]]:
        return {
            name: {mode: lines for mode, lines in modes.items() if lines}
            for name, modes in self.findings.items()
            if any(modes.values())
        }

    def look_at(self, tab: Tab, view: View, *, url: str) -> None:
        """Open the page, keep its pictures and note what is wrong with it."""
        found = self.findings[view.name] = {}
        tab.complaints.clear()
        answer = tab.page.goto(url + view.address)
        tab.page.wait_for_load_state("networkidle")
        if answer is None or answer.status >= 400:
            found["light"] = [f"answers {answer and answer.status}"]
            return
        draws = bool(tab.page.evaluate("document.querySelector('canvas') !== null"))
        for mode, scheme, width in MODES:
            tab.show(scheme=scheme, width=width)
            if draws and mode != "light":
                tab.page.reload(wait_until="networkidle")
            found[mode] = _faults(tab, mode)
            tab.page.screenshot(path=self.folder / f"{view.name}-{mode}.png", full_page=True)
        tab.show()
        if unreached := _unreached(tab.page):
            found["light"] += [f"Tab does not reach {element}" for element in unreached]

    def write(self, part: int) -> None:
        """axe-<part>.json beside the pictures."""
        text = json.dumps(self.findings, indent=1, ensure_ascii=False) + "\n"
        (self.folder / f"axe-{part}.json").write_text(text)


def glance(tab: Tab, view: View, *, url: str) -> list[str]:
    """Open the page in its one mode: what is wrong with it there, and what the keyboard does not reach in `light`."""
    mode, scheme, width = view.mode
    tab.complaints.clear()
    tab.show(scheme=scheme, width=width)
    answer = tab.page.goto(url + view.address)
    if answer is None or answer.status >= 400:
        return [f"answers {answer and answer.status}"]
    if tab.page.locator("canvas, [hx-trigger=load]").count():
        tab.page.wait_for_load_state("networkidle")
    found = _faults(tab, mode)
    if mode == MODES[0][0]:
        found += [f"Tab does not reach {element}" for element in _unreached(tab.page)]
    return found


def views(scene: Scene) -> list[View]:
    """Every page of the URL conf that shows something, and some that are empty or refuse."""
    found = [view for page in console_pages() if (view := _view(page, scene))]
    extra = {
        "sign-in": ("/accounts/login/", Reader.SIGNED_OUT),
        "tenant_list-none": ("/ops/tenants/?q=nobody", Reader.OPS_OWNER),
        "decision-allowed": (f"/t/acme/decisions/{scene.samples['allowed_id']}/", Reader.OWNER),
    }
    return [*found, *(View(name, *place) for name, place in extra.items())]


def _view(page: ConsolePage, scene: Scene) -> View | None:
    """None for what is no page of its own: acts by POST alone, files, parts, and addresses that lead elsewhere."""
    reader = Reader.OWNER if page.namespace == OWN_BOOKS else Reader.OPS_OWNER
    if page.id in _NO_PAGES or (
        page.is_guarded and (page.acts is None or page.acts.see not in (reader.may(page.namespace) or ()))
    ):
        return None
    if page.arguments and not page.is_guarded and page.namespace != "accounts":
        # A library's page about one thing, which nobody in the scene has.
        return None
    address = page.address(scene.samples)
    client = scene.browser(reader)
    client.raise_request_exception = False
    answer = client.get(address)
    view = View(page.id.replace(":", "-"), address, reader)
    if answer.status_code >= 400:
        # What is not there in the scene is fine outside of the gate; what fails is not, and is found by looking at it.
        return view if page.is_guarded or answer.status_code >= 500 else None
    is_page = answer.headers.get("Content-Type", "").startswith("text/html")
    return view if answer.status_code == 200 and is_page and b"<html" in answer.content else None


def _faults(tab: Tab, mode: str) -> list[str]:
    # Only colours differ in the dark, and only room on a phone.
    found = tab.axe_violations(only="color-contrast" if mode == "dark" else "")
    found += tab.complaints
    tab.complaints.clear()
    return [*found, "scrolls sideways"] if tab.scrolls_sideways() else found


_FOCUSABLE: Final = "a[href], button:not([disabled]), input:not([type=hidden], [disabled]), select, textarea, summary"
_WATCH: Final = """selector => {
  window.reached = new Set();
  document.addEventListener('focusin', (event) => window.reached.add(event.target));
  const shown = [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility({visibilityProperty: true}));
  window.due = shown.filter((e) => e.tabIndex >= 0 && !e.closest('dialog:not([open])'));
  window.passedOver = shown.filter((e) => e.tabIndex < 0);
  document.body.tabIndex = -1;
  document.body.focus();
  // Parts of a date and boxes that scroll are stops of their own.
  return window.due.length + 4 * document.querySelectorAll('input[type=date], input[type=datetime-local]').length + 12;
}"""
# Of radio buttons with one name, Tab reaches the one that is chosen.
_MISSED: Final = """() => window.due
  .filter((e) => !window.reached.has(e) && e.type !== 'radio')
  .concat(window.passedOver)
  .map((e) => e.outerHTML.slice(0, 120))"""


def _unreached(page: Page) -> list[str]:
    """What can be used with a pointer and is not reached by pressing Tab."""
    count: int = page.evaluate(_WATCH, _FOCUSABLE)
    for _ in range(count):
        page.keyboard.press("Tab")
    missed: list[str] = page.evaluate(_MISSED)
    return missed
