"""The player: many calls at a time through the published client, at the times of the trace or as fast as possible."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from runcycles import AsyncCyclesClient, CyclesConfig, CyclesResponse

from budgets.replay.prices import FlatPrice, actual_of, estimate_of
from budgets.replay.tally import Denial, Tally
from budgets.replay.trace import TraceCall

#: How often a request without a definite answer (no connection, 429, 5xx) is made again, with the same key.
TRIES: Final = 6
_FIRST_WAIT_S: Final = 0.2
#: The client's own pool holds 100 connections.
CONCURRENCY_MAX: Final = 100
_TTL_MS: Final = 60_000
_BUDGET_REFUSALS: Final = 409
#: So many calls in a row without an answer, and the server is taken for gone.
_UNANSWERED_MAX: Final = 20


class CannotReplay(Exception):
    """The server refuses the replay as such (the key, the scope), or is gone. The text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What is to be played. `speed` divides the times of the trace, 0 is as fast as possible.

    `generated_tokens` are what is estimated for a call; `token_ms` is how long the model takes for one, before `speed`.
    """

    name: str
    trace: Sequence[TraceCall]
    tenant: str
    workspace: str
    api_url: str
    api_key: str = field(repr=False)
    price: FlatPrice
    model: str
    generated_tokens: int
    policy: str
    speed: float
    token_ms: float
    concurrency: int
    key_prefix: str


async def play(replay: Replay, *, tally: Tally, on_call: Callable[[], None]) -> None:
    """Play all calls into `tally`; `on_call` after each. Raises `CannotReplay`."""
    config = CyclesConfig(base_url=replay.api_url, api_key=replay.api_key, tenant=replay.tenant)
    calls = iter(replay.trace)
    async with AsyncCyclesClient(config) as client:
        line = _Line(replay, client, tally, on_call, begun_s=asyncio.get_running_loop().time())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(replay.concurrency, CONCURRENCY_MAX)):
                    group.create_task(line.take(calls))
        except ExceptionGroup as error:
            raise error.exceptions[0] from None
        tally.seconds = asyncio.get_running_loop().time() - line.begun_s


@dataclass(slots=True)
class _Line:
    """Workers that take the calls of one trace in turn, each one when its time has come."""

    replay: Replay
    client: AsyncCyclesClient
    tally: Tally
    on_call: Callable[[], None]
    begun_s: float
    _unanswered: int = 0

    async def take(self, calls: Iterator[TraceCall]) -> None:
        for call in calls:
            await self._wait_for(call)
            await self._play(call)
            self.on_call()

    async def _wait_for(self, call: TraceCall) -> None:
        if not self.replay.speed:
            return
        early_s = self.begun_s + call.after_s / self.replay.speed - self._now_s()
        if early_s > 0:
            await asyncio.sleep(early_s)
        else:
            self.tally.late_seconds_max = max(self.tally.late_seconds_max, -early_s)

    async def _play(self, call: TraceCall) -> None:
        estimate = estimate_of(call, self.replay.price, generated_tokens=self.replay.generated_tokens)
        begun_s = self._now_s()
        reserved = await self._definite(lambda: self.client.create_reservation(self._reserve_body(call, estimate)))
        self.tally.reserve_seconds.append(self._now_s() - begun_s)
        if reserved.is_success or reserved.is_client_error:
            self._unanswered = 0
        if not reserved.is_success:
            self._refused(call, reserved, requested=estimate)
            return
        self.tally.admitted += 1
        self.tally.last_admitted = max(self.tally.last_admitted, call.number)
        self.tally.amount_reserved += estimate
        if self.replay.speed and self.replay.token_ms:
            await asyncio.sleep(call.generated_tokens * self.replay.token_ms / 1000 / self.replay.speed)
        reservation_id: str = reserved.get_body_attribute("reservation_id")
        body = self._commit_body(call)
        begun_s = self._now_s()
        committed = await self._definite(lambda: self.client.commit_reservation(reservation_id, body))
        self.tally.commit_seconds.append(self._now_s() - begun_s)
        self._settled(committed, actual=body["actual"]["amount"])

    async def _definite(self, ask: Callable[[], Awaitable[CyclesResponse]]) -> CyclesResponse:
        """The answer to a request. One without a definite answer is repeated: its idempotency key makes that safe."""
        wait_s = _FIRST_WAIT_S
        for _ in range(TRIES - 1):
            response = await ask()
            if response.is_success or (response.is_client_error and response.status != 429):
                return response
            self.tally.repeated += 1
            await asyncio.sleep(wait_s)
            wait_s *= 2
        return await ask()

    def _refused(self, call: TraceCall, response: CyclesResponse, *, requested: int) -> None:
        body = response.body or {}
        if not response.is_client_error:
            self._count_unanswered(response)
            return
        if response.status != _BUDGET_REFUSALS:
            raise CannotReplay(f"{self.replay.name}: {response.status} {response.error_message}")
        details = body.get("details", {})
        self.tally.deny(
            Denial(
                call_number=call.number,
                reason=body.get("error", ""),
                scope=details.get("scope", ""),
                requested=requested,
                remaining=details.get("remaining"),
                message=response.error_message or "",
                explain_url=details.get("explain_url", ""),
            )
        )

    def _settled(self, response: CyclesResponse, *, actual: int) -> None:
        if response.is_success:
            self.tally.committed += 1
            self.tally.amount_actual += actual
            self.tally.amount_charged += response.get_body_attribute("charged")["amount"]
        elif response.is_client_error:
            self.tally.commits_refused[(response.body or {}).get("error", str(response.status))] += 1
        else:
            self._count_unanswered(response)

    def _count_unanswered(self, response: CyclesResponse) -> None:
        self.tally.unanswered += 1
        self._unanswered += 1
        if self._unanswered >= _UNANSWERED_MAX:
            where = f"{self._unanswered} calls in a row had no answer from {self.replay.api_url}"
            raise CannotReplay(f"{self.replay.name}: {where}: {response.error_message or response.status}")

    def _reserve_body(self, call: TraceCall, estimate: int) -> dict[str, Any]:
        return {
            "idempotency_key": f"{self.replay.key_prefix}-{call.number}",
            "subject": {
                "tenant": self.replay.tenant,
                "workspace": self.replay.workspace,
                "agent": self.replay.name,
            },
            "action": {"kind": "llm.completion", "name": self.replay.model},
            "estimate": {"unit": "USD_MICROCENTS", "amount": estimate},
            "ttl_ms": _TTL_MS,
            "overage_policy": self.replay.policy,
        }

    def _commit_body(self, call: TraceCall) -> dict[str, Any]:
        return {
            "idempotency_key": f"{self.replay.key_prefix}-{call.number}-end",
            "actual": {"unit": "USD_MICROCENTS", "amount": actual_of(call, self.replay.price)},
            "metrics": {"tokens_input": call.context_tokens, "tokens_output": call.generated_tokens},
        }

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()
