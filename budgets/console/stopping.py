"""`/ops/tenants/<slug>/stop/` and `…/resume/`: a tenant is stopped with two presses, and the answer proves it."""

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.roles import Act
from budgets.console.stop_forms import ResumeForm, StopForm, kept_reason
from budgets.console.wording import endpoint_noun
from budgets.selectors.stop_proof import StopProof, stop_proof
from budgets.services.guards import TenantIsClosed
from budgets.services.lifecycle import resume_tenant
from budgets.services.switches import lift_switch, throw_switch
from kernel.ids import mint_wire_id
from kernel.switches import SwitchLevel, SwitchMode
from kernel.tenancy import in_tenant

CLOSED = "This tenant is closed, and nothing of it works any more."
BUSY = "The database is away, or others hold the books. Nothing was changed: press again."


@page(Act.STOP_TENANT, send=Act.STOP_TENANT)
def tenant_stop(request: HttpRequest, slug: str) -> HttpResponse:
    """GET asks, or proves the stop that stands; POST stops and leads to the proof. Safe to repeat."""
    place = place_of(request)
    if request.method == "POST":
        form = StopForm(request.POST)
        if form.is_valid():
            try:
                throw_switch(tag=place.tenant.tag, stop=form.stop(level=SwitchLevel.TENANT), actor=place.actor())
            except TenantIsClosed:
                form.add_error(None, CLOSED)
            except OperationalError:
                form.add_error(None, BUSY)
            else:
                return redirect(place.url("tenant_stop"))
        return _ask(request, place, form)
    with in_tenant(place.tenant.tag):
        proof = stop_proof(level=SwitchLevel.TENANT, name="", now=datetime.now(UTC))
    return _ask(request, place, StopForm()) if proof is None else _prove(request, place, proof)


@page(Act.STOP_TENANT, send=Act.STOP_TENANT)
def tenant_resume(request: HttpRequest, slug: str) -> HttpResponse:
    """Lifts the tenant's switch, and its suspension where it is suspended. Safe to repeat."""
    place = place_of(request)
    form = ResumeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        tag, actor = place.tenant.tag, place.actor(form.cleaned_data["reason"])
        try:
            lifted = lift_switch(tag=tag, level=SwitchLevel.TENANT, reason=actor.reason, actor=actor)
            resumed = resume_tenant(tag=tag, actor=actor)
        except TenantIsClosed:
            form.add_error(None, CLOSED)
        except OperationalError:
            form.add_error(None, BUSY)
        else:
            if lifted is not None or resumed.is_changed:
                messages.success(request, f"{name_of(place)} works again.")
            else:
                messages.info(request, f"{name_of(place)} was not stopped; somebody may have resumed it before you.")
            return redirect(place.url("overview"))
    context = {
        "title": f"Resume {name_of(place)}",
        "words": "Its calls are decided again by its budgets and rules, from the next one on.",
        "form": form,
        "button": "Resume",
        "back": place.url("overview"),
    }
    return act_answer(request, place, context, form)


def name_of(place: Place) -> str:
    return str(place.tenant.name or place.tenant.slug)


def act_answer(request: HttpRequest, place: Place, context: dict[str, Any], form: forms.Form) -> HttpResponse:
    """The page of an act; one whose form was not taken says so in its status too."""
    shared = {"section": "tenants", "place": place, "form": form}
    if place.tenant is not None:
        shared |= {"tenant": place.tenant, "time_zone": place.tenant.time_zone}
    return render(request, "act_page.html", shared | context, status=422 if form.errors else 200)


def _ask(request: HttpRequest, place: Place, form: StopForm) -> HttpResponse:
    name = name_of(place)
    context = {
        "title": f"Stop {name}",
        "words": f"From the next call on, everything that {name} asks for is refused. You can resume it at any time.",
        "button": "Stop now",
        "is_stop": True,
        "back": place.url("overview"),
    }
    return act_answer(request, place, context, form)


def _prove(request: HttpRequest, place: Place, proof: StopProof) -> HttpResponse:
    last = proof.last_allowed
    wire_id = mint_wire_id("dec", place.tenant.tag, last.id) if last else ""
    context = {
        "section": "tenants",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
        "title": f"{name_of(place)} is stopped",
        "proof": proof,
        "last_noun": endpoint_noun(last.endpoint) if last else "",
        "last_id": wire_id,
        "last_url": place.url("decision_detail", wire_id) if last else "",
        "kept": kept_reason(proof.switch.reason),
        "can_cancel": bool(proof.held) and proof.switch.mode == SwitchMode.STOP_NEW,
        "resume": place.url("tenant_resume"),
        "back": place.url("overview"),
    }
    return render(request, "operate/tenant_stopped.html", context)
