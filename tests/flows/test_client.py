"""Our own Python client, from its sources, against the api process."""

import importlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenants.models import Tenant
from tests.support.books import Books
from tests.support.rules import rule

SOURCES = Path(__file__).parents[2] / "clients" / "python" / "src"
SMALL = "openai:gpt-4o-mini"
COMPLETION = {"kind": "llm.completion", "name": SMALL}
REQUEST = {"model": SMALL, "input_tokens": 1_000, "max_output_tokens": 500}
TOOLS = {
    "default": "allow",
    "rules": [{"pattern": "wire_*", "verdict": "deny"}, {"pattern": "mail", "verdict": "gated"}],
    "version": 1,
}


@pytest.fixture(scope="module")
def library() -> Iterator[Any]:
    """The package `watermaster_client`, which is no dependency of the server."""
    sys.path.insert(0, str(SOURCES))
    yield importlib.import_module("watermaster_client")
    sys.path.remove(str(SOURCES))


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10_000_000)
    rule(books, tools=TOOLS)
    return books


@pytest.fixture
def wm(library: Any, books: Books, api_url: str, tmp_path: Path) -> Iterator[Any]:
    with library.Watermaster(
        api_url, books.key.token, subject={"tenant": "acme"}, outbox_folder=tmp_path / "outbox"
    ) as client:
        yield client


class TestAdmit:
    def test_holds_money_inside_the_block_and_gives_it_back(self, wm: Any, books: Books) -> None:
        with wm.admit(action=COMPLETION, request=REQUEST) as act:
            assert str(act.route) == SMALL
            assert act.isolation.cache_key_prefix
            assert books.budget().reserved == act.reserved.amount > 0

        assert books.budget().reserved == 0

    def test_leaves_the_model_to_the_class_and_keeps_to_its_caps(self, wm: Any) -> None:
        with wm.admit(
            action={"kind": "llm.completion", "name": "routed"},
            request={"input_tokens": 10, "class_hint": {"class": "deep", "confidence": 0.9}},
        ) as act:
            assert (str(act.route), act.admission.traffic_class, act.caps.trim(9_000)) == (
                "openai:gpt-4o",
                "deep",
                4_000,
            )

    def test_names_the_tools_that_the_model_may_not_see(self, wm: Any) -> None:
        with wm.admit(action=COMPLETION, request=REQUEST | {"tools": ["search", "wire_money", "mail"]}) as act:
            seen = [name for name in ("search", "wire_money", "mail") if act.caps.permits_tool(name)]

        assert seen == ["search", "mail"]

    def test_raises_what_the_budget_refuses(self, library: Any, wm: Any, books: Books) -> None:
        with pytest.raises(library.Denied, match="has 10000000 USD_MICROCENTS left") as denied:
            wm.admit(action=COMPLETION, estimate={"unit": "USD_MICROCENTS", "amount": 10_000_001})

        assert denied.value.codes == {"BUDGET_EXCEEDED"}
        assert denied.value.explain_url.endswith(f"{denied.value.decision_id}/")
        assert books.budget().reserved == 0

    def test_raises_what_no_model_is(self, library: Any, wm: Any) -> None:
        with pytest.raises(library.Denied) as denied:
            wm.admit(action=COMPLETION, request={"model": "nobody:nothing"})

        assert denied.value.codes == {"MODEL_UNKNOWN"}

    @pytest.mark.parametrize(("tool", "code"), [("wire_money", "TOOL_DENIED"), ("mail", "TOOL_GATED")])
    def test_refuses_a_tool_at_dispatch(self, library: Any, wm: Any, tool: str, code: str) -> None:
        with pytest.raises(library.Denied) as denied:
            wm.admit(action={"kind": "tool.call", "name": tool})

        assert denied.value.codes == {code}

    def test_says_that_the_key_is_wrong(self, library: Any, books: Books, api_url: str) -> None:
        stranger = library.Watermaster(api_url, books.key.token[:-1] + "!", use_outbox=False)

        with stranger as wm, pytest.raises(library.ApiError) as refused:
            wm.admit(subject={"tenant": "acme"}, action=COMPLETION)

        assert (refused.value.status, refused.value.code) == (401, "UNAUTHORIZED")

    def test_keeps_the_hold_of_a_long_call_alive(self, wm: Any, books: Books) -> None:
        with wm.admit(action=COMPLETION, request=REQUEST, ttl_ms=1_000, grace_period_ms=0) as act:
            time.sleep(1.3)
            act.release()

        assert books.budget().reserved == 0
