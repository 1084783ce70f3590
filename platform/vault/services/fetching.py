"""Fetching a secret now, from where a reference leads: bounded in time, and kept nowhere."""

import contextlib
import threading
from typing import Final

from django.conf import settings

from kernel.ids import Tag
from vault.backends.aws import AwsMissing, SecretsManager
from vault.backends.bounded import bounded
from vault.backends.breaker import Breaker
from vault.backends.door import Door, Fetched, FetchFailed
from vault.backends.files import Files
from vault.backends.openbao import OpenBao
from vault.backends.options import CredentialOptions
from vault.backends.variables import Variables
from vault.kinds import BackEnd, Health
from vault.locations import Location
from vault.paths import PathRefused, resolve

BREAKER: Final = Breaker()
_GIVING_BACK_SECONDS: Final = 0.2

_doors: dict[tuple[int, BackEnd], tuple[CredentialOptions, Door | None]] = {}
_doors_lock = threading.Lock()


def fetch(*, tag: Tag, back_end: BackEnd, location: Location) -> Fetched:
    """The secret at `location` of the tenant. Raises `FetchFailed`, within `bounded.SECONDS_MAX`."""
    path, door = _path(tag, back_end, location), _door(back_end)
    with BREAKER.guard(tag, back_end):
        fetched = bounded(lambda: door.fetch(tag=tag, path=path, version=location.version))
    one = fetched.secret.only(location.key)
    if one is None:
        raise FetchFailed(Health.NOT_THERE)
    return Fetched(secret=one, version=fetched.version, lease_seconds=fetched.lease_seconds, lease_id=fetched.lease_id)


def give_back(fetched: Fetched, *, tag: Tag, back_end: BackEnd) -> None:
    """End what was made for a lease that nobody gets. It ends by itself too, so a store that fails is let be.

    Whoever asked waits for an answer already: what takes longer goes on without them.
    """
    if fetched.lease_id:
        with contextlib.suppress(FetchFailed):
            door = _door(back_end)
            bounded(lambda: door.give_back(tag=tag, lease_id=fetched.lease_id), seconds=_GIVING_BACK_SECONDS)


def renew(*, tag: Tag, store_lease_id: str, seconds: int) -> int:
    """Have the store keep what it made for so long; for how many seconds it does. Raises `FetchFailed`."""
    door = _door(BackEnd.DYNAMIC)
    with BREAKER.guard(tag, BackEnd.DYNAMIC):
        return bounded(lambda: door.renew(tag=tag, lease_id=store_lease_id, seconds=seconds))


def end_at_store(*, tag: Tag, store_lease_id: str) -> None:
    """End what the store made for a lease. Raises `FetchFailed`."""
    door = _door(BackEnd.DYNAMIC)
    with BREAKER.guard(tag, BackEnd.DYNAMIC):
        bounded(lambda: door.give_back(tag=tag, lease_id=store_lease_id))


def probe(*, tag: Tag, back_end: BackEnd, location: Location) -> Health:
    """How the place is now, without the secret."""
    try:
        path, door = _path(tag, back_end, location), _door(back_end)
        with BREAKER.guard(tag, back_end):
            bounded(lambda: door.probe(tag=tag, path=path, version=location.version))
    except FetchFailed as failure:
        return failure.health
    return Health.GOOD


def _path(tag: Tag, back_end: BackEnd, location: Location) -> str:
    try:
        return resolve(back_end, location.path, tag)
    except PathRefused:
        # Only what went past the check when it was saved.
        raise FetchFailed(Health.FORBIDDEN) from None


def _door(back_end: BackEnd) -> Door:
    """The process's one door of this kind, for the settings as they are. Raises `FetchFailed`."""
    options = settings.CREDENTIALS
    with _doors_lock:
        known = _doors.get((id(options), back_end))
        if known is None or known[0] is not options:
            known = _doors[(id(options), back_end)] = (options, _made(options, back_end))
    if known[1] is None:
        raise FetchFailed(Health.NOT_SET_UP)
    return known[1]


def _made(options: CredentialOptions, back_end: BackEnd) -> Door | None:
    match back_end:
        case BackEnd.KV | BackEnd.DYNAMIC:
            return OpenBao(options.openbao, back_end=back_end) if options.openbao else None
        case BackEnd.AWS:
            try:
                return SecretsManager(options.aws) if options.aws else None
            except AwsMissing:
                return None
        case BackEnd.FILE:
            return Files(options.folder) if options.folder else None
        case BackEnd.ENVIRONMENT:
            return Variables(options.variables) if options.variables else None
