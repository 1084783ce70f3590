"""Provider pools on a page: what is used of them, by whom, and setting them."""

import re
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import OperatorRole
from routing.selectors import pool_use
from routing.services.pools import list_pools, note_use
from tenants.models import Tenant
from tests.support.console import person, signed_in
from tests.support.prices import last_entry


@pytest.fixture
def name(database: None) -> str:
    return f"openai:m{uuid4().hex[:12]}@eu"


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return str(answer.content.decode())


def fields(name: str, **fields: Any) -> dict[str, Any]:
    plain = {"name": name, "requests_per_minute": 10, "tokens_per_minute": 0, "health": "healthy", "seen": ""}
    return plain | {"reason": "The provider's quota"} | fields


def seen_of(page: str) -> str:
    found = re.search(r'name="seen"[^>]* value="([^"]*)"', page)
    return found.group(1) if found else ""


class TestCapacity:
    def test_shows_what_is_used_and_by_whom(
        self, browser: Client, name: str, acme: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The minute must not turn between a call and the look at it.
        at = 60.0 * 1_000_000
        monkeypatch.setattr("routing.console.capacity.pool_uses", partial(pool_use.pool_uses, at=at))
        browser.post("/ops/capacity/set/", fields(name, tokens_per_minute=1_000))
        for _ in range(4):
            note_use(name, tag=acme.tag, weight=3, tokens=100, at=at)

        page = text(browser, f"/ops/capacity/?q={name}")

        assert "Acme Corporation" in page
        assert "× 3: 4 requests, 400 tokens" in page
        assert page.count("40% spent") >= 2
        found = b"".join(browser.get("/ops/capacity/?format=csv").streaming_content).decode()  # type: ignore[attr-defined]
        assert f"{name},10,1000,True," in found

    def test_says_so_when_the_counters_are_away(
        self, browser: Client, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        browser.post("/ops/capacity/set/", fields(name))
        monkeypatch.setattr("routing.console.capacity.pool_uses", lambda names: None)

        assert "the counters are away" in text(browser, f"/ops/capacity/?q={name}")

    def test_counts_by_the_minute(self, browser: Client, name: str, acme: Tenant) -> None:
        browser.post("/ops/capacity/set/", fields(name))
        note_use(name, tag=acme.tag, weight=1, tokens=7, at=60.0 * 1_000)

        now = pool_use.pool_uses([name], at=60.0 * 1_000 + 59)
        later = pool_use.pool_uses([name], at=60.0 * 1_001)

        assert now is not None
        assert later is not None
        assert (now[name].requests, now[name].tokens) == (1, 7)
        assert (later[name].requests, later[name].requests_before) == (0, 1)

    def test_filters_by_health(self, browser: Client, name: str) -> None:
        browser.post("/ops/capacity/set/", fields(name, health="unhealthy"))

        assert name in text(browser, f"/ops/capacity/?q={name}&health=unhealthy")
        assert "No deployment matches" in text(browser, f"/ops/capacity/?q={name}&health=healthy")


class TestSet:
    def test_makes_and_changes_a_deployment(self, browser: Client, name: str) -> None:
        answer = browser.post("/ops/capacity/set/", fields(name.upper()))
        assert (answer.status_code, answer["Location"]) == (303, "/ops/capacity/")
        address = f"/ops/capacity/set/?name={name}"
        seen = seen_of(text(browser, address))

        browser.post(address, fields(name, requests_per_minute=20, health="unhealthy", seen=seen))

        [pool] = [pool for pool in list_pools() if pool.name == name]
        assert (pool.requests_per_minute, pool.is_healthy) == (20, False)
        entry = last_entry("pool.set")
        assert (entry.actor, entry.reason) == ("olive@example.test", "The provider's quota")

    def test_refuses_what_somebody_else_has_set_meanwhile(self, browser: Client, name: str) -> None:
        address = f"/ops/capacity/set/?name={name}"
        seen = seen_of(text(browser, address))
        browser.post(address, fields(name, requests_per_minute=5))

        answer = browser.post(address, fields(name, seen=seen))

        assert answer.status_code == 422
        page = answer.content.decode()
        assert "5 requests and any tokens a minute" in page
        assert [pool.requests_per_minute for pool in list_pools() if pool.name == name] == [5]
        assert browser.post(address, fields(name, seen=seen_of(page))).status_code == 303

    @pytest.mark.parametrize(
        "change", [{"name": "gpt-4o"}, {"requests_per_minute": -1}, {"tokens_per_minute": "many"}, {"reason": ""}]
    )
    def test_refuses_what_cannot_be(self, browser: Client, name: str, change: dict[str, Any]) -> None:
        assert browser.post("/ops/capacity/set/", fields(name) | change).status_code == 422
        assert not [pool for pool in list_pools() if pool.name == name]

    def test_is_not_for_viewers(self, name: str) -> None:
        with person("vera", OperatorRole.VIEWER) as vera:
            client = signed_in(vera)

            assert client.post("/ops/capacity/set/", fields(name)).status_code == 403
            assert "Add a deployment" not in text(client, "/ops/capacity/")
