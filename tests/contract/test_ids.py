"""404 for an id that we never made, 403 for another tenant's; neither answer tells whether anything is there."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import DjangoDbBlocker

from kernel.ids import mint_wire_id, parse_wire_id, uuid7
from tests.support.api_client import Answer, ApiClient
from tests.support.books import Books
from tests.support.scenes import UNKNOWN_TAG, forged_id, last_seq, unknown_id
from tests.support.standing import standing_tenant

type Ask = Callable[[ApiClient, str], Answer]

CALLS: dict[str, Ask] = {
    "get": lambda api, reservation_id: api.reservation(reservation_id),
    "commit": lambda api, reservation_id: api.commit(reservation_id),
    "release": lambda api, reservation_id: api.release(reservation_id),
    "extend": lambda api, reservation_id: api.extend(reservation_id),
}


@pytest.fixture(scope="module")
def stranger(django_db_setup: None, django_db_blocker: DjangoDbBlocker, api_url: str) -> Iterator[ApiClient]:
    """Another tenant, with a key that may do everything in its own books."""
    with django_db_blocker.unblock(), standing_tenant("initrode") as tenant:
        books = Books(tenant)
        books.add_budget(allocated=1_000_000)
        with ApiClient(api_url, books.key.token, slug="initrode") as client:
            yield client


@pytest.fixture(params=CALLS)
def ask(request: pytest.FixtureRequest) -> Ask:
    return CALLS[request.param]


def told(answer: Answer) -> tuple[int, dict[str, Any], list[str]]:
    """All that a caller can learn from a refusal, its own ids aside."""
    body = {name: value for name, value in answer.json().items() if name not in {"request_id", "trace_id"}}
    # Whether the server keeps the connection is its own affair.
    return answer.status_code, body, sorted(set(answer.headers) - {"connection"})


class TestIds:
    def test_another_tenants_reservation_is_forbidden_and_untouched(
        self, standing_api: ApiClient, standing_books: Books, stranger: ApiClient, ask: Ask
    ) -> None:
        reservation_id = standing_api.reserved()
        seq = last_seq(standing_books)

        answer = ask(stranger, reservation_id)

        assert (answer.status_code, answer.json()["error"]) == (403, "FORBIDDEN")
        assert last_seq(standing_books) == seq
        assert standing_api.reservation(reservation_id).json()["status"] == "ACTIVE"

    def test_one_that_is_there_looks_like_one_that_is_not(
        self, standing_api: ApiClient, standing_books: Books, stranger: ApiClient, ask: Ask
    ) -> None:
        there, never = standing_api.reserved(), unknown_id(standing_books)

        assert told(ask(stranger, there)) == told(ask(stranger, never))

    def test_ones_own_that_never_was_is_unknown(self, standing_api: ApiClient, standing_books: Books, ask: Ask) -> None:
        answer = ask(standing_api, unknown_id(standing_books))

        assert (answer.status_code, answer.json()["error"]) == (404, "NOT_FOUND")

    def test_one_that_we_never_made_is_unknown_whosever_it_seems(
        self, standing_api: ApiClient, standing_books: Books, stranger: ApiClient, ask: Ask
    ) -> None:
        mine = standing_api.reserved()
        made_up = [
            forged_id(mine),
            mine[:-16],
            mine + "0",
            mine.upper(),
            mine.replace("rsv_", "evt_"),
            mine.replace("rsv_", "dec_"),
            mint_wire_id("evt", standing_books.tenant.tag, uuid7()),
            mint_wire_id("dec", standing_books.tenant.tag, uuid7()),
            mine.replace(standing_books.tenant.tag, UNKNOWN_TAG),
            mine.replace(standing_books.tenant.tag, "platformplatformplat"),
            "rsv_" + "a" * 20 + "_" + "0" * 48,
            "00000000-0000-0000-0000-000000000000",
            "1",
            "-1",
            "null",
            "a" * 129,
            "'%20OR%201=1",
            "٣" * 10,
        ]

        for text in made_up:
            assert ask(standing_api, text).status_code == 404, text
            assert ask(stranger, text).status_code == 404, text

    def test_one_for_a_tenant_that_is_not_there_is_forbidden(self, standing_api: ApiClient, ask: Ask) -> None:
        # Its MAC is ours, so it was made once: for a tenant that is no more.
        assert ask(standing_api, mint_wire_id("rsv", UNKNOWN_TAG, uuid7())).status_code == 403

    def test_a_confined_key_is_refused_outside_its_scopes(
        self, standing_api: ApiClient, standing_books: Books, ask: Ask
    ) -> None:
        reservation_id = standing_api.reserved()
        key = standing_books.add_key(scope_filter=["tenant:globex/workspace:prod"])
        with ApiClient(standing_api.base_url, key.token, slug="globex") as confined:
            answer = ask(confined, reservation_id)

        # What it may not see is not there for it; what it may not do is forbidden.
        assert answer.status_code == (404 if answer.request.method == "GET" else 403)


class TestWhatAnIdSays:
    def test_only_which_tenant_it_is_for(self, standing_api: ApiClient, standing_books: Books) -> None:
        wire_id = standing_api.reserved()

        parsed = parse_wire_id("rsv", wire_id)

        assert parsed is not None
        assert parsed.tag == standing_books.tenant.tag
        assert standing_books.tenant.slug not in wire_id

    def test_every_kind_of_id_is_genuine(self, standing_api: ApiClient) -> None:
        event = standing_api.event()
        assert parse_wire_id("evt", event.json()["event_id"]) is not None
        for answer in (standing_api.decide(), standing_api.reserve(), standing_api.reserve(dry_run=True)):
            assert parse_wire_id("dec", answer.headers["X-Watermaster-Decision"]) is not None
