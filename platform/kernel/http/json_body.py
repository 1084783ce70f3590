"""Request bodies: strict JSON in, a checked struct out, or a refusal that says what to mend.

Strict means: one JSON object in UTF-8 and nothing after it, no key twice, no NaN or infinity, integers where
integers are asked for, no NUL and no lone surrogate in a string, no more than 32 levels, no more than 256 KiB.
msgspec sees to most of that while it parses; what it lets pass is checked here.
"""

import json
import re
from functools import lru_cache
from typing import Any, Final

import msgspec
from django.http import HttpRequest, UnreadablePostError

from kernel.http.errors import ProtocolError, error_of_status, invalid_request
from kernel.http.explain import explain, join

BODY_BYTES_MAX: Final = 256 * 1024
DEPTH_MAX: Final = 32

_JSON_CONTENT_TYPE: Final = re.compile(
    r'application/json[ \t]*(?:;[ \t]*charset[ \t]*=[ \t]*(?:"utf-?8"|utf-?8)[ \t]*)?;?',
    re.ASCII | re.IGNORECASE,
)
# Also matches a string that never ends: what fails at each of its quotes anew would take time by the square.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_ONE_KIND: Final = bytes.maketrans(b"[]", b"{}")
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"{}[]")
_BYTE_POSITION: Final = re.compile(r"\(byte ([0-9]+)\)$")


def read_json_body(request: HttpRequest) -> bytes:
    """The raw body of `request`, not yet parsed and never empty.

    Refuses with 413 by the announced length, before a byte is read, and with 400, 411 or 415.
    """
    headers = request.META
    announced = headers.get("CONTENT_LENGTH") or ""
    if not announced and "HTTP_TRANSFER_ENCODING" in headers:
        raise error_of_status(411)
    if announced.isdecimal() and int(announced[:20]) > BODY_BYTES_MAX:
        raise error_of_status(413)
    try:
        raw = request.body
    except UnreadablePostError:
        raise _cut_off() from None
    # The server hands on what came before the caller hung up, and a part may be whole JSON too.
    if announced.isdecimal() and int(announced) != len(raw):
        raise _cut_off()
    if not raw:
        raise invalid_request("The body is empty. Send a JSON object.")
    content_type = headers.get("CONTENT_TYPE", "")
    # The comparison spares nearly every request the pattern.
    if content_type != "application/json" and not _JSON_CONTENT_TYPE.fullmatch(content_type):
        raise error_of_status(415)
    if headers.get("HTTP_CONTENT_ENCODING", "identity") not in {"identity", ""}:
        raise error_of_status(415)
    return raw


def decode[T: msgspec.Struct](raw: bytes, struct: type[T]) -> T:
    """The body `raw` as a `struct`. Refuses with 400 (or 413), naming the field and never its value."""
    request: T = _decode(raw, _decoder(struct), struct)
    return request


def decode_object(raw: bytes) -> dict[str, Any]:
    """The object `raw` with whatever fields it has, for a caller who checks them. Refuses as `decode` does."""
    fields: dict[str, Any] = _decode(raw, _OBJECT_DECODER, _AnyObject)
    return fields


class _AnyObject(msgspec.Struct):
    """Stands for an object whose fields are not known here."""


_OBJECT_DECODER: Final = msgspec.json.Decoder(dict[str, Any])


def _decode(raw: bytes, decoder: msgspec.json.Decoder[Any], struct: type[msgspec.Struct]) -> Any:
    if len(raw) > BODY_BYTES_MAX:
        raise error_of_status(413)
    # Before it is parsed: each level takes some of the parser's stack, and the server's threads have small ones.
    if is_too_deep(raw):
        raise too_deep()
    try:
        request = decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise explain(error, struct) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(raw, error) from None
    # From here on `raw` is well-formed JSON of the right shape.
    if rb"\u0000" in raw or _has_duplicate_keys(raw):
        fault = _first_fault(json.loads(raw, object_pairs_hook=_Pairs), "")
        if fault is not None:
            raise fault
    return request


@lru_cache(maxsize=128)
def _decoder(struct: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(struct)


def _malformed(raw: bytes, error: Exception) -> ProtocolError:
    if raw.startswith(b"\xef\xbb\xbf"):
        return invalid_request("The body begins with a byte order mark. Send UTF-8 without one.")
    if isinstance(error, UnicodeDecodeError):
        return invalid_request("The body is not UTF-8.")
    position = _BYTE_POSITION.search(str(error))
    where = f" near byte {position[1]}" if position else ""
    return invalid_request(f"The body is not well-formed JSON{where}.")


def _cut_off() -> ProtocolError:
    return invalid_request("The body ended before its announced length.")


def is_too_deep(raw: bytes) -> bool:
    """Whether the JSON `raw` is nested more than `DEPTH_MAX` levels deep."""
    return raw.count(b"{") + raw.count(b"[") > DEPTH_MAX and _depth(raw) > DEPTH_MAX


def too_deep() -> ProtocolError:
    """400."""
    return invalid_request(f"The body is nested more than {DEPTH_MAX} levels deep.")


def _depth(raw: bytes) -> int:
    """How deep the JSON `raw` is nested, counted to one more than is allowed; at least so deep where it is malformed.

    Takes time in proportion to its length: each round takes away the innermost pairs.
    """
    brackets = _STRING.sub(b"", raw).translate(_ONE_KIND, _NO_BRACKETS)
    for rounds in range(DEPTH_MAX + 1):
        rest = brackets.replace(b"{}", b"")
        if len(rest) == len(brackets):
            return rounds + rest.count(b"{")
        brackets = rest
    return DEPTH_MAX + 1


class _DuplicateKeyError(Exception):
    """Some object of the body has a key twice."""


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise _DuplicateKeyError


# A second reader, because msgspec keeps the last of two equal keys and tells nobody.
_DUPLICATE_FINDER: Final = json.JSONDecoder(object_pairs_hook=_refuse_duplicates)


def _has_duplicate_keys(raw: bytes) -> bool:
    try:
        _DUPLICATE_FINDER.decode(raw.decode())
    except _DuplicateKeyError:
        return True
    return False


class _Pairs(tuple[tuple[str, Any], ...]):
    """An object as it was written, with equal keys kept apart."""

    __slots__ = ()


def _first_fault(node: object, path: str) -> ProtocolError | None:
    """The first key given twice or string with a NUL under `node`, which is at `path`."""
    if isinstance(node, str):
        return _nul(path) if "\0" in node else None
    children: list[tuple[str, object]] = []
    if isinstance(node, _Pairs):
        seen: set[str] = set()
        for key, value in node:
            here = join(path, key)
            if "\0" in key:
                return _nul(here)
            if key in seen:
                return invalid_request(f"{here} is given twice. Keep one.", field=here)
            seen.add(key)
            children.append((here, value))
    elif isinstance(node, list):
        children = [(f"{path}[{index}]", value) for index, value in enumerate(node)]
    faults = (_first_fault(value, where) for where, value in children)
    return next((fault for fault in faults if fault is not None), None)


def _nul(path: str) -> ProtocolError:
    return invalid_request(f"{path} holds a NUL character. Remove it.", field=path)
