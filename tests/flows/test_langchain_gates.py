"""The published LangChain gates, around an agent whose model is a script: they allow and deny as the books say."""

import asyncio
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.tools import tool
from runcycles import Action, Amount, AsyncCyclesClient, CyclesClient, CyclesConfig, Subject, Unit
from runcycles.response import CyclesResponse

from tests.support.books import Books

# By name: mypy fails on the sources of these two packages.
gates = import_module("langchain_runcycles")
CyclesFanOutGate, CyclesModelGate, CyclesToolGate = gates.CyclesFanOutGate, gates.CyclesModelGate, gates.CyclesToolGate
openai_cost = import_module("langchain_runcycles.extractors").openai_cost
create_agent = import_module("langchain.agents").create_agent

MODEL_CALL = Action(kind="llm.completion", name="openai:gpt-4o-mini")
TOOL_CALL = Action(kind="tool.search", name="search")
ALLOCATED = 1_000
MODES = ["decide", "reserve", "decide+reserve"]

searches: list[str] = []


@tool
def search(query: str) -> str:
    """Search."""
    searches.append(query)
    return f"found {query}"


class ScriptedModel(FakeMessagesListChatModel):
    """Says its messages one after the other, whatever it is asked."""

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        return self


@pytest.fixture(autouse=True)
def no_searches_yet() -> None:
    searches.clear()


@pytest.fixture
def config(standing_books: Books, api_url: str, tmp_path: Path) -> CyclesConfig:
    return CyclesConfig(base_url=api_url, api_key=standing_books.key.token, tenant="globex", journal_dir=str(tmp_path))


@pytest.fixture
def client(config: CyclesConfig) -> Iterator[CyclesClient]:
    with CyclesClient(config) as client:
        yield client


@pytest.fixture
def subject(request: pytest.FixtureRequest, standing_books: Books) -> Subject:
    """An agent of its own, with a budget of `ALLOCATED`."""
    name = f"a{abs(hash(request.node.nodeid)) % 10**9}"
    standing_books.add_budget(f"/agent:{name}", allocated=ALLOCATED)
    return Subject(tenant="globex", agent=name)


def spent(books: Books, subject: Subject) -> tuple[int, int]:
    """What the agent has spent, and what it still holds."""
    budget = books.budget(f"/agent:{subject.agent}")
    return budget.spent, budget.reserved


def microcents(number: int) -> Amount:
    return Amount(unit=Unit.USD_MICROCENTS, amount=number)


def says(text: str, *, tokens: tuple[int, int] = (10, 20)) -> AIMessage:
    usage = {"input_tokens": tokens[0], "output_tokens": tokens[1], "total_tokens": sum(tokens)}
    return AIMessage(content=text, usage_metadata=cast(Any, usage))


def calls_search(query: str, call_id: str) -> AIMessage:
    return AIMessage(content="", tool_calls=[{"name": "search", "args": {"query": query}, "id": call_id}])


def run(model: ScriptedModel, gate: Any) -> list[BaseMessage]:
    agent = create_agent(model, tools=[search], middleware=[gate])
    state = agent.invoke({"messages": [{"role": "user", "content": "Go."}]})
    return list(state["messages"])


def denied_details(seen: list[dict[str, Any]]) -> Any:
    """A denial formatter that keeps what the server said."""

    def formatted(response: CyclesResponse) -> str:
        seen.append(response.body or {})
        return "No."

    return formatted


class TestModelGate:
    @pytest.mark.parametrize("mode", MODES)
    def test_lets_a_call_through_that_fits(
        self, client: CyclesClient, standing_books: Books, subject: Subject, mode: Any
    ) -> None:
        gate = CyclesModelGate(client, subject=subject, action=MODEL_CALL, mode=mode, estimate=microcents(ALLOCATED))

        messages = run(ScriptedModel(responses=[says("Hello.")]), gate)

        assert messages[-1].content == "Hello."
        assert spent(standing_books, subject) == ((0 if mode == "decide" else ALLOCATED), 0)

    @pytest.mark.parametrize("mode", MODES)
    def test_refuses_a_call_that_does_not(
        self, client: CyclesClient, standing_books: Books, subject: Subject, mode: Any
    ) -> None:
        gate = CyclesModelGate(
            client, subject=subject, action=MODEL_CALL, mode=mode, estimate=microcents(ALLOCATED + 1)
        )

        messages = run(ScriptedModel(responses=[says("Hello.")]), gate)

        assert messages[-1].content != "Hello."
        assert "denied by Cycles policy" in str(messages[-1].content)
        assert spent(standing_books, subject) == (0, 0)

    def test_says_why_in_our_words(self, client: CyclesClient, subject: Subject) -> None:
        gate = CyclesModelGate(
            client, subject=subject, action=MODEL_CALL, mode="reserve", estimate=microcents(ALLOCATED + 1)
        )

        messages = run(ScriptedModel(responses=[says("Hello.")]), gate)

        assert f"tenant:globex/agent:{subject.agent} has 1000 USD_MICROCENTS left" in str(messages[-1].content)

    def test_a_denial_carries_its_details(self, client: CyclesClient, subject: Subject) -> None:
        seen: list[dict[str, Any]] = []
        gate = CyclesModelGate(
            client,
            subject=subject,
            action=MODEL_CALL,
            mode="reserve",
            estimate=microcents(ALLOCATED + 1),
            denial_message=denied_details(seen),
        )

        run(ScriptedModel(responses=[says("Hello.")]), gate)

        assert seen[0]["error"] == "BUDGET_EXCEEDED"
        details = seen[0]["details"]
        assert (details["remaining"], details["requested"]) == (ALLOCATED, ALLOCATED + 1)
        assert details["scope"] == f"tenant:globex/agent:{subject.agent}"
        assert details["decision_id"] in details["explain_url"]

    def test_a_denied_question_names_its_reason(self, client: CyclesClient, subject: Subject) -> None:
        gate = CyclesModelGate(
            client, subject=subject, action=MODEL_CALL, mode="decide", estimate=microcents(ALLOCATED + 1)
        )

        messages = run(ScriptedModel(responses=[says("Hello.")]), gate)

        assert messages[-1].content == "Model call denied by Cycles policy: BUDGET_EXCEEDED"

    def test_books_what_the_tokens_cost(self, client: CyclesClient, standing_books: Books, subject: Subject) -> None:
        gate = CyclesModelGate(
            client,
            subject=subject,
            action=MODEL_CALL,
            mode="reserve",
            estimate=microcents(ALLOCATED),
            # Per million tokens: one input token is 10 microcents, one output token 20.
            cost_fn=openai_cost(prompt_per_million_usd=0.1, completion_per_million_usd=0.2),
        )

        run(ScriptedModel(responses=[says("Hello.", tokens=(7, 11))]), gate)

        assert spent(standing_books, subject) == (7 * 10 + 11 * 20, 0)

    def test_gives_the_hold_back_when_the_model_fails(
        self, client: CyclesClient, standing_books: Books, subject: Subject
    ) -> None:
        class BrokenModel(ScriptedModel):
            def _generate(self, *arguments: Any, **options: Any) -> Any:
                raise ConnectionError

        gate = CyclesModelGate(client, subject=subject, action=MODEL_CALL, mode="reserve", estimate=microcents(10))

        with pytest.raises(ConnectionError):
            run(BrokenModel(responses=[]), gate)

        assert spent(standing_books, subject) == (0, 0)

    def test_works_for_async_agents(self, config: CyclesConfig, standing_books: Books, subject: Subject) -> None:
        async def main() -> list[BaseMessage]:
            async with AsyncCyclesClient(config) as client:
                gate = CyclesModelGate(
                    client, subject=subject, action=MODEL_CALL, mode="decide+reserve", estimate=microcents(600)
                )
                agent = create_agent(ScriptedModel(responses=[says("Hello.")]), tools=[], middleware=[gate])
                first = await agent.ainvoke({"messages": [{"role": "user", "content": "Go."}]})
                second = await agent.ainvoke({"messages": [{"role": "user", "content": "Go."}]})
                return [first["messages"][-1], second["messages"][-1]]

        first, second = asyncio.run(main())

        assert first.content == "Hello."
        assert "BUDGET_EXCEEDED" in str(second.content)
        assert spent(standing_books, subject) == (600, 0)


class TestToolGate:
    @pytest.mark.parametrize("mode", MODES)
    def test_lets_a_tool_run_that_fits(
        self, client: CyclesClient, standing_books: Books, subject: Subject, mode: Any
    ) -> None:
        gate = CyclesToolGate(
            client,
            subject=subject,
            action={"search": TOOL_CALL},
            mode=mode,
            estimate=microcents(100),
            idempotency_namespace=subject.agent,
        )

        messages = run(ScriptedModel(responses=[calls_search("water", "c1"), says("Done.")]), gate)

        assert searches == ["water"]
        assert [message.content for message in messages if isinstance(message, ToolMessage)] == ["found water"]
        assert spent(standing_books, subject) == ((0 if mode == "decide" else 100), 0)

    @pytest.mark.parametrize("mode", MODES)
    def test_refuses_a_tool_and_lets_the_model_go_on(
        self, client: CyclesClient, standing_books: Books, subject: Subject, mode: Any
    ) -> None:
        gate = CyclesToolGate(
            client,
            subject=subject,
            action=TOOL_CALL,
            mode=mode,
            estimate=microcents(ALLOCATED + 1),
            idempotency_namespace=subject.agent,
        )

        messages = run(ScriptedModel(responses=[calls_search("water", "c1"), says("Never mind.")]), gate)

        assert searches == []
        (refusal,) = [message for message in messages if isinstance(message, ToolMessage)]
        assert "denied by Cycles policy" in str(refusal.content)
        assert messages[-1].content == "Never mind."
        assert spent(standing_books, subject) == (0, 0)

    def test_runs_tools_until_the_budget_is_used_up(
        self, client: CyclesClient, standing_books: Books, subject: Subject
    ) -> None:
        gate = CyclesToolGate(
            client,
            subject=subject,
            action=TOOL_CALL,
            mode="reserve",
            estimate=microcents(400),
            idempotency_namespace=subject.agent,
        )
        script: list[BaseMessage] = [calls_search(str(number), f"c{number}") for number in range(3)]

        run(ScriptedModel(responses=[*script, says("Done.")]), gate)

        assert searches == ["0", "1"]
        assert spent(standing_books, subject) == (800, 0)

    def test_one_tool_call_is_paid_once_however_often_it_is_tried(
        self, client: CyclesClient, standing_books: Books, subject: Subject
    ) -> None:
        gate = CyclesToolGate(
            client,
            subject=subject,
            action=TOOL_CALL,
            mode="reserve",
            estimate=microcents(400),
            idempotency_namespace=subject.agent,
            settlement_error_policy="log",
        )

        for _ in range(2):
            run(ScriptedModel(responses=[calls_search("water", "the-same"), says("Done.")]), gate)

        assert spent(standing_books, subject) == (400, 0)


class TestFanOutGate:
    def gate(self, client: CyclesClient, subject: Subject, max_turns: int = 10) -> Any:
        return CyclesFanOutGate(max_turns, client=client, subject=subject, action=MODEL_CALL)

    def test_stops_at_its_cap(self, client: CyclesClient, standing_books: Books) -> None:
        standing_books.add_budget("/agent:capped", allocated=100_000)
        script: list[BaseMessage] = [calls_search(str(number), f"c{number}") for number in range(9)]

        messages = run(ScriptedModel(responses=script), self.gate(client, Subject(agent="capped"), max_turns=3))

        assert searches == ["0", "1", "2"]
        assert messages[-1].content == "Fan-out cap reached: 3 of 3 model turns used."

    def test_stops_when_the_books_say_so(self, client: CyclesClient, subject: Subject) -> None:
        # It asks for 10000 microcents each turn, and the agent never had so many.
        messages = run(ScriptedModel(responses=[says("Hello.")]), self.gate(client, subject))

        assert messages[-1].content == "Agent halted by Cycles policy: BUDGET_EXCEEDED"

    def test_goes_on_while_there_is_budget(self, client: CyclesClient, standing_books: Books) -> None:
        standing_books.add_budget("/agent:rich", allocated=100_000)
        script: list[BaseMessage] = [calls_search("a", "c1"), calls_search("b", "c2"), says("Done.")]

        messages = run(ScriptedModel(responses=script), self.gate(client, Subject(agent="rich")))

        assert searches == ["a", "b"]
        assert messages[-1].content == "Done."
