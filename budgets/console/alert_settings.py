"""`alerts/rules/`: what is watched at which marks, for the tenant and for single budgets, and who is told."""

from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.roles import Act
from budgets.console.alert_forms import MEASURES, ResolveForm, RuleForm
from budgets.console.alert_rows import KIND_WORDS
from budgets.console.alerts import alert_context
from budgets.console.stopping import BUSY
from budgets.console.wording import path_within_tenant
from budgets.models.choices import AlertKind
from budgets.selectors.budget_lines import BudgetLine, budget_tree, standing_budget
from budgets.services.alert_rules import Rule, alert_rules, default_rule, drop_budget_rule, set_rule
from kernel.pages.amounts import unit_name
from kernel.tenancy import in_tenant

_BUDGETS_SHOWN: Final = 150
_PERCENTAGES: Final = MEASURES[AlertKind.BUDGET_THRESHOLD]


@page(Act.SEE_BOOKS)
def alert_rule_list(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    with in_tenant(place.tenant.tag):
        rules = alert_rules()
        tree = budget_tree(limit=_BUDGETS_SHOWN)
    kinds = [(kind, KIND_WORDS[kind], rules.of_kinds.get(kind) or default_rule(kind)) for kind in AlertKind]
    context = alert_context(place) | {
        "kinds": [(kind, words, rule, _marks(kind, rule)) for kind, words, rule in kinds],
        "budgets": [
            (line, path_within_tenant(line.scope_path), _own(rules.of_budgets.get(line.id))) for line in tree.lines
        ],
        "is_cut": tree.is_cut,
    }
    return render(request, "budgets/alert_rule_list.html", context)


@page(Act.EDIT_ALERTS, send=Act.EDIT_ALERTS)
def alert_rule_edit(request: HttpRequest, slug: str, alert_kind: str) -> HttpResponse:
    place = place_of(request)
    if alert_kind not in AlertKind:
        raise Http404
    kind = AlertKind(alert_kind)
    with in_tenant(place.tenant.tag):
        rule = alert_rules().of_kinds.get(kind) or default_rule(kind)
    form = _form(request, kind, rule)
    if request.method == "POST" and form.is_valid() and _set(form, place, kind):
        messages.success(request, f"{KIND_WORDS[kind]}: the next look at the books follows what you have set.")
        return redirect(place.url("alert_rule_list"))
    context = {"title": KIND_WORDS[kind], "words": "", "button": "Save the rule"}
    return _act_page(request, place, form, context)


@page(Act.EDIT_ALERTS, send=Act.EDIT_ALERTS)
def alert_budget_rule(request: HttpRequest, slug: str, budget_id: UUID) -> HttpResponse:
    """Percentages of one budget's own."""
    place = place_of(request)
    kind = AlertKind.BUDGET_THRESHOLD
    with in_tenant(place.tenant.tag):
        budget = _budget(budget_id)
        rules = alert_rules()
    rule = rules.of_budgets.get(budget_id) or rules.of_kinds.get(kind) or default_rule(kind)
    form = _form(request, kind, rule)
    if request.method == "POST" and form.is_valid() and _set(form, place, kind, budget_id=budget_id):
        messages.success(request, f"{path_within_tenant(budget.scope_path)} has percentages of its own.")
        return redirect(place.url("alert_rule_list"))
    unit = unit_name(budget.unit)
    context = {
        "title": f"Percentages of {path_within_tenant(budget.scope_path)}, {unit}",
        "words": "They take the place of the tenant's own for this budget.",
        "button": "Save the percentages",
    }
    return _act_page(request, place, form, context)


@page(Act.EDIT_ALERTS, send=Act.EDIT_ALERTS)
def alert_budget_rule_drop(request: HttpRequest, slug: str, budget_id: UUID) -> HttpResponse:
    """Safe to repeat."""
    place = place_of(request)
    with in_tenant(place.tenant.tag):
        budget = _budget(budget_id)
    form = ResolveForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            actor = place.actor(form.cleaned_data["reason"])
            drop_budget_rule(tag=place.tenant.tag, budget_id=budget_id, actor=actor)
        except OperationalError:
            form.add_error(None, BUSY)
        else:
            messages.success(request, f"{path_within_tenant(budget.scope_path)} follows the tenant's percentages.")
            return redirect(place.url("alert_rule_list"))
    context = {
        "title": f"Percentages of {path_within_tenant(budget.scope_path)}",
        "words": "The budget follows the tenant's percentages again.",
        "button": "Drop its own",
    }
    return _act_page(request, place, form, context)


def _form(request: HttpRequest, kind: AlertKind, rule: Rule) -> RuleForm:
    if request.method == "POST":
        return RuleForm(request.POST, kind=kind)
    measure = MEASURES.get(kind)
    text = measure.text(rule.thresholds, is_signed=False) if measure else ""
    return RuleForm(kind=kind, initial={"watch": "on" if rule.is_on else "off", "thresholds": text})


def _set(form: RuleForm, place: Place, kind: AlertKind, *, budget_id: UUID | None = None) -> bool:
    values = form.cleaned_data
    try:
        set_rule(
            tag=place.tenant.tag,
            kind=kind,
            thresholds=values.get("thresholds", ()),
            is_on=values["watch"] == "on",
            budget_id=budget_id,
            actor=place.actor(values["reason"]),
        )
    except OperationalError:
        form.add_error(None, BUSY)
        return False
    return True


def _budget(budget_id: UUID) -> BudgetLine:
    budget = standing_budget(budget_id)
    if budget is None:
        raise Http404
    return budget


def _marks(kind: AlertKind, rule: Rule) -> str:
    measure = MEASURES.get(kind)
    return measure.text(rule.thresholds) if measure else ""


def _own(rule: Rule | None) -> str:
    if rule is None:
        return ""
    return _PERCENTAGES.text(rule.thresholds) if rule.is_on else "not watched"


def _act_page(request: HttpRequest, place: Place, form: forms.Form, context: dict[str, Any]) -> HttpResponse:
    status = 422 if form.is_bound and form.errors else 200
    known = alert_context(place) | {"form": form, "back": place.url("alert_rule_list")}
    return render(request, "act_page.html", known | context, status=status)
