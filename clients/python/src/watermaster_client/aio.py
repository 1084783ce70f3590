"""The client for code that awaits: `async with wm.admit(...) as act: ... await act.settle(usage)`."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from functools import cached_property
from itertools import count
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, Unpack
from uuid import uuid4

import httpx
import msgspec

from watermaster_client import guards
from watermaster_client.act import (
    ADMIT,
    ISOLATION,
    TOOLS,
    UNHELD,
    Admitted,
    Outcome,
    Question,
    denial_of,
    extend_path,
    names_query,
    release_path,
)
from watermaster_client.base import Base
from watermaster_client.errors import ApiError, Denied, Failure, Unavailable, WatermasterError
from watermaster_client.isolation import TenantNames
from watermaster_client.keeper import Keeper
from watermaster_client.outbox import Record
from watermaster_client.transport import T, answer_of, unreachable
from watermaster_client.wire import Action, Admission, Extension, Isolation, Settlement, Subject, ToolList

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class AsyncWatermaster(Base):
    """As `Watermaster`, for one event loop. The outbox works in threads, so a slow disk does not hold the loop up."""

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self._base_url, headers=self._headers, timeout=self._timeout)

    def admit(
        self,
        *,
        action: Action,
        subject: Subject | None = None,
        raise_on_deny: bool = True,
        **question: Unpack[Question],
    ) -> "Admitting":
        """As `Watermaster.admit`: `async with wm.admit(...) as act`, or `act = await wm.admit(...)`."""
        return Admitting(self, self._question(subject, action, **question), raise_on_deny=raise_on_deny)

    async def tools(
        self, tools: Sequence[Mapping[str, Any]], *, subject: Subject | None = None, tool_choice: object = None
    ) -> ToolList:
        """The schemas that may be shown to the model, in their order; a denied tool is absent. Raises `Failure`."""
        return await self._post(TOOLS, self._tools_body(tools, subject, tool_choice), ToolList)

    async def names(self, *, workspace: str = "") -> TenantNames:
        """As `Watermaster.names`. Raises `Failure`."""
        query = names_query(workspace)
        return TenantNames(await self._repeated(lambda: self._client.get(ISOLATION, params=query), Isolation))

    def guard(
        self,
        *,
        action: guards.Given[Action],
        subject: guards.Given[Subject] | None = None,
        usage: Callable[[Any], object] = guards.whole,
        **question: guards.Given[Any],
    ) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
        """As `Watermaster.guard`, for a coroutine function."""

        def decorate(call: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
            guarded = guards.Guarded(call, action=action, subject=subject, question=question)

            @guards.wraps(call)
            async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
                async with self.admit(**guarded.question(*args, **kwargs)) as act:
                    result = await call(*args, **guarded.with_act(kwargs, act))
                    await act.settle(usage(result))
                    return result

            return wrapper

        return decorate

    async def aclose(self) -> None:
        """Ends connections and thread. Waiting settles stay on the disk."""
        await self._client.aclose()
        await asyncio.to_thread(self._close_blocking)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _admission(self, body: Mapping[str, Any]) -> Admission:
        try:
            return await self._post(ADMIT, body, Admission)
        except ApiError as refusal:
            if denied := denial_of(refusal):
                raise denied from refusal
            raise

    async def _settle(self, record: Record) -> Settlement:
        keeper = Keeper(self.outbox, record)
        try:
            settlement = await self._post(record.path, record.body, Settlement, on_failure=keeper.failed)
        except Failure as failure:
            if not keeper.is_kept:
                raise
            logger.warning("The settle of %s is kept and sent later: %s", record.reservation_id, failure)
            self._wake()
            return Settlement(status="QUEUED", reservation_id=record.reservation_id)
        except BaseException:
            # Interrupted or cancelled half-way: sent again it changes nothing, forgotten it would be lost.
            keeper.failed(Unavailable("The settle was interrupted."))
            self._wake()
            raise
        if keeper.is_kept:
            await asyncio.to_thread(keeper.took)
        self._wake()
        return settlement

    async def _post(
        self, path: str, body: Mapping[str, Any], kind: type[T], *, on_failure: Callable[[Failure], None] | None = None
    ) -> T:
        """The answer of success, after as many attempts as `retry` allows. Raises `Failure`."""
        content = msgspec.json.encode(body)
        return await self._repeated(lambda: self._client.post(path, content=content), kind, on_failure=on_failure)

    async def _repeated(
        self,
        send: Callable[[], Awaitable[httpx.Response]],
        kind: type[T],
        *,
        on_failure: Callable[[Failure], None] | None = None,
    ) -> T:
        begun_at = time.monotonic()
        for attempt in count(1):
            try:
                return await self._answer(send, kind)
            except Failure as failure:
                if on_failure is not None:
                    # Shielded by its thread: a cancelled caller does not stop the write.
                    await asyncio.to_thread(on_failure, failure)
                wait_s = self._wait_s(failure, attempt=attempt, begun_at=begun_at)
                if wait_s is None:
                    raise
            await asyncio.sleep(wait_s)
        raise AssertionError("count() has no end")

    async def _answer(self, send: Callable[[], Awaitable[httpx.Response]], kind: type[T]) -> T:
        try:
            response = await send()
        except httpx.TransportError as error:
            raise unreachable(error) from error
        return answer_of(response, kind)


class AsyncAct(Admitted):
    """One admitted call; see `Act`."""

    def __init__(self, client: AsyncWatermaster, admission: Admission, body: Mapping[str, Any]) -> None:
        super().__init__(admission, idempotency_key=body["idempotency_key"], ttl_ms=body["ttl_ms"])
        self._client = client
        self._heartbeat = asyncio.create_task(self._beat()) if self.reservation_id else None

    async def settle(self, usage: object, **outcome: Unpack[Outcome]) -> Settlement:
        """As `Act.settle`."""
        self.has_happened = True
        return await self._settled(self.usage_record(usage, **outcome)) if self.reservation_id else UNHELD

    async def commit(self, amount: int | None = None) -> Settlement:
        """As `Act.commit`."""
        self.has_happened = True
        return await self._settled(self.amount_record(amount)) if self.reservation_id else UNHELD

    async def _settled(self, record: Record) -> Settlement:
        self._stop_heartbeat()
        self.settlement = await self._client._settle(record)
        return self.settlement

    async def release(self, reason: str = "") -> None:
        """As `Act.release`."""
        if self.reservation_id and not self.has_happened:
            self.has_happened = True
            self._stop_heartbeat()
            body = {"idempotency_key": self.idempotency_key, **({"reason": reason} if reason else {})}
            await self._client._post(release_path(self.reservation_id), body, Settlement)

    async def extend(self) -> float:
        """As `Act.extend`."""
        body = {"idempotency_key": uuid4().hex, "extend_by_ms": self.ttl_ms}
        extended = await self._client._post(extend_path(self.reservation_id), body, Extension)
        return (extended.remaining_ttl_ms or self.ttl_ms) / 1000

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A hold that the block leaves unsettled on purpose is to end by itself.
        self._stop_heartbeat()
        try:
            await self.release(kind.__name__ if kind else "left without a settle")
        except WatermasterError as failure:
            # It expires by itself; what the block raised matters more.
            logger.warning("The hold %s is not given back: %s", self.reservation_id, failure)

    async def _beat(self) -> None:
        hold_s = self.hold_s
        try:
            while True:
                await asyncio.sleep(hold_s / 2)
                hold_s = await self.extend()
        except (WatermasterError, RuntimeError) as failure:  # RuntimeError: the client is being closed
            logger.warning("The hold %s is not extended: %s", self.reservation_id, failure)

    def _stop_heartbeat(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.cancel()


class Admitting:
    """A question that is on its way: to be awaited, or entered as a context manager."""

    def __init__(self, client: AsyncWatermaster, body: Mapping[str, Any], *, raise_on_deny: bool) -> None:
        self._client = client
        self._body = body
        self._raise_on_deny = raise_on_deny
        self._act: AsyncAct | None = None

    def __await__(self) -> Generator[Any, None, AsyncAct]:
        return self._ask().__await__()

    async def __aenter__(self) -> AsyncAct:
        self._act = await self._ask()
        return self._act

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._act is not None:
            await self._act.__aexit__(kind, error, trace)

    async def _ask(self) -> AsyncAct:
        admission = await self._client._admission(self._body)
        if admission.is_denied and self._raise_on_deny:
            raise Denied(admission)
        return AsyncAct(self._client, admission, self._body)
