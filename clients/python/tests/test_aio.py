"""The asynchronous client does as the other one does."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.conftest import KEY, QUICK
from tests.fake_server import ADMIT, SETTLE, FakeServer, Reply, denial, refusal
from tests.test_outbox import drain
from watermaster_client import Action, ApiError, AsyncAct, AsyncWatermaster, Denied

COMPLETION: Action = {"kind": "llm.completion", "name": "openai:gpt-4o-mini"}
USAGE = {"prompt_tokens": 10, "completion_tokens": 5}
Play = Callable[[Callable[[AsyncWatermaster], Awaitable[None]]], None]


@pytest.fixture
def play(server: FakeServer, tmp_path: Path) -> Play:
    """Runs a scene with a client of its own loop."""

    def run(scene: Callable[[AsyncWatermaster], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with AsyncWatermaster(
                server.url, KEY, subject={"agent": "triage"}, retry=QUICK, outbox_folder=tmp_path / "outbox"
            ) as wm:
                await scene(wm)

        asyncio.run(whole())

    return run


class TestAsyncAdmit:
    def test_books_the_cost(self, play: Play, server: FakeServer) -> None:
        async def scene(wm: AsyncWatermaster) -> None:
            async with wm.admit(action=COMPLETION) as act:
                assert (await act.settle(USAGE)).status == "COMMITTED"

        play(scene)

        assert [call.path for call in server.calls] == [ADMIT, SETTLE]

    def test_gives_the_hold_back_when_it_is_cancelled(self, play: Play, server: FakeServer) -> None:
        async def scene(wm: AsyncWatermaster) -> None:
            async def call() -> None:
                async with wm.admit(action=COMPLETION):
                    await asyncio.sleep(10)

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call(), timeout=0.2)

        play(scene)

        assert server.calls[-1].body["reason"] == "CancelledError"

    def test_raises_a_denial(self, play: Play, server: FakeServer) -> None:
        server.then(ADMIT, Reply(body=denial("KILL_SWITCH")))

        async def scene(wm: AsyncWatermaster) -> None:
            with pytest.raises(Denied, match="KILL_SWITCH"):
                await wm.admit(action=COMPLETION)

        play(scene)

    def test_sends_the_same_key_again(self, play: Play, server: FakeServer) -> None:
        server.then(ADMIT, Reply(drop=True), Reply(503))

        async def scene(wm: AsyncWatermaster) -> None:
            await (await wm.admit(action=COMPLETION)).release()

        play(scene)

        assert len({call.body["idempotency_key"] for call in server.to(ADMIT)}) == 1
        assert len(server.to(ADMIT)) == 3

    def test_extends_the_hold_of_a_long_call(self, play: Play, server: FakeServer) -> None:
        async def scene(wm: AsyncWatermaster) -> None:
            async with wm.admit(action=COMPLETION, ttl_ms=100):
                await asyncio.sleep(0.18)
            await asyncio.sleep(0.1)

        play(scene)

        assert 2 <= len(server.to("/v1/reservations/rsv_1/extend")) <= 3

    def test_extends_nothing_after_the_block(self, play: Play, server: FakeServer) -> None:
        async def scene(wm: AsyncWatermaster) -> None:
            async with wm.admit(action=COMPLETION, ttl_ms=100) as act:
                act.leave_unsettled()
            await asyncio.sleep(0.15)

        play(scene)

        assert [call.path for call in server.calls] == [ADMIT]

    def test_queues_the_settle_while_the_server_is_away(self, play: Play, server: FakeServer) -> None:
        async def scene(wm: AsyncWatermaster) -> None:
            async with wm.admit(action=COMPLETION) as act:
                server.go_away()
                assert (await act.settle(USAGE)).status == "QUEUED"
            server.come_back()
            await asyncio.to_thread(wm.flush)
            await asyncio.to_thread(drain, wm.outbox)

        play(scene)

        assert [call.body["usage"] for call in server.to(SETTLE)] == [USAGE]

    def test_keeps_a_settle_whose_caller_is_cancelled(self, play: Play, server: FakeServer) -> None:
        server.then(SETTLE, Reply(delay_s=1))

        async def scene(wm: AsyncWatermaster) -> None:
            async with wm.admit(action=COMPLETION) as act:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(act.settle(USAGE), timeout=0.2)
            await asyncio.to_thread(wm.flush)
            await asyncio.to_thread(drain, wm.outbox)

        play(scene)

        bodies = [call.body for call in server.to(SETTLE)]
        assert len(bodies) == 2
        assert bodies[0] == bodies[1]

    def test_raises_what_the_server_never_takes(self, play: Play, server: FakeServer) -> None:
        server.then(SETTLE, refusal(410, "RESERVATION_EXPIRED"))

        async def scene(wm: AsyncWatermaster) -> None:
            with pytest.raises(ApiError, match="RESERVATION_EXPIRED"):
                await (await wm.admit(action=COMPLETION)).settle(USAGE)
            assert wm.outbox is not None
            assert len(wm.outbox.refused()) == 1

        play(scene)

    def test_lists_the_tools_that_may_be_shown(self, play: Play) -> None:
        async def scene(wm: AsyncWatermaster) -> None:
            assert (await wm.tools([{"name": "search"}])).tools == [{"name": "search"}]

        play(scene)


class TestAsyncGuard:
    def test_admits_and_settles_each_call(self, play: Play, server: FakeServer) -> None:
        async def scene(wm: AsyncWatermaster) -> None:
            @wm.guard(action=COMPLETION, request=lambda prompt, **_: {"input_tokens": len(prompt)})
            async def complete(prompt: str, act: AsyncAct | None = None) -> dict[str, object]:
                assert act is not None
                return {"text": prompt, "usage": USAGE}

            assert (await complete("hello"))["text"] == "hello"

        play(scene)

        assert [call.path for call in server.calls] == [ADMIT, SETTLE]
        assert server.to(ADMIT)[0].body["request"] == {"input_tokens": 5}
