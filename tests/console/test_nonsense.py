"""Every page with every parameter and every field full of nonsense: a sentence or an empty list, never a failure.

What a page asks for is found out by letting it ask, so a parameter that somebody adds is tried as well. Each page is
sent some of the nonsense, taking turns; `make test-slow` sends all of it to each.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from django.http import QueryDict
from django.test import Client
from pytest_django import DjangoDbBlocker

from tests.console.test_matrix import bytes_of
from tests.support.console import proved_lately
from tests.support.console_pages import OPS_BOOKS, OWN_BOOKS, ConsolePage, NoSample, console_pages
from tests.support.console_scene import Reader, Scene, demo_scene

SCRIPT: Final = "<script>alert(1)</script>"
NONSENSE: Final = (
    SCRIPT + "\N{RIGHT-TO-LEFT OVERRIDE}\N{PILE OF POO}" + "x" * 300,
    "nul\0 and \x1b[2J\r\nX-Injected: 1",
    '=HYPERLINK("//evil.example/")',
    "9" * 400,
    "-1e9",
    "9999-12-31",
    "//evil.example/",
)
some_or_all = pytest.mark.parametrize(
    "is_all", [pytest.param(False, id="some"), pytest.param(True, id="all", marks=pytest.mark.full)]
)
#: Whoever sends these is somebody else afterwards; they come last.
LAST: Final = ("logout", "sign_out", "end_act_as", "operator_", "close", "revoke", "remove", "leave")


@pytest.fixture(scope="module")
def scene(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        patch.setattr("django.conf.settings.PASSWORD_HASHERS", ["tests.support.hashing.QuickArgon2PasswordHasher"])
        # Some pages are there only where mail is sent.
        patch.setattr("django.conf.settings.SENDS_MAIL", True)
        with demo_scene(tmp_path_factory.mktemp("scene")) as scene:
            yield scene


@pytest.fixture(autouse=True)
def _database(database: None, scene: Scene) -> None:
    pass


@pytest.fixture(scope="module")
def browsers(scene: Scene) -> dict[Reader, Client]:
    return {reader: proved_lately(scene.browser(reader)) for reader in (Reader.OWNER, Reader.OPS_OWNER)}


def pages() -> list[ConsolePage]:
    """A tenant's pages on the operators' side too, where more of them may be sent."""
    return sorted(console_pages(), key=lambda page: any(word in page.name for word in LAST))


@contextmanager
def names_asked() -> Iterator[set[str]]:
    """Which names of a query or of a form are looked up meanwhile."""
    found: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        for method in ("get", "__getitem__", "getlist"):
            patch.setattr(QueryDict, method, _telling(getattr(QueryDict, method), found))
        yield found


def _telling(method: Any, found: set[str]) -> Any:
    def looked_up(self: Any, name: Any, *more: Any, **named: Any) -> Any:
        found.add(name)
        return method(self, name, *more, **named)

    return looked_up


def nonsense(page: ConsolePage, *, is_all: bool) -> tuple[str, ...]:
    """The script always; of the rest two, unless all are asked for."""
    if is_all:
        return NONSENSE
    first, *others = NONSENSE
    return (first, *(others[(page.turn + 3 * n) % len(others)] for n in range(2)))


@some_or_all
@pytest.mark.parametrize("page", pages(), ids=lambda page: page.id)
def test_nonsense_is_answered(page: ConsolePage, scene: Scene, browsers: dict[Reader, Client], *, is_all: bool) -> None:
    browser = browsers[Reader.OWNER if page.namespace == OWN_BOOKS else Reader.OPS_OWNER]
    try:
        address = page.address(scene.samples)
    except NoSample:
        pytest.skip("has an argument of which the scene has none")
    is_sent = page.acts is None or page.acts.send is not None
    for send in (browser.get, browser.post) if is_sent else (browser.get,):
        with names_asked() as asked:
            bytes_of(send(address))
        for value in nonsense(page, is_all=is_all):
            answer = send(address, dict.fromkeys(asked, value))
            content = bytes_of(answer)

            assert answer.status_code < 500
            assert "default-src 'none'" in answer["Content-Security-Policy"]
            assert answer["X-Content-Type-Options"] == "nosniff"
            assert not answer.headers.get("Location", "").startswith("//")
            if answer.headers.get("Content-Type", "").startswith("text/html"):
                assert SCRIPT.encode() not in content
            elif content and answer.status_code == 200:
                assert answer["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "page", [page for page in pages() if page.arguments and page.namespace != OPS_BOOKS], ids=lambda page: page.id
)
def test_nonsense_in_the_address_is_answered(page: ConsolePage, scene: Scene, browsers: dict[Reader, Client]) -> None:
    browser = browsers[Reader.OWNER if page.namespace == OWN_BOOKS else Reader.OPS_OWNER]
    nothing = dict.fromkeys(page.arguments, "nothing")
    for argument in page.arguments:
        for value in (SCRIPT + "nul\0\r\n", "9" * 60):
            address = page.address({**nothing, **scene.samples, argument: value, f"{page.name}.{argument}": value})
            for send in (browser.get, browser.post):
                answer = send(address)

                assert answer.status_code < 500
                assert SCRIPT.encode() not in bytes_of(answer)
