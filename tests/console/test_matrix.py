"""Every address of the console for everybody: who may see and do what, by the one table of roles and nothing else.

Everybody who may not is tried at every address. Of those who may, and of several strangers, two are at each, taking
turns; `make test-slow` has all of them everywhere.
"""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker

from tests.support.console_pages import OPS, OPS_BOOKS, OWN_BOOKS, ConsolePage, console_pages, guarded_pages
from tests.support.console_scene import Reader, Scene, demo_scene
from tests.support.markup import markup_of

HTML_KB_MAX: Final = 15
QUERIES_MAX: Final = 8
#: Pages that ask more of the database than others may, with the reason.
MORE_QUERIES: Final[dict[str, int]] = {}
#: Statements that are no question to the database; a session notes that it was seen once a minute, whoever looks then.
FREE: Final = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT", "SET ", 'UPDATE "django_session"')
#: How a page that may be seen answers.
SEEN: Final = frozenset({200, 302, 303})
#: What a view may answer to whom the table lets in: an empty form is refused (422), or what it would do is done.
DONE: Final = frozenset({200, 202, 204, 302, 303, 400, 409, 422})

every_page = pytest.mark.parametrize("page", guarded_pages(), ids=lambda page: page.id)
two_or_all = pytest.mark.parametrize(
    "is_all", [pytest.param(False, id="two"), pytest.param(True, id="all", marks=pytest.mark.full)]
)


@pytest.fixture(scope="module")
def scene(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        patch.setattr("django.conf.settings.PASSWORD_HASHERS", ["tests.support.hashing.QuickArgon2PasswordHasher"])
        with demo_scene(tmp_path_factory.mktemp("scene")) as scene:
            yield scene


@pytest.fixture(autouse=True)
def _database(database: None, scene: Scene) -> None:
    pass


@pytest.fixture(scope="module")
def browsers(scene: Scene) -> dict[Reader, Client]:
    return {reader: scene.browser(reader) for reader in Reader}


@dataclass(frozen=True, slots=True)
class Told:
    """All that somebody can see of an answer."""

    status: int
    content: bytes
    headers: tuple[tuple[str, str], ...]


def told(browser: Client, method: str, address: str) -> Told:
    answer = browser.generic(method, address)
    return Told(answer.status_code, bytes_of(answer), tuple(sorted(answer.headers.items())))


def bytes_of(answer: object) -> bytes:
    """What the answer says, streamed or not."""
    if getattr(answer, "streaming", False):
        return b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    return bytes(answer.content)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def nothing(browsers: dict[Reader, Client]) -> dict[tuple[Reader, str], Told]:
    """What each reader is told of addresses at which there is nothing, whoever asks."""
    found: dict[tuple[Reader, str], Told] = {}
    for reader in set(Reader) - {Reader.SIGNED_OUT}:
        for method in ("GET", "POST"):
            answers = {told(browsers[reader], method, address) for address in ("/ops/nothing/", "/t/nobody/")}
            assert len(answers) == 1, (reader, method)
            (found[reader, method],) = answers
            assert found[reader, method].status == 404
    return found


@every_page
def test_every_view_names_its_acts(page: ConsolePage) -> None:
    assert page.acts is not None, f"{page.id} is closed to everybody: decorate it with @page(Act.…)"
    assert page.acts.see or page.acts.send


def turns(page: ConsolePage, readers: Sequence[Reader], *, is_all: bool) -> Sequence[Reader]:
    """Two of those of whom the same is expected, other ones at other pages."""
    first = page.turn % max(len(readers), 1)
    return readers if is_all else [*readers[first:], *readers[:first]][:2]


@two_or_all
@every_page
def test_only_those_look_whom_the_table_lets(
    page: ConsolePage, scene: Scene, browsers: dict[Reader, Client], *, is_all: bool
) -> None:
    may = [reader for reader in Reader if _expected_look(page, reader) == SEEN]
    readers = [*(set(Reader) - set(may)), *turns(page, may, is_all=is_all)]
    found = {
        reader: (_expected_look(page, reader), _look(browsers[reader], page.address(scene.samples)))
        for reader in readers
    }

    assert {reader: pair for reader, pair in found.items() if pair[1] not in pair[0]} == {}


@every_page
def test_only_those_send_whom_the_table_lets(page: ConsolePage, scene: Scene, browsers: dict[Reader, Client]) -> None:
    address = page.address(scene.samples)
    # Who may is asked last: what they send may change the scene.
    readers = sorted(Reader, key=lambda reader: _expected_send(page, reader) == DONE)
    found = {reader: (_expected_send(page, reader), browsers[reader].post(address).status_code) for reader in readers}

    assert {reader: pair for reader, pair in found.items() if pair[1] not in pair[0]} == {}


@two_or_all
@every_page
def test_a_stranger_cannot_tell_what_exists(
    page: ConsolePage,
    scene: Scene,
    browsers: dict[Reader, Client],
    nothing: dict[tuple[Reader, str], Told],
    *,
    is_all: bool,
) -> None:
    nowhere = dict.fromkeys(page.arguments, "nobody-" + "0" * 30)
    addresses = {page.address(scene.samples), page.address({**scene.samples, **nowhere})}
    strangers = [reader for reader in Reader if reader.may(page.namespace) is None and reader is not Reader.SIGNED_OUT]
    for reader in turns(page, strangers, is_all=is_all):
        for method in ("GET", "POST"):
            for address in addresses:
                assert told(browsers[reader], method, address) == nothing[reader, method], (reader, method, address)


@every_page
def test_whoever_is_signed_out_cannot_either(page: ConsolePage, scene: Scene, browsers: dict[Reader, Client]) -> None:
    nowhere = dict.fromkeys(page.arguments, "nobody")
    for address in (page.address(scene.samples), page.address({**scene.samples, **nowhere})):
        for send in (browsers[Reader.SIGNED_OUT].get, browsers[Reader.SIGNED_OUT].post):
            answer = send(address)

            assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={address}")
            assert answer.content == b""


@every_page
def test_each_page_is_light_and_safe(page: ConsolePage, scene: Scene, browsers: dict[Reader, Client]) -> None:
    if page.acts is None or page.acts.see is None:
        pytest.skip("is not looked at")
    reader = Reader.OWNER if page.namespace == OWN_BOOKS else Reader.OPS_OWNER
    address = page.address(scene.samples)
    # Once before, so that what a process keeps for itself is there.
    bytes_of(browsers[reader].get(address))

    with CaptureQueriesContext(connection) as queries:
        answer = browsers[reader].get(address)
        content = bytes_of(answer)

    statements = [query["sql"] for query in queries.captured_queries]
    asked = [sql for sql in statements if not sql.startswith(FREE)]
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert len(asked) <= MORE_QUERIES.get(page.id, QUERIES_MAX), "\n".join(asked)
    if answer["Content-Type"].startswith("text/html"):
        assert len(gzip.compress(content)) <= HTML_KB_MAX * 1024
        assert markup_of(content.decode()).faults == []


class TestWalk:
    def test_finds_the_pages_of_every_mount(self) -> None:
        assert {page.namespace for page in guarded_pages()} == {OPS, OPS_BOOKS, OWN_BOOKS}
        assert {"ops:overview", "own_books:overview", "ops_books:overview"} <= {page.id for page in console_pages()}

    def test_names_each_page_once(self) -> None:
        names = [page.id for page in guarded_pages()]

        assert sorted(set(names)) == sorted(names)

    def test_an_argument_without_a_sample_is_no_page_that_is_passed_over(self) -> None:
        page = ConsolePage("ops", "thing", "/ops/<thing_id>/", ("thing_id",), lambda request: request)

        with pytest.raises(LookupError, match="thing_id"):
            page.address({"slug": "acme"})


def _look(browser: Client, address: str) -> int:
    answer = browser.get(address)
    bytes_of(answer)
    return answer.status_code


def _expected_look(page: ConsolePage, reader: Reader) -> frozenset[int]:
    return _expected(page, reader, "GET", SEEN)


def _expected_send(page: ConsolePage, reader: Reader) -> frozenset[int]:
    return _expected(page, reader, "POST", DONE)


def _expected(page: ConsolePage, reader: Reader, method: str, allowed: frozenset[int]) -> frozenset[int]:
    """The statuses by which this page may answer this reader."""
    if reader is Reader.SIGNED_OUT:
        return frozenset({302})
    may = reader.may(page.namespace)
    if may is None or page.acts is None:
        return frozenset({404})
    act = page.acts.of(method)
    if act is None:
        return frozenset({405})
    return allowed if act in may else frozenset({403})
