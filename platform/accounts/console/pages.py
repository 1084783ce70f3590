"""What every page of the console says of itself: which act seeing it is, and which act sending its form is.

The gate reads it before the view runs. A view that says nothing is closed to everybody.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

from django.http import HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase

from accounts.roles import Act

type View = Callable[..., HttpResponseBase]

_SAFE: Final = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class PageActs:
    """The act of looking, and the act of sending; None where the method is not answered at all."""

    see: Act | None
    send: Act | None

    def of(self, method: str | None) -> Act | None:
        return self.see if method in _SAFE else self.send

    @property
    def methods(self) -> list[str]:
        return [*(("GET", "HEAD") if self.see else ()), *(("POST",) if self.send else ())]


def page(see: Act | None = None, *, send: Act | None = None) -> Callable[[View], View]:
    """Declare a view: `see` for GET, `send` for POST. Other methods, and those left out, answer 405."""
    acts = PageActs(see=see, send=send)

    def declared(view: View) -> View:
        @wraps(view)
        def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method not in acts.methods:
                return HttpResponseNotAllowed(acts.methods)
            return view(request, *args, **kwargs)

        answered.acts = acts  # type: ignore[attr-defined]  # read by `acts_of`
        return answered

    return declared


def acts_of(view: Callable[..., Any]) -> PageActs | None:
    """What the view said of itself, None where it said nothing."""
    acts = getattr(view, "acts", None)
    return acts if isinstance(acts, PageActs) else None
