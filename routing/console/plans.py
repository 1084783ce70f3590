"""`/ops/plans/`: the catalogue, one plan with its versions and tenants, and who would break on a version."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.services.periods import BooksBusy
from kernel.pages.bars import Tone
from kernel.pages.exports import csv_response
from routing.console.acts import asked, wants_csv
from routing.console.documents import document_text
from routing.console.limit_words import limit_words
from routing.console.plan_rows import plan_limits, plan_row
from routing.services.plan_changes import PlanDoesNotFit, PlanNotFound, preview_plan
from tenants.selectors.directory import TenantLine
from tenants.selectors.plans import latest_plans, plan_versions
from tenants.selectors.subscribers import every_subscriber, subscriber_counts, subscribers_page

if TYPE_CHECKING:
    from tenants.models import Plan

_TENANTS_PER_PAGE: Final = 25
#: Each is asked in its own books.
_TRIED_PER_PAGE: Final = 10
_FIRST_PLAN: Final = "uv run manage.py seed_plans"


@page(Act.SEE_PLATFORM)
def plan_list(request: HttpRequest) -> HttpResponseBase:
    counts = subscriber_counts()
    rows = [plan_row(plan, counts) for plan in latest_plans()]
    if wants_csv(request):
        heads = ("code", "version", "name", "price_usd_microcents_a_month", "tenants", "tenants_on_earlier", "gives")
        return csv_response(
            "plans",
            heads,
            ((row.code, row.version, row.name, row.price, row.tenants, row.others, row.gives) for row in rows),
        )
    context = {"section": "plans", "place": place_of(request), "rows": rows, "first_step": _FIRST_PLAN}
    return render(request, "routing/plan_list.html", context)


@page(Act.SEE_PLATFORM)
def plan_detail(request: HttpRequest, code: str) -> HttpResponseBase:
    versions = _versions(code)
    plan = _asked_version(request, versions)
    if wants_csv(request):
        heads = ("tenant", "name", "status", "plan", "version", "since")
        rows = (
            (line.slug, line.name, line.status.value, code, line.plan_version, line.created_at)
            for line in every_subscriber(code=code)
        )
        return csv_response(f"plan-{code}-tenants", heads, rows)
    counts = subscriber_counts()
    tenants = subscribers_page(code=code, after=asked(request, "after"), limit=_TENANTS_PER_PAGE)
    context = {
        "section": "plans",
        "place": place_of(request),
        "plan": plan,
        "latest": versions[0],
        "versions": [plan_row(version, counts) for version in versions],
        "groups": plan_limits(plan),
        "document": document_text(plan.defaults),
        "tenants": tenants.tenants,
        "next_after": tenants.next_after,
        "tenant_count": sum(count for (name, _), count in counts.items() if name == code),
    }
    return render(request, "routing/plan_detail.html", context)


@dataclass(frozen=True, slots=True)
class Fit:
    """What a version would do to one tenant, in words."""

    tenant: TenantLine
    verdict: str
    tone: Tone
    notes: tuple[str, ...]


@page(Act.SEE_PLATFORM)
def plan_fit(request: HttpRequest, code: str) -> HttpResponseBase:
    """Who of the plan's tenants would be over a limit at once, or could not be put on the version."""
    versions = _versions(code)
    plan = _asked_version(request, versions)
    tenants = subscribers_page(code=code, after=asked(request, "after"), limit=_TRIED_PER_PAGE)
    context = {
        "section": "plans",
        "place": place_of(request),
        "plan": plan,
        "rows": [_fit(line, plan) for line in tenants.tenants],
        "next_after": tenants.next_after,
    }
    return render(request, "routing/plan_fit.html", context)


def _fit(line: TenantLine, plan: "Plan") -> Fit:
    if not line.has_books:
        return Fit(line, "Being set up", Tone.INFO, ())
    if line.plan_version == plan.version:
        return Fit(line, "On it", Tone.CALM, ())
    try:
        change = preview_plan(tag=line.tag, code=plan.code, version=plan.version)
    except PlanDoesNotFit as refusal:
        return Fit(line, "Does not fit", Tone.BAD, (str(refusal),))
    except PlanNotFound:
        raise Http404 from None
    except BooksBusy:
        return Fit(line, "Books busy", Tone.INFO, ("Somebody holds them. Ask again in a moment.",))
    if not change.over:
        return Fit(line, "Fits", Tone.GOOD, ())
    return Fit(line, "Over at once", Tone.WARN, tuple(limit_words(over.name) for over in change.over))


def _versions(code: str) -> "list[Plan]":
    versions = [] if "\0" in code else plan_versions(code)
    if not versions:
        raise Http404
    return versions


def _asked_version(request: HttpRequest, versions: "list[Plan]") -> "Plan":
    wanted = asked(request, "version")
    if not wanted:
        return versions[0]
    found = next((version for version in versions if str(version.version) == wanted), None)
    if found is None:
        raise Http404
    return found
