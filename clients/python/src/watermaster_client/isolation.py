"""Names that are one tenant's alone: of cache entries, collections of vectors, sticky sessions and conversations.

A name is made from what the server says of the tenant, and in no other way: there is none without a tenant in it. The
server makes the same names of the same parts; `clients/isolation-vectors.json` holds both to it.
"""

import re
from collections.abc import Iterator, MutableMapping
from hashlib import sha256
from typing import Any, Final, Generic, NoReturn, TypeVar, final

from watermaster_client.errors import WatermasterError
from watermaster_client.wire import Isolation

V = TypeVar("V")

_PREFIX: Final = re.compile(r"wm:[0-9a-f]{32}:")
_NAMESPACE: Final = re.compile(r"wm_[a-z2-7]{20}(_[A-Za-z0-9_.-]{1,128})?")
_DIGITS: Final = 40
_MADE: Final = object()


class NoTenant(WatermasterError):
    """The answer does not say whose it is, so no name is made: a name without a tenant would be everybody's."""

    def __init__(self) -> None:
        super().__init__("This answer names no tenant: take the names from an admitted call, or from names().")


class Name:
    """A name that has its tenant in it. `str(name)` is what the store is given.

    It is not text: there is no adding to it and no making one from text. Names are equal where they are one tenant's,
    for the same thing.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str, *, made: object = None) -> None:
        if made is not _MADE:
            raise TypeError(f"{type(self).__name__} is made by TenantNames, from what the server says of the tenant.")
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Name) and type(other) is type(self) and other._text == self._text

    def __hash__(self) -> int:
        return hash((type(self), self._text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("A name is made where it is used, for the tenant that is served there.")


@final
class CacheKey(Name):
    """The key of one entry of a cache: `wm:<tenant>:<digest>`, 76 characters."""

    __slots__ = ()


@final
class VectorNamespace(Name):
    """A namespace, collection or table of vectors: letters, digits, underscores, and what the workspace has."""

    __slots__ = ()


@final
class SessionKey(Name):
    """What a balancer or a pool of browsers keeps a session by: `wm-<digest>`, 43 characters that name no tenant."""

    __slots__ = ()


@final
class ConversationId(Name):
    """What a provider is told of a conversation, user or cached prompt: `wm-<digest>`, 43 characters."""

    __slots__ = ()


@final
class TenantNames:
    """Makes the names of one tenant, or of one of its workspaces. `parts` say which entry it is, in any text.

    Parts are kept apart: ("ab", "c") is not ("a", "bc"). What they say cannot be read from the name.
    """

    __slots__ = ("_namespace", "_prefix")

    def __init__(self, isolation: Isolation) -> None:
        """Raises `NoTenant` for an answer that does not say whose it is."""
        is_said = _PREFIX.fullmatch(isolation.cache_key_prefix) and _NAMESPACE.fullmatch(isolation.vector_namespace)
        if not is_said:
            raise NoTenant
        self._prefix = isolation.cache_key_prefix
        self._namespace = isolation.vector_namespace

    def cache(self, *parts: str | int) -> CacheKey:
        """As in `names.cache(model, prompt)`. Raises ValueError without a part."""
        return CacheKey(f"{self._prefix}{self._digest('cache', parts)}", made=_MADE)

    def vectors(self, *parts: str | int) -> VectorNamespace:
        """The one namespace of the tenant, or with parts one of several."""
        digest = f"_{_digest_of(self._namespace, 'vectors', parts)}" if parts else ""
        return VectorNamespace(f"{self._namespace}{digest}", made=_MADE)

    def session(self, *parts: str | int) -> SessionKey:
        """As in `names.session(user_id)`. Raises ValueError without a part."""
        return SessionKey(f"wm-{self._digest('session', parts)}", made=_MADE)

    def conversation(self, *parts: str | int) -> ConversationId:
        """As in `names.conversation(thread_id)`. Raises ValueError without a part."""
        return ConversationId(f"wm-{self._digest('conversation', parts)}", made=_MADE)

    def __repr__(self) -> str:
        return f"TenantNames({self._prefix!r})"

    def _digest(self, kept: str, parts: tuple[str | int, ...]) -> str:
        if not parts:
            raise ValueError("A name needs a part at least, to say which entry it is.")
        return _digest_of(self._prefix, kept, parts)


@final
class TenantCache(MutableMapping[CacheKey, V], Generic[V]):
    """Over any mapping from text, as of a client of a cache: it takes a `CacheKey` and nothing else.

    Raises TypeError for a key that is text. Going through it is not offered: it would go through other tenants'.
    """

    def __init__(self, entries: MutableMapping[str, V]) -> None:
        self._entries = entries

    def __getitem__(self, key: CacheKey) -> V:
        return self._entries[_text_of(key)]

    def __setitem__(self, key: CacheKey, value: V) -> None:
        self._entries[_text_of(key)] = value

    def __delitem__(self, key: CacheKey) -> None:
        del self._entries[_text_of(key)]

    def __contains__(self, key: object) -> bool:
        return _text_of(key) in self._entries

    def __iter__(self) -> Iterator[CacheKey]:
        raise TypeError("A cache that tenants share is not gone through.")

    def __len__(self) -> int:
        raise TypeError("A cache that tenants share is not counted.")

    def __bool__(self) -> bool:
        return True

    def clear(self) -> NoReturn:
        """Not offered: it would clear other tenants'."""
        raise TypeError("A cache that tenants share is not cleared.")

    def __repr__(self) -> str:
        return "TenantCache()"


def _text_of(key: Any) -> str:
    if not isinstance(key, CacheKey):
        raise TypeError(f"The key of a cache is a CacheKey, as made by TenantNames.cache: not {type(key).__name__}.")
    return str(key)


def _digest_of(beginning: str, kept: str, parts: tuple[str | int, ...]) -> str:
    pieces = [piece.encode() for piece in (beginning, kept, *(_part(part) for part in parts))]
    # Lengths first, so that no two lists of parts make the same text.
    return sha256(b"".join(b"%d:%b" % (len(piece), piece) for piece in pieces)).hexdigest()[:_DIGITS]


def _part(part: str | int) -> str:
    if isinstance(part, bool) or not isinstance(part, str | int):
        raise TypeError(f"A part of a name is text or a number, not {type(part).__name__}.")
    return str(part)
