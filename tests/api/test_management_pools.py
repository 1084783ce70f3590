"""Provider pools over the management API."""

from uuid import uuid4

import pytest

from tests.support.management import Caller, as_platform


@pytest.fixture
def olive(database: None) -> Caller:
    return as_platform()


@pytest.fixture
def name(database: None) -> str:
    return f"openai:m{uuid4().hex[:12]}@eu"


def test_are_set_listed_and_set_again(olive: Caller, name: str) -> None:
    for limit in (10, 20):
        body = {"name": name, "requests_per_minute": limit, "reason": "The provider's quota."}
        assert olive.send("put", "pools", body).status_code == 200

    listed = [pool for pool in olive.get("pools").json()["pools"] if pool["name"] == name]
    assert listed == [{"name": name, "requests_per_minute": 20, "tokens_per_minute": 0, "is_healthy": True}]


@pytest.mark.parametrize(
    "change", [{"name": "gpt-4o"}, {"requests_per_minute": -1}, {"tokens_per_minute": "many"}, {"reason": ""}, {"x": 1}]
)
def test_refuse_what_cannot_be(olive: Caller, name: str, change: dict[str, object]) -> None:
    answer = olive.send("put", "pools", {"name": name, "reason": "A quota."} | change)

    assert answer.status_code == 400, answer.text
