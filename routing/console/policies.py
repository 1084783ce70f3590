"""`…/routing/<kind>/`: one policy of the tenant, its versions, the next one, and going back to an earlier one."""

from typing import TYPE_CHECKING

from django import forms
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.roles import Act
from budgets.selectors.policies import PolicyVersionNotFound, newest_policy, policy_version, policy_versions
from budgets.services.guards import TenantIsClosed
from budgets.services.policies import InvalidPolicy, NewPolicy, PolicyChanged, PolicyKind
from kernel.pages.exports import csv_response
from kernel.tenancy import in_tenant
from routing.console.acts import ReasonForm, act_page, asked, done, saved_for_later, sent, typed_again, wants_csv
from routing.console.documents import DocumentField, document_text
from routing.console.policy_words import FIELDS_OF, KIND_WORDS, summary_words
from routing.services.policy_saving import put_policy, put_policy_back
from routing.services.rulesets import RulesBusy

if TYPE_CHECKING:
    from budgets.models import PolicyVersion

_CLOSED = "Nothing was changed: the tenant is closed."


class PolicyForm(ReasonForm):
    """`based_on` is the version that its author saw, 0 for none."""

    based_on = forms.IntegerField(widget=forms.HiddenInput, min_value=0)
    document = DocumentField(label="The policy, as JSON")
    field_order = ["document", "reason"]


@page(Act.SEE_LIMITS)
def policy_detail(request: HttpRequest, slug: str, kind: str) -> HttpResponseBase:
    place, policy = place_of(request), _kind(kind)
    with in_tenant(place.tenant.tag):
        versions = policy_versions(policy)
    if wants_csv(request):
        heads = ("version", "saved_at", "by", "reason", "document")
        rows = (
            (each.version, each.created_at, each.actor, each.reason, document_text(each.document)) for each in versions
        )
        return csv_response(f"{slug}-{policy}-versions", heads, rows)
    wanted = asked(request, "version")
    shown = versions[0] if versions else None
    if wanted:
        shown = next((each for each in versions if str(each.version) == wanted), None)
        if shown is None:
            raise Http404
    context = {
        **_frame(place),
        "kind": policy,
        "words": KIND_WORDS[policy],
        "versions": [(each, summary_words(each)) for each in versions],
        "newest": versions[0] if versions else None,
        "shown": shown,
        "document": document_text(shown.document) if shown else "",
    }
    return render(request, "routing/policy_detail.html", context)


@page(Act.EDIT_POLICIES, send=Act.EDIT_POLICIES)
def policy_edit(request: HttpRequest, slug: str, kind: str) -> HttpResponseBase:
    place, policy = place_of(request), _kind(kind)
    with in_tenant(place.tenant.tag):
        newest = newest_policy(policy)
    initial = {
        "based_on": newest.version if newest else 0,
        "document": document_text(newest.document if newest else {}),
    }
    form = PolicyForm(sent(request), initial=initial)
    if form.is_bound and form.is_valid():
        answer = _save(request, form, policy)
        if isinstance(answer, HttpResponseBase):
            return answer
        form = answer
    context = {
        **_frame(place),
        "form": form,
        "title": f"{KIND_WORDS[policy]}: next version",
        "words": f"Fields: {FIELDS_OF[policy]}. An empty object, {{}}, goes back to what the plan says.",
        "button": f"Save v{(newest.version if newest else 0) + 1}",
        "back": place.url("policy_detail", policy),
    }
    return render(request, "routing/document_form.html", context, status=422 if form.is_bound else 200)


@page(Act.EDIT_POLICIES, send=Act.EDIT_POLICIES)
def policy_restore(request: HttpRequest, slug: str, kind: str, version: int) -> HttpResponseBase:
    place, policy = place_of(request), _kind(kind)
    back = place.url("policy_detail", policy)
    with in_tenant(place.tenant.tag):
        try:
            policy_version(kind=policy, version=version)
        except PolicyVersionNotFound:
            raise Http404 from None
        newest = newest_policy(policy)
    form = ReasonForm(sent(request), initial={"reason": f"Back to version {version}"})
    if request.method == "POST" and form.is_valid():
        reason = form.cleaned_data["reason"]
        try:
            restored = put_policy_back(
                tag=place.tenant.tag,
                slug=slug,
                kind=policy,
                version=version,
                reason=reason,
                actor=place.actor(reason),
            )
            return done(request, f"v{restored.version} is in force and says what v{version} said.", back)
        except InvalidPolicy as refusal:
            form.add_error(None, f"v{version} cannot be in force any more. {_sentence(refusal)}")
        except TenantIsClosed:
            form.add_error(None, _CLOSED)
        except RulesBusy:
            return saved_for_later(request, back)
    return act_page(
        request,
        form,
        section="tenants",
        title=f"Go back to v{version}",
        words=f"What v{version} says becomes v{(newest.version if newest else 0) + 1} and is in force at once.",
        button=f"Go back to v{version}",
        back=back,
    )


def _save(request: HttpRequest, form: PolicyForm, kind: PolicyKind) -> HttpResponseBase | PolicyForm:
    """The way to the saved version, or the form with what is wrong."""
    place, values = place_of(request), form.cleaned_data
    back = place.url("policy_detail", kind)
    new = NewPolicy(kind=kind, document=values["document"], reason=values["reason"], based_on=values["based_on"])
    try:
        saved: PolicyVersion = put_policy(
            tag=place.tenant.tag, slug=place.tenant.slug, new=new, actor=place.actor(values["reason"])
        )
    except InvalidPolicy as refusal:
        form.add_error("document", _sentence(refusal))
    except PolicyChanged as changed:
        words = (
            f"Nothing was saved: somebody saved v{changed} since you began with v{values['based_on']}."
            " What you typed is still here; look at theirs, then save yours on top."
        )
        return typed_again(PolicyForm, request, words, based_on=str(changed))
    except TenantIsClosed:
        form.add_error(None, _CLOSED)
    except RulesBusy:
        return saved_for_later(request, back)
    else:
        return done(request, f"v{saved.version} is in force.", back)
    return form


def _sentence(refusal: InvalidPolicy) -> str:
    text = str(refusal)
    return text if text.startswith("The ") else f"In the document, {text}"


def _kind(kind: str) -> PolicyKind:
    try:
        return PolicyKind(kind)
    except ValueError:
        raise Http404 from None


def _frame(place: Place) -> dict[str, object]:
    return {
        "section": "tenants" if place.is_ops else "limits",
        "tab": "routing",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
    }
