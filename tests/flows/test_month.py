"""A month of two tenants in two time zones, with clocks that are moved: every number of the statement is the ledger's.

What the engine acknowledged is written down beside it, and the statement, the ledger, the rollups and the periods are
held against that. In one of the zones the clocks are put forward in this month; the worker is away for some days.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from budgets.models import LedgerEntry
from budgets.models.choices import EntryKind, Period, Rollover
from budgets.scopes import read_scope_path
from budgets.selectors.audit import audit
from budgets.selectors.statements import StatementLine, read_month, statement
from budgets.selectors.usage import usage_totals
from budgets.services.corrections import Correction, correct_charge
from budgets.services.expiry import visit_tenant
from budgets.services.opening import NewBudget, open_budget
from budgets.services.operations import Answer
from budgets.services.rollups_proof import rollup_differences
from budgets.services.sealing import seal_closed
from budgets.services.seals_proof import broken_seals
from budgets.services.visits import visit_books
from kernel.ids import uuid7
from kernel.money import Unit
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.moved_clock import MovedClock, moved_clock

MONTH: Final = "2027-03"
BEGINS: Final = datetime(2027, 2, 26, 2, 0, tzinfo=UTC)
ENDS: Final = datetime(2027, 4, 3, 2, 0, tzinfo=UTC)
#: How far apart calls are: none is a divisor of a day, so that they come at all hours of it.
STEPS: Final = (
    pytest.param(timedelta(hours=10, minutes=7), id="twice a day", marks=pytest.mark.slow(20)),
    pytest.param(timedelta(hours=5, minutes=7), id="all day long", marks=[pytest.mark.full, pytest.mark.slow(40)]),
)
WORKER_AWAY: Final = (datetime(2027, 3, 11, tzinfo=UTC), datetime(2027, 3, 16, tzinfo=UTC))
MODELS: Final = ("gpt-4o", "claude-sonnet-4")
SPACES: Final = ("prod", "lab")
HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What the engine acknowledged."""

    seq: int
    asked_at: datetime
    booked_at: datetime
    workspace: str
    model: str
    charged: int
    uncovered: int
    is_correction: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """When and for what somebody asked."""

    at: datetime
    workspace: str
    model: str


@dataclass(slots=True)
class Customer:
    """One tenant, its clock, and what was acknowledged to it."""

    books: Books
    clock: MovedClock
    dice: random.Random
    now: datetime = BEGINS
    charges: list[Charge] = field(default_factory=list)
    holds: list[tuple[UUID, Ask]] = field(default_factory=list)
    #: Held before the month and settled in it.
    crossing: list[tuple[UUID, Ask]] = field(default_factory=list)
    corrected: set[int] = field(default_factory=set)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.books.tenant.time_zone)

    def open_books(self) -> None:
        self.clock.set(self.now)
        for suffix, period, rollover, amount in (
            ("", Period.MONTH, Rollover.CARRY_FORWARD, 20_000),
            ("/workspace:prod", Period.DAY, Rollover.NONE, 900),
            ("/workspace:lab", Period.DAY, Rollover.CAP_AT_ALLOCATED, 60),
            ("/workspace:idle", Period.DAY, Rollover.CARRY_FORWARD, 10),
        ):
            new = NewBudget(
                scope=read_scope_path(f"tenant:{self.slug}{suffix}", slug=self.slug),
                unit=Unit.USD_MICROCENTS,
                allocated=amount,
                period=period,
                rollover=rollover,
            )
            with in_tenant(self.books.tenant.tag):
                open_budget(new, actor=TEST_ACTOR)

    @property
    def slug(self) -> str:
        return self.books.tenant.slug

    def live(self, until: datetime) -> None:
        """Call, settle and correct at this moment; then it is `until`."""
        self.clock.set(self.now)
        for held in self.holds:
            self._settle(*held)
        for held in self.crossing:
            self._commit(*held)
        self.holds, self.crossing = [], []
        for _ in range(self.dice.randrange(1, 4)):
            self._call()
        if self.charges and self.dice.random() < 0.15:
            self._correct(self.dice.choice(self.charges[-10:]))
        if self.now < read_month(MONTH, time_zone=str(self.zone)).starts_at <= until:
            made = self.books.ask("reserve", amount=1, ttl_ms=12 * HOUR_MS)
            assert made.status == "OK", made
            self.crossing.append((made.id, Ask(self.now, "", "test")))
        self.now = until

    def _call(self) -> None:
        workspace, model = self.dice.choice(SPACES), self.dice.choice(MODELS)
        amount = self.dice.randrange(1, 60)
        asked = {
            "suffixes": ["", f"/workspace:{workspace}"],
            "subject": {"tenant": self.slug, "workspace": workspace},
            "action": {"kind": "llm.completion", "name": model},
        }
        if self.dice.random() < 0.3:
            answer = self.books.ask("event", amount=amount, **asked)
            if answer.status == "OK":
                self._booked(answer, Ask(self.now, workspace, model), amount)
            return
        held = self.books.ask("reserve", amount=amount, ttl_ms=12 * HOUR_MS, **asked)
        if held.status != "OK":
            assert held.status in {"BUDGET_EXCEEDED", "OVERDRAFT_LIMIT_EXCEEDED"}, held
        elif self.dice.random() < 0.5:
            self.holds.append((held.id, Ask(self.now, workspace, model)))
        else:
            self._settle(held.id, Ask(self.now, workspace, model))

    def _settle(self, hold: UUID, ask: Ask) -> None:
        match self.dice.randrange(6):
            case 0:
                assert self.books.ask("release", target=hold).status == "OK"
            case 1:
                pass  # Nobody settles it: it expires.
            case _:
                self._commit(hold, ask)

    def _commit(self, hold: UUID, ask: Ask) -> None:
        amount = self.dice.randrange(1, 80)
        answer = self.books.ask("commit", target=hold, amount=amount)
        assert answer.status == "OK", answer
        self._booked(answer, ask, amount)

    def _correct(self, charge: Charge) -> None:
        if charge.is_correction or any(
            each.is_correction and each.asked_at == charge.booked_at for each in self.charges
        ):
            return
        correction = Correction(
            seq=charge.seq,
            unit=Unit.USD_MICROCENTS,
            amount=charge.charged + charge.uncovered + self.dice.randrange(1, 9),
            idempotency_key=uuid7().hex,
        )
        with in_tenant(self.books.tenant.tag):
            done = correct_charge(correction=correction, actor=TEST_ACTOR)
        charged = done.charged - done.charged_before
        self.charges.append(
            Charge(
                seq=done.seq,
                asked_at=charge.booked_at,
                booked_at=self.now,
                workspace=charge.workspace,
                model=charge.model,
                charged=charged,
                uncovered=done.amount - done.amount_before - charged,
                is_correction=True,
            )
        )

    def _booked(self, answer: Answer, ask: Ask, amount: int) -> None:
        assert answer.charged is not None
        with in_tenant(self.books.tenant.tag):
            kinds = (EntryKind.COMMIT, EntryKind.EVENT)
            seq = LedgerEntry.objects.filter(kind__in=kinds).latest("seq").seq
        charge = Charge(
            seq=seq,
            asked_at=ask.at,
            booked_at=self.now,
            workspace=ask.workspace,
            model=ask.model,
            charged=answer.charged,
            uncovered=amount - answer.charged,
        )
        self.charges.append(charge)

    def work(self) -> None:
        """What the worker does meanwhile."""
        if not WORKER_AWAY[0] <= self.now < WORKER_AWAY[1]:
            visit_tenant(tag=self.books.tenant.tag, has_time=lambda: True)
            visit_books(tag=self.books.tenant.tag, has_time=lambda: True)

    def of_month(self) -> list[Charge]:
        month = read_month(MONTH, time_zone=str(self.zone))
        return [charge for charge in self.charges if month.starts_at <= charge.booked_at < month.ends_at]


def _live(*customers: Customer, step: timedelta) -> None:
    for customer in customers:
        customer.open_books()
    at = BEGINS
    while at < ENDS:
        at += step
        for customer in customers:
            customer.live(at)
            customer.work()
    for customer in customers:
        customer.clock.set(ENDS + timedelta(days=1))
        customer.now = ENDS + timedelta(days=1)
        customer.work()


class TestMonth:
    @pytest.mark.parametrize("step", STEPS)
    def test_every_number_of_the_statement_is_the_ledgers(self, acme: Tenant, initech: Tenant, step: timedelta) -> None:
        with moved_clock(acme, initech) as clocks:
            customers = [
                Customer(Books(tenant), clock, random.Random(seed))
                for seed, (tenant, clock) in enumerate(zip((acme, initech), clocks, strict=True))
            ]
            _live(*customers, step=step)

            for customer in customers:
                self.check_statement(customer)
                self.check_against_budgets(customer)
                self.check_usage(customer)
                self.check_periods(customer)
                self.check_proofs(customer)

    def check_statement(self, customer: Customer) -> None:
        month = read_month(MONTH, time_zone=str(customer.zone))
        with in_tenant(customer.books.tenant.tag):
            paper = statement(month)

        assert sorted(paper.lines, key=str) == sorted(_expected_lines(customer), key=str)
        charges = customer.of_month()
        (total,) = paper.totals
        assert total.charged == sum(charge.charged for charge in charges)
        assert total.uncovered == sum(charge.uncovered for charge in charges)
        assert total.corrected == sum(charge.charged for charge in charges if charge.is_correction)
        assert total.calls == sum(not charge.is_correction for charge in charges)
        late = {charge.seq: charge for charge in charges if charge.asked_at < month.starts_at}
        assert {each.seq: each.charged for each in paper.carried} == {seq: each.charged for seq, each in late.items()}
        # Some of everything was there to be counted.
        assert total.calls > 75
        assert total.uncovered > 0
        assert total.corrected > 0
        assert late

    def check_against_budgets(self, customer: Customer) -> None:
        """What the tenant's own budget was charged by the entries of the month, as its columns moved."""
        month = read_month(MONTH, time_zone=str(customer.zone))
        root = customer.books.budget()
        with in_tenant(customer.books.tenant.tag), connection.cursor() as cursor:
            cursor.execute(
                "SELECT sum(spent_delta + debt_delta), sum(uncovered_delta) FROM ledger_posting"
                " WHERE budget_id = %s AND kind IN ('COMMIT', 'EVENT', 'CORRECTION') AND at >= %s AND at < %s",
                [root.pk, month.starts_at, month.ends_at],
            )
            assert cursor.fetchone() == (
                sum(charge.charged for charge in customer.of_month()),
                sum(charge.uncovered for charge in customer.of_month()),
            )

    def check_usage(self, customer: Customer) -> None:
        """The rollups say the same, as a whole and day by day."""
        month = read_month(MONTH, time_zone=str(customer.zone))
        days: Counter[date] = Counter()
        for charge in customer.of_month():
            days[charge.booked_at.astimezone(customer.zone).date()] += charge.charged
        with in_tenant(customer.books.tenant.tag):
            (whole,) = usage_totals(since=month.starts_at, until=month.ends_at)
            for day, charged in days.items():
                midnight = datetime(day.year, day.month, day.day, tzinfo=customer.zone)
                next_day = day + timedelta(days=1)
                until = datetime(next_day.year, next_day.month, next_day.day, tzinfo=customer.zone)
                assert usage_totals(since=midnight, until=until)[0].sums.charged == charged, day
        assert whole.sums.charged == sum(days.values())
        assert whole.sums.corrections == sum(charge.is_correction for charge in customer.of_month())

    def check_periods(self, customer: Customer) -> None:
        """Every local day was opened once, at its midnight, for every daily budget; of idle ones as well."""
        first, last = BEGINS.astimezone(customer.zone).date(), customer.now.astimezone(customer.zone).date()
        midnights = [
            datetime(day.year, day.month, day.day, tzinfo=customer.zone)
            for day in (first + timedelta(days=n) for n in range(1, (last - first).days + 1))
        ]
        for suffix in ("/workspace:prod", "/workspace:lab", "/workspace:idle"):
            budget = customer.books.budget(suffix)
            with in_tenant(customer.books.tenant.tag):
                entries = LedgerEntry.objects.filter(kind=EntryKind.ROLLOVER, budget_ids=[budget.pk]).order_by("seq")
                assert [entry.period_starts_at for entry in entries] == midnights, suffix
        # Nobody used it: each day brought its ten.
        assert customer.books.budget("/workspace:idle").allocated == 10 * (len(midnights) + 1)

    def check_proofs(self, customer: Customer) -> None:
        tag = customer.books.tenant.tag
        seal_closed(tag=tag, has_time=lambda: True, segment=100)
        assert audit(tag) == []
        assert list(rollup_differences(tag)) == []
        assert list(broken_seals(tag)) == []


def _expected_lines(customer: Customer) -> list[StatementLine]:
    month = read_month(MONTH, time_zone=str(customer.zone))
    kinds: dict[tuple[bool, str, str], list[Charge]] = {}
    for charge in customer.of_month():
        kinds.setdefault((charge.is_correction, charge.workspace, charge.model), []).append(charge)
    return [
        StatementLine(
            unit=Unit.USD_MICROCENTS,
            is_correction=is_correction,
            workspace=workspace,
            model=model,
            tool="",
            calls=len(charges),
            charged=sum(charge.charged for charge in charges),
            uncovered=sum(charge.uncovered for charge in charges),
            carried=sum(charge.asked_at < month.starts_at for charge in charges),
        )
        for (is_correction, workspace, model), charges in kinds.items()
    ]
