"""Pages that htmx may ask for a part of."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


def wants_fragment(request: HttpRequest, template: str, partial: str) -> str:
    """The template to render: the named partial of the page for a swap of a part, else the whole page.

    Restoring the history and swapping the body want the whole page too.
    """
    htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]  # set by its middleware
    return f"{template}#{partial}" if htmx and htmx.request_type == "partial" else template
