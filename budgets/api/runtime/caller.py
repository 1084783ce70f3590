"""Who calls: read from the key's own text, without a query. Whether the key is good, the call that does the work finds out."""

from dataclasses import dataclass, field

from accounts.keys.tokens import parse_token
from django.http import HttpRequest
from kernel.http.errors import error_of_status
from kernel.ids import PLATFORM_TAG, Tag, WireId, WirePrefix, parse_wire_id


@dataclass(frozen=True, slots=True)
class Caller:
    """The tenant that a key belongs to, and what the books compare: the key's id and the digest of its secret (PostgreSQL's hex)."""

    tag: Tag
    key_id: str
    digest: str = field(repr=False)


def read_caller(request: HttpRequest) -> Caller:
    """The caller of `request`. Refuses with 401 what cannot be a tenant's key of ours."""
    parsed = parse_token(request.META.get("HTTP_X_CYCLES_API_KEY", ""))
    if parsed is None or parsed.tag == PLATFORM_TAG:
        raise error_of_status(401)
    return Caller(tag=parsed.tag, key_id=parsed.key_id, digest="\\x" + parsed.digest.hex())


def own_id(caller: Caller, prefix: WirePrefix, text: str) -> WireId:
    """The id in `text` if it was made for the caller's tenant: 404 where we never made it, 403 where it is another tenant's.

    Neither needs a query, so neither tells whether anything is there.
    """
    wire_id = parse_wire_id(prefix, text)
    if wire_id is None:
        raise error_of_status(404)
    if wire_id.tag != caller.tag:
        raise error_of_status(403)
    return wire_id
