"""The bodies of the contract's operations, with every limit of it.

Fields that the contract does not know are refused, except `observe_mode` and `policy_keys` of its published extension.
"""

import hashlib
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from budgets.api.parts import Action, Amount, Count, Keyed, KeyedBody, Metrics, OveragePolicy, Subject
from kernel.http.errors import invalid_request


class ObserveMode(StrEnum):
    """Of the contract's extension: OBSERVE judges and blocks nothing; DISABLED means ENFORCE."""

    DISABLED = "DISABLED"
    OBSERVE = "OBSERVE"
    ENFORCE = "ENFORCE"


class DecideRequest(KeyedBody, frozen=True, kw_only=True):
    """POST /v1/decide"""

    subject: Subject
    action: Action
    estimate: Amount


class ReserveRequest(KeyedBody, frozen=True, kw_only=True):
    """POST /v1/reservations"""

    subject: Subject
    action: Action
    estimate: Amount
    ttl_ms: Annotated[int, Meta(ge=1_000, le=86_400_000)] = 60_000
    grace_period_ms: Annotated[int, Meta(ge=0, le=60_000)] = 5_000
    overage_policy: OveragePolicy = OveragePolicy.ALLOW_IF_AVAILABLE
    dry_run: bool = False
    observe_mode: ObserveMode | UnsetType = UNSET


class CommitRequest(KeyedBody, frozen=True, kw_only=True):
    """POST /v1/reservations/{reservation_id}/commit"""

    actual: Amount
    metrics: Metrics | UnsetType = UNSET


class ReleaseRequest(Keyed, frozen=True, kw_only=True):
    """POST /v1/reservations/{reservation_id}/release"""

    reason: Annotated[str, Meta(max_length=256)] | UnsetType = UNSET


class ExtendRequest(KeyedBody, frozen=True, kw_only=True):
    """POST /v1/reservations/{reservation_id}/extend; counts from the old expiry, not from now."""

    extend_by_ms: Annotated[int, Meta(ge=1, le=86_400_000)]


class EventRequest(KeyedBody, frozen=True, kw_only=True):
    """POST /v1/events"""

    subject: Subject
    action: Action
    actual: Amount
    overage_policy: OveragePolicy = OveragePolicy.ALLOW_IF_AVAILABLE
    metrics: Metrics | UnsetType = UNSET
    client_time_ms: Count | UnsetType = UNSET


_CANONICAL_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def payload_hash(request: msgspec.Struct) -> bytes:
    """16 bytes that are equal for equal requests: order and spacing of the body do not count, defaults do.

    A default that was spelt out equals one that was left out.
    """
    return hashlib.blake2b(_CANONICAL_ENCODER.encode(request), digest_size=16).digest()


def require_same_key(header: str | None, request_key: str) -> None:
    """Refuses with 400 when the header X-Idempotency-Key was sent and is not the body's key."""
    if header is not None and header != request_key:
        raise invalid_request(
            "The header X-Idempotency-Key differs from idempotency_key. Send the same key, or no header.",
            field="idempotency_key",
        )
