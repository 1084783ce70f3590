"""A budget's own life: opened, edited, frozen, open again, closed."""

import pytest

from budgets.models import Budget, LedgerEntry, Reservation
from budgets.models.choices import BudgetStatus, Period, Rollover
from budgets.scopes import InvalidScope, read_scope_path
from budgets.services import lifecycle
from budgets.services.editing import BudgetEdit, close_budget, freeze_budget, unfreeze_budget, update_budget
from budgets.services.guards import BudgetIsClosed, TenantIsClosed, TenantIsSuspended
from budgets.services.holds import HoldsAreActive
from budgets.services.journal import BudgetNotFound
from budgets.services.opening import BudgetExists, NewBudget, NoPeriod, open_budget
from kernel.actor import Actor
from kernel.ids import uuid7
from kernel.money import AMOUNT_MAX, Unit
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry, OutboxEvent
from tenants.models import Tenant
from tests.support.books import Books

ADA = Actor(name="ada", actor_type="api_key", reason="because")


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


def opened(books: Books, scope: str = "tenant:acme", **fields: object) -> Budget:
    known: dict[str, object] = {"unit": Unit.USD_MICROCENTS, "allocated": 100}
    new = NewBudget(scope=read_scope_path(scope, slug="acme"), **known | fields)  # type: ignore[arg-type]
    with in_tenant(books.tenant.tag):
        return open_budget(new, actor=ADA)


def events(books: Books, event_type: str) -> int:
    with in_tenant(books.tenant.tag):
        return OutboxEvent.objects.filter(event_type=event_type).count()


class TestScopePath:
    @pytest.mark.parametrize(
        ("text", "path", "depth", "parent"),
        [
            ("tenant:acme", "tenant:acme", 1, None),
            ("Tenant:ACME/Workspace:Prod", "tenant:acme/workspace:prod", 2, "tenant:acme"),
            ("tenant:acme/app:a/toolset:t", "tenant:acme/app:a/toolset:t", 3, "tenant:acme/app:a"),
            (f"tenant:acme/agent:{'x' * 128}", f"tenant:acme/agent:{'x' * 128}", 2, "tenant:acme"),
        ],
    )
    def test_is_read_in_lower_case(self, text: str, path: str, depth: int, parent: str | None) -> None:
        read = read_scope_path(text, slug="acme")

        assert (read.text, read.depth, read.parent) == (path, depth, parent)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "acme",
            "tenant:initech",
            "tenant:acme/",
            "tenant:acme//app:a",
            "tenant:acme/app",
            "tenant:acme/app:",
            "tenant:acme/run:r",
            "tenant:acme/agent:a/app:b",
            "tenant:acme/app:a/app:b",
            "tenant:acme/tenant:acme",
            "tenant:acme/app:a b",
            "tenant:acme/app:ü",
            "tenant:acme/app:\x00",
            "tenant:acme/app:a\n",
            f"tenant:acme/app:{'x' * 129}",
            "workspace:prod",
        ],
    )
    def test_of_another_shape_or_tenant_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidScope):
            read_scope_path(text, slug="acme")

    def test_is_within_itself_and_what_is_above_and_not_beside_its_namesakes(self) -> None:
        path = read_scope_path("tenant:acme/workspace:prod", slug="acme")

        assert path.is_within(())
        assert path.is_within(("tenant:acme",))
        assert path.is_within(("tenant:acme/workspace:prod",))
        assert not path.is_within(("tenant:acme/workspace:pro",))
        assert not path.is_within(("tenant:acme/workspace:prod/agent:a",))


class TestOpen:
    def test_lets_the_scope_spend(self, books: Books) -> None:
        budget = opened(books, "tenant:acme/workspace:prod")

        assert budget.depth == 2
        assert books.ask("reserve", amount=100, suffixes=["/workspace:prod"]).status == "OK"
        assert events(books, "budget.created") == 1

    def test_twice_in_one_unit_is_refused(self, books: Books) -> None:
        opened(books)

        with pytest.raises(BudgetExists) as refusal:
            opened(books)

        assert not refusal.value.is_closed
        assert opened(books, unit=Unit.TOKENS).unit == "TOKENS"

    def test_does_not_bring_a_closed_one_back(self, books: Books) -> None:
        books.add_budget(allocated=1, status=BudgetStatus.CLOSED)

        with pytest.raises(BudgetExists) as refusal:
            opened(books)
        assert refusal.value.is_closed

    def test_needs_a_tenant_in_business(self, books: Books) -> None:
        lifecycle.suspend_tenant(tag=books.tenant.tag, actor=ADA)
        with pytest.raises(TenantIsSuspended):
            opened(books)

        lifecycle.close_tenant(tag=books.tenant.tag, actor=ADA)
        with pytest.raises(TenantIsClosed):
            opened(books)


class TestUpdate:
    def test_changes_the_limit_at_once(self, books: Books) -> None:
        budget = opened(books, overdraft_limit=1)
        over = {"amount": 101, "policy": "ALLOW_WITH_OVERDRAFT"}
        assert books.ask("event", **over).status == "OVERDRAFT_LIMIT_EXCEEDED"

        with in_tenant(books.tenant.tag):
            update_budget(budget_id=budget.id, edit=BudgetEdit(overdraft_limit=101), actor=ADA)

        assert books.ask("event", **over).status == "OK"

    def test_writes_an_entry_with_the_new_limit(self, books: Books) -> None:
        budget = opened(books)

        with in_tenant(books.tenant.tag):
            update_budget(budget_id=budget.id, edit=BudgetEdit(overdraft_limit=AMOUNT_MAX), actor=ADA)
            entry = LedgerEntry.objects.get(kind="UPDATE")
            audited = AuditEntry.objects.get(action="budget.updated")

        assert entry.balances[5] == AMOUNT_MAX
        assert entry.deltas == [0, 0, 0, 0, 0]
        assert entry.metadata == {"before": {"overdraft_limit": 0}, "after": {"overdraft_limit": AMOUNT_MAX}}
        assert audited.reason == "because"

    def test_below_the_debt_puts_the_budget_over_its_limit(self, books: Books) -> None:
        budget = opened(books, overdraft_limit=50)
        books.ask("event", amount=100)
        books.ask("event", amount=20, policy="ALLOW_WITH_OVERDRAFT")

        with in_tenant(books.tenant.tag):
            updated = update_budget(budget_id=budget.id, edit=BudgetEdit(overdraft_limit=19), actor=ADA)

        assert updated.is_over_limit
        assert books.ask("reserve", amount=0).status == "OVERDRAFT_LIMIT_EXCEEDED"

    def test_to_what_is_there_writes_nothing(self, books: Books) -> None:
        budget = opened(books, overdraft_limit=5)

        with in_tenant(books.tenant.tag):
            update_budget(budget_id=budget.id, edit=BudgetEdit(overdraft_limit=5), actor=ADA)

            assert not LedgerEntry.objects.filter(kind="UPDATE").exists()
        assert events(books, "budget.updated") == 0

    def test_of_periods_needs_periods(self, books: Books) -> None:
        once = opened(books)
        daily = opened(books, "tenant:acme/app:a", period=Period.DAY)
        edit = BudgetEdit(rollover=Rollover.CARRY_FORWARD, period_allocation=7)

        with in_tenant(books.tenant.tag):
            with pytest.raises(NoPeriod):
                update_budget(budget_id=once.id, edit=edit, actor=ADA)
            updated = update_budget(budget_id=daily.id, edit=edit, actor=ADA)

        assert (updated.rollover, updated.period_allocation, updated.allocated) == ("CARRY_FORWARD", 7, 100)

    def test_does_not_know_a_budget_that_is_not_there(self, books: Books) -> None:
        with in_tenant(books.tenant.tag), pytest.raises(BudgetNotFound):
            update_budget(budget_id=uuid7(), edit=BudgetEdit(overdraft_limit=1), actor=ADA)


class TestFreeze:
    def test_refuses_new_work_and_lets_the_old_settle(self, books: Books) -> None:
        budget = opened(books)
        hold = books.ask("reserve", amount=60)

        with in_tenant(books.tenant.tag):
            freeze_budget(budget_id=budget.id, actor=ADA)

        assert books.ask("reserve", amount=1).status == "BUDGET_FROZEN"
        assert books.ask("commit", target=hold.id, amount=40).status == "OK"

    def test_gives_holds_back_where_that_is_asked_for(self, books: Books) -> None:
        budget = opened(books)
        hold = books.ask("reserve", amount=60)

        with in_tenant(books.tenant.tag):
            frozen = freeze_budget(budget_id=budget.id, cancel_holds=True, actor=ADA)

        assert (frozen.reserved, frozen.status) == (0, "FROZEN")
        assert books.ask("commit", target=hold.id, amount=40).status == "RESERVATION_FINALIZED"

    def test_and_unfreeze_are_safe_to_repeat(self, books: Books) -> None:
        budget = opened(books)

        with in_tenant(books.tenant.tag):
            for change in (freeze_budget, freeze_budget, unfreeze_budget, unfreeze_budget):
                change(budget_id=budget.id, actor=ADA)
            kinds = list(LedgerEntry.objects.order_by("seq").values_list("kind", flat=True))

        assert kinds == ["CREATE", "FREEZE", "UNFREEZE"]
        assert (events(books, "budget.frozen"), events(books, "budget.unfrozen")) == (1, 1)
        assert books.ask("reserve", amount=1).status == "OK"


class TestClose:
    def test_waits_until_nothing_is_held(self, books: Books) -> None:
        budget = opened(books)
        hold = books.ask("reserve", amount=60)

        with in_tenant(books.tenant.tag), pytest.raises(HoldsAreActive) as refusal:
            close_budget(budget_id=budget.id, actor=ADA)
        assert (refusal.value.holds, refusal.value.reserved) == (1, 60)

        books.ask("release", target=hold.id)
        with in_tenant(books.tenant.tag):
            assert close_budget(budget_id=budget.id, actor=ADA).status == "CLOSED"
        assert books.ask("reserve", amount=1).status == "BUDGET_CLOSED"
        assert books.ask("event", amount=1).status == "BUDGET_CLOSED"

    def test_counts_a_hold_of_nothing(self, books: Books) -> None:
        budget = opened(books)
        books.ask("reserve", amount=0)

        with in_tenant(books.tenant.tag), pytest.raises(HoldsAreActive):
            close_budget(budget_id=budget.id, actor=ADA)

    def test_gives_holds_back_on_every_scope_where_that_is_asked_for(self, books: Books) -> None:
        opened(books)
        budget = opened(books, "tenant:acme/workspace:prod")
        for _ in range(5):
            books.ask("reserve", amount=10, suffixes=["", "/workspace:prod"])
        elsewhere = books.ask("reserve", amount=7)

        with in_tenant(books.tenant.tag):
            closed = close_budget(budget_id=budget.id, cancel_holds=True, actor=ADA)
            released = Reservation.objects.filter(status="RELEASED").count()
            entry = LedgerEntry.objects.filter(kind="RELEASE").first()

        assert (closed.status, closed.reserved, released) == ("CLOSED", 0, 5)
        assert books.budget().reserved == 7
        assert entry is not None
        assert (entry.actor, entry.reason) == ("ada", "because")
        assert books.ask("commit", target=elsewhere.id, amount=7).status == "OK"

    def test_is_final_and_safe_to_repeat(self, books: Books) -> None:
        budget = opened(books)

        with in_tenant(books.tenant.tag):
            close_budget(budget_id=budget.id, actor=ADA)
            close_budget(budget_id=budget.id, actor=ADA)
            for change in (freeze_budget, unfreeze_budget):
                with pytest.raises(BudgetIsClosed):
                    change(budget_id=budget.id, actor=ADA)
        assert events(books, "budget.closed") == 1
