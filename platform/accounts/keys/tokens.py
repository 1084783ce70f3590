"""API keys as text: making one, reading one, and keeping them out of logs.

    wm_live_<tag 20>_<key id 16>_<secret 43>_<checksum 6>

The checksum (CRC-32) lets a scanner drop noise. The last six characters of the key id are a MAC over the tag
and the ten before, so a made-up tag or key id is refused without a query. The secret has 256 bits, which is
why a keyed hash of it is enough to store.
"""

import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from typing import Final

from kernel.ids import Tag
from kernel.keyring import keys_for
from kernel.logs.redaction import LIKE_A_KEY

_BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_KEY_ID_RANDOM_LENGTH: Final = 10
_SECRET_LENGTH: Final = 43
_MAC_PURPOSE: Final = "api-key-id"
_PEPPER_PURPOSE: Final = "api-key-pepper"

_TOKEN_SHAPE: Final = re.compile(r"(wm_live_([a-z2-7]{20})_([0-9A-Za-z]{16})_([0-9A-Za-z]{43}))_([0-9A-Za-z]{6})")


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A new key. `token` is shown to its owner once; only the other fields are stored."""

    token: str = field(repr=False)
    key_id: str
    digest: bytes = field(repr=False)
    pepper_version: int


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A key that we did make. Whether it is still valid, only its row can say: compare `digest` there.

    `pepper_version` names the pepper of `digest`; a row peppered with another one cannot match.
    """

    tag: Tag
    key_id: str
    digest: bytes = field(repr=False)
    pepper_version: int


def mint_key(tag: Tag) -> MintedKey:
    """A new key for the tenant `tag` (or `PLATFORM_TAG`)."""
    random_part = _random_base62(_KEY_ID_RANDOM_LENGTH)
    key_id = random_part + _mac(keys_for(_MAC_PURPOSE).signing, tag, random_part)
    return _with_new_secret(tag, key_id, keys_for(_PEPPER_PURPOSE).signing)


def mint_secret(tag: Tag, key_id: str) -> MintedKey:
    """A new secret for a key that is there already. Raises ValueError for a key id that we did not make."""
    pepper = _pepper_of(tag, key_id)
    if pepper is None:
        raise ValueError("not a key id of ours")
    return _with_new_secret(tag, key_id, pepper)


def parse_token(text: str) -> ParsedKey | None:
    """The key in `text`, or None: another shape, a wrong checksum, or a key id that we did not make.

    A key made under a fallback secret is found too, and then `digest` uses that secret's pepper.
    """
    match = _TOKEN_SHAPE.fullmatch(text)
    if match is None:
        return None
    body, tag, key_id, secret, checksum = match.groups()
    if checksum != _checksum(body):
        return None
    pepper = _pepper_of(Tag(tag), key_id)
    if pepper is None:
        return None
    return ParsedKey(tag=Tag(tag), key_id=key_id, digest=_digest(pepper, secret), pepper_version=_version(pepper))


def redact(text: str) -> str:
    """`text` without anything that could be an API key or the secret part of one."""
    return LIKE_A_KEY.sub("[api key removed]", text)


def _with_new_secret(tag: Tag, key_id: str, pepper: bytes) -> MintedKey:
    secret = _random_base62(_SECRET_LENGTH)
    body = f"wm_live_{tag}_{key_id}_{secret}"
    return MintedKey(
        token=f"{body}_{_checksum(body)}",
        key_id=key_id,
        digest=_digest(pepper, secret),
        pepper_version=_version(pepper),
    )


def _pepper_of(tag: Tag, key_id: str) -> bytes | None:
    """The pepper that goes with the MAC in `key_id`, the newest secret's or a fallback's; None without a good MAC."""
    random_part, mac = key_id[:_KEY_ID_RANDOM_LENGTH], key_id[_KEY_ID_RANDOM_LENGTH:]
    mac_keys = keys_for(_MAC_PURPOSE).verifying
    peppers = keys_for(_PEPPER_PURPOSE).verifying
    for mac_key, pepper in zip(mac_keys, peppers, strict=True):
        if hmac.compare_digest(mac, _mac(mac_key, tag, random_part)):
            return pepper
    return None


def _digest(pepper: bytes, secret: str) -> bytes:
    return hmac.digest(pepper, secret.encode(), "sha256")


def _version(pepper: bytes) -> int:
    # A label that stays the same when other secrets come and go, unlike a position in a list.
    # 15 bits: fits a smallint. Two peppers with one label would only share the label.
    return zlib.crc32(pepper) & 0x7FFF


def _mac(key: bytes, tag: str, random_part: str) -> str:
    digest = hmac.digest(key, f"{tag}_{random_part}".encode(), "sha256")
    return _base62(int.from_bytes(digest[:8]) % 62**6)


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()))


def _base62(number: int) -> str:
    """`number` (below 62^6) as six characters."""
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def _random_base62(length: int) -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(length))
