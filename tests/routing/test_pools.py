"""Provider pools: capacity shared by weight, lent while nobody wants it, and given back."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from kernel.actor import Actor
from kernel.ids import Tag, mint_tag
from routing.services import pools
from routing.services.pools import InvalidPool, list_pools, note_use, set_pool, without_room
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.rules import rule

OLIVE = Actor(name="olive", actor_type="admin", reason="The provider raised it.")
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def name(database: None) -> str:
    return f"openai:m{uuid4().hex[:12]}"


def make(name: str, *, requests: int = 0, tokens: int = 0, is_healthy: bool = True) -> None:
    set_pool(
        name=name, requests_per_minute=requests, tokens_per_minute=tokens, is_healthy=is_healthy, actor=OLIVE, now=NOW
    )


def ask(name: str, tag: Tag, *, weight: int = 1, tokens: int = 0, minute: int = 0) -> bool:
    """Let one call through if there is room in a minute of its own time."""
    at = 60.0 * (1_000_000 + minute)
    if without_room([name], tag=tag, weight=weight, tokens=tokens, at=at):
        return False
    note_use(name, tag=tag, weight=weight, tokens=tokens, at=at)
    return True


def count(name: str, tag: Tag, calls: int, **fields: Any) -> int:
    return sum(ask(name, tag, **fields) for _ in range(calls))


class TestShares:
    def test_a_model_without_a_pool_has_no_limit(self, name: str) -> None:
        assert count(name, mint_tag(), 50) == 50

    def test_one_tenant_alone_may_have_all_and_no_more(self, name: str) -> None:
        make(name, requests=20)

        assert count(name, mint_tag(), 30) == 20

    def test_counts_tokens_to_the_last_one(self, name: str) -> None:
        make(name, tokens=100)
        tag = mint_tag()

        assert [ask(name, tag, tokens=tokens) for tokens in (60, 41, 40, 1)] == [True, False, True, False]

    def test_nothing_goes_where_it_is_unhealthy(self, name: str) -> None:
        make(name, is_healthy=False)

        assert without_room([name, "openai:other"], tag=mint_tag(), weight=1, tokens=0) == [name]

    def test_what_was_lent_is_given_back_at_the_turn_of_the_minute(self, name: str) -> None:
        make(name, requests=20)
        greedy, modest = mint_tag(), mint_tag()
        # Both were there in the minute before; the modest one wanted six.
        count(name, modest, 6)
        count(name, greedy, 30)

        # Above its half the greedy one may only borrow what the modest one does not want.
        assert count(name, greedy, 30, minute=1) == 14
        assert count(name, modest, 6, minute=1) == 6

    def test_shares_are_weighted(self, name: str) -> None:
        make(name, requests=40)
        large, small = mint_tag(), mint_tag()
        for _ in range(20):
            ask(name, large, weight=3)
            ask(name, small, weight=1)

        got = {large: 0, small: 0}
        for _ in range(60):
            got[large] += ask(name, large, weight=3, minute=1)
            got[small] += ask(name, small, weight=1, minute=1)

        # A quarter of forty is the small one's by right; it wanted twenty. The large one wanted twenty of its thirty.
        assert got[small] >= 10
        assert got[large] >= 20
        assert got[large] + got[small] == 40

    def test_a_quiet_tenant_finds_its_share_though_another_takes_all_it_gets(self, name: str) -> None:
        make(name, requests=100)
        flood, quiet = mint_tag(), mint_tag()
        count(name, quiet, 10)
        for minute in range(1, 6):
            count(name, flood, 300, minute=minute)
            assert count(name, quiet, 10, minute=minute) == 10


class TestSetting:
    @pytest.mark.parametrize(
        "fields", [{"name": "gpt-4o"}, {"name": ":x"}, {"name": "open ai:x"}, {"requests": -1}, {"tokens": -1}]
    )
    def test_refuses_what_cannot_be(self, name: str, fields: dict[str, Any]) -> None:
        with pytest.raises(InvalidPool):
            make(**{"name": name} | fields)

    def test_is_changed_and_listed(self, name: str) -> None:
        make(name, requests=1)
        make(name.upper(), requests=2)

        assert [pool.requests_per_minute for pool in list_pools() if pool.name == name] == [2]


def test_a_full_deployment_s_calls_go_to_the_next(acme: Tenant, api_url: str, name: str) -> None:
    books = Books(acme)
    books.add_budget(allocated=10**9)
    model = {"provider": "openai", "context_window": 128_000, "price": {"input": 100, "output": 100}}
    eu, us = f"{name}@eu", f"{name}@us"
    models = {each: model | {"model": name.partition(":")[2], "deployment": each[-2:]} for each in (eu, us)}
    rule(books, models=models, tiers={"small": [eu, us]})
    make(eu, requests=2)
    pools._known.forget()

    def admit() -> str:
        answer = httpx.post(
            f"{api_url}/v1/x-watermaster/admit",
            headers={"X-Cycles-API-Key": books.key.token},
            json={
                "idempotency_key": str(uuid4()),
                "subject": {"tenant": "acme"},
                "action": {"kind": "llm.completion", "name": "chat"},
            },
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["route"]["deployment"])

    # Two minutes may meet in here, so that up to four fit.
    deployments = [admit() for _ in range(6)]

    assert set(deployments) == {"eu", "us"}
    assert 2 <= deployments.count("eu") <= 4
