"""A tenant's life: suspended and resumed, closed once and for all, whatever is under way."""

import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from accounts.keys.models import ApiKey
from budgets.models import Budget, LedgerEntry, LedgerHead, Reservation, RunTemplate
from budgets.scopes import read_scope_path
from budgets.selectors.audit import audit
from budgets.services import lifecycle
from budgets.services.guards import TenantIsClosed
from budgets.services.opening import NewBudget, open_budget
from budgets.services.plan_defaults import InvalidPlanDefaults, read_plan_defaults
from budgets.services.run_templates import create_template
from kernel.actor import Actor
from kernel.money import Unit
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry, OutboxEvent
from tenants.models import Tenant
from tenants.services.plans import publish_plan
from tenants.services.provisioning import NewTenant
from tests.support.books import Books
from tests.support.owner import as_owner
from tests.support.tenants import drop_tenant

OLIVE = Actor(name="olive", actor_type="admin_on_behalf_of", reason="runaway agent")
ROOT_AND_WORKSPACE = ["", "/workspace:prod"]


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


def directory_status(tenant: Tenant) -> str:
    with in_public():
        return Tenant.objects.get(pk=tenant.pk).status


def add_run_budget(books: Books) -> None:
    with in_tenant(books.tenant.tag):
        create_template(name="chat", unit=Unit.USD_MICROCENTS, amount=50, is_default=True, actor=OLIVE)
    assert books.ask("reserve", amount=5, run="r1").status == "OK"


class TestSuspend:
    def test_refuses_new_work_and_lets_the_old_settle(self, books: Books) -> None:
        books.add_budget(allocated=100)
        first, second = books.ask("reserve", amount=30), books.ask("reserve", amount=30)

        standing = lifecycle.suspend_tenant(tag=books.tenant.tag, actor=OLIVE)

        assert standing.is_changed
        assert books.ask("reserve", amount=1).status == "TENANT_SUSPENDED"
        assert books.ask("extend", target=first.id, extend_ms=1_000).status == "TENANT_SUSPENDED"
        assert books.ask("commit", target=first.id, amount=30).status == "OK"
        assert books.ask("release", target=second.id).status == "OK"
        assert directory_status(books.tenant) == "SUSPENDED"

    def test_gives_holds_back_where_that_is_asked_for(self, books: Books) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=30)

        standing = lifecycle.suspend_tenant(tag=books.tenant.tag, cancel_holds=True, actor=OLIVE)

        assert standing.holds_released == 1
        assert books.ask("commit", target=hold.id, amount=30).status == "RESERVATION_FINALIZED"

    def test_and_resume_are_safe_to_repeat_and_told_once(self, books: Books) -> None:
        tag = books.tenant.tag
        changes = [
            lifecycle.suspend_tenant(tag=tag, actor=OLIVE).is_changed,
            lifecycle.suspend_tenant(tag=tag, actor=OLIVE).is_changed,
            lifecycle.resume_tenant(tag=tag, actor=OLIVE).is_changed,
            lifecycle.resume_tenant(tag=tag, actor=OLIVE).is_changed,
        ]

        assert changes == [True, False, True, False]
        with in_tenant(tag):
            told = Counter(OutboxEvent.objects.values_list("event_type", flat=True))
            audited = AuditEntry.objects.get(action="tenant.suspended")
        assert told == {"tenant.created": 1, "tenant.suspended": 1, "tenant.reactivated": 1}
        assert (audited.actor_type, audited.reason) == ("admin_on_behalf_of", "runaway agent")
        assert (audited.before, audited.after) == ({"status": "ACTIVE"}, {"status": "SUSPENDED", "holds_released": 0})
        assert directory_status(books.tenant) == "ACTIVE"

    def test_mends_a_directory_that_was_left_behind(self, books: Books) -> None:
        lifecycle.suspend_tenant(tag=books.tenant.tag, actor=OLIVE)
        with in_public():
            Tenant.objects.filter(pk=books.tenant.pk).update(status="ACTIVE")

        lifecycle.suspend_tenant(tag=books.tenant.tag, actor=OLIVE)

        assert directory_status(books.tenant) == "SUSPENDED"


class TestClose:
    def test_ends_everything_in_one_transaction(self, books: Books) -> None:
        books.add_budget(allocated=100)
        books.add_budget("/workspace:prod", allocated=100)
        books.add_budget(allocated=100, unit=Unit.TOKENS)
        add_run_budget(books)
        holds = [books.ask("reserve", amount=5, suffixes=ROOT_AND_WORKSPACE) for _ in range(3)]

        standing = lifecycle.close_tenant(tag=books.tenant.tag, actor=OLIVE)

        assert (standing.status, standing.is_changed, standing.holds_released) == ("CLOSED", True, 4)
        with in_tenant(books.tenant.tag):
            assert set(Budget.objects.values_list("status", "reserved")) == {("CLOSED", 0)}
            assert set(Reservation.objects.values_list("status", flat=True)) == {"RELEASED"}
            assert set(ApiKey.objects.values_list("status", flat=True)) == {"REVOKED"}
            assert LedgerHead.objects.get().status == "CLOSED"
        assert directory_status(books.tenant) == "CLOSED"
        assert books.ask("commit", target=holds[0].id, amount=5).status == "UNAUTHORIZED"

    def test_leaves_books_whose_entries_add_up(self, books: Books) -> None:
        books.add_budget(allocated=100)
        books.add_budget("/workspace:prod", allocated=100, unit=Unit.TOKENS)
        books.ask("reserve", amount=5)

        lifecycle.close_tenant(tag=books.tenant.tag, actor=OLIVE)

        with in_tenant(books.tenant.tag):
            entries = list(LedgerEntry.objects.order_by("seq"))
            budgets = {budget.pk: budget for budget in Budget.objects.all()}
            assert LedgerHead.objects.get().last_seq == entries[-1].seq
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        last = {budget_id: entry for entry in entries for budget_id in entry.budget_ids}
        for budget_id, entry in last.items():
            assert entry.kind == "CLOSE"
            assert entry.unit == budgets[budget_id].unit
            start = entry.budget_ids.index(budget_id) * 7
            assert entry.balances[start : start + 4] == [
                budgets[budget_id].allocated,
                budgets[budget_id].reserved,
                budgets[budget_id].spent,
                budgets[budget_id].debt,
            ]

    def test_tells_of_each_budget_and_key_but_not_of_runs(self, books: Books) -> None:
        books.add_budget(allocated=100)
        add_run_budget(books)

        lifecycle.close_tenant(tag=books.tenant.tag, actor=OLIVE)

        with in_tenant(books.tenant.tag):
            told = Counter(
                OutboxEvent.objects.filter(event_type__contains="cascade").values_list("event_type", flat=True)
            )
            released = OutboxEvent.objects.get(event_type="reservation.released_via_tenant_cascade")
        assert told == {
            "budget.closed_via_tenant_cascade": 1,
            "reservation.released_via_tenant_cascade": 1,
            "api_key.revoked_via_tenant_cascade": 1,
        }
        assert released.payload["data"]["released_amount"] == 5

    @pytest.mark.parametrize("runs", [1, 499, 500, 501, 5_001])
    def test_reads_no_budget_of_a_run_however_many_there_were(self, books: Books, runs: int) -> None:
        root = books.add_budget(allocated=100)
        books.ask("event", amount=130)
        tokens = books.add_budget(allocated=7, unit=Unit.TOKENS)
        as_owner(
            books.tenant.tag,
            f"""
            INSERT INTO budget (
                id, scope_path, depth, unit, allocated, reserved, spent, debt, uncovered, overdraft_limit, is_capped,
                is_low, status, period, anchor, rollover, period_allocation, run_id, created_at
            )
            SELECT
                uuidv7(), 'tenant:acme/run:r' || n, 2, 'USD_MICROCENTS', 0, 0, 0, 0, 0, 0, false,
                false, 'ACTIVE', 'ONE_OFF', '2026-01-01', 'NONE', 0, 'r' || n, now()
            FROM generate_series(1, {runs}) AS n
            """,
        )

        with CaptureQueriesContext(connections["default"]) as captured:
            lifecycle.close_tenant(tag=books.tenant.tag, actor=OLIVE)

        assert len(captured) < 30
        with in_tenant(books.tenant.tag):
            entries = list(LedgerEntry.objects.filter(kind="CLOSE").order_by("seq"))
            assert not Budget.objects.exclude(status="CLOSED").exists()
        closed = [budget_id for entry in entries for budget_id in entry.budget_ids]
        assert len(closed) == len(set(closed)) == runs + 2
        assert max(len(entry.budget_ids) for entry in entries) <= 500
        balances = {
            budget_id: entry.balances[number * 7 : number * 7 + 7]
            for entry in entries
            for number, budget_id in enumerate(entry.budget_ids)
        }
        assert balances[root] == [100, 0, 100, 0, 30, 0, 1]
        assert balances[tokens] == [7, 0, 0, 0, 0, 0, 0]
        assert {(entry.actor, entry.reason) for entry in entries} == {("olive", "runaway agent")}
        assert audit(books.tenant.tag) == []

    def test_is_final(self, books: Books) -> None:
        tag = books.tenant.tag
        lifecycle.close_tenant(tag=tag, actor=OLIVE)

        assert not lifecycle.close_tenant(tag=tag, actor=OLIVE).is_changed
        with pytest.raises(TenantIsClosed):
            lifecycle.resume_tenant(tag=tag, actor=OLIVE)
        with pytest.raises(TenantIsClosed):
            lifecycle.suspend_tenant(tag=tag, actor=OLIVE)
        assert directory_status(books.tenant) == "CLOSED"

    def test_ends_a_suspended_tenant_too(self, books: Books) -> None:
        lifecycle.suspend_tenant(tag=books.tenant.tag, actor=OLIVE)

        assert lifecycle.close_tenant(tag=books.tenant.tag, actor=OLIVE).is_changed

    @pytest.mark.parametrize("times", [1, 2, 450])
    def test_releases_more_holds_than_fit_in_one_statement(self, books: Books, times: int) -> None:
        """However many of them end at the same time."""
        books.add_budget(allocated=1_000)
        books.ask_all(*[books.operation("reserve", amount=1, ttl_ms=60_000 + n % times) for n in range(450)])

        assert lifecycle.close_tenant(tag=books.tenant.tag, actor=OLIVE).holds_released == 450
        assert books.budget().reserved == 0


class TestBarrier:
    """When a stop returns, nothing is under way any more, and nothing starts after it."""

    @pytest.mark.parametrize("stop", ["suspend", "close"])
    def test_nothing_is_let_through_after_the_stop_has_returned(self, books: Books, stop: str) -> None:
        books.add_budget(allocated=10**9)
        answers: list[tuple[float, str]] = []
        stopped = threading.Event()

        def spend() -> None:
            try:
                while not stopped.is_set() or len(answers) < 20:
                    asked_at = time.monotonic()
                    answers.append((asked_at, books.ask("reserve", amount=1).status))
            finally:
                connections.close_all()

        threads = [threading.Thread(target=spend) for _ in range(4)]
        for thread in threads:
            thread.start()
        while len(answers) < 8:
            time.sleep(0.005)
        if stop == "suspend":
            lifecycle.suspend_tenant(tag=books.tenant.tag, actor=OLIVE)
        else:
            lifecycle.close_tenant(tag=books.tenant.tag, actor=OLIVE)
        returned_at = time.monotonic()
        time.sleep(0.05)
        stopped.set()
        for thread in threads:
            thread.join()

        assert {status for asked_at, status in answers if asked_at > returned_at} <= {
            "TENANT_SUSPENDED",
            "TENANT_CLOSED",
            "UNAUTHORIZED",
        }
        with in_tenant(books.tenant.tag):
            active = Reservation.objects.filter(status="ACTIVE").count()
        assert books.budget().reserved == active
        assert stop == "suspend" or active == 0


PLAN_DEFAULTS: dict[str, Any] = {
    "budgets": [
        {"unit": "USD_MICROCENTS", "allocated": 200, "period": "DAY", "rollover": "CARRY_FORWARD"},
        {"scope": "workspace:prod", "unit": "TOKENS", "allocated": 7, "overdraft_limit": 3},
    ],
    "run_templates": [{"name": "chat", "unit": "USD_MICROCENTS", "amount": 5, "is_default": True}],
}


class TestPlanDefaults:
    def test_are_what_a_new_tenant_starts_with(self, database: None) -> None:
        now = datetime.now(UTC)
        plan = publish_plan(code="lifecycle", name="Lifecycle", price=0, defaults=PLAN_DEFAULTS, actor=OLIVE, now=now)
        tenant = lifecycle.create_tenant(NewTenant(slug="umbrella", name="Umbrella", plan=plan), now=now, actor=OLIVE)
        try:
            with in_tenant(tenant.tag):
                budgets = {
                    (budget.scope_path, budget.unit): (budget.allocated, budget.overdraft_limit, budget.period)
                    for budget in Budget.objects.all()
                }
                template = RunTemplate.objects.get()
        finally:
            drop_tenant(tenant)

        assert budgets == {
            ("tenant:umbrella", "USD_MICROCENTS"): (200, 0, "DAY"),
            ("tenant:umbrella/workspace:prod", "TOKENS"): (7, 3, "ONE_OFF"),
        }
        assert (template.name, template.amount, template.is_default) == ("chat", 5, True)

    def test_are_not_given_twice(self, acme: Tenant) -> None:
        with in_tenant(acme.tag):
            open_budget(
                NewBudget(scope=read_scope_path("tenant:acme", slug="acme"), unit=Unit.TOKENS, allocated=1), actor=OLIVE
            )
        with in_public():
            Tenant.objects.filter(pk=acme.pk).update(status="PROVISIONING")

        again = lifecycle.create_tenant(
            NewTenant(slug="acme", name=acme.name, time_zone=acme.time_zone), now=datetime.now(UTC)
        )

        assert again.pk == acme.pk
        with in_tenant(acme.tag):
            assert Budget.objects.count() == 1
            assert OutboxEvent.objects.filter(event_type="tenant.created").count() == 1

    @pytest.mark.parametrize(
        "defaults",
        [
            {"budget": []},
            {"budgets": [{"unit": "EUR", "allocated": 1}]},
            {"budgets": [{"unit": "TOKENS", "allocated": -1}]},
            {"budgets": [{"unit": "TOKENS", "allocated": 1.5}]},
            {"budgets": [{"unit": "TOKENS", "allocated": 2**63}]},
            {"budgets": [{"unit": "TOKENS"}]},
            {"budgets": [{"unit": "TOKENS", "allocated": 1, "scope": "run:a"}]},
            {"budgets": [{"unit": "TOKENS", "allocated": 1, "scope": "tenant:b"}]},
            {"budgets": [{"unit": "TOKENS", "allocated": 1}, {"unit": "TOKENS", "allocated": 2}]},
            {"budgets": [{"unit": "TOKENS", "allocated": 1, "rollover": "CARRY_FORWARD"}]},
            {"run_templates": [{"name": "A", "unit": "TOKENS", "amount": 1}]},
            {"run_templates": [{"name": "a", "unit": "TOKENS", "amount": 1}] * 2},
            {
                "run_templates": [
                    {"name": "a", "unit": "TOKENS", "amount": 1, "is_default": True},
                    {"name": "b", "unit": "TOKENS", "amount": 1, "is_default": True},
                ]
            },
        ],
        ids=str,
    )
    def test_that_cannot_be_applied_are_refused(self, defaults: dict[str, Any]) -> None:
        with pytest.raises(InvalidPlanDefaults):
            read_plan_defaults(defaults)
