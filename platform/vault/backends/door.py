"""What every store of secrets offers, and the few ways in which asking it can fail."""

from dataclasses import dataclass, field
from typing import Final, Protocol

from kernel.ids import Tag
from vault.kinds import Health
from vault.secret import Secret

#: The largest secret that is taken.
BYTES_MAX: Final = 65_536

_SENTENCES: Final = {
    Health.NOT_SET_UP: "This installation has no such back end.",
    Health.UNREACHABLE: "The back end did not answer in time.",
    Health.SEALED: "The back end is sealed.",
    Health.FORBIDDEN: "The back end does not let this installation read there.",
    Health.NOT_THERE: "Nothing lies at that place, or not in that version.",
    Health.GARBAGE: "The back end's answer was not understood.",
}


class FetchFailed(Exception):
    """A secret could not be had. `health` says why.

    Raised outside of any handler and never from another exception: those of libraries carry what was answered.
    """

    def __init__(self, health: Health) -> None:
        super().__init__(_SENTENCES[health])
        self.health = health


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A secret, and what its back end says of it: how long it is good for, None where it does not say."""

    secret: Secret
    version: str = ""
    lease_seconds: int | None = None
    lease_id: str = field(default="", repr=False)


class Door(Protocol):
    """One back end. All raise `FetchFailed`, and all may take longer than anybody waits (`bounded`)."""

    def fetch(self, *, tag: Tag, path: str, version: str) -> Fetched:
        """The secret at a resolved path, newest where `version` is empty."""

    def renew(self, *, tag: Tag, lease_id: str, seconds: int) -> int:
        """Prolong a lease, where the back end makes secrets for each; for how many seconds it is good then."""

    def give_back(self, *, tag: Tag, lease_id: str) -> None:
        """End a lease before its time, where the back end makes secrets for each lease."""

    def probe(self, *, tag: Tag, path: str, version: str) -> None:
        """Find out whether it could be fetched, without taking the secret along where the back end allows that."""
