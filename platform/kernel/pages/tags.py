"""Template tags of every page. They print what they are given and ask nothing of a database."""

from datetime import UTC, datetime
from typing import Any, Literal

from django import template
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from kernel.money import Unit
from kernel.pages import amounts, moments
from kernel.pages.bars import Bar, Tone
from kernel.pages.navigation import BOOKS_NAVIGATION, OPS_NAVIGATION, lines_with_addresses
from kernel.pages.phrases import Sentence, render

register = template.Library()


@register.simple_tag(takes_context=True)
def amount(
    context: dict[str, Any], value: int | None, unit: str, style: Literal["", "fine", "exact"] = ""
) -> SafeString | str:
    """An amount with its currency or unit, and to the last digit on hover. A dash where there is none.

    Rounded as in a table of budgets; `fine` as in a table of calls; `exact` not at all. Where the page has a `display`,
    money is shown in its currency, and in USD on hover; what is exact stays in USD.
    """
    if value is None:
        return "—"
    display: amounts.Display | None = context.get("display")
    hover = f"{amounts.number_text(value)} {unit}"
    if display is not None and unit == Unit.USD_MICROCENTS and style != "exact":
        text = amounts.displayed_text(value, display)
        hover = f"{amounts.exact_amount_text(value, unit)} ({hover})"
    elif style == "exact":
        text = amounts.exact_amount_text(value, unit)
    else:
        text = amounts.amount_text(value, unit, is_fine=style == "fine")
    return format_html('<data class="amount" value="{}" title="{}">{}</data>', value, hover, text)


@register.filter
def number(value: int) -> str:
    return amounts.number_text(value)


@register.filter
def unit_name(unit: str) -> str:
    return amounts.unit_name(unit)


@register.simple_tag(takes_context=True)
def moment(context: dict[str, Any], at: datetime | None, time_zone: str = "") -> SafeString | str:
    """A time with its zone: the one named, else the page's `time_zone`, else UTC. The exact one on hover."""
    zone = time_zone or context.get("time_zone") or "UTC"
    return _time(at, zone, moments.moment_text(at, time_zone=zone, now=datetime.now(UTC)) if at else "")


@register.simple_tag(takes_context=True)
def day(context: dict[str, Any], at: datetime | None, time_zone: str = "") -> SafeString | str:
    """A date, with the exact time on hover."""
    zone = time_zone or context.get("time_zone") or "UTC"
    return _time(at, zone, moments.day_text(at, time_zone=zone) if at else "")


@register.inclusion_tag("components/bar.html")
def bar(drawing: Bar) -> dict[str, Bar]:
    return {"bar": drawing}


@register.inclusion_tag("components/hatches.html")
def hatches() -> dict[str, tuple[str, ...]]:
    """What bars fill their held part with; once a page."""
    return {"tones": (Tone.CALM, Tone.INFO, Tone.WARN, Tone.BAD)}


@register.inclusion_tag("components/chip.html")
def chip(word: str, tone: str = "calm") -> dict[str, str]:
    return {"word": word, "tone": tone}


@register.filter
def phrases(pieces: Sentence) -> SafeString:
    """A sentence, its facts set off."""
    return render(pieces)


@register.inclusion_tag("components/navigation.html", takes_context=True)
def navigation(context: dict[str, Any]) -> dict[str, Any]:
    """The column beside the page: the operators' pages, or those of the place's own tenant."""
    place = context["place"]
    groups = OPS_NAVIGATION if place.is_ops else BOOKS_NAVIGATION
    address_of = _ops_address if place.is_ops else place.url
    shown = [
        {
            "title": group.title or place.tenant.name or place.tenant.slug,
            "lines": list(lines_with_addresses(group, address_of=address_of)),
        }
        for group in groups
    ]
    # On the operators' side every page about one tenant belongs to the line of all tenants.
    section = "tenants" if place.is_ops and place.tenant else context.get("section")
    return {"groups": [group for group in shown if group["lines"]], "section": section}


@register.inclusion_tag("components/nav_link.html", takes_context=True)
def tenant_tab(context: dict[str, Any], name: str, words: str, *also: str) -> dict[str, Any]:
    """One tab of a tenant: the page `name` of it, current there and on the pages `also`; left out until it exists."""
    place, match = context["place"], context["request"].resolver_match
    try:
        url = place.url(name)
    except NoReverseMatch:
        url = ""
    return {"url": url, "words": words, "count": None, "is_current": match and match.url_name in {name, *also}}


def _ops_address(name: str) -> str:
    return reverse(f"ops:{name}")


def _time(at: datetime | None, zone: str, text: str) -> SafeString | str:
    if at is None:
        return "—"
    exact = moments.exact_moment_text(at, time_zone=zone)
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), exact, text)
