"""What people do with an alert: put it off, or say that it is dealt with."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.roles import Act
from budgets.console.alert_forms import SNOOZES, ResolveForm, SnoozeForm
from budgets.console.alerts import alert_context
from budgets.console.stopping import BUSY
from budgets.selectors.alerts import AlertLine, alert_line
from budgets.services.alert_acts import AlertIsOver, AlertNotFound, resolve_alert, snooze_alert
from kernel.pages.moments import moment_text
from kernel.tenancy import in_tenant

_OVER: Final = "This alert has ended meanwhile. Nothing was done."


@page(Act.EDIT_ALERTS, send=Act.EDIT_ALERTS)
def alert_snooze(request: HttpRequest, slug: str, alert_id: UUID) -> HttpResponse:
    place = place_of(request)
    alert = _alert(place, alert_id)
    form = SnoozeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        now = datetime.now(UTC)
        until = now + SNOOZES[form.cleaned_data["hours"]]
        try:
            actor = place.actor(form.cleaned_data["reason"])
            snooze_alert(tag=place.tenant.tag, alert_id=alert_id, until=until, actor=actor)
        except (AlertIsOver, AlertNotFound):
            messages.warning(request, _OVER)
            return redirect(place.url("alert_list"))
        except OperationalError:
            form.add_error(None, BUSY)
        else:
            at = moment_text(until, time_zone=place.tenant.time_zone, now=now)
            messages.success(request, f"Put off until {at}. If it still holds then, it comes back.")
            return redirect(place.url("alert_list"))
    words = f"{alert.summary} Until then nobody is told of it, and it stands at nobody's overview."
    return _act_page(request, place, form, title="Put this alert off", words=words, button="Put it off")


@page(Act.EDIT_ALERTS, send=Act.EDIT_ALERTS)
def alert_resolve(request: HttpRequest, slug: str, alert_id: UUID) -> HttpResponse:
    """Safe to repeat."""
    place = place_of(request)
    alert = _alert(place, alert_id)
    form = ResolveForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            actor = place.actor(form.cleaned_data["reason"])
            resolve_alert(tag=place.tenant.tag, alert_id=alert_id, actor=actor)
        except (AlertIsOver, AlertNotFound):
            messages.warning(request, _OVER)
            return redirect(place.url("alert_list"))
        except OperationalError:
            form.add_error(None, BUSY)
        else:
            messages.success(request, "Resolved. Your reason stands beside it.")
            return redirect(place.url("alert_list"))
    words = f"{alert.summary} Say what was done about it; in this period it is not told again."
    return _act_page(request, place, form, title="Resolve this alert", words=words, button="Resolve it")


def _alert(place: Place, alert_id: UUID) -> AlertLine:
    with in_tenant(place.tenant.tag):
        alert = alert_line(alert_id)
    if alert is None:
        raise Http404
    return alert


def _act_page(
    request: HttpRequest, place: Place, form: forms.Form, *, title: str, words: str, button: str
) -> HttpResponse:
    context = {"title": title, "words": words, "button": button, "form": form, "back": place.url("alert_list")}
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "act_page.html", alert_context(place) | context, status=status)
