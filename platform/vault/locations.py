"""Where a secret lies within its back end."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A path template, the field there, the version; empty for every field and for the newest. Never a secret."""

    path: str
    key: str = ""
    version: str = ""
