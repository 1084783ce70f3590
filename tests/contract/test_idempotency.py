"""One key, one effect: a success is answered again word for word, a refusal is judged anew."""

import time
from typing import Any
from uuid import uuid4

import pytest

from budgets.models.choices import TenantStatus
from tests.support.api_client import Answer, ApiClient, amount
from tests.support.books import Books
from tests.support.scenes import last_seq, set_status

VOLATILE = "remaining_ttl_ms"
VERBS = ["decide", "reserve", "dry run", "commit", "release", "extend", "event"]


class Call:
    """One operation that may be repeated with the same key, on the same reservation where it needs one."""

    def __init__(self, api: ApiClient, verb: str) -> None:
        self.api, self.verb, self.key = api, verb, uuid4().hex
        self.target = [api.reserved(100)] if verb in {"commit", "release", "extend"} else []

    def __call__(self, api: ApiClient | None = None, **fields: Any) -> Answer:
        if self.verb == "dry run":
            fields |= {"dry_run": True}
        method = getattr(api or self.api, "reserve" if self.verb == "dry run" else self.verb)
        answer: Answer = method(*self.target, idempotency_key=self.key, **fields)
        return answer


@pytest.fixture(scope="module")
def books(standing_books: Books) -> Books:
    """One tenant for all of it; each test has idempotency keys and reservations of its own."""
    return standing_books


@pytest.fixture(scope="module")
def api(standing_api: ApiClient) -> ApiClient:
    return standing_api


@pytest.fixture
def key() -> str:
    return uuid4().hex


@pytest.fixture(params=VERBS)
def call(request: pytest.FixtureRequest, api: ApiClient) -> Call:
    return Call(api, request.param)


def stable(answer: Answer) -> dict[str, Any]:
    """The body without what a replay reckons anew."""
    return {name: value for name, value in answer.json().items() if name != VOLATILE}


class TestReplay:
    def test_answers_word_for_word_and_books_nothing(self, call: Call, books: Books) -> None:
        first = call()
        seq, budget = last_seq(books), books.budget()

        second = call()

        assert first.status_code == second.status_code in {200, 201}
        assert stable(second) == stable(first)
        assert list(second.json()) == list(first.json())
        assert last_seq(books) == seq
        assert (books.budget().reserved, books.budget().spent) == (budget.reserved, budget.spent)

    def test_answers_as_it_was_then_whatever_happened_since(self, call: Call, api: ApiClient) -> None:
        first = call()
        api.event(actual=amount(500))
        if call.verb == "extend":
            assert api.extend(call.target[0], extend_by_ms=5_000).status_code == 200

        assert stable(call()) == stable(first)

    def test_comes_before_a_closed_tenant(self, call: Call, books: Books) -> None:
        first = call()
        set_status(books, TenantStatus.CLOSED)
        try:
            second = call()
        finally:
            set_status(books, TenantStatus.ACTIVE)

        assert (second.status_code, stable(second)) == (first.status_code, stable(first))

    def test_does_not_depend_on_how_the_body_is_written(self, call: Call, api: ApiClient) -> None:
        first = call()
        sent = first.request
        spaced = sent.content.replace(b'":', b'" : ').replace(b",", b" ,\n")
        assert spaced != sent.content

        second = api.call("POST", sent.url.path, content=spaced, headers={"Content-Type": "application/json"})

        assert stable(second) == stable(first)

    def test_takes_a_default_that_is_spelt_out_for_the_same(self, api: ApiClient, key: str) -> None:
        first = api.reserve(idempotency_key=key)

        second = api.reserve(idempotency_key=key, ttl_ms=60_000, grace_period_ms=5_000, dry_run=False)

        assert stable(second) == stable(first)

    def test_may_come_by_another_key_of_the_tenant(self, call: Call, books: Books, api: ApiClient) -> None:
        first = call()
        with ApiClient(api.base_url, books.add_key().token, slug="globex") as rotated:
            assert stable(call(rotated)) == stable(first)

    def test_is_refused_to_a_key_without_the_permission(self, call: Call, books: Books, api: ApiClient) -> None:
        call()
        with ApiClient(api.base_url, books.add_key(permissions=[]).token, slug="globex") as poor:
            assert call(poor).status_code == 403

    def test_takes_the_header_for_the_same_key(self, call: Call) -> None:
        first = call(headers={"X-Idempotency-Key": call.key})

        assert stable(call()) == stable(first)


class TestAnotherPayload:
    CHANGES: dict[str, dict[str, Any]] = {
        "decide": {"estimate": amount(11)},
        "reserve": {"ttl_ms": 60_001},
        "dry run": {"metadata": {"a": 1}},
        "commit": {"metrics": {"tokens_input": 1}},
        "release": {"reason": "other"},
        "extend": {"extend_by_ms": 1_001},
        "event": {"overage_policy": "REJECT"},
    }

    def test_is_refused_and_books_nothing(self, call: Call, books: Books) -> None:
        call()
        seq = last_seq(books)

        answer = call(**self.CHANGES[call.verb])

        assert (answer.status_code, answer.json()["error"]) == (409, "IDEMPOTENCY_MISMATCH")
        assert last_seq(books) == seq

    def test_leaves_the_first_answer_to_be_had(self, call: Call) -> None:
        first = call()
        call(**self.CHANGES[call.verb])

        assert stable(call()) == stable(first)

    def test_of_a_dry_run_is_a_live_call(self, api: ApiClient, key: str) -> None:
        assert api.reserve(idempotency_key=key, dry_run=True).status_code == 200

        assert api.reserve(idempotency_key=key).json()["error"] == "IDEMPOTENCY_MISMATCH"


class TestWhereAKeyCounts:
    def test_it_counts_once_for_each_endpoint(self, api: ApiClient, key: str) -> None:
        reservation_id = api.reserved(idempotency_key=key)

        for answer in (
            api.decide(idempotency_key=key),
            api.extend(reservation_id, idempotency_key=key),
            api.event(idempotency_key=key),
            api.commit(reservation_id, idempotency_key=key),
        ):
            assert answer.is_success, answer.text

    def test_it_counts_once_for_each_reservation(self, api: ApiClient, books: Books, key: str) -> None:
        before = books.budget().spent
        for reservation_id in (api.reserved(10), api.reserved(10)):
            assert api.commit(reservation_id, idempotency_key=key, actual=amount(7)).status_code == 200

        assert books.budget().spent == before + 14

    def test_it_counts_once_for_each_tenant(self, api: ApiClient, foreign_api: ApiClient, key: str) -> None:
        mine = api.reserved(10, idempotency_key=key)

        theirs = foreign_api.reserve(idempotency_key=key, estimate=amount(11))

        assert theirs.status_code == 200
        assert theirs.json()["reservation_id"] != mine

    def test_its_case_counts(self, api: ApiClient, key: str) -> None:
        assert api.reserved(idempotency_key=f"a{key}") != api.reserved(idempotency_key=f"A{key}")


class TestRefusals:
    def test_a_refused_reservation_is_judged_anew(self, api: ApiClient, books: Books, key: str) -> None:
        holding = api.reserved(books.budget().remaining)
        refused = api.reserve(idempotency_key=key, estimate=amount(10))
        assert refused.status_code == 409
        assert api.release(holding).status_code == 200

        assert api.reserve(idempotency_key=key, estimate=amount(10)).status_code == 200

    def test_and_may_even_ask_for_something_else(self, api: ApiClient, key: str) -> None:
        assert api.reserve(idempotency_key=key, estimate=amount(1_000_001)).status_code == 409

        assert api.reserve(idempotency_key=key, estimate=amount(1)).status_code == 200

    def test_a_refused_commit_is_judged_anew(self, api: ApiClient, key: str) -> None:
        reservation_id = api.reserved(10, overage_policy="REJECT")
        assert api.commit(reservation_id, idempotency_key=key, actual=amount(11)).status_code == 409

        assert api.commit(reservation_id, idempotency_key=key, actual=amount(10)).status_code == 200

    def test_a_denied_question_is_answered_again(self, api: ApiClient, books: Books, key: str) -> None:
        holding = api.reserved(books.budget().remaining)
        first = api.decide(idempotency_key=key).json()
        assert first["decision"] == "DENY"
        api.release(holding)

        assert api.decide(idempotency_key=key).json() == first


class TestRemainingTime:
    """`remaining_ttl_ms` is reckoned anew, by the clock that judges."""

    def test_it_is_what_is_left_and_never_more(self, api: ApiClient) -> None:
        body = api.reserve(ttl_ms=30_000).json()

        assert body[VOLATILE] == 30_000

    def test_it_shrinks_on_a_replay(self, api: ApiClient, key: str) -> None:
        first = api.reserve(idempotency_key=key).json()
        time.sleep(0.05)

        second = api.reserve(idempotency_key=key).json()

        assert second[VOLATILE] <= first[VOLATILE] - 50
        assert second["expires_at_ms"] == first["expires_at_ms"]

    def test_of_an_extension_it_counts_from_the_old_expiry(self, api: ApiClient, key: str) -> None:
        reserved = api.reserve(ttl_ms=10_000).json()

        extended = api.extend(reserved["reservation_id"], idempotency_key=key, extend_by_ms=5_000).json()

        assert extended["expires_at_ms"] == reserved["expires_at_ms"] + 5_000
        assert 10_000 < extended[VOLATILE] <= 15_000
        time.sleep(0.05)
        assert (
            api.extend(reserved["reservation_id"], idempotency_key=key, extend_by_ms=5_000).json()[VOLATILE]
            <= extended[VOLATILE] - 50
        )

    @pytest.mark.parametrize("end", ["commit", "release"])
    def test_it_is_nothing_once_the_reservation_is_settled(self, api: ApiClient, end: str, key: str) -> None:
        reservation_id = api.reserved(idempotency_key=key)
        assert api.extend(reservation_id, idempotency_key=key).status_code == 200
        getattr(api, end)(reservation_id)

        assert api.reserve(idempotency_key=key).json()[VOLATILE] == 0
        assert api.extend(reservation_id, idempotency_key=key).json()[VOLATILE] == 0

    def test_it_is_nothing_once_the_time_is_over(self, api: ApiClient, key: str) -> None:
        api.reserved(idempotency_key=key, ttl_ms=1_000)
        time.sleep(1.01)

        assert api.reserve(idempotency_key=key, ttl_ms=1_000).json()[VOLATILE] == 0

    def test_a_dry_run_has_none(self, api: ApiClient) -> None:
        body = api.reserve(dry_run=True).json()

        assert not {VOLATILE, "expires_at_ms", "reservation_id"} & body.keys()
