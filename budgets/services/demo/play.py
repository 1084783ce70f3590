"""Playing a day of calls through the engine, as the tenant's own API key. May be cut off and played again."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any, Final

from accounts.keys.tokens import ParsedKey
from budgets.models import LedgerEntry
from budgets.services import engine
from budgets.services.demo.cast import CENT, DemoTenant
from budgets.services.demo.traffic import Call, day_of_calls, suffixes
from budgets.services.expiry import visit_tenant
from budgets.services.operations import Answer, Op, Operation
from budgets.services.payloads import hash_of
from kernel.ids import Tag, uuid7
from kernel.tenancy import in_tenant

#: Calls that are under way at the same time.
_TOGETHER: Final = 40
_ABANDONED_TTL_MS: Final = 1_000
_IN_FLIGHT_TTL_MS: Final = 15 * 60_000


#: Answers that mean that the demo itself is broken, and not that a budget did its work.
_UNMEANT: Final = {
    "UNAUTHORIZED",
    "FORBIDDEN",
    "IDEMPOTENCY_MISMATCH",
    "INTERNAL_ERROR",
    "NOT_FOUND",
    "BUDGET_NOT_FOUND",
}


class NotPlayable(Exception):
    """The tenant's key or budgets are not what the demo needs; the text is the engine's status."""


@dataclass(slots=True)
class Played:
    """What became of the calls: how often each status was answered to each operation, as in `reserve OK`."""

    answers: Counter[str] = field(default_factory=Counter)
    expired: int = 0

    @property
    def operations(self) -> int:
        return self.answers.total()


def was_played(tag: Tag, *, seed: int, day: str) -> bool:
    """Whether the day was played to its end."""
    with in_tenant(tag):
        return LedgerEntry.objects.filter(endpoint="event", idempotency_key=_last_key(seed=seed, day=day)).exists()


def play_day(tenant: DemoTenant, *, tag: Tag, key: ParsedKey, seed: int, day: str) -> Played:
    """Play the tenant's day. Repeated, it has no second effect: every call has the same idempotency key again.

    Raises `NotPlayable`, or what the engine raises.
    """
    player = _Player(tag=tag, key=key, slug=tenant.slug)
    for calls in batched(day_of_calls(tenant, seed=seed, day=day), _TOGETHER):
        player.play(calls)
    player.close_day(tenant, last_key=_last_key(seed=seed, day=day))
    # The abandoned one is over by now, or in a moment.
    time.sleep(_ABANDONED_TTL_MS / 1000 + 0.01)
    player.played.expired = visit_tenant(tag=tag, has_time=lambda: True).expired
    return player.played


@dataclass(slots=True, kw_only=True)
class _Player:
    tag: Tag
    key: ParsedKey
    slug: str
    played: Played = field(default_factory=Played)

    def play(self, calls: Sequence[Call]) -> None:
        """Calls that begin together: all reserve, then those that may go on come to their end."""
        opening = self.ask([self._opening(call) for call in calls])
        ending = [
            self._ending(call, answer)
            for call, answer in zip(calls, opening, strict=True)
            if answer.status == "OK" and call.ending in {"commit", "release"}
        ]
        answers = self.ask(ending) if ending else []
        # Refused because the cost was above the hold: the agent books what was held, and no more.
        held = {answer.id: call.estimate for call, answer in zip(calls, opening, strict=True)}
        capped = [
            self._settle("commit", f"{operation.idem}-held", operation.target, amount=held[operation.target])
            for operation, answer in zip(ending, answers, strict=True)
            if answer.status == "BUDGET_EXCEEDED" and operation.target is not None
        ]
        if capped:
            self.ask(capped)

    def close_day(self, tenant: DemoTenant, *, last_key: str) -> None:
        """Costs that turn up late; then the one line that says that all of the day is in the books."""
        late = [
            self.operation(
                "event",
                f"{last_key}-{number}",
                amount=cost.amount,
                policy="ALLOW_WITH_OVERDRAFT",
                suffixes=list(suffixes(cost.workspace, cost.agent)),
                subject={"tenant": self.slug, "workspace": cost.workspace, "agent": cost.agent},
                action={"kind": "batch", "name": cost.name},
            )
            for number, cost in enumerate(tenant.late_costs)
        ]
        nightly = self.operation(
            "event",
            last_key,
            amount=CENT,
            policy="ALLOW_IF_AVAILABLE",
            suffixes=[""],
            subject={"tenant": self.slug},
            action={"kind": "embedding.refresh", "name": "text-embedding-3-small"},
        )
        self.ask([*late, nightly])

    def ask(self, operations: Sequence[Operation]) -> list[Answer]:
        answers = engine.apply(self.tag, operations)
        for answer in answers:
            if answer.status in _UNMEANT:
                raise NotPlayable(answer.status)
        self.played.answers.update(f"{o.op} {a.status}" for o, a in zip(operations, answers, strict=True))
        return answers

    def operation(self, op: Op, key: str, **fields: Any) -> Operation:
        return Operation(
            op=op,
            id=uuid7(),
            key_id=self.key.key_id,
            digest="\\x" + self.key.digest.hex(),
            idem=key,
            hash="\\x" + hash_of(op, key).hex(),
            unit=None if op == "release" else "USD_MICROCENTS",
            **fields,
        )

    def _opening(self, call: Call) -> Operation:
        fields: dict[str, Any] = {
            "suffixes": list(call.suffixes),
            "run": call.run,
            "template": call.template,
            "subject": call.subject,
            "action": call.action,
        }
        if call.ending == "event":
            return self.operation("event", call.key, amount=call.actual, policy="ALLOW_IF_AVAILABLE", **fields)
        is_abandoned = call.ending == "abandon"
        return self.operation(
            "reserve",
            call.key,
            amount=call.estimate,
            ttl_ms=_ABANDONED_TTL_MS if is_abandoned else _IN_FLIGHT_TTL_MS,
            grace_ms=0 if is_abandoned else 5_000,
            policy=call.policy.value,
            **fields,
        )

    def _ending(self, call: Call, opening: Answer) -> Operation:
        if call.ending == "release":
            return self._settle("release", f"{call.key}-end", opening.id, reason="The model did not answer.")
        return self._settle("commit", f"{call.key}-end", opening.id, amount=call.actual)

    def _settle(self, op: Op, key: str, reservation_id: Any, **fields: Any) -> Operation:
        return self.operation(op, key, target=reservation_id, **fields)


def _last_key(*, seed: int, day: str) -> str:
    return f"demo-{seed}-{day}-end"
