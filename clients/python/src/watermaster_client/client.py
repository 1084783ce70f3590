"""The client for code that waits: `with wm.admit(...) as act: ... act.settle(usage)`."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, Unpack
from uuid import uuid4

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
from watermaster_client.transport import T
from watermaster_client.wire import Action, Admission, Extension, Isolation, Settlement, Subject, ToolList

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class Watermaster(Base):
    """One server and one API key. Safe to share between threads; keep one for the life of the process."""

    def admit(
        self,
        *,
        action: Action,
        subject: Subject | None = None,
        raise_on_deny: bool = True,
        **question: Unpack[Question],
    ) -> "Act":
        """Ask for one model or tool call, and hold what it may cost.

        Use the answer as a context manager: leaving the block without a settle gives the hold back. Raises `Denied`;
        with `raise_on_deny` off, look at `act.is_denied`. Raises `Failure` where there is no answer: what that means
        for the call is the caller's choice.
        """
        body = self._question(subject, action, **question)
        admission = self._admission(body)
        if admission.is_denied and raise_on_deny:
            raise Denied(admission)
        return Act(self, admission, body)

    def tools(
        self, tools: Sequence[Mapping[str, Any]], *, subject: Subject | None = None, tool_choice: object = None
    ) -> ToolList:
        """The schemas that may be shown to the model, in their order; a denied tool is absent. Raises `Failure`."""
        return self._post(TOOLS, self._tools_body(tools, subject, tool_choice), ToolList)

    def names(self, *, workspace: str = "") -> TenantNames:
        """Makes names that are this tenant's alone, or this workspace's, without a call. Raises `Failure`.

        They stay good until the server's own secret changes; an act has its own (`act.names`).
        """
        return TenantNames(self._repeated(lambda: self._get_once(ISOLATION, names_query(workspace), Isolation)))

    def guard(
        self,
        *,
        action: guards.Given[Action],
        subject: guards.Given[Subject] | None = None,
        usage: Callable[[Any], object] = guards.whole,
        **question: guards.Given[Any],
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Admit each call of a function, and settle with `usage(result)`.

        Each argument may be a function of the call's own arguments. A function with a parameter `act` is given the act.
        """

        def decorate(call: Callable[P, R]) -> Callable[P, R]:
            guarded = guards.Guarded(call, action=action, subject=subject, question=question)

            @guards.wraps(call)
            def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
                with self.admit(**guarded.question(*args, **kwargs)) as act:
                    result = call(*args, **guarded.with_act(kwargs, act))
                    act.settle(usage(result))
                    return result

            return wrapper

        return decorate

    def close(self) -> None:
        """Ends the threads. Holds that are still open expire by themselves; waiting settles stay on the disk."""
        self._close_blocking()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _admission(self, body: Mapping[str, Any]) -> Admission:
        try:
            return self._post(ADMIT, body, Admission)
        except ApiError as refusal:
            if denied := denial_of(refusal):
                raise denied from refusal
            raise

    def _settle(self, record: Record) -> Settlement:
        keeper = Keeper(self.outbox, record)
        try:
            settlement = self._post(record.path, record.body, Settlement, on_failure=keeper.failed)
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
        keeper.took()
        self._wake()
        return settlement

    def _post(
        self, path: str, body: Mapping[str, Any], kind: type[T], *, on_failure: Callable[[Failure], None] | None = None
    ) -> T:
        """The answer of success, after as many attempts as `retry` allows. Raises `Failure`."""
        content = msgspec.json.encode(body)
        return self._repeated(lambda: self._post_once(path, content, kind), on_failure=on_failure)

    def _repeated(self, send: Callable[[], T], *, on_failure: Callable[[Failure], None] | None = None) -> T:
        begun_at = time.monotonic()
        for attempt in count(1):
            try:
                return send()
            except Failure as failure:
                if on_failure is not None:
                    on_failure(failure)
                wait_s = self._wait_s(failure, attempt=attempt, begun_at=begun_at)
                if wait_s is None:
                    raise
            time.sleep(wait_s)
        raise AssertionError("count() has no end")


class Act(Admitted):
    """One admitted call. A context manager: whatever is not settled when the block ends is given back."""

    def __init__(self, client: Watermaster, admission: Admission, body: Mapping[str, Any]) -> None:
        super().__init__(admission, idempotency_key=body["idempotency_key"], ttl_ms=body["ttl_ms"])
        self._client = client
        if self.reservation_id:
            client._heartbeat.watch(self.reservation_id, ttl_s=self.hold_s, extend=self.extend)

    def settle(self, usage: object, **outcome: Unpack[Outcome]) -> Settlement:
        """Book what the call really cost. `usage` is the provider's own, or the response that has it.

        With the server away the settlement is `QUEUED` and goes out later. Raises `ApiError` where the server will
        never take it; then it is kept in the outbox's `refused.jsonl`.
        """
        self.has_happened = True
        return self._settled(self.usage_record(usage, **outcome)) if self.reservation_id else UNHELD

    def commit(self, amount: int | None = None) -> Settlement:
        """As `settle`, with the amount itself, in the unit of the hold; without one, with all that is held.

        For what has no usage: a tool, whose price is held, or a budget in a unit that you count yourself.
        """
        self.has_happened = True
        return self._settled(self.amount_record(amount)) if self.reservation_id else UNHELD

    def _settled(self, record: Record) -> Settlement:
        self._client._heartbeat.forget(self.reservation_id)
        self.settlement = self._client._settle(record)
        return self.settlement

    def release(self, reason: str = "") -> None:
        """Give the hold back now: the call does not happen. Raises `Failure`."""
        if self.reservation_id and not self.has_happened:
            self.has_happened = True
            self._client._heartbeat.forget(self.reservation_id)
            body = {"idempotency_key": self.idempotency_key, **({"reason": reason} if reason else {})}
            self._client._post(release_path(self.reservation_id), body, Settlement)

    def extend(self) -> float:
        """Make the hold longer by its own length; answers the seconds that it lasts now. The heartbeat calls it."""
        body = {"idempotency_key": uuid4().hex, "extend_by_ms": self.ttl_ms}
        extended = self._client._post(extend_path(self.reservation_id), body, Extension)
        return (extended.remaining_ttl_ms or self.ttl_ms) / 1000

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A hold that the block leaves unsettled on purpose is to end by itself.
        self._client._heartbeat.forget(self.reservation_id)
        try:
            self.release(kind.__name__ if kind else "left without a settle")
        except WatermasterError as failure:
            # It expires by itself; what the block raised matters more.
            logger.warning("The hold %s is not given back: %s", self.reservation_id, failure)
