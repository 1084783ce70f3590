"""What a store holds as one text: an object of strings, or the secret itself."""

import json

from vault.backends.door import BYTES_MAX, FetchFailed
from vault.kinds import Health
from vault.secret import Secret

#: The field of a secret that is one text.
WHOLE = "value"


def secret_of_text(text: str) -> Secret:
    """The fields of a JSON object, else the one field `value`. Raises `FetchFailed`."""
    if not text.startswith("{"):
        return Secret({WHOLE: text})
    fields: object = None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        # It only looks like an object: then it is the secret.
        fields = {WHOLE: text}
    return secret_of_fields(fields)


def secret_of_fields(fields: object) -> Secret:
    """Raises `FetchFailed` for anything but an object of strings."""
    if (
        not isinstance(fields, dict)
        or not fields
        or not all(isinstance(name, str) and isinstance(value, str) for name, value in fields.items())
        or sum(len(name) + len(value) for name, value in fields.items()) > BYTES_MAX
        or not all(_is_whole(name) and _is_whole(value) for name, value in fields.items())
    ):
        raise FetchFailed(Health.GARBAGE)
    return Secret(fields)


def _is_whole(text: str) -> bool:
    """Whether it can be written down at all: JSON may name halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
