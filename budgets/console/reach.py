"""`/ops/evidence/reach/`: whom a shared namespace or cache key reached; and stopping just these."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console.stop_forms import StopForm
from budgets.console.stopping import BUSY, act_answer
from budgets.selectors.evidence_reach import AGENTS_MAX, LOOKED_AT_MAX, Reached, reach_of
from budgets.services.evidence_stops import Extent, stop_reached
from kernel.switches import SwitchLevel
from telemetry.findings.selectors.standing import count_with_evidence, standings_of_evidence
from tenants.selectors.directory import TenantLine, tenants_by_tag

_TEXT_MAX: Final = 256
_SKIP_DIGITS_MAX: Final = 9
_EXTENTS: Final = (
    (Extent.AGENTS.value, "The agents that used it, and nothing else"),
    (Extent.TENANTS.value, "The tenants that used it, as a whole"),
)
_CROWD: Final = f"One of them names more than {AGENTS_MAX} agents. Stop the tenants as a whole."
_CHANGED: Final = "Somebody else has used it meanwhile. Look at who, and press again."


@dataclass(frozen=True, slots=True)
class ReachRow:
    tenant: TenantLine
    reached: Reached


class ReachStopForm(StopForm):
    """`seen` is how many parts the reader saw: more of them are not stopped unseen."""

    extent = forms.ChoiceField(label="What", choices=_EXTENTS, initial=Extent.AGENTS.value)
    text = forms.CharField(max_length=_TEXT_MAX, widget=forms.HiddenInput)
    skip = forms.CharField(max_length=9, widget=forms.HiddenInput, required=False)
    seen = forms.CharField(max_length=20, widget=forms.HiddenInput)


@page(Act.SEE_PLATFORM)
def reach(request: HttpRequest) -> HttpResponse:
    """A page of tenants at a time, those with the latest leaks first. Up to seven queries."""
    text, skip = _text(request.GET.get("text", "")), _skip(request.GET.get("skip", ""))
    found = _reached(text, skip)
    with_evidence = count_with_evidence()
    tenants = tenants_by_tag([each.tag for each in found])
    context = {
        "section": "evidence",
        "place": place_of(request),
        "text": text,
        "rows": [ReachRow(tenants[each.tag], each) for each in found if each.tag in tenants],
        "spans": sum(each.spans for each in found),
        "query": urlencode({"text": text}),
        "query_of_page": urlencode({"text": text, "skip": skip}),
        "first": skip + 1,
        "last": min(skip + LOOKED_AT_MAX, with_evidence),
        "with_evidence": with_evidence,
        "next_skip": skip + LOOKED_AT_MAX if skip + LOOKED_AT_MAX < with_evidence else 0,
    }
    return render(request, "operate/evidence_reach.html", context)


@page(Act.STOP_TENANT, send=Act.STOP_TENANT)
def reach_stop(request: HttpRequest) -> HttpResponse:
    """Throws a kill switch for each that was reached. Safe to repeat."""
    place = place_of(request)
    asked = request.POST if request.method == "POST" else request.GET
    text, skip = _text(asked.get("text", "")), _skip(asked.get("skip", ""))
    found = _reached(text, skip)
    back = f"{reverse('ops:evidence_reach')}?{urlencode({'text': text, 'skip': skip})}"
    seen = str(_parts(found))
    initial = {"text": text, "skip": skip, "seen": seen}
    form = ReachStopForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["seen"] != seen:
            form.add_error(None, _CHANGED)
        elif form.cleaned_data["extent"] == Extent.AGENTS and any(len(each.agents) > AGENTS_MAX for each in found):
            form.add_error(None, _CROWD)
        else:
            stop = form.stop(level=SwitchLevel.TENANT)
            try:
                parts = stop_reached(
                    found,
                    extent=Extent(form.cleaned_data["extent"]),
                    reason=stop.reason,
                    mode=stop.mode,
                    actor=place.actor(stop.reason),
                )
            except OperationalError:
                form.add_error(None, BUSY)
            else:
                stopped = sum(part.is_stopped for part in parts)
                messages.success(request, f"{stopped} of {len(parts)} are stopped. Each can be lifted under Switches.")
                return redirect(back)
    context = {
        "section": "evidence",
        "title": "Stop those that were reached",
        "words": f"{len(found)} tenants used {text or 'nothing'}. Everybody else goes on.",
        "button": "Stop these now",
        "is_stop": True,
        "back": back,
    }
    return act_answer(request, place, context, form)


def _reached(text: str, skip: int) -> list[Reached]:
    if not text:
        return []
    return reach_of(text, [each.tag for each in standings_of_evidence(skip=skip, limit=LOOKED_AT_MAX)])


def _parts(found: list[Reached]) -> int:
    return sum(1 + len(each.agents) for each in found)


def _skip(said: str) -> int:
    return int(said) if said.isascii() and said.isdigit() and len(said) <= _SKIP_DIGITS_MAX else 0


def _text(said: str) -> str:
    return said.replace("\0", "").strip()[:_TEXT_MAX]
