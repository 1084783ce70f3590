"""Keys derived from the one root secret, a different one for every purpose.

A MAC made for one purpose is worthless for another, and the root secret itself signs nothing.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

SECRET_LENGTH_MIN: Final = 32


@dataclass(frozen=True, slots=True)
class PurposeKeys:
    """The keys of one purpose: new MACs use `signing`, all of `verifying` are still accepted.

    `verifying` begins with `signing`, then follow the keys of the fallback secrets, newest first.
    """

    signing: bytes
    verifying: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"PurposeKeys({len(self.verifying)} verifying)"


def keys_for(purpose: str) -> PurposeKeys:
    """The keys for `purpose`, from WATERMASTER_SECRET and WATERMASTER_SECRET_FALLBACKS.

    Raises ImproperlyConfigured when a secret is shorter than 32 characters.
    """
    fallbacks: Iterable[str] = getattr(settings, "WATERMASTER_SECRET_FALLBACKS", ())
    return _keys_of((settings.WATERMASTER_SECRET, *fallbacks), purpose)


# Keyed by the secrets themselves, so that a changed setting never meets an old key.
@lru_cache(maxsize=64)
def _keys_of(secrets: tuple[str, ...], purpose: str) -> PurposeKeys:
    if any(len(secret) < SECRET_LENGTH_MIN for secret in secrets):
        raise ImproperlyConfigured(
            f"WATERMASTER_SECRET and its fallbacks need at least {SECRET_LENGTH_MIN} characters each."
        )
    keys = tuple(hmac.digest(secret.encode(), b"watermaster/v1/" + purpose.encode(), "sha256") for secret in secrets)
    return PurposeKeys(signing=keys[0], verifying=keys)
