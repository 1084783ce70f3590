"""Request bodies that may be packed with gzip: read up to a limit, and unpacked up to another one."""

import zlib
from dataclasses import dataclass, field
from typing import Final

from django.http import HttpRequest, UnreadablePostError

from kernel.http.errors import error_of_status, invalid_request

_GZIP: Final = 16 + zlib.MAX_WBITS
_AT_ONCE: Final = 64 * 1024
_STREAMS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class PackedBody:
    """A body as it was sent."""

    raw: bytes = field(repr=False)
    is_gzip: bool

    def unpacked(self, *, size_max: int) -> bytes:
        """What it holds. Refuses with 413 what is more than `size_max`, with 400 what is cut off or no gzip."""
        if self.is_gzip:
            return _unpacked(self.raw, size_max)
        if len(self.raw) > size_max:
            raise error_of_status(413)
        return self.raw


def read_packed_body(request: HttpRequest, *, sent_max: int) -> PackedBody:
    """The body of `request`, for as long as its sender takes. Sizes are in bytes.

    Refuses with 411, with 413 for one that is longer than `sent_max`, with 415 for another packing than gzip, and with
    400 where it is cut off.
    """
    headers = request.META
    announced = headers.get("CONTENT_LENGTH") or ""
    if not announced.isdecimal():
        raise error_of_status(411)
    if int(announced[:20]) > sent_max:
        raise error_of_status(413)
    packing = headers.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if packing not in {"", "identity", "gzip"}:
        raise error_of_status(415)
    try:
        # Not `request.body`, which has a lower limit of its own.
        raw = request.read(int(announced))
    except UnreadablePostError:
        raise invalid_request("The body ended before its announced length.") from None
    if len(raw) != int(announced):
        raise invalid_request("The body ended before its announced length.")
    return PackedBody(raw, is_gzip=packing == "gzip")


def _unpacked(raw: bytes, size_max: int) -> bytes:
    """What `raw` holds, as one gzip stream or as a few behind each other.

    In pieces on both sides: what a stream leaves over is copied each time.
    """
    found = bytearray()
    rest, position = b"", 0
    for _ in range(_STREAMS_MAX):
        stream = zlib.decompressobj(_GZIP)
        is_full = False
        while not stream.eof:
            if not rest and not is_full:
                rest = raw[position : position + _AT_ONCE]
                position += len(rest)
                if not rest:
                    raise invalid_request("The gzip stream is cut off.")
            try:
                piece = stream.decompress(rest, _AT_ONCE)
            except zlib.error:
                raise invalid_request("The body is not gzip, though it says so.") from None
            found += piece
            if len(found) > size_max:
                raise error_of_status(413)
            rest, is_full = stream.unconsumed_tail, len(piece) == _AT_ONCE
        rest = stream.unused_data
        if not rest and position >= len(raw):
            return bytes(found)
    raise invalid_request(f"The body has more than {_STREAMS_MAX} gzip streams.")
