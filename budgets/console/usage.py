"""`/usage/`: what was spent over time and by what, what was planned beside it, and how long the budget lasts."""

from datetime import UTC, datetime
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console import first_steps
from budgets.console.charts import Chart, Series, parted
from budgets.console.usage_sums import (
    NAMES_SHOWN,
    added,
    by_name,
    charged_by_name,
    forecast,
    planned_and_observed,
    span_of,
)
from budgets.selectors.budget_lines import root_budgets
from budgets.selectors.steps import Step, step_starts
from budgets.selectors.usage import UsageBy, rolled_up_at, usage_series
from kernel.money import Unit
from kernel.pages import parquet
from kernel.pages.amounts import unit_name
from kernel.tenancy import in_tenant
from tenants.console.currency import currency_context

BYS: Final = {
    UsageBy.MODEL: ("Model", "no model"),
    UsageBy.TOOL: ("Tool", "no tool"),
    UsageBy.WORKSPACE: ("Workspace", "no workspace"),
    UsageBy.AGENT: ("Agent", "no agent"),
    UsageBy.CLASS: ("Traffic class", "no class"),
}
SPANS: Final = {"24h": "24 hours", "7d": "7 days", "30d": "30 days", "month": "this month"}


@page(Act.SEE_BOOKS)
def usage(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    tenant = place.tenant
    now = datetime.now(UTC)
    by = UsageBy(wanted) if (wanted := request.GET.get("by", "")) in BYS else UsageBy.MODEL
    span_name = wanted if (wanted := request.GET.get("span", "")) in SPANS else "24h"
    unit = Unit(wanted) if (wanted := request.GET.get("unit", "")) in Unit else Unit.USD_MICROCENTS
    span = span_of(span_name, now=now, time_zone=tenant.time_zone)
    with in_tenant(tenant.tag):
        points = usage_series(since=span.since, until=now, step=span.step, time_zone=tenant.time_zone, by=by, unit=unit)
        budgets = root_budgets()
        as_of = rolled_up_at()
    starts_at = step_starts(since=span.since, until=now, step=span.step, time_zone=tenant.time_zone)
    names = by_name(points)
    total = added([each.sums for each in names])
    currency = currency_context(request)
    by_words, nobody = BYS[by]
    charged = {name or nobody: amounts for name, amounts in charged_by_name(points, starts_at).items()}
    planned, observed = planned_and_observed(points, starts_at)
    shape = {
        "unit": unit,
        "starts_at": tuple(starts_at),
        "time_zone": tenant.time_zone,
        "is_by_day": span.step == Step.DAY,
        "display": currency["display"],
    }
    context = {
        "section": "tenants" if place.is_ops else "usage",
        "place": place,
        "tenant": tenant,
        "time_zone": tenant.time_zone,
        "by": by,
        "by_words": by_words,
        "nobody": nobody,
        "bys": [(known.value, words) for known, (words, _) in BYS.items()],
        "span": span,
        "span_name": span_name,
        "spans": list(SPANS.items()),
        "unit": unit,
        "units": [(known.value, unit_name(known)) for known in Unit],
        "names": names[:NAMES_SHOWN],
        "names_hidden": len(names[NAMES_SHOWN:]),
        "rest": added([each.sums for each in names[NAMES_SHOWN:]]),
        "total": total,
        "has_usage": bool(points),
        "spend": Chart(
            id="spend", title=f"Charged, by {by_words.lower()}", kind="stack", series=parted(charged), **shape
        ),
        "plans": Chart(
            id="plans",
            title="Planned and observed",
            kind="lines",
            series=(Series(1, "planned (held)", planned), Series(2, "observed (cost)", observed)),
            **shape,
        ),
        # A tenant that is younger than the span has not spent since its beginning.
        "forecast": forecast(
            budgets, unit=unit, charged=total.charged, since=max(span.since, tenant.created_at), now=now
        ),
        # Members never see what a call costs the platform: it is not in their page at all.
        "shows_margin": Act.SEE_MARGIN in place.may and unit == Unit.USD_MICROCENTS,
        "as_of": as_of,
        "has_parquet": parquet.is_installed(),
        "reserve": first_steps.reserve(tenant.slug),
        **currency,
    }
    return render(request, "budgets/usage.html", context)
