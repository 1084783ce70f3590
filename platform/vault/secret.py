"""The one type that carries a secret through this program, and can be neither shown, copied nor sent along by mistake.

The value is reached by `reveal()` alone, so that every place where it comes out can be found by that word.
"""

from collections.abc import Mapping
from typing import Any, Final, NoReturn, final

_SHOWN: Final = "Secret(…)"


class SecretKept(TypeError):
    """Somebody tried to write a secret down. The message never holds any of it."""

    def __init__(self) -> None:
        super().__init__("a secret is not written down")


@final
class Secret:
    """The fields of one secret, in memory only.

    `repr` shows nothing. Turning it into text, formatting, pickling, copying, encoding as JSON or by msgspec, comparing
    and hashing all raise `SecretKept`.
    """

    __slots__ = ("__fields",)

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.__fields = dict(fields)

    def reveal(self) -> dict[str, str]:
        """The fields, for the one answer that hands them out."""
        return dict(self.__fields)

    def only(self, key: str) -> "Secret | None":
        """The one field `key`, every field for an empty key, None where there is no such field."""
        if not key:
            return self
        return Secret({key: self.__fields[key]}) if key in self.__fields else None

    def __init_subclass__(cls) -> None:
        raise SecretKept

    def __repr__(self) -> str:
        return _SHOWN

    def __len__(self) -> int:
        return len(self.__fields)

    def __bool__(self) -> bool:
        return bool(self.__fields)

    def _kept(self, *_: Any) -> NoReturn:
        raise SecretKept

    __str__ = __format__ = __bytes__ = __iter__ = __getitem__ = _kept
    __reduce__ = __reduce_ex__ = __getstate__ = __copy__ = __deepcopy__ = _kept
    __eq__ = __hash__ = __json__ = _kept
