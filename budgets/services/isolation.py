"""Names that belong to one tenant only, for what a shared runtime keeps outside: caches, vectors, credentials.

The tenant is part of the name and not a filter afterwards, so a forgotten filter finds nothing of another's.
Clients make the names of single entries by themselves, as `name_of` does: `clients/isolation-vectors.json` has examples
that both sides are held to.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

from kernel.ids import Tag
from kernel.keyring import keys_for

_PURPOSE: Final = "isolation"
_WORKSPACE: Final = "/workspace:"
_DIGITS: Final = 40


class Kept(StrEnum):
    """What is kept outside under a name."""

    CACHE = "cache"
    VECTORS = "vectors"
    SESSION = "session"
    CONVERSATION = "conversation"


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationKeys:
    """`cache_key_prefix` changes when the installation's secret does; what is named for good carries the tag."""

    cache_key_prefix: str
    vector_namespace: str
    credential_scope: str


def isolation_of(tag: Tag, *, suffixes: Sequence[str] = ()) -> IsolationKeys:
    """The names of the tenant, or of the workspace that the scopes `suffixes` lead through."""
    workspace = next((suffix.removeprefix(_WORKSPACE) for suffix in suffixes if is_workspace(suffix)), "")
    # The length goes first, so that no two pairs of names make the same text.
    text = f"{len(tag)}:{tag}{len(workspace)}:{workspace}".encode()
    return IsolationKeys(
        cache_key_prefix=f"wm:{hmac.digest(keys_for(_PURPOSE).signing, text, 'sha256').hex()[:32]}:",
        vector_namespace=f"wm_{tag}" if not workspace else f"wm_{tag}_{workspace}",
        credential_scope=f"wm/{tag}",
    )


def name_of(own: IsolationKeys, kept: Kept, parts: Sequence[str]) -> str:
    """The name of one entry of a cache, collection of vectors, sticky session or conversation at a provider.

    `parts` say which it is to its tenant. They are in it as a digest: a name is short, has no sign that a store could
    take amiss, and tells nobody what was asked. What goes to others (sessions, conversations) tells no tenant either.
    """
    beginning = own.vector_namespace if kept == Kept.VECTORS else own.cache_key_prefix
    if kept == Kept.VECTORS and not parts:
        return beginning
    # Lengths first, so that no two lists of parts make the same text.
    pieces = [piece.encode() for piece in (beginning, kept.value, *parts)]
    digest = sha256(b"".join(b"%d:%b" % (len(piece), piece) for piece in pieces)).hexdigest()[:_DIGITS]
    match kept:
        case Kept.CACHE:
            return f"{beginning}{digest}"
        case Kept.VECTORS:
            return f"{beginning}_{digest}"
        case Kept.SESSION | Kept.CONVERSATION:
            return f"wm-{digest}"


def is_workspace(suffix: str) -> bool:
    """Whether `suffix` is the scope of a workspace, and not of something in one."""
    return suffix.startswith(_WORKSPACE) and suffix.count("/") == 1
