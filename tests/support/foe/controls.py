"""What a page lets its reader send: forms with what stands in them, and links with their parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlsplit

type Fields = dict[str, str]


@dataclass(frozen=True, slots=True)
class Control:
    """A form or a link. `choices` are other values that its menus offer, by field."""

    method: str
    address: str
    fields: Fields
    choices: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class _Reader(HTMLParser):
    controls: list[Control] = field(default_factory=list)
    _form: Control | None = None
    _menu: str = ""

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a":
            parts = urlsplit(given.get("href", ""))
            if parts.query and not parts.netloc:
                self.controls.append(Control("get", parts.path, dict(parse_qsl(parts.query))))
        elif tag == "form":
            self._form = Control(given.get("method", "get").lower(), given.get("action", ""), {}, {})
            self.controls.append(self._form)
        elif self._form is not None and given.get("name", "").strip():
            self._field(tag, given)
        elif self._form is not None and tag == "option" and self._menu:
            self._choice(given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._menu = ""

    def _field(self, tag: str, given: Mapping[str, str]) -> None:
        assert self._form is not None
        name, kind = given["name"], given.get("type", "text")
        if tag == "select":
            self._menu = name
        elif tag == "textarea":
            self._form.fields.setdefault(name, "Because")
        elif tag == "input" and kind in {"radio", "checkbox"}:
            self._form.choices.setdefault(name, []).append(given.get("value", "on"))  # type: ignore[attr-defined]
            if kind == "radio" or "checked" in given:
                self._form.fields.setdefault(name, given.get("value", "on"))
        elif tag == "input" and name != "csrfmiddlewaretoken":
            # Fields that are still empty are filled, so that a form is not refused for them.
            self._form.fields.setdefault(name, given.get("value") or "1")

    def _choice(self, given: Mapping[str, str]) -> None:
        assert self._form is not None
        self._form.choices.setdefault(self._menu, []).append(given.get("value", ""))  # type: ignore[attr-defined]
        if "selected" in given or not self._form.fields.get(self._menu):
            self._form.fields[self._menu] = given.get("value", "")


def controls_of(html: str) -> list[Control]:
    """The page's forms and links, in their order."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.controls
