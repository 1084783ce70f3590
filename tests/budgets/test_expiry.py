"""Ending reservations whose time is over: when, once, and at whatever cost to the worker."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection, connections

from budgets.models import LedgerEntry, Reservation
from budgets.models.choices import EntryKind
from budgets.selectors.due_reservations import due_reservations
from budgets.services import engine
from budgets.services.due import DueNotes
from budgets.services.expiry import BATCH_MAX, Expiry, expire_due, visit_tenant
from budgets.services.operations import Operation
from budgets.services.sweep import sweep_tenants
from budgets.tasks import dispatch_expiry, expire_tenant
from kernel.ids import Tag, uuid7
from kernel.tenancy import in_public, in_tenant
from tenants.models import Tenant, TenantDue
from tenants.services.due import claim_visit, finish_visit, lower_due, take_due
from tests.support.books import Books
from tests.support.owner import as_owner
from tests.support.processes import environment

HOUR = timedelta(hours=1)


def always() -> bool:
    return True


def hold(books: Books, count: int = 1) -> list[UUID]:
    """So many active reservations of one microcent."""
    return [
        answer.id
        for start in range(0, count, 100)
        for answer in books.ask_all(*[books.operation("reserve", amount=1) for _ in range(min(100, count - start))])
    ]


def end_time(books: Books, ago: timedelta = HOUR) -> None:
    """Let the time of all active reservations be over since `ago`."""
    with in_tenant(books.tenant.tag), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE reservation SET expires_at = v.past, due_at = v.past"
            " FROM (SELECT clock_timestamp() - make_interval(secs => %s) AS past) AS v WHERE status = 'ACTIVE'",
            [ago.total_seconds()],
        )


def statuses(books: Books) -> list[str]:
    with in_tenant(books.tenant.tag):
        return list(Reservation.objects.order_by("created_at", "id").values_list("status", flat=True))


def entries(books: Books, *kinds: EntryKind) -> int:
    with in_tenant(books.tenant.tag):
        return LedgerEntry.objects.filter(kind__in=kinds).count()


def line(tenant: Tenant) -> TenantDue | None:
    with in_public():
        return TenantDue.objects.filter(tag=tenant.tag).first()


def database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]  # type: ignore[no-any-return]


def at_once(*works: Callable[[], object]) -> None:
    """Run each in a thread of its own, all from the same moment; what one raises is raised here."""
    gate = threading.Barrier(len(works))
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            gate.wait()
            work()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error


@pytest.fixture
def books(acme: Tenant) -> Iterator[Books]:
    books = Books(acme)
    books.add_budget(allocated=1_000_000)
    yield books
    with in_public():
        TenantDue.objects.filter(tag=acme.tag).delete()


class TestExpireDue:
    def test_gives_back_what_was_held(self, books: Books) -> None:
        hold(books, 3)
        end_time(books)

        done = expire_due(tag=books.tenant.tag, has_time=always)

        assert done == Expiry(expired=3, failed=0, next_due_at=None)
        assert statuses(books) == ["EXPIRED"] * 3
        assert (books.budget().reserved, books.budget().spent) == (0, 0)

    def test_leaves_alone_what_is_not_due(self, books: Books) -> None:
        hold(books)

        done = expire_due(tag=books.tenant.tag, has_time=always)

        assert done.expired == 0
        assert statuses(books) == ["ACTIVE"]

    def test_waits_out_the_grace_period(self, books: Books) -> None:
        (held,) = hold(books)
        with in_tenant(books.tenant.tag):
            now = database_now()
            Reservation.objects.filter(pk=held).update(expires_at=now - HOUR, due_at=now + HOUR)

        assert expire_due(tag=books.tenant.tag, has_time=always).expired == 0
        assert books.ask("commit", target=held, amount=1).status == "OK"

    def test_goes_on_until_nothing_is_due(self, books: Books) -> None:
        hold(books, BATCH_MAX + 1)
        end_time(books)

        assert expire_due(tag=books.tenant.tag, has_time=always).expired == BATCH_MAX + 1

    def test_stops_when_its_time_is_up_and_says_that_more_is_due(self, books: Books) -> None:
        hold(books, BATCH_MAX + 1)
        end_time(books)

        done = expire_due(tag=books.tenant.tag, has_time=lambda: False)

        assert done.expired == BATCH_MAX
        assert done.next_due_at is not None
        assert done.next_due_at < database_now()

    def test_finds_what_is_due_in_order(self, books: Books) -> None:
        ids = hold(books, 5)
        end_time(books)

        with in_tenant(books.tenant.tag):
            first = due_reservations(after=None, limit=2)
            rest = due_reservations(after=first[-1], limit=10)

        assert [one.id for one in [*first, *rest]] == sorted(ids)

    def test_passes_over_one_that_the_database_refuses(self, books: Books) -> None:
        ids = hold(books, 3)
        end_time(books)
        # Books that do not add up: giving back more than is reserved breaks a constraint.
        with in_tenant(books.tenant.tag):
            Reservation.objects.filter(pk=ids[1]).update(amount=4)

        done = visit_tenant(tag=books.tenant.tag, has_time=always)

        assert (done.expired, done.failed) == (2, 1)
        assert statuses(books) == ["EXPIRED", "ACTIVE", "EXPIRED"]
        # Tried again later, and not at every tick.
        left = line(books.tenant)
        assert left is not None
        assert left.due_at > database_now() + timedelta(seconds=30)

    def test_writes_nothing_of_a_customer_into_the_log(self, books: Books, caplog: pytest.LogCaptureFixture) -> None:
        canary = "canary-4711"
        books.ask("reserve", amount=1, metadata={"note": canary})
        end_time(books)
        # What PostgreSQL says of a row that breaks a constraint quotes the row.
        as_owner(
            books.tenant.tag,
            "ALTER TABLE reservation ADD CONSTRAINT nothing_expires CHECK (status <> 'EXPIRED')",
        )

        assert expire_due(tag=books.tenant.tag, has_time=always).failed == 1

        assert "CheckViolation 23514" in caplog.text
        assert canary not in caplog.text

    def test_a_closed_tenant_gives_back_too(self, books: Books) -> None:
        hold(books)
        end_time(books)
        with in_tenant(books.tenant.tag), connection.cursor() as cursor:
            cursor.execute("UPDATE ledger_head SET status = 'CLOSED'")

        assert expire_due(tag=books.tenant.tag, has_time=always).expired == 1


class TestRaces:
    def test_commit_and_expiry_at_the_edge_leave_one_terminal_state(self, books: Books) -> None:
        tag = books.tenant.tag
        rounds = 30
        outcomes = set()
        for number in range(rounds):
            (held,) = hold(books)
            with in_tenant(tag), connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE reservation SET due_at = date_trunc('ms', clock_timestamp()) + make_interval(secs => %s)"
                    " WHERE id = %s",
                    [(number % 10) * 0.005, held],
                )
            committed = books.operation("commit", target=held, amount=1)
            answers: list[str] = []

            def commit(operation: Operation = committed, said: list[str] = answers) -> None:
                said.append(engine.submit(tag, operation).status)

            def expire() -> None:
                while not expire_due(tag=tag, has_time=always).expired and statuses(books)[-1] == "ACTIVE":
                    pass

            at_once(commit, expire)

            final = statuses(books)[-1]
            assert (answers[0], final) in {("OK", "COMMITTED"), ("RESERVATION_EXPIRED", "EXPIRED")}
            outcomes.add(final)
        assert outcomes == {"COMMITTED", "EXPIRED"}
        assert entries(books, EntryKind.COMMIT, EntryKind.EXPIRE) == rounds
        assert books.budget().reserved == 0

    def test_two_visits_at_once_expire_each_reservation_once(self, books: Books) -> None:
        hold(books, 500)
        end_time(books)
        done: list[Expiry] = []

        def visit() -> None:
            done.append(visit_tenant(tag=books.tenant.tag, has_time=always))

        at_once(visit, visit)

        assert sum(one.expired for one in done) == 500
        assert entries(books, EntryKind.EXPIRE) == 500
        assert books.budget().reserved == 0

    def test_a_visit_killed_half_way_is_made_again(self, books: Books) -> None:
        hold(books, BATCH_MAX + 50)
        end_time(books)
        script = (
            "import sys, time; import django; django.setup()\n"
            "from budgets.services.expiry import visit_tenant\n"
            "def has_time(): print('batch', flush=True); time.sleep(60)\n"
            "visit_tenant(tag=sys.argv[1], has_time=has_time)\n"
        )
        worker = subprocess.Popen(
            [sys.executable, "-c", script, books.tenant.tag], env=environment(), stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        assert worker.stdout.readline() == "batch\n"
        worker.kill()
        worker.wait()

        left = line(books.tenant)
        assert left is not None, "the killed visit is still to be made"
        assert left.claim is not None
        assert statuses(books).count("ACTIVE") == 50

        visit_tenant(tag=books.tenant.tag, has_time=always)

        assert entries(books, EntryKind.EXPIRE) == BATCH_MAX + 50
        assert books.budget().reserved == 0
        assert line(books.tenant) is None


class TestTasks:
    def test_while_postgresql_is_away_the_work_waits(
        self, books: Books, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        hold(books)
        end_time(books)
        lower_due({books.tenant.tag: database_now() - HOUR})
        with monkeypatch.context() as away:
            away.setitem(connections["default"].settings_dict, "HOST", "/nowhere")
            connections["default"].close()
            dispatch_expiry()
        assert "Nobody was asked for expired reservations" in caplog.text
        connections["default"].close()

        expire_tenant(tag=books.tenant.tag)

        assert statuses(books) == ["EXPIRED"]


class TestWhomToVisit:
    def test_an_idle_tenant_is_not_visited(self, books: Books, initech: Tenant) -> None:
        now = database_now()
        lower_due({books.tenant.tag: now - HOUR, initech.tag: now + HOUR})

        taken = take_due(limit=500)

        assert books.tenant.tag in taken
        assert initech.tag not in taken

    def test_a_tenant_is_handed_out_once_until_it_is_due_again(self, books: Books) -> None:
        lower_due({books.tenant.tag: database_now() - HOUR})

        assert books.tenant.tag in take_due(limit=500)
        assert books.tenant.tag not in take_due(limit=500)

    def test_a_later_note_changes_nothing_and_an_earlier_one_does(self, books: Books) -> None:
        now = database_now()
        tag = books.tenant.tag
        lower_due({tag: now + HOUR})
        lower_due({tag: now + 2 * HOUR})
        first = line(books.tenant)
        lower_due({tag: now})
        second = line(books.tenant)

        assert first is not None
        assert second is not None
        assert (first.due_at, second.due_at) == (now + HOUR, now)

    def test_a_visit_leaves_the_time_of_the_next_one(self, books: Books) -> None:
        hold(books, 1)
        end_time(books)
        (later,) = hold(books)
        lower_due({books.tenant.tag: database_now() - HOUR})

        visit_tenant(tag=books.tenant.tag, has_time=always)

        with in_tenant(books.tenant.tag):
            due_at = Reservation.objects.get(pk=later).due_at
        left = line(books.tenant)
        assert left is not None
        assert (left.due_at, left.claim) == (due_at, None)

    def test_a_visit_that_leaves_nothing_active_removes_the_tenant(self, books: Books) -> None:
        hold(books)
        end_time(books)
        lower_due({books.tenant.tag: database_now() - HOUR})

        visit_tenant(tag=books.tenant.tag, has_time=always)

        assert line(books.tenant) is None

    @pytest.mark.parametrize("found", [None, 2 * HOUR])
    def test_a_note_that_comes_during_a_visit_is_not_lost(self, books: Books, found: timedelta | None) -> None:
        tag, visit, now = books.tenant.tag, uuid7(), database_now()
        claim_visit(tag=tag, visit=visit)
        lower_due({tag: now + HOUR})

        finish_visit(tag=tag, visit=visit, next_due_at=None if found is None else now + found)

        left = line(books.tenant)
        assert left is not None
        assert left.due_at <= now + HOUR

    def test_of_two_visits_the_earlier_time_stays(self, books: Books) -> None:
        tag, first, second, now = books.tenant.tag, uuid7(), uuid7(), database_now()
        claim_visit(tag=tag, visit=first)
        claim_visit(tag=tag, visit=second)

        finish_visit(tag=tag, visit=first, next_due_at=now + timedelta(seconds=5))
        finish_visit(tag=tag, visit=second, next_due_at=now + timedelta(seconds=9))

        left = line(books.tenant)
        assert left is not None
        assert left.due_at == now + timedelta(seconds=5)


class TestNotes:
    def test_the_earliest_of_a_second_is_written(self, books: Books) -> None:
        now = database_now().replace(microsecond=0)
        now_ms = int(now.timestamp() * 1000)
        notes = DueNotes()

        for seconds in (9, 5, 7):
            notes.note(books.tenant.tag, now_ms + seconds * 1000)
        notes.flush()

        left = line(books.tenant)
        assert left is not None
        assert left.due_at == now + timedelta(seconds=5)
        assert notes.is_empty

    def test_what_could_not_be_written_stays_noted(self, books: Books) -> None:
        notes = DueNotes()
        notes.note(books.tenant.tag, 10**18)

        with pytest.raises(ValueError, match="out of range"):
            notes.flush()

        assert not notes.is_empty


class TestWorkerWasAway:
    def test_an_hour_late_everything_expires_once(self, books: Books) -> None:
        hold(books, 3)
        end_time(books, ago=HOUR)
        lower_due({books.tenant.tag: database_now() - HOUR})

        assert books.tenant.tag in take_due(limit=500)
        expire_tenant(tag=books.tenant.tag)
        expire_tenant(tag=books.tenant.tag)

        assert statuses(books) == ["EXPIRED"] * 3
        assert entries(books, EntryKind.EXPIRE) == 3

    def test_while_it_is_away_a_late_commit_is_refused_all_the_same(self, books: Books) -> None:
        (held,) = hold(books)
        end_time(books)

        assert books.ask("commit", target=held, amount=1).status == "RESERVATION_EXPIRED"

    def test_the_sweep_finds_a_tenant_that_nobody_noted(self, books: Books) -> None:
        hold(books)
        end_time(books)
        assert line(books.tenant) is None

        sweep_tenants()

        assert books.tenant.tag in take_due(limit=500)

    def test_the_sweep_passes_over_a_broken_tenant_and_quotes_nothing_of_it(
        self, books: Books, initech: Tenant, caplog: pytest.LogCaptureFixture
    ) -> None:
        other = Books(initech)
        other.add_budget(allocated=1)
        hold(other)
        as_owner(books.tenant.tag, "ALTER TABLE reservation RENAME TO gone")

        sweep_tenants()

        assert line(initech) is not None
        assert f"Tenant {books.tenant.tag} could not be asked when it is due: ProgrammingError 42P01" in caplog.text
        assert "relation" not in caplog.text

    def test_the_sweep_does_not_bring_in_idle_tenants(self, books: Books) -> None:
        sweep_tenants()

        assert line(books.tenant) is None

    def test_the_sweep_forgets_tenants_that_are_gone(self, database: None) -> None:
        stranger = Tag("q" * 20)
        lower_due({stranger: database_now()})

        sweep_tenants()

        with in_public():
            assert not TenantDue.objects.filter(tag=stranger).exists()
