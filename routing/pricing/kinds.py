"""What a provider counts and charges apart, and the ways in which it can be asked."""

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """One line of a bill in tokens. The kinds of one usage never overlap: cached tokens are not input tokens too."""

    INPUT = "input"
    CACHED_INPUT = "cached_input"
    CACHE_WRITE = "cache_write"
    CACHE_WRITE_1H = "cache_write_1h"
    INPUT_AUDIO = "input_audio"
    CACHED_AUDIO = "cached_audio"
    INPUT_IMAGE = "input_image"
    CACHED_IMAGE = "cached_image"
    OUTPUT = "output"
    REASONING = "reasoning"
    OUTPUT_AUDIO = "output_audio"
    OUTPUT_IMAGE = "output_image"


#: Whose rate a kind takes where a price names none of its own.
PRICED_AS: Final = {
    Kind.CACHED_INPUT: Kind.INPUT,
    Kind.CACHE_WRITE: Kind.INPUT,
    Kind.CACHE_WRITE_1H: Kind.CACHE_WRITE,
    Kind.INPUT_AUDIO: Kind.INPUT,
    Kind.CACHED_AUDIO: Kind.INPUT_AUDIO,
    Kind.INPUT_IMAGE: Kind.INPUT,
    Kind.CACHED_IMAGE: Kind.INPUT_IMAGE,
    Kind.REASONING: Kind.OUTPUT,
    Kind.OUTPUT_AUDIO: Kind.OUTPUT,
    Kind.OUTPUT_IMAGE: Kind.OUTPUT,
}

INPUT_KINDS: Final = frozenset(
    {
        Kind.INPUT,
        Kind.CACHED_INPUT,
        Kind.CACHE_WRITE,
        Kind.CACHE_WRITE_1H,
        Kind.INPUT_AUDIO,
        Kind.CACHED_AUDIO,
        Kind.INPUT_IMAGE,
        Kind.CACHED_IMAGE,
    }
)


class Mode(StrEnum):
    """How a call is served. A price that says nothing of a mode charges it as STANDARD."""

    STANDARD = "standard"
    BATCH = "batch"
    FLEX = "flex"
    PRIORITY = "priority"
    FAST = "fast"
