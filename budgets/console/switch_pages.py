"""`/ops/tenants/<slug>/switches/`: what is stopped in one tenant and what was; throwing and lifting a part of it."""

from datetime import UTC, datetime
from typing import Final

from django.contrib import messages
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console.stop_forms import LEVEL_WORDS, LiftForm, TenantPartForm
from budgets.console.stopping import BUSY, CLOSED, act_answer, name_of
from budgets.selectors.stop_proof import held_by
from budgets.selectors.switches import SwitchLine, line_of, switch_history, thrown_switches
from budgets.services.guards import TenantIsClosed
from budgets.services.switches import lift_switch, throw_switch
from kernel.pages.amounts import amount_text
from kernel.stops import InvalidSwitch
from kernel.switches import SwitchLevel
from kernel.tenancy import in_public, in_tenant
from tenants.selectors.platform_switches import thrown_platform_switches

_SHOWN_MAX: Final = 100


def switch_words(level: SwitchLevel, name: str) -> str:
    """What a switch stops: `Agent triage`."""
    return f"{LEVEL_WORDS[level]} {name}".rstrip()


def switch_rows(lines: list[SwitchLine]) -> list[tuple[str, SwitchLine]]:
    return [(switch_words(line.level, line.name), line) for line in lines]


@page(Act.SEE_LIMITS)
def switch_list(request: HttpRequest, slug: str) -> HttpResponse:
    place, now = place_of(request), datetime.now(UTC)
    with in_tenant(place.tenant.tag):
        thrown = [line_of(switch) for switch in thrown_switches(now=now).order_by("-thrown_at")[:_SHOWN_MAX]]
        ended = switch_history().exclude(pk__in=thrown_switches(now=now).values("pk")).order_by("-thrown_at")
        history = [line_of(switch) for switch in ended[:_SHOWN_MAX]]
    with in_public():
        shared = [line_of(switch) for switch in thrown_platform_switches(now=now).order_by("-thrown_at")[:_SHOWN_MAX]]
    context = {
        "section": "limits",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
        "thrown": switch_rows(thrown),
        "history": switch_rows(history),
        "shared": switch_rows(shared),
    }
    return render(request, "operate/switch_list.html", context)


@page(Act.STOP_TENANT, send=Act.STOP_TENANT)
def switch_throw(request: HttpRequest, slug: str) -> HttpResponse:
    """Stops one part of the tenant. Safe to repeat."""
    place = place_of(request)
    form = TenantPartForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        stop = form.stop_part()
        try:
            done = throw_switch(tag=place.tenant.tag, stop=stop, actor=place.actor())
        except InvalidSwitch as error:
            form.add_error("name" if error.field == "name" else None, f"The name {error}.")
        except TenantIsClosed:
            form.add_error(None, CLOSED)
        except OperationalError:
            form.add_error(None, BUSY)
        else:
            with in_tenant(place.tenant.tag):
                held = held_by(level=done.switch.level, name=done.switch.name)
            still = ", ".join(amount_text(each.amount, each.unit) for each in held) or "nothing"
            messages.success(
                request,
                f"{switch_words(done.switch.level, done.switch.name)} of {name_of(place)} is stopped."
                f" {done.holds_released} holds were given back; it still holds {still}.",
            )
            return redirect(place.url("switch_list"))
    context = {
        "title": f"Stop a part of {name_of(place)}",
        "words": "Everything else goes on. You can lift it at any time.",
        "button": "Stop it now",
        "is_stop": True,
        "back": place.url("switch_list"),
    }
    return act_answer(request, place, context, form)


@page(Act.STOP_TENANT, send=Act.STOP_TENANT)
def switch_lift(request: HttpRequest, slug: str) -> HttpResponse:
    """Lets the part named in the address or the form work again. Safe to repeat."""
    place = place_of(request)
    form = LiftForm(request.POST) if request.method == "POST" else LiftForm(initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        level, name = SwitchLevel(form.cleaned_data["level"]), form.cleaned_data["name"]
        reason = form.cleaned_data["reason"]
        try:
            lifted = lift_switch(tag=place.tenant.tag, level=level, name=name, reason=reason, actor=place.actor(reason))
        except InvalidSwitch as error:
            form.add_error(None, f"The {error.field} {error}.")
        except TenantIsClosed:
            form.add_error(None, CLOSED)
        except OperationalError:
            form.add_error(None, BUSY)
        else:
            words = switch_words(level, name)
            if lifted is None:
                messages.info(request, f"{words} was not stopped; somebody may have lifted it before you.")
            else:
                messages.success(request, f"{words} works again.")
            return redirect(place.url("switch_list"))
    asked = request.POST if request.method == "POST" else request.GET
    level_name = asked.get("level", "")
    what = switch_words(SwitchLevel(level_name), asked.get("name", "")) if level_name in SwitchLevel.values else "it"
    context = {
        "title": f"Let {what} work again",
        "words": "Its calls are decided again by budgets and rules, from the next one on.",
        "button": "Lift the stop",
        "back": place.url("switch_list"),
    }
    return act_answer(request, place, context, form)
