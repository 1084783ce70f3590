"""Ids: time-ordered UUIDs, the opaque tag of a tenant, and ids on the wire that carry a MAC.

A wire id is `rsv_<tag>_<uuid hex><mac>`. Whoever holds none of our secrets cannot make one up, so an id
with a bad MAC is unknown without a query, and one of another tenant is foreign without a query.
"""

import hmac
import os
import re
import secrets
import time
from dataclasses import dataclass
from typing import Final, Literal, NewType
from uuid import UUID

from kernel.keyring import keys_for

Tag = NewType("Tag", str)
WirePrefix = Literal["rsv", "evt", "dec", "whsub"]

#: Stands where a tenant's tag stands, in keys that belong to the platform's operators.
PLATFORM_TAG: Final = Tag("platformplatformplat")

_TAG_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_TAG_SHAPE: Final = re.compile(r"[a-z2-7]{20}")
_WIRE_ID_SHAPE: Final = re.compile(r"((?:rsv|evt|dec|whsub)_([a-z2-7]{20})_([0-9a-f]{32}))([0-9a-f]{16})")
_MAC_BYTES: Final = 8
_MAC_PURPOSE: Final = "wire-id"


@dataclass(frozen=True, slots=True)
class WireId:
    """A genuine id: the tenant that it was made for, and the row's key there."""

    tag: Tag
    uuid: UUID


def uuid7(*, now_ns: int | None = None) -> UUID:
    """A version 7 UUID (RFC 9562): 48 bits of milliseconds, 12 of their fraction, 62 random.

    `now_ns` is the time since the epoch in nanoseconds; the wall clock when left out.
    """
    ms, ns = divmod(time.time_ns() if now_ns is None else now_ns, 1_000_000)
    # Method 3 of the RFC: the fraction keeps ids of one millisecond in order to a quarter microsecond.
    fraction = (ns << 12) // 1_000_000
    random_bits = int.from_bytes(os.urandom(8)) & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=(ms & 0xFFFF_FFFF_FFFF) << 80 | 0x7000 << 64 | fraction << 64 | 0x8000_0000_0000_0000 | random_bits)


def mint_tag() -> Tag:
    """A new tenant's tag: 100 random bits as 20 characters of `[a-z2-7]`."""
    return Tag("".join(secrets.choice(_TAG_ALPHABET) for _ in range(20)))


def parse_tag(text: str) -> Tag | None:
    """The tag in `text`, or None where it does not have the shape of one."""
    return Tag(text) if _TAG_SHAPE.fullmatch(text) else None


def schema_name(tag: Tag) -> str:
    """The schema of the tenant with this tag.

    Raises ValueError for anything that is no tenant's tag: what stands in a schema name goes into SQL.
    """
    if tag == PLATFORM_TAG or not _TAG_SHAPE.fullmatch(tag):
        raise ValueError("not a tenant's tag")
    return f"t_{tag}"


def mint_wire_id(prefix: WirePrefix, tag: Tag, uuid: UUID) -> str:
    """The id that callers see for the row `uuid` of the tenant `tag`."""
    body = f"{prefix}_{tag}_{uuid.hex}"
    return body + _mac(keys_for(_MAC_PURPOSE).signing, body)


def parse_wire_id(prefix: WirePrefix, text: str) -> WireId | None:
    """The genuine id in `text`, or None: another prefix, another shape, or a MAC that is not ours."""
    match = _WIRE_ID_SHAPE.fullmatch(text)
    if match is None or not text.startswith(prefix):
        return None
    body, tag, uuid_hex, mac = match.groups()
    for key in keys_for(_MAC_PURPOSE).verifying:
        if hmac.compare_digest(mac, _mac(key, body)):
            return WireId(tag=Tag(tag), uuid=UUID(int=int(uuid_hex, 16)))
    return None


def _mac(key: bytes, body: str) -> str:
    return hmac.digest(key, body.encode(), "sha256")[:_MAC_BYTES].hex()
