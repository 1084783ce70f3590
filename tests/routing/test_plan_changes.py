"""Changing plans: what is shown is what happens, money is prorated in whole units, nothing spent is taken."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections
from hypothesis import given
from hypothesis import strategies as st

from budgets.models import Budget, Ruleset, Run, RunTemplate, Subscription
from budgets.selectors.audit import audit
from budgets.services import lifecycle
from budgets.services.guards import TenantIsSuspended
from budgets.services.policies import NewPolicy, PolicyKind
from budgets.services.proration import share_left
from budgets.services.ruleset import current_document
from budgets.services.run_templates import TemplateEdit, update_template
from budgets.services.subscribing import SubscriptionChanged, month_end
from kernel.money import Unit
from kernel.tenancy import in_public, in_tenant
from routing.selectors.effective_limits import effective_limits
from routing.services.plan_changes import (
    PlanDoesNotFit,
    PlanNotFound,
    apply_due_plan,
    change_plan,
    preview_plan,
)
from routing.services.plan_comparison import PlanChange
from routing.services.policy_saving import put_policy
from routing.tasks import follow_dates, follow_rules
from telemetry.models import AuditEntry, OutboxEvent
from tenants.models import Plan, Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.plans import USD, a_plan, money, tenant_on


def template(amount: int, name: str = "session", **fields: Any) -> dict[str, Any]:
    return {"name": name, "unit": "USD_MICROCENTS", "amount": amount} | fields


@pytest.fixture
def small(database: None) -> Plan:
    return a_plan(
        budgets=[money(10 * USD, period="MONTH"), money(100, unit="TOKENS")],
        run_templates=[template(1 * USD), template(5, name="old")],
        limits={"runs_per_day_max": 2, "input_tokens_max": 100},
        run={"iterations_max": 5},
    )


@pytest.fixture
def large(database: None) -> Plan:
    return a_plan(
        budgets=[
            money(100 * USD, period="MONTH"),
            money(700, unit="TOKENS"),
            money(7 * USD, scope="workspace:prod"),
        ],
        run_templates=[template(10 * USD), template(6, name="new")],
        limits={"runs_per_day_max": 50},
        priority="high",
    )


@pytest.fixture
def umbrella(small: Plan) -> Iterator[Tenant]:
    with tenant_on(small, time_zone="Asia/Kolkata") as tenant:
        yield tenant


def put_on(tenant: Tenant, plan: Plan, **options: Any) -> PlanChange:
    return change_plan(tag=tenant.tag, code=plan.code, actor=TEST_ACTOR, **options)


def seen(tenant: Tenant, plan: Plan, **options: Any) -> PlanChange:
    return preview_plan(tag=tenant.tag, code=plan.code, **options)


def subscription(tenant: Tenant) -> Subscription:
    with in_tenant(tenant.tag):
        return Subscription.objects.get()


def remaining_share(budget: Budget, amount: int, *, at: datetime) -> int:
    return share_left(amount, starts_at=budget.period_starts_at, ends_at=budget.period_ends_at, at=at)


class TestShare:
    START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)

    @pytest.mark.parametrize(("day", "share"), [(1, 3_000), (2, 2_900), (16, 1_500), (30, 100)])
    def test_is_what_is_left_of_the_period(self, day: int, share: int) -> None:
        at = datetime(2026, 11, day, tzinfo=UTC)

        assert share_left(3_000, starts_at=self.START, ends_at=self.END, at=at) == share

    def test_is_rounded_down_to_a_whole_unit(self) -> None:
        at = self.END - timedelta(microseconds=1)

        assert share_left(10**12, starts_at=self.START, ends_at=self.END, at=at) == 0
        assert share_left(30 * 86_400 * 10**6, starts_at=self.START, ends_at=self.END, at=at) == 1

    def test_is_all_before_and_nothing_after(self) -> None:
        assert share_left(7, starts_at=self.START, ends_at=self.END, at=self.START - timedelta(days=3)) == 7
        assert share_left(7, starts_at=self.START, ends_at=self.END, at=self.END) == 0
        assert share_left(7, starts_at=None, ends_at=None, at=self.END) == 7

    @given(amount=st.integers(0, 2**63 - 1), seconds=st.integers(0, 30 * 86_400))
    def test_never_makes_money(self, amount: int, seconds: int) -> None:
        at = self.START + timedelta(seconds=seconds)

        assert 0 <= share_left(amount, starts_at=self.START, ends_at=self.END, at=at) <= amount


class TestNow:
    def test_what_was_shown_is_what_happens(self, umbrella: Tenant, large: Plan) -> None:
        shown = seen(umbrella, large)
        done = put_on(umbrella, large)

        assert shown.limits == done.limits
        assert shown.money.templates == done.money.templates
        for before, after in zip(shown.money.budgets, done.money.budgets, strict=True):
            assert (before.kind, before.scope, before.unit, before.before) == (
                after.kind,
                after.scope,
                after.unit,
                after.before,
            )
            # Between the two some milliseconds of the month have gone.
            assert 0 <= before.after - after.after < USD // 1_000
        with in_tenant(umbrella.tag):
            for step in done.money.budgets:
                assert Budget.objects.get(scope_path=step.scope, unit=step.unit).allocated == step.after

    def test_the_rest_of_the_month_is_exchanged_in_whole_units(self, umbrella: Tenant, large: Plan) -> None:
        done = put_on(umbrella, large)

        with in_tenant(umbrella.tag):
            root = Budget.objects.get(scope_path="tenant:umbrella", unit="USD_MICROCENTS")
            taken, granted = (remaining_share(root, amount * USD, at=done.at) for amount in (10, 100))
            assert root.allocated == 10 * USD - taken + granted
            assert root.period_allocation == 100 * USD
            assert Budget.objects.get(unit="TOKENS").allocated == 700
            prod = Budget.objects.get(scope_path="tenant:umbrella/workspace:prod")
            assert prod.allocated == 7 * USD
        assert audit(umbrella.tag) == []

    def test_subscription_directory_rules_and_trail_follow(self, umbrella: Tenant, small: Plan, large: Plan) -> None:
        done = put_on(umbrella, large)

        now_on = subscription(umbrella)
        assert (now_on.plan_code, now_on.plan_version, now_on.since) == (large.code, 1, done.at)
        with in_public():
            assert Tenant.objects.get(pk=umbrella.pk).plan_id == large.pk
        with in_tenant(umbrella.tag):
            assert current_document() == {"limits": {"runs_per_day_max": 50}, "priority": "high"}
            entry = AuditEntry.objects.get(action="tenant.plan_changed")
            assert (entry.before, entry.after) == ({"plan": f"{small.code} v1"}, {"plan": f"{large.code} v1"})
            event = OutboxEvent.objects.filter(event_type="tenant.updated").latest("pk")
            assert event.payload["data"]["current"] == {"plan": f"{large.code} v1"}

    def test_limits_show_both_sides(self, umbrella: Tenant, large: Plan) -> None:
        changes = {
            change.name: (change.before and change.before.value, change.after and change.after.value)
            for change in seen(umbrella, large).limits
        }

        assert changes == {
            "limits.runs_per_day_max": (2, 50),
            "limits.input_tokens_max": (100, None),
            "run.iterations_max": (5, None),
            "priority": (None, "high"),
        }

    def test_templates_that_nobody_edited_follow_the_plan(self, umbrella: Tenant, large: Plan) -> None:
        put_on(umbrella, large)

        with in_tenant(umbrella.tag):
            assert dict(RunTemplate.objects.values_list("name", "amount")) == {"session": 10 * USD, "new": 6}

    def test_a_template_that_was_edited_is_kept(self, umbrella: Tenant, large: Plan) -> None:
        with in_tenant(umbrella.tag):
            update_template(name="session", edit=TemplateEdit(amount=3), actor=TEST_ACTOR)
        put_on(umbrella, large)

        with in_tenant(umbrella.tag):
            assert RunTemplate.objects.get(name="session").amount == 3

    def test_a_budget_that_was_set_by_hand_is_kept(self, umbrella: Tenant, large: Plan) -> None:
        Books(umbrella).add_budget("/workspace:prod", allocated=5)
        steps = {step.scope: step for step in put_on(umbrella, large).money.budgets}

        assert steps["tenant:umbrella/workspace:prod"].kind == "kept"
        with in_tenant(umbrella.tag):
            assert Budget.objects.get(scope_path="tenant:umbrella/workspace:prod").allocated == 5

    def test_another_period_begins_with_what_was_spent_in_the_old_one(self, umbrella: Tenant) -> None:
        books = Books(umbrella)
        books.ask("event", amount=4 * USD)
        daily = a_plan(budgets=[money(6 * USD, period="DAY")])
        done = put_on(umbrella, daily)

        root = books.budget()
        assert (root.period, root.spent, root.period_allocation) == ("DAY", 4 * USD, 6 * USD)
        assert root.period_ends_at is not None
        assert root.period_ends_at - done.at <= timedelta(days=1)
        assert root.allocated >= 4 * USD
        assert audit(umbrella.tag) == []


class TestOverAtOnce:
    def test_a_budget_keeps_what_is_spent_and_held_and_has_nothing_left(self, umbrella: Tenant, large: Plan) -> None:
        put_on(umbrella, large)
        books = Books(umbrella)
        with in_tenant(umbrella.tag):
            allocated = Budget.objects.get(scope_path="tenant:umbrella", unit="USD_MICROCENTS").allocated
        books.ask("event", amount=allocated - 2 * USD)
        books.ask("reserve", amount=1 * USD)
        tiny = a_plan(budgets=[money(1, period="MONTH")], limits={"runs_per_day_max": 9})

        shown, done = seen(umbrella, tiny), put_on(umbrella, tiny)

        assert [(over.name, over.used) for over in shown.over] == [("budget.tenant:umbrella", allocated - USD)]
        assert shown.over[0].used == done.over[0].used
        root = books.budget()
        assert (root.allocated, root.remaining) == (allocated - USD, 0)
        assert books.ask("reserve", amount=1).status == "BUDGET_EXCEEDED"
        assert audit(umbrella.tag) == []

    def test_runs_of_today_above_the_new_cap_are_named_and_at_the_cap_are_not(
        self, umbrella: Tenant, large: Plan
    ) -> None:
        put_on(umbrella, large)
        now = datetime.now(UTC)
        with in_tenant(umbrella.tag):
            for number in range(3):
                Run.objects.create(run_id=f"run-{number}", started_at=now, lease_until=now + timedelta(minutes=5))
        for cap, expected in ((2, [("limits.runs_per_day_max", 3, 2)]), (3, [])):
            plan = a_plan(budgets=[money(1)], limits={"runs_per_day_max": cap})

            assert [(over.name, over.used, over.limit) for over in seen(umbrella, plan).over] == expected

    def test_runs_under_way_above_the_new_cap_are_named(self, umbrella: Tenant) -> None:
        now = datetime.now(UTC)
        with in_tenant(umbrella.tag):
            for number, minutes in enumerate((5, 5, -5)):
                Run.objects.create(
                    run_id=f"run-{number}",
                    started_at=now - timedelta(days=40),
                    lease_until=now + timedelta(minutes=minutes),
                )
        plan = a_plan(limits={"concurrent_runs_max": 1})

        assert [(over.name, over.used) for over in seen(umbrella, plan).over] == [("limits.concurrent_runs_max", 2)]


class TestUnderLoad:
    def test_plans_that_change_while_money_moves_leave_the_books_right(
        self, umbrella: Tenant, small: Plan, large: Plan
    ) -> None:
        books = Books(umbrella)
        is_over = threading.Event()
        statuses: set[str] = set()

        def spend() -> None:
            while not is_over.is_set():
                hold = books.ask("reserve", amount=USD // 10, idem=uuid4().hex)
                statuses.add(hold.status)
                if hold.status == "OK":
                    books.ask("commit", target=hold.id, amount=USD // 20, idem=uuid4().hex)

        threads = [threading.Thread(target=spend) for _ in range(3)]
        for thread in threads:
            thread.start()
        for plan in (large, small, large, small):
            put_on(umbrella, plan)
        is_over.set()
        for thread in threads:
            thread.join()

        assert audit(umbrella.tag) == []
        assert statuses <= {"OK", "BUDGET_EXCEEDED"}
        root = books.budget()
        assert root.remaining >= 0
        assert subscription(umbrella).plan_code == small.code

    def test_a_change_that_was_cut_off_is_followed_by_the_sweep(self, umbrella: Tenant, large: Plan) -> None:
        put_on(umbrella, large)
        with in_public():
            Tenant.objects.filter(pk=umbrella.pk).update(plan=None)
        with in_tenant(umbrella.tag):
            Ruleset.objects.update(document={})

        follow_rules()

        with in_public():
            assert Tenant.objects.get(pk=umbrella.pk).plan_id == large.pk
        with in_tenant(umbrella.tag):
            assert current_document()["limits"] == {"runs_per_day_max": 50}

    def test_two_changes_at_once_end_on_one_plan_with_its_rules(
        self, umbrella: Tenant, small: Plan, large: Plan
    ) -> None:
        other = a_plan(budgets=[money(20 * USD, period="MONTH")], limits={"runs_per_day_max": 20})
        barrier = threading.Barrier(2)
        outcomes: list[str] = []

        def change(plan: Plan) -> None:
            try:
                barrier.wait()
                put_on(umbrella, plan)
                outcomes.append("changed")
            except SubscriptionChanged:
                outcomes.append("refused")
            finally:
                connections.close_all()

        threads = [threading.Thread(target=change, args=(plan,)) for plan in (large, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert "changed" in outcomes
        plan = {large.code: large, other.code: other}[subscription(umbrella).plan_code]
        with in_tenant(umbrella.tag):
            assert current_document()["limits"] == plan.defaults["limits"]
        with in_public():
            assert Tenant.objects.get(pk=umbrella.pk).plan_id == plan.pk
        assert audit(umbrella.tag) == []


class TestMonthEnd:
    def test_is_the_first_of_the_next_month_where_the_tenant_is(self) -> None:
        late = datetime(2026, 11, 30, 18, 30, tzinfo=UTC)

        assert month_end(now=late, time_zone="Asia/Kolkata") == datetime(2026, 12, 31, 18, 30, tzinfo=UTC)
        just_before = late - timedelta(microseconds=1)
        assert month_end(now=just_before, time_zone="Asia/Kolkata") == late

    def test_a_change_waits_for_it(self, umbrella: Tenant, small: Plan, large: Plan) -> None:
        change = put_on(umbrella, large, at_month_end=True)

        waiting = subscription(umbrella)
        assert (waiting.plan_code, waiting.next_plan_code, waiting.next_at) == (small.code, large.code, change.at)
        assert apply_due_plan(tag=umbrella.tag, now=change.at - timedelta(microseconds=1), actor=TEST_ACTOR) is False
        assert apply_due_plan(tag=umbrella.tag, now=change.at, actor=TEST_ACTOR) is True
        assert apply_due_plan(tag=umbrella.tag, now=change.at, actor=TEST_ACTOR) is False
        changed = subscription(umbrella)
        assert (changed.plan_code, changed.since, changed.next_at) == (large.code, change.at, None)

    def test_the_new_month_is_the_new_plans_alone_even_when_the_worker_is_late(
        self, umbrella: Tenant, large: Plan
    ) -> None:
        put_on(umbrella, large, at_month_end=True)
        with in_tenant(umbrella.tag):
            # The month in the books began a while ago, and so did the change that was to come with it.
            root = Budget.objects.get(scope_path="tenant:umbrella", unit="USD_MICROCENTS")
            Subscription.objects.update(next_at=root.period_starts_at)
        follow_dates()

        with in_tenant(umbrella.tag):
            root.refresh_from_db()
            assert root.allocated == 100 * USD
        assert subscription(umbrella).plan_code == large.code

    def test_what_is_shown_is_the_whole_new_allocation(self, umbrella: Tenant, large: Plan) -> None:
        shown = {
            (step.scope, str(step.unit)): step.after for step in seen(umbrella, large, at_month_end=True).money.budgets
        }

        assert shown["tenant:umbrella", "USD_MICROCENTS"] == 100 * USD

    def test_staying_forgets_what_was_to_follow(self, umbrella: Tenant, small: Plan, large: Plan) -> None:
        put_on(umbrella, large, at_month_end=True)
        done = put_on(umbrella, small)

        assert subscription(umbrella).next_at is None
        assert done.money.budgets == ()


class TestRefused:
    def test_an_unknown_plan_or_version(self, umbrella: Tenant, large: Plan) -> None:
        with pytest.raises(PlanNotFound):
            preview_plan(tag=umbrella.tag, code="nothing")
        with pytest.raises(PlanNotFound):
            put_on(umbrella, large, version=2)

    def test_a_plan_that_leaves_a_class_of_the_tenants_own_without_a_model(self, umbrella: Tenant) -> None:
        routing = {"tiers": {"small": ["openai:x"]}, "classes": {"chat": {"tier": "small"}}, "default_class": "chat"}
        plan = a_plan(budgets=[money(1)], models=["anthropic:*"], routing=routing)

        with pytest.raises(PlanDoesNotFit, match="would leave the class chat without any model"):
            put_on(umbrella, plan)
        assert subscription(umbrella).plan_code != plan.code

    def test_a_suspended_tenant_waits(self, umbrella: Tenant, large: Plan) -> None:
        put_on(umbrella, large, at_month_end=True)
        lifecycle.suspend_tenant(tag=umbrella.tag, actor=TEST_ACTOR)
        with in_tenant(umbrella.tag):
            Subscription.objects.update(next_at=datetime.now(UTC) - timedelta(seconds=1))

        with pytest.raises(TenantIsSuspended):
            put_on(umbrella, large)
        follow_dates()
        assert subscription(umbrella).next_plan_code == large.code

        lifecycle.resume_tenant(tag=umbrella.tag, actor=TEST_ACTOR)
        follow_dates()
        assert subscription(umbrella).plan_code == large.code


class TestEffectiveLimits:
    def test_each_names_its_place(self, umbrella: Tenant, small: Plan) -> None:
        routing = {"classes": {"chat": {"tier": "small", "output_tokens_max": 9}}, "default_class": "chat"}
        plan = a_plan(
            small.code,
            **small.defaults,
            routing={"tiers": {"small": ["openai:x"]}, **routing},
            tools={"default": "deny"},
        )
        put_on(umbrella, plan)
        for kind, document in (
            (PolicyKind.LIMITS, {"limits": {"input_tokens_max": 7}}),
            (PolicyKind.ACTIONS, {"policies": [{"id": "mail", "denied_action_kinds": ["email.send"]}]}),
        ):
            new = NewPolicy(kind=kind, document=document, reason="the audit asked for it")
            put_policy(tag=umbrella.tag, slug="umbrella", new=new, actor=TEST_ACTOR)
        now = datetime.now(UTC)

        found = {limit.name: (limit.value, limit.place) for limit in effective_limits(tag=umbrella.tag)}

        of_plan, of_override = f"plan {small.code} v2", f"override v1 by olive {now:%Y-%m-%d}: the audit asked for it"
        assert found == {
            "budget.tenant:umbrella": (100, of_plan),
            "budget.tenant:umbrella a month": (10 * USD, of_plan),
            "run_template.old": (5, of_plan),
            "run_template.session": (1 * USD, of_plan),
            "limits.runs_per_day_max": (2, of_plan),
            "limits.input_tokens_max": (7, of_override),
            "run.iterations_max": (5, of_plan),
            "classes.chat.output_tokens_max": (9, f"class chat of {of_plan}"),
            "tiers.small": (["openai:x"], of_plan),
            "tools": ({"default": "deny", "rules": []}, of_plan),
            "actions.mail.denied": (["email.send"], of_override),
        }

    def test_money_that_was_set_by_hand_says_so(self, umbrella: Tenant) -> None:
        Books(umbrella).add_budget(allocated=5, unit=Unit.CREDITS)
        with in_tenant(umbrella.tag):
            update_template(name="session", edit=TemplateEdit(amount=3), actor=TEST_ACTOR)

        found = effective_limits(tag=umbrella.tag)

        by_hand = {(limit.name, limit.unit) for limit in found if limit.place == "set in the books"}
        assert by_hand == {("budget.tenant:umbrella", "CREDITS"), ("run_template.session", "USD_MICROCENTS")}

    def test_a_tenant_without_a_plan_has_what_its_books_have(self, acme: Tenant) -> None:
        Books(acme).add_budget(allocated=5)

        found = effective_limits(tag=acme.tag)

        assert [(limit.name, limit.value, limit.place) for limit in found] == [
            ("budget.tenant:acme", 5, "set in the books")
        ]
