"""Budgets over the management API: list, open, edit, stop."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import answer
from budgets.api.management.fields import StopFields, amount, number_in
from budgets.api.management.pages import PageFields, PageQuery, page_of
from budgets.api.management.views import TenantView
from budgets.models import Budget
from budgets.models.choices import BudgetStatus, Period, Rollover
from budgets.scopes import read_scope_path
from budgets.services.editing import BudgetEdit, close_budget, freeze_budget, unfreeze_budget, update_budget
from budgets.services.opening import NewBudget, open_budget
from budgets.services.periods import with_periods_open
from kernel.http.described import described
from kernel.http.errors import invalid_request
from kernel.http.serialized import AmountFields, Fields, OneOf, ReasonFields, SignedAmountFields, Text, UnitName
from kernel.money import Unit

_TAG = "budgets"
_NOT_FOUND = "NOT_FOUND: no such tenant or budget."
_STOPPED = "TENANT_CLOSED or BUDGET_CLOSED: it is closed, and stays so."
_ANCHOR_MIN, _ANCHOR_MAX = date(1970, 1, 1), date(2199, 12, 31)


class BudgetFields(Fields):
    """A budget. Amounts are those of the current period; what remains is allocated - reserved - spent - debt."""

    budget_id = serializers.UUIDField()
    scope = serializers.CharField()
    unit = UnitName()
    status = OneOf(choices=BudgetStatus.values)
    allocated = AmountFields()
    remaining = SignedAmountFields()
    reserved = AmountFields()
    spent = AmountFields()
    debt = AmountFields()
    uncovered = AmountFields(help_text="Spent for real, but covered neither by budget nor by debt.")
    overdraft_limit = AmountFields()
    is_over_limit = serializers.BooleanField()
    period = OneOf(choices=Period.values)
    period_starts_at = serializers.DateTimeField(allow_null=True)
    period_ends_at = serializers.DateTimeField(allow_null=True)
    anchor = serializers.DateField(help_text="The day in the tenant's time zone from which periods are counted.")
    rollover = OneOf(choices=Rollover.values)
    period_allocation = AmountFields(help_text="What each new period is granted.")
    run_id = serializers.CharField(allow_null=True, help_text="Set on the budget of one run.")
    created_at = serializers.DateTimeField()


class BudgetPageFields(PageFields):
    budgets = BudgetFields(many=True)


class BudgetQuery(PageQuery):
    """Which budgets."""

    scope = Text(max_length=1024, required=False, help_text="This scope and those below it.")
    unit = UnitName(required=False)
    status = OneOf(choices=BudgetStatus.values, required=False)
    runs = OneOf(choices=["true", "false"], default="false", help_text="Whether budgets of single runs are listed.")


class NewBudgetFields(ReasonFields):
    """All amounts in `unit`."""

    scope = Text(max_length=1024, help_text="The full path, like tenant:acme/workspace:prod.")
    unit = UnitName()
    allocated = AmountFields()
    overdraft_limit = AmountFields(required=False)
    period = OneOf(choices=Period.values, default=Period.ONE_OFF.value)
    rollover = OneOf(choices=Rollover.values, default=Rollover.NONE.value)
    period_allocation = AmountFields(required=False, help_text="What later periods get; `allocated` when left out.")
    anchor = serializers.DateField(required=False, help_text="Calendar days, weeks from Monday, months when left out.")


class BudgetEditFields(ReasonFields):
    """Any of these; what is left out stays as it is."""

    overdraft_limit = AmountFields(required=False)
    rollover = OneOf(choices=Rollover.values, required=False)
    period_allocation = AmountFields(required=False, help_text="From the next period on.")


class Budgets(TenantView):
    @described(
        name="list_budgets",
        summary="Budgets in the order of their scopes",
        tag=_TAG,
        query=BudgetQuery,
        answer=BudgetPageFields,
        refusals={404: _NOT_FOUND},
    )
    def get(self, request: Request, slug: str) -> Response:
        query = self.query(BudgetQuery)
        with self.reading(slug) as tenant:
            found = Budget.objects.filter(self.within("scope_path"))
            filters = {name: query[name] for name in ("unit", "status") if name in query}
            found = found.filter(**filters)
            scope = read_scope_path(query["scope"], slug=slug).text if "scope" in query else None
            if scope is not None:
                found = found.filter(scope_path=scope) | found.filter(scope_path__startswith=f"{scope}/")
            if query["runs"] == "false":
                found = found.filter(run_id=None)
            page = page_of(
                found,
                order=("scope_path", "unit"),
                query=query,
                tag=tenant.tag,
                binding=["budgets", filters, scope, query["runs"], self.caller.key.scope_filter],
            )
            budgets = with_periods_open(page.rows, now=datetime.now(UTC))
        return answer(BudgetPageFields, page.facts("budgets", [budget_facts(budget) for budget in budgets]))

    @described(
        name="create_budget",
        summary="The new budget",
        tag=_TAG,
        body=NewBudgetFields,
        answer=BudgetFields,
        status=201,
        refusals={404: "NOT_FOUND: no such tenant.", 409: "The scope has a budget in this unit, or TENANT_CLOSED."},
    )
    def post(self, request: Request, slug: str) -> Response:
        values = self.body(NewBudgetFields)
        scope = read_scope_path(values["scope"], slug=self.tenant(slug).slug)
        self.require_scope(scope)
        unit = values["unit"]
        anchor = values.get("anchor")
        if anchor is not None and not _ANCHOR_MIN <= anchor <= _ANCHOR_MAX:
            raise invalid_request("anchor must be a date from 1970 to 2199.", field="anchor")
        new = NewBudget(
            scope=scope,
            unit=Unit(unit),
            allocated=number_in(unit, values["allocated"], field="allocated") or 0,
            overdraft_limit=number_in(unit, values.get("overdraft_limit"), field="overdraft_limit") or 0,
            period=Period(values["period"]),
            rollover=Rollover(values["rollover"]),
            period_allocation=number_in(unit, values.get("period_allocation"), field="period_allocation"),
            anchor=anchor,
        )
        with self.writing(slug, reason=values["reason"]) as actor:
            budget = open_budget(new, actor=actor)
        return answer(BudgetFields, budget_facts(budget), status=201)


class OneBudget(TenantView):
    @described(name="get_budget", summary="The budget", tag=_TAG, answer=BudgetFields, refusals={404: _NOT_FOUND})
    def get(self, request: Request, slug: str, budget_id: UUID) -> Response:
        with self.reading(slug):
            (budget,) = with_periods_open([self.budget_in_reach(budget_id)], now=datetime.now(UTC))
        return answer(BudgetFields, budget_facts(budget))

    @described(
        name="update_budget",
        summary="The budget with its new limits",
        tag=_TAG,
        body=BudgetEditFields,
        answer=BudgetFields,
        refusals={404: _NOT_FOUND, 409: _STOPPED},
    )
    def patch(self, request: Request, slug: str, budget_id: UUID) -> Response:
        values = self.body(BudgetEditFields)
        if not values.keys() - {"reason"}:
            raise invalid_request("Name at least one of overdraft_limit, rollover and period_allocation.")
        with self.writing(slug, reason=values["reason"]) as actor:
            unit = self.budget_in_reach(budget_id).unit
            edit = BudgetEdit(
                overdraft_limit=number_in(unit, values.get("overdraft_limit"), field="overdraft_limit"),
                rollover=Rollover(values["rollover"]) if "rollover" in values else None,
                period_allocation=number_in(unit, values.get("period_allocation"), field="period_allocation"),
            )
            budget = update_budget(budget_id=budget_id, edit=edit, actor=actor)
        return answer(BudgetFields, budget_facts(budget))


class BudgetFreeze(TenantView):
    @described(
        name="freeze_budget",
        summary="The budget, which takes no new work and no money. Safe to repeat",
        tag=_TAG,
        body=StopFields,
        answer=BudgetFields,
        refusals={404: _NOT_FOUND, 409: _STOPPED},
    )
    def post(self, request: Request, slug: str, budget_id: UUID) -> Response:
        values = self.body(StopFields)
        with self.writing(slug, reason=values["reason"]) as actor:
            self.budget_in_reach(budget_id)
            budget = freeze_budget(budget_id=budget_id, cancel_holds=values["cancel_holds"], actor=actor)
        return answer(BudgetFields, budget_facts(budget))


class BudgetUnfreeze(TenantView):
    @described(
        name="unfreeze_budget",
        summary="The budget, which works again. Safe to repeat",
        tag=_TAG,
        body=ReasonFields,
        answer=BudgetFields,
        refusals={404: _NOT_FOUND, 409: _STOPPED},
    )
    def post(self, request: Request, slug: str, budget_id: UUID) -> Response:
        values = self.body(ReasonFields)
        with self.writing(slug, reason=values["reason"]) as actor:
            self.budget_in_reach(budget_id)
            budget = unfreeze_budget(budget_id=budget_id, actor=actor)
        return answer(BudgetFields, budget_facts(budget))


class BudgetClose(TenantView):
    @described(
        name="close_budget",
        summary="The budget, closed for good. Safe to repeat",
        tag=_TAG,
        body=StopFields,
        answer=BudgetFields,
        refusals={404: _NOT_FOUND, 409: "Money is held: wait, or send cancel_holds. Or TENANT_CLOSED."},
    )
    def post(self, request: Request, slug: str, budget_id: UUID) -> Response:
        values = self.body(StopFields)
        with self.writing(slug, reason=values["reason"]) as actor:
            self.budget_in_reach(budget_id)
            budget = close_budget(budget_id=budget_id, cancel_holds=values["cancel_holds"], actor=actor)
        return answer(BudgetFields, budget_facts(budget))


def budget_facts(budget: Budget) -> dict[str, Any]:
    """A budget as `BudgetFields` shows it."""
    amounts = (
        "allocated",
        "remaining",
        "reserved",
        "spent",
        "debt",
        "uncovered",
        "overdraft_limit",
        "period_allocation",
    )
    plain = ("unit", "status", "is_over_limit", "period", "period_starts_at", "period_ends_at", "anchor", "rollover")
    return {
        "budget_id": budget.pk,
        "scope": budget.scope_path,
        "run_id": budget.run_id,
        "created_at": budget.created_at,
        **{name: amount(budget.unit, getattr(budget, name)) for name in amounts},
        **{name: getattr(budget, name) for name in plain},
    }
