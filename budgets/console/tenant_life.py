"""`/ops/tenant/new/` and `/ops/tenants/<slug>/close/`: where a tenant begins, and where it ends for good."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from django.contrib import messages
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import NoReverseMatch, reverse

from accounts.console.invitation_links import hand_over
from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.console.reauth import reauthenticated
from accounts.roles import Act
from accounts.selectors.memberships import MemberRole
from accounts.services.invitations import AlreadyThere, invite
from accounts.services.operators import InvalidEmail
from budgets.console.stopping import BUSY, act_answer, name_of
from budgets.console.tenant_forms import CloseForm, TenantForm
from budgets.models.choices import Period
from budgets.scopes import read_scope_path
from budgets.services.lifecycle import close_tenant, create_tenant
from budgets.services.opening import BudgetExists, NewBudget, open_budget
from kernel.actor import Actor
from kernel.money import Unit
from kernel.tenancy import in_tenant
from tenants.services.provisioning import InvalidSlug, NewTenant, SlugTaken, UnknownTimeZone

if TYPE_CHECKING:
    from tenants.models import Tenant


@page(Act.CREATE_TENANT, send=Act.CREATE_TENANT)
def tenant_new(request: HttpRequest) -> HttpResponse:
    """Makes the tenant, its first budget and its owner's invitation, and leads to its start page.

    Sent twice, the second says that the slug is taken. What fails behind the tenant itself is said in a message.
    """
    place = place_of(request)
    may_invite = Act.MANAGE_MEMBERS in place.may
    form = TenantForm(request.POST if request.method == "POST" else None, may_invite=may_invite)
    if request.method == "POST" and form.is_valid():
        values, actor = form.cleaned_data, place.actor("made in the console")
        wanted = NewTenant(
            slug=values["slug"], name=values["name"], time_zone=values["time_zone"], plan=form.plan_chosen
        )
        try:
            tenant = create_tenant(wanted, now=datetime.now(UTC), actor=actor)
        except InvalidSlug:
            form.add_error("slug", "1 to 63 of a-z 0-9 _ . - that begin with a letter or digit.")
        except SlugTaken:
            form.add_error("slug", "Another tenant has this slug.")
        except UnknownTimeZone:
            form.add_error("time_zone", "The database does not know this time zone: take its older name.")
        except OperationalError:
            form.add_error(None, "The database is away. Press again: what was begun is completed.")
        else:
            _open_first_budget(request, tenant, form.microcents, Period(values["period"]), actor)
            if values.get("owner"):
                _invite_owner(request, tenant, values["owner"], actor)
            messages.success(request, f"{tenant.name} is ready.")
            return redirect(_first_page(tenant.slug))
    context = {
        "title": "New tenant",
        "words": "It gets books of its own at once. Its start page then shows the first call to make.",
        "button": "Create the tenant",
        "back": reverse("ops:tenant_list"),
    }
    return act_answer(request, place, context, form)


@page(Act.CLOSE_TENANT, send=Act.CLOSE_TENANT)
@reauthenticated
def tenant_close(request: HttpRequest, slug: str) -> HttpResponse:
    """Ends the tenant: holds are given back, budgets closed, keys revoked. Cannot be undone."""
    place = place_of(request)
    form = CloseForm(request.POST if request.method == "POST" else None, slug=slug)
    if request.method == "POST" and form.is_valid():
        try:
            closed = close_tenant(tag=place.tenant.tag, actor=place.actor(form.cleaned_data["reason"]))
        except OperationalError:
            form.add_error(None, BUSY)
        else:
            if closed.is_changed:
                messages.success(request, f"{name_of(place)} is closed; {closed.holds_released} holds were given back.")
            else:
                messages.info(request, f"{name_of(place)} was closed already.")
            return redirect("ops:tenant_list")
    return act_answer(request, place, _close_words(place), form)


def _close_words(place: Place) -> dict[str, object]:
    return {
        "title": f"Close {name_of(place)} for good",
        "words": "Every hold is given back, every budget closed and every key revoked. This cannot be undone;"
        " to stop it for a while, stop it instead. Its books stay readable.",
        "button": f"Close {place.tenant.slug} for good",
        "is_stop": True,
        "back": place.url("overview"),
    }


def _open_first_budget(request: HttpRequest, tenant: "Tenant", amount: int, period: Period, actor: Actor) -> None:
    if not amount:
        return
    scope = read_scope_path(f"tenant:{tenant.slug}", slug=tenant.slug)
    new = NewBudget(scope=scope, unit=Unit.USD_MICROCENTS, allocated=amount, period=period)
    try:
        with in_tenant(tenant.tag):
            open_budget(new, actor=actor)
    except BudgetExists:
        messages.warning(request, "The plan gives this tenant a budget already; the one you typed was not opened.")
    except OperationalError:
        messages.error(request, "The first budget could not be opened. Open it on the page of its budgets.")


def _invite_owner(request: HttpRequest, tenant: "Tenant", email: str, actor: Actor) -> None:
    try:
        invited = invite(
            email=email,
            role=MemberRole.OWNER,
            tag=tenant.tag,
            place_name=tenant.name,
            actor=actor,
            now=datetime.now(UTC),
        )
    except (AlreadyThere, InvalidEmail):
        messages.error(request, f"{email} was not invited. Invite them on the page of its members.")
        return
    hand_over(request, invited, tag=tenant.tag, shown_at="the page of its members")


def _first_page(slug: str) -> str:
    """The start page of the tenant, or its summary until there is one."""
    try:
        return reverse("ops_books:start", args=[slug])
    except NoReverseMatch:
        return reverse("ops_books:overview", args=[slug])
