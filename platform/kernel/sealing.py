"""Texts that wait in a store which others can read, such as the table of sessions: sealed by a key of its own."""

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from kernel.keyring import keys_for


def seal(text: str, *, purpose: str) -> str:
    return _box(purpose).encrypt(text.encode()).decode()


def unseal(sealed: str, *, purpose: str) -> str | None:
    """The text, None where it was sealed by a secret that is not known any more."""
    try:
        return _box(purpose).decrypt(sealed.encode()).decode()
    except InvalidToken:
        return None


def _box(purpose: str) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys_for(purpose).verifying])
