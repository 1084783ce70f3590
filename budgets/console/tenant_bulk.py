"""`/ops/tenant/bulk/`: stopping or resuming many tenants, once their number was seen."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from django import forms
from django.contrib import messages
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console.stop_forms import StopForm
from budgets.console.tenant_list import filter_of, query_of
from budgets.services.guards import TenantIsClosed
from budgets.services.lifecycle import resume_tenant
from budgets.services.switches import lift_switch, throw_switch
from kernel.actor import Actor
from kernel.stops import Stop
from kernel.switches import SwitchLevel
from tenants.selectors.directory import TenantLine
from tenants.selectors.filtering import TenantFilter, matching_lines

#: Each takes its tenant's books for a moment, one after the other, while somebody waits for the page.
TENANTS_MAX: Final = 200

type _Verb = Literal["stop", "resume"]


class _SeenForm(forms.Form):
    """`seen` stands for those that the page showed: if others are meant by now, nothing is done."""

    seen = forms.CharField(widget=forms.HiddenInput, max_length=80)


class _BulkStopForm(_SeenForm, StopForm):
    """How and why, for all of them alike."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """Who is meant: those picked by hand, or all that the filter means."""

    verb: _Verb
    slugs: tuple[str, ...] | None
    wanted: TenantFilter

    def lines(self) -> list[TenantLine]:
        """Those of them with whom there is something to do, one more than may be at most."""
        now = datetime.now(UTC)
        found = matching_lines(self.wanted, slugs=self.slugs, now=now, limit=TENANTS_MAX * 10)
        return [line for line in found if line.is_stopped(now=now) == (self.verb == "resume")][: TENANTS_MAX + 1]


@page(Act.STOP_TENANT, send=Act.STOP_TENANT)
def tenant_bulk(request: HttpRequest) -> HttpResponse:
    """GET shows how many there are; POST does it to exactly these, and to none where they changed."""
    choice = _choice_of(request.GET)
    lines = choice.lines()
    kind = _BulkStopForm if choice.verb == "stop" else _SeenForm
    form = kind(request.POST) if request.method == "POST" else kind(initial={"seen": _seen(lines)})
    if request.method == "POST" and form.is_valid():
        seen = form.cleaned_data["seen"]
        if seen != _seen(lines):
            count = seen.partition("-")[0]
            what = f"{count} when you looked, and now there are {len(lines)}"
            if count == str(len(lines)):
                what = "others among them when you looked"
            form.add_error(None, f"There were {what}. Nothing was changed: look at them again.")
            form.data = {**form.data.dict(), "seen": _seen(lines)}  # type: ignore[attr-defined]  # a QueryDict
        elif 0 < len(lines) <= TENANTS_MAX:
            stop = form.stop(level=SwitchLevel.TENANT) if isinstance(form, _BulkStopForm) else None
            _tell(request, choice.verb, *_do(lines, stop=stop, actor=place_of(request).actor()))
            return redirect(f"{reverse('ops:tenant_list')}?{query_of(request.GET)}")
    context = {
        "section": "tenants",
        "place": place_of(request),
        "form": form,
        "verb": choice.verb,
        "lines": lines,
        "count": len(lines),
        "count_max": TENANTS_MAX,
        "is_too_many": len(lines) > TENANTS_MAX,
        "action": request.get_full_path(),
        "back": f"{reverse('ops:tenant_list')}?{query_of(request.GET)}",
    }
    return render(request, "operate/tenant_bulk.html", context, status=422 if form.errors else 200)


def _seen(lines: list[TenantLine]) -> str:
    """How many there are, and a digest of who: one may have come while another went."""
    return f"{len(lines)}-{hashlib.sha256(' '.join(sorted(line.tag for line in lines)).encode()).hexdigest()}"


def _choice_of(query: QueryDict) -> _Choice:
    verb: _Verb = "resume" if query.get("verb", "").startswith("resume") else "stop"
    if query.get("verb", "").endswith("-all"):
        return _Choice(verb, None, filter_of(query))
    slugs = tuple(slug for slug in query.getlist("slug") if "\0" not in slug)
    return _Choice(verb, slugs[: TENANTS_MAX + 1], TenantFilter())


def _do(lines: list[TenantLine], *, stop: Stop | None, actor: Actor) -> tuple[int, list[str]]:
    """How many were stopped or resumed, and the slugs of those that could not be."""
    done, failed = 0, []
    for line in lines:
        try:
            if stop is not None:
                throw_switch(tag=line.tag, stop=stop, actor=actor)
            else:
                lift_switch(tag=line.tag, level=SwitchLevel.TENANT, actor=actor)
                resume_tenant(tag=line.tag, actor=actor)
            done += 1
        except (OperationalError, TenantIsClosed):
            failed.append(line.slug)
    return done, failed


def _tell(request: HttpRequest, verb: _Verb, done: int, failed: list[str]) -> None:
    plural = "tenant" if done == 1 else "tenants"
    what = "stopped" if verb == "stop" else "resumed"
    messages.success(request, f"{done} {plural} {what}.")
    if failed:
        messages.error(request, f"Not {what}, press again: {', '.join(failed)}.")
