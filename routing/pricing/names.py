"""The names that a model answers to: providers add a date or a revision to the name that the price is under."""

import re
from collections.abc import Iterator
from typing import Final

NAME_LENGTH_MAX: Final = 256

_ENDINGS: Final = (
    re.compile(r"-20\d\d-\d\d-\d\d\Z"),
    re.compile(r"[-@]20\d{6}\Z"),
    re.compile(r"-latest\Z"),
    re.compile(r"-0\d\d\Z"),
)


def names_of(model: str) -> tuple[str, ...]:
    """The names to look for, the exact one first: `claude-3-haiku-20240307` is also `claude-3-haiku`.

    A preview with its own date is another model than one without, so only what stands at the very end is cut off.
    """
    return tuple(_names(model.lower()[:NAME_LENGTH_MAX]))


def _names(model: str) -> Iterator[str]:
    yield model
    for ending in _ENDINGS:
        shorter = ending.sub("", model)
        if shorter and shorter != model:
            yield shorter
