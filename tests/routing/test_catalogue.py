"""The plans that come with the program can be published, priced, and mean what they say."""

from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from budgets.models import RunTemplate, Subscription
from budgets.services.plan_catalogue import CATALOGUE, USD, CataloguePlan
from budgets.services.plan_defaults import InvalidPlanDefaults, read_new_plan, read_plan_defaults
from kernel.tenancy import in_public, in_tenant
from routing.models import PriceStatus, PriceVersion
from routing.rules.effective import PlanSource, effective_rules
from routing.selectors.prices import price_book
from routing.services.catalogue_prices import catalogue_models, ensure_catalogue_prices
from routing.services.routing_checks import check_models_left, check_routing
from tenants.selectors.plans import latest_plans
from tests.support.books import TEST_ACTOR
from tests.support.plans import a_plan, money, tenant_on


def plan(code: str) -> CataloguePlan:
    return next(plan for plan in CATALOGUE if plan.code == code)


class TestCatalogue:
    @pytest.mark.usefixtures("empty_book")
    def test_every_plan_routes_to_models_with_a_price(self) -> None:
        approved = ensure_catalogue_prices(actor=TEST_ACTOR, now=datetime.now(UTC))

        assert approved >= len(catalogue_models()) == 6
        book = price_book(at=datetime.now(UTC))
        for one in CATALOGUE:
            defaults = read_new_plan(one.defaults)
            rules = effective_rules(plan=PlanSource(code=one.code, version=1, defaults=defaults), policies={})
            assert rules.routing is not None
            check_routing(rules.routing, rules=rules, book=book)
            check_models_left(rules)

    @pytest.mark.usefixtures("empty_book")
    def test_prices_that_nobody_asked_for_wait_for_a_person(self) -> None:
        ensure_catalogue_prices(actor=TEST_ACTOR, now=datetime.now(UTC))

        assert ensure_catalogue_prices(actor=TEST_ACTOR, now=datetime.now(UTC)) == 0
        with in_public():
            assert PriceVersion.objects.filter(status=PriceStatus.PROPOSED).count() > 1_000
            assert PriceVersion.objects.filter(status=PriceStatus.APPROVED).count() < 20

    @pytest.mark.parametrize(
        ("code", "allocated", "period", "runs_a_day", "session"),
        [
            ("free", 10, "MONTH", 50, 1),
            ("starter", 50, "MONTH", 250, 2),
            ("pro", 500, "MONTH", 1_000, 10),
        ],
    )
    def test_money_runs_and_sessions(
        self, code: str, allocated: int, period: str, runs_a_day: int, session: int
    ) -> None:
        defaults = read_plan_defaults(plan(code).defaults)

        assert [(budget.allocated, budget.period) for budget in defaults.budgets] == [(allocated * USD, period)]
        assert plan(code).defaults["limits"]["runs_per_day_max"] == runs_a_day
        templates = [(one.name, one.amount, one.is_default) for one in defaults.run_templates]
        assert templates == [("session", session * USD, True)]

    @pytest.mark.usefixtures("empty_book")
    def test_the_command_publishes_what_is_missing_and_asks_who_approves(self) -> None:
        def run(*arguments: str) -> str:
            said = StringIO()
            call_command("seed_plans", *arguments, stdout=said)
            return said.getvalue()

        run()
        assert run("--with-prices", "--by", "olive").startswith("Every plan is there already.")
        assert run("--with-prices", "--by", "olive").endswith("\n0 prices approved.\n")
        with pytest.raises(CommandError, match="needs --by"):
            run("--with-prices")
        assert {one.code for one in latest_plans()} >= {one.code for one in CATALOGUE}

    def test_a_trial_only_reads(self) -> None:
        tools = read_plan_defaults(plan("trial").defaults).tools

        assert tools
        assert tools.default == "deny"
        assert tools.deciding_rule("zendesk.ticket.read") is not None
        assert tools.deciding_rule("zendesk.ticket.update") is None


class TestNewPlan:
    @pytest.mark.parametrize(
        "defaults", [{}, {"budgets": []}, {"limits": {}, "run": {}, "rate": []}, {"priority": "low"}]
    )
    def test_that_would_leave_a_tenant_without_any_limit_is_refused(self, defaults: dict[str, Any]) -> None:
        with pytest.raises(InvalidPlanDefaults, match="without any limit"):
            read_new_plan(defaults)

    @pytest.mark.parametrize(
        "defaults",
        [
            {"budgets": [money(1)]},
            {"run_templates": [{"name": "a", "unit": "TOKENS", "amount": 1}]},
            {"limits": {"runs_per_day_max": 1}},
            {"run": {"iterations_max": 1}},
        ],
    )
    def test_one_limit_is_enough(self, defaults: dict[str, Any]) -> None:
        assert read_new_plan(defaults).limits_anything

    @pytest.mark.parametrize(
        ("defaults", "words"),
        [
            ({"limits": {"runs": 1}}, "limits.runs is not a field"),
            ({"tools": {"rules": [{"pattern": "*", "verdict": "deny"}] * 2}}, r"tools.rules\[1\] never decides"),
            ({"routing": {"tiers": {"small": ["x"]}}}, "provider:model"),
            ({"share_weight": 0}, "share_weight must be at least 1"),
        ],
    )
    def test_that_cannot_be_is_refused_with_the_reason(self, defaults: dict[str, Any], words: str) -> None:
        with pytest.raises(InvalidPlanDefaults, match=words):
            read_new_plan({"budgets": [money(1)]} | defaults)


class TestSubscription:
    def test_of_a_new_tenant_is_its_plan(self, database: None) -> None:
        chosen = a_plan(**plan("starter").defaults)
        with tenant_on(chosen) as tenant, in_tenant(tenant.tag):
            subscription = Subscription.objects.get()
            assert (subscription.plan_code, subscription.plan_version) == (chosen.code, 1)
            assert subscription.next_at is None
            assert RunTemplate.objects.get().amount == 2 * USD

    def test_there_is_none_without_a_plan(self, database: None) -> None:
        with tenant_on(None) as tenant, in_tenant(tenant.tag):
            assert not Subscription.objects.exists()
