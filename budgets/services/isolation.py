"""Names that belong to one tenant only, for what a shared runtime keeps outside: caches, vectors, credentials.

The tenant is part of the name and not a filter afterwards, so a forgotten filter finds nothing of another's.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kernel.ids import Tag
from kernel.keyring import keys_for

_PURPOSE: Final = "isolation"
_WORKSPACE: Final = "/workspace:"


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


def is_workspace(suffix: str) -> bool:
    """Whether `suffix` is the scope of a workspace, and not of something in one."""
    return suffix.startswith(_WORKSPACE) and suffix.count("/") == 1
