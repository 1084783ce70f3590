"""What a reference must be before it is saved: whom it is for, what it opens, and that it leads nowhere else."""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from vault.kinds import BackEnd
from vault.locations import Location
from vault.paths import PathRefused, check_template

NAME_LENGTH_MAX: Final = 100
NOTE_LENGTH_MAX: Final = 500

_PROVIDER: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_SCOPE: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}(:[a-z0-9][a-z0-9_.-]{0,63}){1,3}")
_TOOLS: Final = re.compile(r"[a-z0-9_*][a-z0-9_.:/*-]{0,127}")
_KEY: Final = re.compile(r"[A-Za-z0-9_.-]{0,128}")
_VERSION: Final = re.compile(r"[A-Za-z0-9-]{0,64}")


class InvalidReference(Exception):
    """What is wrong, as a sentence; `field` is the name of the field that it is about."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReference:
    """What somebody wants to add. `tools` is a pattern of tool names; empty for all of the provider's."""

    name: str
    provider: str
    scope: str
    back_end: BackEnd
    location: Location
    tools: str = ""
    note: str = ""
    expires_at: datetime | None = None

    @property
    def tool_pattern(self) -> str:
        return self.tools or f"{self.provider}.*"


def check_new(new: NewReference, *, allowed: Collection[BackEnd], now: datetime) -> None:
    """Raises `InvalidReference`."""
    if not 1 <= len(new.name) <= NAME_LENGTH_MAX or not _is_plain(new.name) or new.name != new.name.strip():
        raise InvalidReference("name", f"The name has 1 to {NAME_LENGTH_MAX} ordinary characters.")
    if not _PROVIDER.fullmatch(new.provider):
        raise InvalidReference("provider", "The provider is written in a-z 0-9 _ . and -, as in slack.")
    if not _SCOPE.fullmatch(new.scope):
        raise InvalidReference("scope", "The scope is written as provider:right, as in slack:write.")
    if not _TOOLS.fullmatch(new.tool_pattern):
        raise InvalidReference("tools", "The tools are one name or one pattern, as in slack.*.")
    if len(new.note) > NOTE_LENGTH_MAX or not _is_plain(new.note):
        raise InvalidReference("note", f"The note has at most {NOTE_LENGTH_MAX} ordinary characters.")
    if new.expires_at is not None and new.expires_at <= now:
        raise InvalidReference("expires_at", "This time is over already.")
    if new.back_end not in allowed:
        raise InvalidReference("back_end", "What lies on the machine itself is bound by whoever runs the platform.")
    check_location(new.back_end, new.location)


def check_location(back_end: BackEnd, location: Location) -> None:
    """Raises `InvalidReference`."""
    try:
        check_template(back_end, location.path)
    except PathRefused as refusal:
        raise InvalidReference("path", str(refusal)) from None
    if not _KEY.fullmatch(location.key):
        raise InvalidReference("key", "The field is written in letters, digits, _ . and -.")
    if not _VERSION.fullmatch(location.version):
        raise InvalidReference("version", "The version is written in letters, digits and -.")
    if location.version and back_end in {BackEnd.DYNAMIC, BackEnd.FILE, BackEnd.ENVIRONMENT}:
        raise InvalidReference("version", "This back end has no versions.")
    if location.version and back_end == BackEnd.KV and not re.fullmatch(r"[1-9][0-9]{0,8}", location.version):
        raise InvalidReference("version", "A version is a number from 1 on.")


def _is_plain(text: str) -> bool:
    return not any(unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for sign in text)
