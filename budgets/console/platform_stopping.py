"""`/ops/stops/`: what is stopped for every tenant; the emergency stop, its proof, and lifting it."""

from datetime import UTC, datetime
from typing import Final

from django.contrib import messages
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.roles import Act
from budgets.console.stop_forms import LiftForm, PlatformPartForm
from budgets.console.stopping import BUSY, act_answer
from budgets.console.switch_pages import switch_rows, switch_words
from budgets.selectors.switches import line_of
from budgets.services.platform_stops import PlatformStopped, stop_platform
from kernel.stops import InvalidSwitch
from kernel.switches import SwitchLevel, SwitchMode
from kernel.tenancy import in_public
from tenants.selectors.platform_switches import platform_switch_history, thrown_platform_switches
from tenants.selectors.standing import standing_totals
from tenants.services.platform_switches import lift_platform_switch

_SHOWN_MAX: Final = 100


@page(Act.SEE_PLATFORM)
def platform_stops(request: HttpRequest) -> HttpResponse:
    now = datetime.now(UTC)
    with in_public():
        thrown = [line_of(switch) for switch in thrown_platform_switches(now=now).order_by("-thrown_at")[:_SHOWN_MAX]]
        ended = platform_switch_history().exclude(pk__in=thrown_platform_switches(now=now).values("pk"))
        history = [line_of(switch) for switch in ended.order_by("-thrown_at")[:_SHOWN_MAX]]
    context = {
        "section": "overview",
        "place": place_of(request),
        "thrown": switch_rows(thrown),
        "history": switch_rows(history),
    }
    return render(request, "operate/platform_stops.html", context)


@page(Act.STOP_PLATFORM, send=Act.STOP_PLATFORM)
def platform_stop(request: HttpRequest) -> HttpResponse:
    """Stops it for every tenant; the answer says how far that came. Safe to repeat."""
    place = place_of(request)
    form = PlatformPartForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        stop = form.stop_part()
        try:
            stopped = stop_platform(stop=stop, actor=place.actor())
        except InvalidSwitch as error:
            form.add_error("name" if error.field == "name" else None, f"The name {error}.")
        except OperationalError:
            form.add_error(None, BUSY)
        else:
            return _prove(request, place, stopped)
    context = {
        "title": "Emergency stop",
        "words": "For every tenant at once, from the next call on. You can lift it at any time.",
        "button": "Stop now",
        "is_stop": True,
        "back": reverse("ops:overview"),
    }
    return act_answer(request, place, context, form)


@page(Act.STOP_PLATFORM, send=Act.STOP_PLATFORM)
def platform_lift(request: HttpRequest) -> HttpResponse:
    """Lets what the address or the form names work again. Safe to repeat."""
    place = place_of(request)
    form = LiftForm(request.POST) if request.method == "POST" else LiftForm(initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        level, name = SwitchLevel(form.cleaned_data["level"]), form.cleaned_data["name"]
        reason = form.cleaned_data["reason"]
        try:
            lifted = lift_platform_switch(level=level, name=name, reason=reason, actor=place.actor(reason))
        except InvalidSwitch as error:
            form.add_error(None, f"The {error.field} {error}.")
        except OperationalError:
            form.add_error(None, BUSY)
        else:
            words = switch_words(level, name)
            if lifted is None:
                messages.info(request, f"{words} was not stopped; somebody may have lifted it before you.")
            else:
                messages.success(request, f"{words} works again, for every tenant.")
            return redirect("ops:platform_stops")
    asked = request.POST if request.method == "POST" else request.GET
    level_name = asked.get("level", "")
    what = switch_words(SwitchLevel(level_name), asked.get("name", "")) if level_name in SwitchLevel.values else "it"
    context = {
        "title": f"Let {what} work again",
        "words": "For every tenant, from the next call on. What single tenants have stopped stays so.",
        "button": "Resume",
        "back": reverse("ops:platform_stops"),
    }
    return act_answer(request, place, context, form)


def _prove(request: HttpRequest, place: Place, stopped: PlatformStopped) -> HttpResponse:
    switch = stopped.switch
    context = {
        "section": "overview",
        "place": place,
        "title": f"{switch_words(switch.level, switch.name)} is stopped",
        "switch": switch,
        "stopped": stopped,
        "is_cancelled": switch.mode == SwitchMode.CANCEL_HOLDS,
        "is_all": switch.level == SwitchLevel.PLATFORM,
        "totals": standing_totals(now=datetime.now(UTC)),
    }
    return render(request, "operate/platform_stopped.html", context)
