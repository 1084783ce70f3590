"""`/ops/routes/planner/`: what an agent's traffic costs, from its budget table. Nothing is saved."""

from dataclasses import dataclass
from typing import Final

from django import forms
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from routing.console.acts import sent
from routing.services.budget_table import Currency
from routing.services.plan_file import FILE_BYTES_MAX, read_plan_file
from routing.services.plan_file_numbers import InvalidPlan
from routing.services.plan_report import money_text, percent_text, verdict_lines
from routing.services.planner import DAYS_A_MONTH, CannotPlan, Cost, Plan, make_plan
from routing.services.timeouts import TimeoutsDoNotFit, seconds_text

#: A table to begin with.
EXAMPLE: Final = """\
agent = "support"
turns_a_day = 50_000
ceiling_a_month = 400_000

[currency]
code = "INR"
per_usd = 88.50
dated = 2026-11-20

# Seconds. Tools of one step run in parallel: only the slowest counts.
[tiers.medium]
timeouts = { overhead = 0.5, model = 2.5, model_calls = 2, tools = { crm = 3.0 }, margin = 1.5, sla = 10.0 }

[[classes]]
name = "faq"
percent = 70
tier = "small"
cost = { small = 0.05, large = 0.40 }

[[classes]]
name = "order-status"
percent = 25
tier = "medium"
cost = { medium = 0.10, large = 0.40 }

[[classes]]
name = "dispute"
percent = 5
tier = "large"
cost = { large = 1.50 }
"""


class TableForm(forms.Form):
    table = forms.CharField(
        label="Budget table, as TOML",
        max_length=FILE_BYTES_MAX,
        widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false", "autocomplete": "off", "class": "document"}),
    )


@dataclass(frozen=True, slots=True)
class PlannedClass:
    name: str
    share: str
    route: str
    expected: str
    worst: str
    longest: str


@dataclass(frozen=True, slots=True)
class PlannedCost:
    name: str
    turn: str
    day: str
    month: str


@dataclass(frozen=True, slots=True)
class Planned:
    """`verdicts` are sentences: the ceiling, what is saved, and warnings."""

    agent: str
    classes: tuple[PlannedClass, ...]
    costs: tuple[PlannedCost, ...]
    verdicts: tuple[str, ...]
    days: int = DAYS_A_MONTH


@page(Act.SEE_PLATFORM, send=Act.SEE_PLATFORM)
def planner(request: HttpRequest) -> HttpResponseBase:
    form = TableForm(sent(request), initial={"table": EXAMPLE})
    planned = None
    if form.is_bound and form.is_valid():
        try:
            planned = _planned(make_plan(read_plan_file(form.cleaned_data["table"].encode())))
        except (InvalidPlan, CannotPlan, TimeoutsDoNotFit) as refusal:
            form.add_error("table", str(refusal))
    context = {"section": "routes", "place": place_of(request), "form": form, "planned": planned}
    status = 422 if form.is_bound and planned is None else 200
    return render(request, "routing/planner.html", context, status=status)


def _planned(plan: Plan) -> Planned:
    currency = plan.table.currency
    return Planned(
        agent=plan.table.agent,
        classes=tuple(
            PlannedClass(
                line.name,
                percent_text(line.share),
                " → ".join(line.route),
                money_text(line.expected, currency),
                money_text(line.worst, currency),
                "—" if line.longest_ms is None else seconds_text(line.longest_ms),
            )
            for line in plan.classes
        ),
        costs=(
            _cost("Expected", plan.expected, currency),
            _cost("Worst case under the caps", plan.worst, currency),
            _cost("All on the large model", plan.all_large, currency),
        ),
        verdicts=tuple(verdict_lines(plan)),
    )


def _cost(name: str, cost: Cost | None, currency: Currency) -> PlannedCost:
    parts = (None, None, None) if cost is None else (cost.turn, cost.day, cost.month)
    return PlannedCost(name, *(money_text(part, currency) for part in parts))
