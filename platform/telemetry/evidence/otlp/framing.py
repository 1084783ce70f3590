"""Walking over a protobuf message without unpacking it.

A message of a few bytes can unpack to very much, so a request is first cut along its frames, which costs no memory,
and then each span is unpacked by itself and let go.
"""

from collections.abc import Iterator
from typing import Final

from telemetry.evidence.otlp.sent import SPANS_MAX, Malformed, TooManySpans

#: Fields that are looked at in one request: empty ones take two bytes each and some of our time all the same.
FIELDS_MAX: Final = 10 * SPANS_MAX

_VARINT: Final = 0
_SIXTY_FOUR_BITS: Final = 1
_BYTES: Final = 2
_THIRTY_TWO_BITS: Final = 5
_VARINT_BYTES_MAX: Final = 10


class Walk:
    """One walk over a request. Raises `Malformed` where the message is cut off, `TooManySpans` after `FIELDS_MAX`."""

    __slots__ = ("_fields",)

    def __init__(self) -> None:
        self._fields = 0

    def messages(self, message: memoryview, number: int) -> Iterator[memoryview]:
        """The fields `number` of `message` that are messages or strings."""
        position, end = 0, len(message)
        while position < end:
            self._fields += 1
            if self._fields > FIELDS_MAX:
                raise TooManySpans
            tag, position = _varint(message, position)
            wire_type = tag & 7
            if wire_type == _BYTES:
                length, position = _varint(message, position)
                if length > end - position:
                    raise _cut_off()
                if tag >> 3 == number:
                    yield message[position : position + length]
                position += length
            elif wire_type == _VARINT:
                _, position = _varint(message, position)
            elif wire_type == _SIXTY_FOUR_BITS:
                position += 8
            elif wire_type == _THIRTY_TWO_BITS:
                position += 4
            else:
                raise Malformed("The body is not a protobuf message.")
        if position != end:
            raise _cut_off()

    def last(self, message: memoryview, number: int) -> memoryview:
        """Of a field that is given more than once the last one counts; empty where there is none."""
        found = memoryview(b"")
        for each in self.messages(message, number):
            found = each
        return found


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    for byte in message[position : position + _VARINT_BYTES_MAX]:
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise _cut_off()


def _cut_off() -> Malformed:
    return Malformed("The protobuf message is cut off.")
