"""Documents that somebody typed: JSON, read with the place of every mistake."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from django import forms

#: More than any policy or plan says.
LENGTH_MAX: Final = 200_000


class NotADocument(ValueError):
    """The text says where it stops being JSON, and why."""


def read_document(text: str) -> dict[str, Any]:
    """The object in `text`. Raises `NotADocument`."""
    try:
        document = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise NotADocument(f"Line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except RecursionError:
        raise NotADocument("It is nested too deeply.") from None
    except NotADocument:
        raise
    except ValueError:
        raise NotADocument("It has a number that is too long.") from None
    if not isinstance(document, dict):
        raise NotADocument("It must be an object: { … }.")
    if any(not _is_kept(each) for each in _strings(document)):
        raise NotADocument("It has a character that is none: U+0000, or half of a pair.")
    return document


def document_text(document: Mapping[str, Any]) -> str:
    """As a person reads and edits it."""
    return json.dumps(document, indent=2, ensure_ascii=False)


class DocumentField(forms.CharField):
    """A JSON object; cleaned to the object itself."""

    def __init__(self, **options: Any) -> None:
        area = forms.Textarea(attrs={"rows": 22, "spellcheck": "false", "autocomplete": "off", "class": "document"})
        super().__init__(max_length=LENGTH_MAX, widget=area, **options)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return read_document(text)
        except NotADocument as error:
            raise forms.ValidationError(str(error)) from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for name, value in pairs:
        if name in known:
            raise NotADocument(f"The name {name[:64]!r} is there twice in one object.")
        known[name] = value
    return known


def _no_number(name: str) -> Any:
    raise NotADocument(f"{name} is no number.")


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for name, each in value.items():
                yield name
                yield from _strings(each)
        case list():
            for each in value:
                yield from _strings(each)


def _is_kept(text: str) -> bool:
    """Whether PostgreSQL keeps such a text."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
