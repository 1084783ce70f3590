"""`alerts/channels/`: whom alerts are told. An address is typed once and never shown again."""

from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.roles import Act
from budgets.console.alert_forms import NewChannelForm, ResolveForm
from budgets.console.alert_rows import CHANNEL_WORDS
from budgets.console.alerts import alert_context
from budgets.console.stopping import BUSY
from budgets.models.choices import Severity
from budgets.selectors.alerts import ChannelLine, channel_line, channel_lines
from budgets.services.alert_addresses import allowed_kinds
from budgets.services.alert_channels import (
    CHANNELS_MAX,
    ChannelNotFound,
    NewChannel,
    TooManyChannels,
    add_channel,
    ask_for_test,
    remove_channel,
    switch_channel,
)
from kernel.ids import uuid7
from kernel.pages.bars import Tone
from kernel.tenancy import in_tenant

_FULL: Final = f"There are {CHANNELS_MAX} channels. Remove one first."


@page(Act.SEE_BOOKS)
def alert_channel_list(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    with in_tenant(place.tenant.tag):
        lines = channel_lines()
    context = alert_context(place) | {
        "channels": [(line, CHANNEL_WORDS[line.kind], line.severity_min.label, _state(line)) for line in lines],
        "has_ways": bool(allowed_kinds()),
    }
    return render(request, "budgets/alert_channel_list.html", context)


@page(Act.EDIT_ALERTS, send=Act.EDIT_ALERTS)
@sensitive_post_parameters("address")
@sensitive_variables("form", "new")
def alert_channel_new(request: HttpRequest, slug: str) -> HttpResponse:
    """Sent twice, the form makes one channel."""
    place = place_of(request)
    form = NewChannelForm(request.POST if request.method == "POST" else None, initial={"key": uuid7()})
    if request.method == "POST" and form.is_valid() and form.found is not None:
        values = form.cleaned_data
        new = NewChannel(
            id=values["key"],
            kind=values["kind"],
            name=values["name"],
            address=form.found,
            severity_min=Severity(int(values["severity_min"])),
        )
        try:
            with in_tenant(place.tenant.tag):
                add_channel(new, actor=place.actor(values["reason"]))
        except TooManyChannels:
            form.add_error(None, _FULL)
        except OperationalError:
            form.add_error(None, BUSY)
        else:
            messages.success(request, f"Alerts from now on are told to {new.name}. Send a test to be sure.")
            return redirect(place.url("alert_channel_list"))
    context = {
        "title": "New channel",
        "words": "What comes in within half a minute is told in one message, and no channel hears more than one in "
        "five minutes.",
        "button": "Add the channel",
    }
    return _act_page(request, place, form, context)


@page(Act.EDIT_ALERTS, send=Act.EDIT_ALERTS)
def alert_channel_test(request: HttpRequest, slug: str, channel_id: UUID) -> HttpResponse:
    place = place_of(request)
    channel = _channel(place, channel_id)
    form = ResolveForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            actor = place.actor(form.cleaned_data["reason"])
            ask_for_test(tag=place.tenant.tag, channel_id=channel_id, actor=actor)
        except ChannelNotFound:
            raise Http404 from None
        except OperationalError:
            form.add_error(None, BUSY)
        else:
            messages.success(request, "The worker sends a test. What came of it stands here in some seconds.")
            return redirect(place.url("alert_channel_list"))
    words = f"A message that says that it is a test goes to {channel.hint}."
    return _act_page(request, place, form, {"title": f"Test {channel.name}", "words": words, "button": "Send a test"})


@page(Act.EDIT_ALERTS, send=Act.EDIT_ALERTS)
def alert_channel_switch(request: HttpRequest, slug: str, channel_id: UUID) -> HttpResponse:
    """Off where it is on, on where it is off: as the page that was sent had it."""
    place = place_of(request)
    channel = _channel(place, channel_id)
    is_on = request.POST.get("wanted", "") == "on" if request.method == "POST" else not channel.is_on
    form = ResolveForm(request.POST if request.method == "POST" else None)
    form.fields["wanted"] = forms.CharField(widget=forms.HiddenInput, initial="on" if is_on else "off", required=False)
    if request.method == "POST" and form.is_valid():
        try:
            with in_tenant(place.tenant.tag):
                actor = place.actor(form.cleaned_data["reason"])
                switch_channel(channel_id=channel_id, is_on=is_on, actor=actor)
        except ChannelNotFound:
            raise Http404 from None
        except OperationalError:
            form.add_error(None, BUSY)
        else:
            messages.success(request, f"{channel.name} is {'on' if is_on else 'off'}.")
            return redirect(place.url("alert_channel_list"))
    words = "Alerts that come from now on are told there." if is_on else "Nothing is told there until it is on again."
    title = f"Switch {channel.name} {'on' if is_on else 'off'}"
    return _act_page(request, place, form, {"title": title, "words": words, "button": title})


@page(Act.EDIT_ALERTS, send=Act.EDIT_ALERTS)
def alert_channel_remove(request: HttpRequest, slug: str, channel_id: UUID) -> HttpResponse:
    """Safe to repeat."""
    place = place_of(request)
    channel = _channel(place, channel_id)
    form = ResolveForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            with in_tenant(place.tenant.tag):
                remove_channel(channel_id=channel_id, actor=place.actor(form.cleaned_data["reason"]))
        except OperationalError:
            form.add_error(None, BUSY)
        else:
            messages.success(request, f"{channel.name} is removed, and its address forgotten.")
            return redirect(place.url("alert_channel_list"))
    words = "Its address is forgotten with it."
    context = {"title": f"Remove {channel.name}", "words": words, "button": "Remove it", "is_stop": True}
    return _act_page(request, place, form, context)


def _channel(place: Place, channel_id: UUID) -> ChannelLine:
    with in_tenant(place.tenant.tag):
        channel = channel_line(channel_id)
    if channel is None:
        raise Http404
    return channel


def _state(line: ChannelLine) -> tuple[str, Tone]:
    if not line.is_on:
        return ("Gave up", Tone.BAD) if line.failures else ("Off", Tone.CALM)
    if line.failure:
        return "Failing", Tone.WARN
    return ("Works", Tone.GOOD) if line.sent_at else ("Not used yet", Tone.INFO)


def _act_page(request: HttpRequest, place: Place, form: forms.Form, context: dict[str, Any]) -> HttpResponse:
    status = 422 if form.is_bound and form.errors else 200
    known = alert_context(place) | {"form": form, "back": place.url("alert_channel_list")}
    return render(request, "act_page.html", known | context, status=status)
