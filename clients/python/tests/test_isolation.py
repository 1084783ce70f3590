"""Names that are one tenant's alone: none without a tenant, and the same as the server makes."""

import asyncio
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import KEY, QUICK
from tests.fake_server import ISOLATION, OWN, FakeServer, refusal
from watermaster_client import (
    ApiError,
    AsyncWatermaster,
    CacheKey,
    ConversationId,
    NoTenant,
    SessionKey,
    TenantCache,
    TenantNames,
    VectorNamespace,
    Watermaster,
)
from watermaster_client.wire import Isolation

OTHERS = Isolation(cache_key_prefix=f"wm:{'0b' * 16}:", vector_namespace=f"wm_{'klmnopqrst' * 2}")
VECTORS = Path(__file__).resolve().parents[2] / "isolation-vectors.json"
MAKERS: dict[str, Callable[[TenantNames, list[str]], object]] = {
    "cache": lambda names, parts: names.cache(*parts),
    "vectors": lambda names, parts: names.vectors(*parts),
    "session": lambda names, parts: names.session(*parts),
    "conversation": lambda names, parts: names.conversation(*parts),
}


@pytest.fixture
def names() -> TenantNames:
    return TenantNames(Isolation(**OWN))


def test_are_those_that_the_server_makes() -> None:
    examples = json.loads(VECTORS.read_text())

    made = [str(MAKERS[each["kept"]](TenantNames(Isolation(**each["isolation"])), each["parts"])) for each in examples]

    assert len(examples) > 20
    assert made == [each["name"] for each in examples]


@pytest.mark.parametrize("kept", MAKERS)
def test_of_two_tenants_for_the_same_thing_are_two(names: TenantNames, kept: str) -> None:
    mine, yours = (str(MAKERS[kept](each, ["answers"])) for each in (names, TenantNames(OTHERS)))

    assert mine != yours
    assert "answers" not in mine


def test_of_two_uses_are_never_the_same(names: TenantNames) -> None:
    assert len({str(make(names, ["answers"])).split("-")[-1][-40:] for make in MAKERS.values()}) == 4


def test_keep_their_parts_apart(names: TenantNames) -> None:
    assert names.cache("ab", "c") != names.cache("a", "bc")
    assert names.cache("") != names.cache("", "")
    assert names.cache(7) == names.cache("7")
    assert len({names.cache("a"), names.cache("a"), names.session("a")}) == 2


@pytest.mark.parametrize(
    "isolation",
    [
        Isolation(),
        Isolation(cache_key_prefix="answers:", vector_namespace=OWN["vector_namespace"]),
        Isolation(cache_key_prefix=OWN["cache_key_prefix"], vector_namespace="docs"),
        Isolation(cache_key_prefix=f"{OWN['cache_key_prefix']}x", vector_namespace=OWN["vector_namespace"]),
        Isolation(cache_key_prefix=OWN["cache_key_prefix"], vector_namespace="wm_abc"),
    ],
    ids=["nothing", "another prefix", "another namespace", "more than a prefix", "half a tenant"],
)
def test_without_a_tenant_are_not_made(isolation: Isolation) -> None:
    with pytest.raises(NoTenant):
        TenantNames(isolation)


@pytest.mark.parametrize("kind", [CacheKey, VectorNamespace, SessionKey, ConversationId])
def test_are_not_made_of_text(kind: type[Any]) -> None:
    with pytest.raises(TypeError, match="TenantNames"):
        kind("answers")


def test_are_no_text(names: TenantNames) -> None:
    key: Any = names.cache("a")

    assert not isinstance(key, str)
    with pytest.raises(TypeError):
        key + "x"
    with pytest.raises(TypeError):
        "x" + key
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert key != str(key)


@pytest.mark.parametrize("parts", [[], [True], [None], [1.5], [["a"]], [b"a"]], ids=repr)
def test_need_parts_that_can_be_told_apart(names: TenantNames, parts: list[Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        names.cache(*parts)


def test_without_parts_is_the_tenants_one_namespace(names: TenantNames) -> None:
    assert str(names.vectors()) == OWN["vector_namespace"]
    assert str(names.vectors("docs")).startswith(f"{OWN['vector_namespace']}_")


def test_are_short_and_tell_others_no_tenant(names: TenantNames) -> None:
    long = "x" * 10_000

    assert len(str(names.cache(long))) == 76
    for told in (names.session(long), names.conversation(long)):
        assert len(str(told)) == 43
        assert not any(text.strip("wm:_") in str(told) for text in OWN.values())


class TestCache:
    def test_takes_what_is_the_tenants_alone(self, names: TenantNames) -> None:
        store: dict[str, str] = {}
        cache = TenantCache(store)

        cache[names.cache("a")] = "mine"

        assert store == {str(names.cache("a")): "mine"}
        assert cache[names.cache("a")] == cache.get(names.cache("a")) == "mine"
        assert names.cache("a") in cache
        assert TenantNames(OTHERS).cache("a") not in cache
        assert cache.pop(names.cache("a")) == "mine"
        assert store == {}

    @pytest.mark.parametrize(
        "use",
        [
            lambda cache: cache["answers"],
            lambda cache: cache.get("answers"),
            lambda cache: cache.__setitem__("answers", "x"),
            lambda cache: cache.pop("answers"),
            lambda cache: cache.setdefault("answers", "x"),
            lambda cache: cache.update(answers="x"),
            lambda cache: "answers" in cache,
            list,
            len,
            lambda cache: cache.clear(),
            lambda cache: cache.popitem(),
            lambda cache: cache[TenantNames(OTHERS).session("a")],
        ],
    )
    def test_takes_nothing_else(self, use: Callable[[Any], object]) -> None:
        store = {"answers": "everybody's"}

        with pytest.raises(TypeError):
            use(TenantCache(store))

        assert store == {"answers": "everybody's"}


class TestClient:
    def test_asks_for_them_without_a_call(self, wm: Watermaster, server: FakeServer, names: TenantNames) -> None:
        server.then(ISOLATION, refusal(503, "INTERNAL_ERROR"))

        assert wm.names().cache("a") == names.cache("a")
        assert wm.names(workspace="a&b").vectors() == names.vectors()
        assert [call.path for call in server.calls] == [ISOLATION, ISOLATION, f"{ISOLATION}?workspace=a%26b"]

    def test_gives_them_with_every_call(self, wm: Watermaster, names: TenantNames) -> None:
        with wm.admit(action={"kind": "tool.call", "name": "search"}) as act:
            assert act.names.cache("a") == names.cache("a")

    def test_says_why_there_are_none(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(ISOLATION, refusal(401, "UNAUTHORIZED"))

        with pytest.raises(ApiError):
            wm.names()

    def test_asks_from_a_loop_too(self, server: FakeServer, tmp_path: Path, names: TenantNames) -> None:
        async def ask() -> TenantNames:
            async with AsyncWatermaster(server.url, KEY, retry=QUICK, outbox_folder=tmp_path) as wm:
                server.then(ISOLATION, refusal(503, "INTERNAL_ERROR"))
                return await wm.names()

        assert asyncio.run(ask()).cache("a") == names.cache("a")
