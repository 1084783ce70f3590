"""Rate limits: token buckets in Valkey, taken all or none, and given back when nothing came of the call."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis

from budgets.models import Decision
from budgets.services import front, rates
from budgets.services.front import Front, RateLimit
from budgets.services.rates import Limited, Ticket
from kernel.ids import Tag, mint_tag
from kernel.tenancy import in_tenant
from kernel.valkey import shared_valkey
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.rules import denying, rule

SLOW = 1
#: One a minute, bursts of three: nothing comes back while a test runs.
THREE = RateLimit(name="requests", level="tenant", counts="requests", capacity=3, per_minute=SLOW)
TOKENS = RateLimit(name="tokens", level="tenant", counts="tokens", capacity=100, per_minute=SLOW)


@pytest.fixture
def tag() -> Tag:
    return mint_tag()


def take(tag: Tag, *limits: RateLimit, tokens: int = 0, **fields: Any) -> Ticket | Limited:
    call: dict[str, Any] = {"suffixes": [""], "key_id": "k1"}
    return rates.take(Front(rate=limits), tag=tag, tokens=tokens, **call | fields)


def is_taken(outcome: Ticket | Limited) -> bool:
    return isinstance(outcome, Ticket)


@pytest.mark.usefixtures("database")
class TestBuckets:
    def test_give_as_much_as_they_hold_and_no_more(self, tag: Tag) -> None:
        assert [is_taken(take(tag, THREE)) for _ in range(4)] == [True, True, True, False]

    def test_take_from_all_or_from_none(self, tag: Tag) -> None:
        assert is_taken(take(tag, THREE, TOKENS, tokens=99))
        assert not is_taken(take(tag, THREE, TOKENS, tokens=2))

        assert [is_taken(take(tag, THREE)) for _ in range(3)] == [True, True, False]

    def test_say_which_is_empty_and_when_it_is_not(self, tag: Tag) -> None:
        take(tag, TOKENS, tokens=95)

        limited = take(tag, THREE, TOKENS, tokens=6)

        assert isinstance(limited, Limited)
        assert (limited.limit.name, limited.left) == ("tokens", 5)
        # One token is missing and one comes back a minute.
        assert 59_000 < limited.wait_ms <= 60_000
        assert limited.retry_after_s == 60

    def test_fill_up_by_the_minute(self, tag: Tag) -> None:
        fast = RateLimit(name="fast", level="tenant", counts="requests", capacity=1, per_minute=1_200)
        assert is_taken(take(tag, fast))
        assert not is_taken(take(tag, fast))

        time.sleep(0.06)

        assert is_taken(take(tag, fast))

    def test_take_back_what_came_to_nothing(self, tag: Tag) -> None:
        for _ in range(10):
            ticket = take(tag, THREE)
            assert isinstance(ticket, Ticket)
            ticket.give_back()

        assert [is_taken(take(tag, THREE)) for _ in range(4)] == [True, True, True, False]

    def test_never_hold_more_than_their_capacity(self, tag: Tag) -> None:
        ticket = take(tag, THREE)
        assert isinstance(ticket, Ticket)
        ticket.give_back()
        ticket.give_back()

        assert sum(is_taken(take(tag, THREE)) for _ in range(10)) == 3

    def test_count_the_tokens_that_it_really_was(self, tag: Tag) -> None:
        ticket = take(tag, TOKENS, tokens=100)
        assert isinstance(ticket, Ticket)

        ticket.settle_tokens(40)

        assert is_taken(take(tag, TOKENS, tokens=60))
        assert not is_taken(take(tag, TOKENS, tokens=1))

    def test_give_what_is_larger_than_they_are_when_full_and_are_owed_it(self, tag: Tag) -> None:
        assert is_taken(take(tag, TOKENS, tokens=150))

        limited = take(tag, TOKENS, tokens=1)

        assert isinstance(limited, Limited)
        # Fifty are owed and one is wanted.
        assert 50 * 60_000 < limited.wait_ms <= 51 * 60_000

    def test_have_even_a_call_s_absurd_wish_back_and_end(self, tag: Tag) -> None:
        ticket = take(tag, TOKENS, tokens=2**63 - 1)
        assert isinstance(ticket, Ticket)
        (key,) = shared_valkey().scan_iter(f"rate:{{{tag}}}*")
        assert shared_valkey().pttl(key) > 0

        ticket.give_back()

        assert is_taken(take(tag, TOKENS, tokens=100))
        assert not is_taken(take(tag, TOKENS, tokens=1))

    def test_without_a_refill_give_what_they_hold_and_then_make_wait(self, tag: Tag) -> None:
        never = RateLimit(name="never", level="tenant", counts="requests", capacity=2, per_minute=0)

        answers = [take(tag, never) for _ in range(3)]

        assert [is_taken(answer) for answer in answers] == [True, True, False]
        assert isinstance(answers[2], Limited)
        assert answers[2].wait_ms > 60_000
        (key,) = shared_valkey().scan_iter(f"rate:{{{tag}}}:never*")
        assert shared_valkey().pttl(key) > 60_000

    def test_are_each_workspace_s_agent_s_and_key_s_own(self, tag: Tag) -> None:
        limits = [
            RateLimit(name=level, level=level, counts="requests", capacity=1, per_minute=1)
            for level in ("workspace", "agent", "key")
        ]

        def ask(workspace: str, agent: str, key_id: str) -> bool:
            suffixes = ["", f"/workspace:{workspace}", f"/workspace:{workspace}/agent:{agent}"]
            return is_taken(take(tag, *limits, suffixes=suffixes, key_id=key_id))

        assert ask("w1", "a1", "k1")
        assert not ask("w1", "a2", "k2")
        assert not ask("w2", "a2", "k1")
        assert ask("w2", "a1", "k2")

    def test_of_a_level_that_the_call_has_not_do_not_count(self, tag: Tag) -> None:
        limit = RateLimit(name="agents", level="agent", counts="requests", capacity=1, per_minute=1)

        assert all(is_taken(take(tag, limit)) for _ in range(3))

    def test_are_one_tenant_s(self, tag: Tag) -> None:
        other = mint_tag()
        one = RateLimit(name="one", level="tenant", counts="requests", capacity=1, per_minute=1)

        assert [is_taken(take(each, one)) for each in (tag, other, tag, other)] == [True, True, False, False]

    def test_let_a_look_take_nothing(self, tag: Tag) -> None:
        assert all(is_taken(take(tag, THREE, is_live=False)) for _ in range(10))
        assert [is_taken(take(tag, THREE)) for _ in range(4)] == [True, True, True, False]

    def test_have_one_refusal_a_second_written_down(self, tag: Tag) -> None:
        for _ in range(3):
            take(tag, THREE)

        started = time.time()
        limited = [take(tag, THREE) for _ in range(50)]
        seconds = int(time.time()) - int(started) + 1

        assert 1 <= sum(each.is_sample for each in limited if isinstance(each, Limited)) <= seconds

    def test_are_forgotten_when_full_again(self, tag: Tag) -> None:
        take(tag, THREE)

        (key,) = shared_valkey().scan_iter(f"rate:{{{tag}}}*")

        assert 60_000 < shared_valkey().pttl(key) <= 62_000

    def test_refill_nothing_when_the_clock_is_set_back(self, tag: Tag) -> None:
        for _ in range(3):
            take(tag, THREE)
        (key,) = shared_valkey().scan_iter(f"rate:{{{tag}}}*")
        # As if the clock had been ten minutes ahead when it was last taken from.
        shared_valkey().hset(key, "at", int(time.time() * 1000) + 600_000)

        limited = take(tag, THREE)

        assert isinstance(limited, Limited)
        assert limited.wait_ms == 60_000


def limited_to(capacity: int, **parts: Any) -> dict[str, Any]:
    return {
        "rate": [{"name": "r", "level": "tenant", "counts": "requests", "capacity": capacity, "per_minute": 1} | parts]
    }


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10**9)
    return books


def reserve(url: str, books: Books, path: str = "/v1/reservations", **fields: Any) -> httpx.Response:
    body = {
        "idempotency_key": str(uuid4()),
        "subject": {"tenant": "acme"},
        "action": {"kind": "llm.completion", "name": "x"},
        "estimate": {"unit": "USD_MICROCENTS", "amount": 1},
    }
    return httpx.post(f"{url}{path}", headers={"X-Cycles-API-Key": books.key.token}, json=body | fields)


class TestOverHttp:
    @pytest.mark.parametrize("path", ["/v1/reservations", "/v1/x-watermaster/admit"])
    def test_says_when_to_come_again(self, books: Books, api_url: str, path: str) -> None:
        rule(books, **limited_to(1))

        first, second = (reserve(api_url, books, path) for _ in range(2))

        assert (first.status_code, second.status_code) == (200, 429)
        assert second.json()["error"] == "LIMIT_EXCEEDED"
        assert 0 < int(second.headers["Retry-After"]) <= 60
        assert second.json()["details"]["bucket"] == "r"
        assert second.json()["details"]["retry_after_ms"] > 0

    @pytest.mark.parametrize(
        ("rules", "fields"),
        [
            ({}, {"estimate": {"unit": "USD_MICROCENTS", "amount": 10**10}}),
            ({"actions": denying("llm.completion")}, {}),
            ({"run": {"iterations_max": 0}}, {"subject": {"tenant": "acme", "dimensions": {"run": "r1"}}}),
            ({}, {"subject": {"tenant": "initech"}}),
            ({}, {"estimate": {"unit": "CREDITS", "amount": 1}}),
        ],
    )
    def test_takes_nothing_for_what_is_refused(
        self, books: Books, api_url: str, rules: dict[str, Any], fields: dict[str, Any]
    ) -> None:
        rule(books, **limited_to(1), **rules)

        assert all(reserve(api_url, books, **fields).status_code not in {200, 429} for _ in range(3))

        rule(books, **limited_to(1))
        assert reserve(api_url, books).status_code == 200

    def test_takes_nothing_for_a_repeated_call(self, books: Books, api_url: str) -> None:
        rule(books, **limited_to(2))
        key = str(uuid4())

        answers = [reserve(api_url, books, idempotency_key=key) for _ in range(4)]

        assert [answer.status_code for answer in answers] == [200] * 4
        # One is left. On a busy machine a limit that is not answered in time lets a call through, so more may follow.
        fresh = [reserve(api_url, books).status_code for _ in range(8)]
        assert fresh[0] == 200
        assert 429 in fresh

    def test_takes_nothing_for_a_dry_run_or_a_decision(self, books: Books, api_url: str) -> None:
        rule(books, **limited_to(1))

        assert all(reserve(api_url, books, dry_run=True).status_code == 200 for _ in range(3))
        assert all(reserve(api_url, books, "/v1/decide").status_code == 200 for _ in range(3))
        assert reserve(api_url, books).status_code == 200

    def test_writes_down_a_flood_s_refusals_by_samples(self, books: Books, api_url: str) -> None:
        rule(books, **limited_to(1))
        started = time.time()

        with httpx.Client(base_url=api_url, headers={"X-Cycles-API-Key": books.key.token}) as client:
            statuses = [reserve_with(client).status_code for _ in range(100)]

        seconds = int(time.time()) - int(started) + 1
        with in_tenant(books.tenant.tag):
            written = Decision.objects.filter(reason_code="RATE_LIMITED").count()
        assert set(statuses) == {200, 429}
        # On a machine with others at work on it the next one falls due meanwhile.
        assert statuses.count(429) >= 90
        assert 1 <= written <= seconds

    def test_blocks_nothing_in_shadow(self, books: Books, api_url: str) -> None:
        rule(books, **limited_to(1), shadow={"checks": ["rate"]})

        assert [reserve(api_url, books).status_code for _ in range(3)] == [200] * 3

        with in_tenant(books.tenant.tag):
            assert Decision.objects.filter(would_deny="RATE_LIMITED").count() == 2


def reserve_with(client: httpx.Client) -> httpx.Response:
    return client.post(
        "/v1/reservations",
        json={
            "idempotency_key": str(uuid4()),
            "subject": {"tenant": "acme"},
            "action": {"kind": "llm.completion", "name": "x"},
            "estimate": {"unit": "USD_MICROCENTS", "amount": 1},
        },
    )


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Valkey that is away."""
    away = redis.Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.05)
    monkeypatch.setattr(rates, "shared_valkey", lambda: away)
    rates._script.cache_clear()
    yield
    rates._script.cache_clear()


def test_nothing_is_limited_while_valkey_is_away(tag: Tag, nowhere: None) -> None:
    assert all(is_taken(take(tag, THREE)) for _ in range(5))


def test_a_new_limit_counts_within_a_second(books: Books) -> None:
    rule(books, **limited_to(1))
    assert front.front_of(books.tenant.tag).rate[0].capacity == 1
    rule(books, **limited_to(2))

    time.sleep(front.SECONDS + 0.05)

    assert front.front_of(books.tenant.tag).rate[0].capacity == 2
