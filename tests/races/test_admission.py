"""Who gets the last money, however many ask for it at once."""

import random
import subprocess
import sys
from functools import partial

import psycopg
import pytest

from budgets.models import Budget, RunTemplate
from budgets.models.choices import EntryKind
from budgets.selectors.audit import audit
from budgets.services import engine
from budgets.services.journal import Change, open_journal
from budgets.services.operations import Answer, Operation
from kernel.ids import uuid7
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.bursts import asking, burst, statuses, watcher
from tests.support.processes import environment

_DOLLAR = 100_000_000
_ESTIMATE = 700_000
_PATHS = [
    ["", "/workspace:prod", "/workspace:prod/agent:a"],
    ["", "/workspace:prod", "/workspace:prod/agent:b"],
    ["", "/workspace:test"],
    ["", "/app:x", "/app:x/agent:a"],
    [""],
]

#: A process of its own: so many threads, each asking once; prints how many were admitted.
_SPENDER = """
import sys
import django
django.setup()
from budgets.services import engine
from budgets.services.operations import Operation
from kernel.ids import uuid7
from tests.support.bursts import burst
tag, key_id, digest, threads, estimate = sys.argv[1:]

def ask():
    operation = Operation(
        op="reserve", id=uuid7(), key_id=key_id, digest=digest, idem=uuid7().hex, hash="\\\\x00", suffixes=[""],
        unit="USD_MICROCENTS", amount=int(estimate), ttl_ms=60_000, grace_ms=0, subject={}, action={},
    )
    for _ in range(20):
        try:
            return engine.submit(tag, operation)
        except engine.EngineUnavailable:
            pass

print("ready", flush=True)
sys.stdin.readline()
answers = burst([ask] * int(threads))
print(sum(answer.status == "OK" for answer in answers), sum(answer.status == "BUDGET_EXCEEDED" for answer in answers))
"""


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


@pytest.mark.slow
class TestLastDollar:
    def test_500_threads_get_exactly_what_fits(self, books: Books) -> None:
        books.add_budget(allocated=_DOLLAR)

        outcomes = burst([asking(books, "reserve", amount=_ESTIMATE) for _ in range(500)])

        fits = _DOLLAR // _ESTIMATE
        assert statuses(outcomes) == {"OK": fits, "BUDGET_EXCEEDED": 500 - fits}
        assert books.budget().reserved == fits * _ESTIMATE
        assert audit(books.tenant.tag) == []

    def test_processes_get_exactly_what_fits(self, books: Books) -> None:
        books.add_budget(allocated=_DOLLAR)
        arguments = [books.tenant.tag, books.key.key_id, "\\x" + books.key.digest.hex(), "60", str(_ESTIMATE)]
        spenders = [
            subprocess.Popen(
                [sys.executable, "-c", _SPENDER, *arguments],
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        for spender in spenders:
            assert spender.stdout is not None
            assert spender.stdout.readline() == "ready\n"
        for spender in spenders:
            assert spender.stdin is not None
            spender.stdin.write("\n")
            spender.stdin.flush()
        printed = [spender.communicate(timeout=60)[0].split() for spender in spenders]

        fits = _DOLLAR // _ESTIMATE
        assert sum(int(admitted) for admitted, _ in printed) == fits
        assert sum(int(refused) for _, refused in printed) == 180 - fits
        assert audit(books.tenant.tag) == []

    @pytest.mark.parametrize("policy", ["REJECT", "ALLOW_IF_AVAILABLE", "ALLOW_WITH_OVERDRAFT"])
    def test_events_get_exactly_what_fits(self, books: Books, policy: str) -> None:
        books.add_budget(allocated=100, overdraft_limit=50)

        outcomes = burst([asking(books, "event", amount=9, policy=policy) for _ in range(30)])

        budget = books.budget()
        if policy == "REJECT":
            assert (statuses(outcomes)["OK"], budget.spent) == (11, 99)
        elif policy == "ALLOW_IF_AVAILABLE":
            assert (statuses(outcomes)["OK"], budget.spent, budget.uncovered) == (30, 100, 170)
        else:
            assert (statuses(outcomes)["OK"], budget.spent, budget.debt) == (16, 99, 45)
        assert audit(books.tenant.tag) == []

    def test_a_run_is_opened_once_by_all_who_begin_it(self, books: Books) -> None:
        books.add_budget(allocated=1000)
        with in_tenant(books.tenant.tag):
            RunTemplate.objects.create(name="chat", unit="USD_MICROCENTS", amount=25, is_default=True)

        outcomes = burst([asking(books, "reserve", amount=2, run="r1") for _ in range(40)])

        assert statuses(outcomes) == {"OK": 12, "BUDGET_EXCEEDED": 28}
        assert books.budget("/run:r1").reserved == 24
        assert audit(books.tenant.tag) == []


class TestOverlappingScopes:
    def test_never_deadlock_in_any_order(self, books: Books, initech: Tenant) -> None:
        """Batches of reservations, settlements and events over paths that cross, beside people who move money."""
        others = Books(initech)
        for each in (books, others):
            for suffix in sorted({suffix for path in _PATHS for suffix in path}):
                each.add_budget(suffix, allocated=10_000, overdraft_limit=1000)
        with in_tenant(books.tenant.tag):
            RunTemplate.objects.create(name="chat", unit="USD_MICROCENTS", amount=500, is_default=True)

        def work(number: int) -> int:
            dice = random.Random(number)
            side = (books, others)[number % 2]
            done = 0
            for _ in range(20):
                paths = [(dice.choice(_PATHS), dice.choice([None, "r1", "r2"])) for _ in range(4)]
                held = [
                    side.operation("reserve", id=uuid7(), idem=uuid7().hex, amount=3, run=run, suffixes=path)
                    for path, run in paths
                ]
                admitted = [answer for answer in _apply(side, held) if answer.status == "OK"]
                dice.shuffle(admitted)
                settled = [
                    side.operation(dice.choice(["commit", "release"]), target=hold.id, idem=uuid7().hex, amount=5)
                    for hold in admitted
                ]
                events = [side.operation("event", idem=uuid7().hex, amount=1, suffixes=dice.choice(_PATHS))]
                done += len(_apply(side, settled + events))
            return done

        def manage(number: int) -> int:
            dice = random.Random(number)
            side = (books, others)[number % 2]
            for _ in range(20):
                with in_tenant(side.tenant.tag), open_journal(actor=TEST_ACTOR) as journal:
                    budgets = list(Budget.objects.filter(run_id=None))
                    dice.shuffle(budgets)
                    journal.post(EntryKind.CREDIT, [Change(budget=budget, allocated=1) for budget in budgets])
            return 0

        with watcher() as seen:
            before = _deadlocks(seen)
            outcomes = burst([partial(work, n) for n in range(10)] + [partial(manage, n) for n in range(4)])
            assert [outcome for outcome in outcomes if isinstance(outcome, BaseException)] == []
            assert _deadlocks(seen) == before
        for each in (books, others):
            assert each.budget().reserved == 0
            assert audit(each.tenant.tag) == []


def _apply(books: Books, operations: list[Operation]) -> list[Answer]:
    while True:
        try:
            return engine.apply(books.tenant.tag, operations)
        except engine.EngineUnavailable:
            continue


def _deadlocks(seen: psycopg.Connection) -> int:
    row = seen.execute(
        "SELECT pg_stat_clear_snapshot(), deadlocks FROM pg_stat_database WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    return int(row[1])
