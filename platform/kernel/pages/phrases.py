"""A sentence whose facts stand out: made in Python, printed by one filter, so that no template joins words."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


@dataclass(frozen=True, slots=True)
class Phrase:
    """A piece of a sentence. `is_code`: a name that somebody typed, in letters of one width."""

    text: str
    is_strong: bool = False
    is_code: bool = False


type Sentence = tuple[Phrase, ...]


def sentence(*pieces: str | Phrase) -> Sentence:
    return tuple(Phrase(piece) if isinstance(piece, str) else piece for piece in pieces)


def strong(text: str) -> Phrase:
    return Phrase(text, is_strong=True)


def code(text: str) -> Phrase:
    return Phrase(text, is_code=True)


def render(pieces: Iterable[Phrase]) -> SafeString:
    """The sentence as HTML; every text is escaped."""
    return format_html_join("", "{}", ((_render(piece),) for piece in pieces))


def plain(pieces: Iterable[Phrase]) -> str:
    return "".join(piece.text for piece in pieces)


def _render(piece: Phrase) -> SafeString | str:
    if piece.is_strong:
        return format_html("<strong>{}</strong>", piece.text)
    return format_html("<code>{}</code>", piece.text) if piece.is_code else piece.text
