"""Rate limits: token buckets in Valkey, taken before the books are asked and given back when they refuse.

All of one call's buckets are taken by one script, or none. Valkey's clock counts. When Valkey is away nothing is
limited here, because the money is guarded elsewhere: `docs/decisions/rates-fail-open.md`.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

import redis
from redis.commands.core import Script

from budgets.services.front import Front, RateLimit
from kernel.ids import Tag
from kernel.valkey import shared_valkey

#: How many refused requests of one tenant and second become decisions; the others are only counted.
SAMPLES_A_SECOND: Final = 1
#: What one call may take at most, far above any bucket: what is taken can be given back to the last token.
TOKENS_MAX: Final = 10**12
_LEVELS: Final = ("workspace", "agent")
_QUIET_SECONDS: Final = 10.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    key: str
    limit: RateLimit
    wanted: int


@dataclass(frozen=True, slots=True)
class Ticket:
    """What was taken. `give_back` when nothing came of the call."""

    buckets: tuple[Bucket, ...] = ()

    def give_back(self) -> None:
        """Put all of it back. A process that dies before owes it: the bucket fills up by itself."""
        _give(self.buckets, [bucket.wanted for bucket in self.buckets])

    def settle_tokens(self, tokens: int) -> None:
        """Put right what was taken for tokens, now that it is known how many they were."""
        counted = [bucket for bucket in self.buckets if bucket.limit.counts == "tokens"]
        _give(counted, [bucket.wanted - min(tokens, TOKENS_MAX) for bucket in counted])


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """Not now. `is_sample`: this one is to be written down; `refused_before` were refused in the second before."""

    limit: RateLimit
    left: int
    wait_ms: int
    is_sample: bool
    refused_before: int

    @property
    def retry_after_s(self) -> int:
        return max(-(-self.wait_ms // 1000), 1)

    def numbers(self) -> dict[str, Any]:
        """The numbers of that moment, for the decision and for whoever was refused."""
        return {
            "bucket": self.limit.name,
            "level": self.limit.level,
            "counts": self.limit.counts,
            "capacity": self.limit.capacity,
            "per_minute": self.limit.per_minute,
            "left": self.left,
            "retry_after_ms": self.wait_ms,
            "refused_in_the_second_before": self.refused_before,
        }


def take(
    front: Front, *, tag: Tag, suffixes: Sequence[str], key_id: str, tokens: int, is_live: bool = True
) -> Ticket | Limited:
    """Take one request and `tokens` from every bucket of the call, or say which one is empty.

    `suffixes` are the scopes below the tenant, root first. Without `is_live` nothing is taken.
    """
    if not front.rate:
        return Ticket()
    buckets = tuple(_buckets(front, tag=tag, suffixes=suffixes, key_id=key_id, tokens=tokens))
    arguments = [part for bucket in buckets for part in (bucket.limit.capacity, bucket.limit.per_minute, bucket.wanted)]
    try:
        answer = _script("take")(
            keys=[*(bucket.key for bucket in buckets), f"rate:{{{tag}}}:refused"],
            args=["take" if is_live else "look", *arguments],
        )
    except redis.RedisError:
        _voice.say()
        return Ticket()
    if answer[0] == 0:
        return Ticket(buckets if is_live else ())
    failed, left, wait_ms, count, before = answer
    return Limited(
        limit=buckets[failed - 1].limit,
        left=left,
        wait_ms=wait_ms,
        is_sample=count <= SAMPLES_A_SECOND,
        refused_before=before,
    )


def ticket_of(front: Front, *, tag: Tag, suffixes: Sequence[str], key_id: str, tokens: int) -> Ticket:
    """The ticket of a call that was let through earlier with an estimate of `tokens`."""
    return Ticket(tuple(_buckets(front, tag=tag, suffixes=suffixes, key_id=key_id, tokens=tokens)))


def _buckets(front: Front, *, tag: Tag, suffixes: Sequence[str], key_id: str, tokens: int) -> list[Bucket]:
    scopes = {"tenant": "", "key": key_id}
    for suffix in suffixes:
        level = suffix.rpartition("/")[2].partition(":")[0]
        if level in _LEVELS:
            scopes[level] = suffix
    return [
        Bucket(
            # The tag in braces keeps all buckets of a tenant in one slot, so that one script may take them.
            key=f"rate:{{{tag}}}:{limit.name}:{scopes[limit.level]}",
            limit=limit,
            wanted=min(tokens, TOKENS_MAX) if limit.counts == "tokens" else 1,
        )
        for limit in front.rate
        if limit.level in scopes
    ]


def _give(buckets: Sequence[Bucket], amounts: Sequence[int]) -> None:
    if not any(amounts):
        return
    arguments = [
        part
        for bucket, amount in zip(buckets, amounts, strict=True)
        for part in (bucket.limit.capacity, bucket.limit.per_minute, amount)
    ]
    try:
        _script("give_back")(keys=[bucket.key for bucket in buckets], args=arguments)
    except redis.RedisError:
        _voice.say()


@cache
def _script(name: str) -> Script:
    text = resources.files("budgets").joinpath("lua", f"{name}.lua").read_text()
    return shared_valkey().register_script(text)


class _Voice:
    """Says so in the log, and not again for a while."""

    def __init__(self) -> None:
        self._silent_until = 0.0

    def say(self) -> None:
        if time.monotonic() >= self._silent_until:
            self._silent_until = time.monotonic() + _QUIET_SECONDS
            _logger.warning("Valkey does not answer: nothing is rate-limited until it does.")


_voice: Final = _Voice()
