"""Shadow mode of one tenant: what would have been denied, and enforcing from a moment on."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from django import forms
from django.core.validators import MaxValueValidator
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console.wording import path_within_tenant, reason_words
from budgets.selectors.policies import newest_policy
from budgets.selectors.shadow import WouldDeny, would_deny
from budgets.services.guards import TenantIsClosed
from budgets.services.policies import PolicyKind
from budgets.services.shadow import NotInShadow
from kernel.pages.exports import csv_response
from kernel.tenancy import in_tenant
from routing.console.acts import ReasonForm, act_page, done, saved_for_later, sent, wants_csv
from routing.console.shadow_words import SPANS, asked_span, shadow_frame, shadow_state, span_context
from routing.services.rulesets import RulesBusy
from routing.services.shadow_end import end_shadow


@dataclass(frozen=True, slots=True)
class WouldDenyRow:
    refused: WouldDeny
    scope: str
    reason: str


class EnforceForm(ReasonForm):
    enforce_from = forms.DateTimeField(
        label="Enforce from",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
        # Behind it there is no such moment in every zone.
        validators=[MaxValueValidator(datetime(9000, 1, 1, tzinfo=UTC), "This is too late: before the year 9000.")],
    )
    field_order = ["enforce_from", "reason"]


@page(Act.SEE_LIMITS)
def shadow(request: HttpRequest, slug: str) -> HttpResponseBase:
    place = place_of(request)
    now = datetime.now(UTC)
    span = asked_span(request)
    with in_tenant(place.tenant.tag):
        newest = newest_policy(PolicyKind.SHADOW)
        rows = [_would_deny_row(each) for each in would_deny(since=now - SPANS[span], until=now)]
    if wants_csv(request):
        heads = ("scope", "reason_code", "reason", "calls", "first_at", "last_at")
        found = (
            (
                *(row.refused.scope_path, row.refused.reason_code, row.reason),
                *(row.refused.calls, row.refused.first_at, row.refused.last_at),
            )
            for row in rows
        )
        return csv_response(f"{slug}-would-deny", heads, found)
    context = shadow_frame(request) | {
        "state": shadow_state(newest.document if newest else None, slug=slug, now=now),
        "rows": rows,
        "calls": sum(row.refused.calls for row in rows),
        **span_context(span),
    }
    return render(request, "routing/shadow.html", context)


@page(Act.EDIT_POLICIES, send=Act.EDIT_POLICIES)
def shadow_end(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Enforce from a moment on, in the tenant's time zone, or from the next decision on."""
    place = place_of(request)
    back = place.url("shadow")
    form = EnforceForm(sent(request))
    form.fields["enforce_from"].help_text = f"In {place.tenant.time_zone}. Left empty: from the next decision on."
    if request.method == "POST" and form.is_valid():
        moment: datetime | None = form.cleaned_data["enforce_from"]
        if moment is not None:
            moment = moment.replace(tzinfo=ZoneInfo(place.tenant.time_zone))
        reason = form.cleaned_data["reason"]
        try:
            end_shadow(tag=place.tenant.tag, moment=moment, reason=reason, actor=place.actor(reason))
            when = (
                "from the next decision on"
                if moment is None or moment <= datetime.now(UTC)
                else f"from {moment:%Y-%m-%d %H:%M %Z}"
            )
            return done(request, f"Everything is enforced {when}.", back)
        except NotInShadow:
            form.add_error(None, "Nothing was changed: nothing is in shadow mode, everything is enforced already.")
        except TenantIsClosed:
            form.add_error(None, "Nothing was changed: the tenant is closed.")
        except RulesBusy:
            return saved_for_later(request, back)
    return act_page(
        request,
        form,
        section="tenants",
        title="Enforce from…",
        words="What was only written down is refused from then on.",
        button="Enforce",
        back=back,
    )


def _would_deny_row(refused: WouldDeny) -> WouldDenyRow:
    return WouldDenyRow(refused, path_within_tenant(refused.scope_path), reason_words(refused.reason_code))
