"""Every address of the console, found by walking its URL conf, with what a scene has to show at each.

A page that somebody adds is thereby tested by all that walks: who may see it, how it looks, what it weighs.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from django.urls import URLPattern, URLResolver
from django.urls.resolvers import RoutePattern

from accounts.console.pages import PageActs, acts_of
from config import urls_console

OPS: Final = "ops"
OPS_BOOKS: Final = "ops_books"
OWN_BOOKS: Final = "own_books"
#: Where the gate lets in nobody whom the table of roles does not name.
GUARDED: Final = frozenset({OPS, OPS_BOOKS, OWN_BOOKS})

#: What stands for one argument of an address, by `name.argument` of the pattern or by the argument alone.
type Samples = Mapping[str, object]


class NoSample(LookupError):
    """An address takes an argument of which the scene has nothing to show."""


@dataclass(frozen=True, slots=True)
class ConsolePage:
    """One pattern of the URL conf: `namespace` is empty outside of the mounts, `acts` None where it names none."""

    namespace: str
    name: str
    route: str
    arguments: tuple[str, ...]
    view: Callable[..., Any]

    @property
    def id(self) -> str:
        return f"{self.namespace}:{self.name}" if self.namespace else self.name

    @property
    def acts(self) -> PageActs | None:
        return acts_of(self.view)

    @property
    def is_guarded(self) -> bool:
        return self.namespace.split(":")[0] in GUARDED

    @property
    def turn(self) -> int:
        """A number by which pages take turns: its own, whatever other pages there are."""
        return zlib.crc32(self.id.encode())

    def address(self, samples: Samples) -> str:
        """Where this page is in the scene that `samples` describe."""
        address = self.route
        for argument in self.arguments:
            value = samples.get(f"{self.name}.{argument}", samples.get(argument))
            if value is None:
                raise NoSample(
                    f"{self.id} ({self.route}) takes {argument!r}: let tests/support/console_scene.py give a sample"
                    f" named {argument!r} or {f'{self.name}.{argument}'!r}."
                )
            address = address.replace(f"<{argument}>", quote(str(value), safe=""))
        return address


def console_pages() -> list[ConsolePage]:
    """All of them, each pattern once, in the order of the URL conf; what is no page for people is left out."""
    return [page for page in _walk(urls_console.urlpatterns, route="/", namespaces=()) if _is_for_people(page.route)]


def guarded_pages() -> list[ConsolePage]:
    return [page for page in console_pages() if page.is_guarded]


def _is_for_people(route: str) -> bool:
    return route == "/" or route.startswith(("/ops/", "/t/", "/accounts/", "/explain/"))


def _walk(
    patterns: Iterable[URLPattern | URLResolver], *, route: str, namespaces: tuple[str, ...]
) -> Iterator[ConsolePage]:
    for pattern in patterns:
        if not isinstance(pattern.pattern, RoutePattern):
            # A regular expression's arguments could not be filled in. Libraries have some; our own pages may not.
            if GUARDED.intersection(namespaces):
                raise TypeError(f"{pattern!r} is no path()")
            continue
        here = route + _plain(pattern.pattern)
        if isinstance(pattern, URLResolver):
            names = (*namespaces, pattern.namespace) if pattern.namespace else namespaces
            yield from _walk(pattern.url_patterns, route=here, namespaces=names)
        else:
            yield ConsolePage(
                namespace=":".join(namespaces),
                name=pattern.name or here,
                route=here,
                arguments=tuple(_arguments(here)),
                view=pattern.callback,
            )


def _plain(pattern: RoutePattern) -> str:
    """`t/<str:slug>/` as `t/<slug>/`."""
    text = str(pattern)
    for name in pattern.converters:
        start = text.rfind("<", 0, text.index(f"{name}>"))
        text = text[:start] + f"<{name}>" + text[text.index(f"{name}>") + len(name) + 1 :]
    return text


def _arguments(route: str) -> Iterator[str]:
    for piece in route.split("<")[1:]:
        yield piece.partition(">")[0]
