"""Every page of the console in a real browser: axe finds nothing, it fits a phone, and the keyboard reaches all of it.

`make test` looks at each page in one of the three modes; `make test-slow` at each in all of them, which takes minutes.
The pictures it takes on the way are those of `make screenshots`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Playwright, sync_playwright
from pytest_django import DjangoDbBlocker

from tests.browser.chromium import find_chromium, open_tab
from tests.browser.console_process import running_console
from tests.browser.gallery import MODES, Gallery, View, glance, views
from tests.plugins.servers import ROOT
from tests.support.console_scene import Reader, Scene, demo_scene

pytestmark = [
    pytest.mark.slow(40),
    pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed: apt-get install chromium"),
]

#: So that several processes can look at once.
PARTS: Final = 3
SCREENSHOTS: Final = ROOT / "var" / "screenshots"


@pytest.fixture(scope="module")
def scene(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        # Playwright keeps an event loop in this thread, and Django takes the test for a part of it.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "yes")
        with demo_scene(tmp_path_factory.mktemp("scene")) as scene:
            yield scene


@pytest.fixture(scope="module")
def seen(scene: Scene) -> list[View]:
    """What there is to look at."""
    return views(scene)


@pytest.fixture(scope="module")
def url(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_console(tmp_path_factory.mktemp("console") / "log") as url:
        yield url


@pytest.fixture(scope="module")
def playwright(url: str) -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


def by_reader(views: list[View]) -> Iterator[tuple[Reader, list[View]]]:
    for reader in sorted({view.reader for view in views}):
        yield reader, [view for view in views if view.reader is reader]


class TestAtAGlance:
    @pytest.mark.parametrize("mode", [name for name, *_ in MODES])
    def test_is_accessible_and_needs_no_pointer(
        self, scene: Scene, seen: list[View], url: str, playwright: Playwright, tmp_path: Path, *, mode: str
    ) -> None:
        chosen = [view for view in seen if view.mode[0] == mode]
        wrong = []
        for reader, of_reader in by_reader(chosen):
            with open_tab(playwright, tmp_path / reader.name) as tab:
                if reader is not Reader.SIGNED_OUT:
                    tab.be(scene.session(reader), url=url)
                wrong += [f"{view.name}: {line}" for view in of_reader for line in glance(tab, view, url=url)]

        assert not wrong, "\n".join(wrong)
        assert chosen


@pytest.mark.full
@pytest.mark.slow(130)
class TestEveryPage:
    @pytest.mark.parametrize("part", range(PARTS))
    def test_is_accessible_fits_a_phone_and_needs_no_pointer(
        self, scene: Scene, seen: list[View], url: str, playwright: Playwright, tmp_path: Path, *, part: int
    ) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        gallery = Gallery(SCREENSHOTS)
        for reader, of_reader in by_reader(seen[part::PARTS]):
            with open_tab(playwright, tmp_path / reader.name) as tab:
                if reader is not Reader.SIGNED_OUT:
                    tab.be(scene.session(reader), url=url)
                for view in of_reader:
                    gallery.look_at(tab, view, url=url)
        gallery.write(part)

        wrong = [
            f"{view}, {mode}: {line}" for view, modes in gallery.wrong.items() for mode in modes for line in modes[mode]
        ]
        assert not wrong, "\n".join(wrong)
