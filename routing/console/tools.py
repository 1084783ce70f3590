"""`/ops/tools/`: the tool policies of the plans, and a test box for a plan or for one tenant."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from msgspec import UNSET

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.services.plan_defaults import InvalidPlanDefaults, read_plan_defaults
from budgets.services.tool_policy import ToolPolicy
from kernel.pages.bars import Tone
from kernel.pages.exports import csv_response
from routing.console.acts import asked, wants_csv
from routing.console.routing_rows import VERDICTS, ToolRow, rules_text, tool_rows
from routing.services.policy_trial import ToolTrial, try_tools, try_tools_of
from tenants.selectors.directory import tenant_by_slug
from tenants.selectors.plans import latest_plans

if TYPE_CHECKING:
    from tenants.models import Plan

_TOOLS_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class PlanTools:
    """What one plan says of tools; `summary` says so where it says nothing."""

    code: str
    version: int
    name: str
    summary: str
    rows: tuple[ToolRow, ...]


@dataclass(frozen=True, slots=True)
class TrialRow:
    trial: ToolTrial
    verdict: str
    tone: Tone


@page(Act.SEE_PLATFORM)
def tool_policies(request: HttpRequest) -> HttpResponseBase:
    plans = {plan.code: plan for plan in latest_plans()}
    if wants_csv(request):
        rows = (
            (code, plan.version, row.position, row.pattern, row.verdict)
            for code, plan in plans.items()
            for row in tool_rows(_policy_of(plan) or ToolPolicy())
        )
        return csv_response("tool-policies", ("plan", "version", "order", "tools", "verdict"), rows)
    code, slug = asked(request, "plan", length_max=64), asked(request, "tenant", length_max=64)
    names = asked(request, "tools", length_max=4_000).replace(",", " ").split()[:_TOOLS_MAX]
    trials, problem = _trials(plans, code, slug, [name[:256] for name in names])
    context = {
        "section": "tools",
        "place": place_of(request),
        "plans": [_row(plan) for plan in plans.values()],
        "code": code,
        "tenant_slug": slug,
        "tools_asked": " ".join(names),
        "trials": [TrialRow(trial, *VERDICTS[trial.verdict]) for trial in trials],
        "problem": problem,
    }
    return render(request, "routing/tool_policies.html", context)


def _trials(plans: "dict[str, Plan]", code: str, slug: str, names: list[str]) -> tuple[list[ToolTrial], str]:
    """What is said of each tool, or why nothing is."""
    if not names:
        return [], ""
    if slug:
        tenant = tenant_by_slug(slug)
        if tenant is None or not tenant.has_books:
            return [], f"There is no tenant {slug}."
        return try_tools(tag=tenant.tag, tools=names), ""
    plan = plans.get(code)
    if plan is None:
        return [], "Choose a plan, or name a tenant."
    return try_tools_of(_policy_of(plan) or ToolPolicy(), tools=names, place=f"plan {plan.code} v{plan.version}"), ""


def _row(plan: "Plan") -> PlanTools:
    policy = _policy_of(plan)
    summary = "says nothing: every tool is allowed" if policy is None else rules_text(policy)
    return PlanTools(plan.code, plan.version, plan.name, summary, tuple(tool_rows(policy or ToolPolicy())))


def _policy_of(plan: "Plan") -> ToolPolicy | None:
    try:
        tools = read_plan_defaults(plan.defaults).tools
    except InvalidPlanDefaults:
        return None
    return None if tools is UNSET else tools
