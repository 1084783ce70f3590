"""Where a page of a list ended, as a string that only we can have written.

A cursor is base64url of the position and a MAC over it, the tenant's tag and what the list was filtered and
sorted by. So it opens nothing for another tenant and says nothing under other filters.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec

from kernel.http.errors import invalid_request
from kernel.ids import Tag
from kernel.keyring import keys_for

#: The sort value and the id of the last row of a page, in the order of the sort.
type Position = list[str | int]

_MAC_BYTES: Final = 16
_PURPOSE: Final = "list-cursor"
_DECODER: Final = msgspec.json.Decoder(list[str | int])


def mint_cursor(position: Position, *, tag: Tag, binding: bytes) -> str:
    """The cursor after `position`; `binding` is what the query says it depends on."""
    payload = msgspec.json.encode(position)
    mac = _mac(keys_for(_PURPOSE).signing, payload, tag=tag, binding=binding)
    return urlsafe_b64encode(mac + payload).rstrip(b"=").decode()


def read_cursor(cursor: str, *, tag: Tag, binding: bytes) -> Position:
    """The position in `cursor`. Refuses with 400 one that was not minted for this tag and binding."""
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except (binascii.Error, UnicodeEncodeError):
        raw = b""
    mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    # The decoder skips strange characters and spare bits, so that many strings give the same bytes; one is ours.
    is_ours = urlsafe_b64encode(raw).rstrip(b"=").decode() == cursor and any(
        hmac.compare_digest(mac, _mac(key, payload, tag=tag, binding=binding)) for key in keys_for(_PURPOSE).verifying
    )
    if not is_ours:
        raise invalid_request(
            "The query parameter cursor must be a next_cursor of the same list with the same filters and sort. "
            "Begin again without it.",
            field="cursor",
        )
    return _DECODER.decode(payload)


def _mac(key: bytes, payload: bytes, *, tag: Tag, binding: bytes) -> bytes:
    # The tag has one length and the binding is preceded by its own, so that no two triples run together.
    message = b"".join((tag.encode(), len(binding).to_bytes(4), binding, payload))
    return hmac.digest(key, message, "sha256")[:_MAC_BYTES]
