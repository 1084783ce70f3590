"""Following the audit trail while others write: every entry once and none passed by, however late it was committed."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from kernel.ids import uuid7
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry
from telemetry.selectors import settled
from telemetry.selectors.settled import Mark, MarkFromElsewhere, between, mark_now
from telemetry.services.audit import record
from tenants.models import Tenant
from tests.plugins.live_api import database_url
from tests.support.books import TEST_ACTOR
from tests.support.following import Follower, Write, eventually, written_at_once
from tests.support.management import as_platform, as_tenant

LOGS = "/v1/admin/audit/logs?tenant_id=acme&sort_by=timestamp&sort_dir=asc&search=.act"
_INSERT = sql.SQL(
    "INSERT INTO {}.audit_entry (id, at, actor_type, actor, action, target, reason, request_id, trace_id, source_ip)"
    " VALUES (%s, %s, 'system', 'test', %s, 'x', '', '', '', '')"
)


@contextmanager
def stranger(tenant: Tenant) -> Iterator[tuple[psycopg.Connection, Write]]:
    """Another process, whose transactions end when it says so, and how it writes an entry."""
    with psycopg.connect(database_url("owner")) as connection:

        def write(action: str, *, at: datetime | None = None, made: datetime | None = None) -> None:
            statement = _INSERT.format(sql.Identifier(tenant.schema_name))
            made_ns = None if made is None else int(made.timestamp() * 1e9)
            connection.execute(statement, [uuid7(now_ns=made_ns), at or datetime.now(UTC), action])

        yield connection, write


def number_of(connection: psycopg.Connection) -> int:
    """That of its transaction."""
    row = connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
    assert row is not None
    return int(row[0])


def set_database_clock(monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """Let marks be set as if it were that many hours from now."""
    statement = settled._NOW.replace("clock_timestamp()", f"(clock_timestamp() + interval '{hours} hours')")
    monkeypatch.setattr(settled, "_NOW", statement)


def write_now(tenant: Tenant, action: str) -> None:
    with in_tenant(tenant.tag):
        record(actor=TEST_ACTOR, action=action, target="x", at=datetime.now(UTC))


@pytest.fixture
def follower(acme: Tenant) -> Follower:
    return Follower(as_platform(), LOGS, rows="logs", word="operation")


class TestFollowing:
    def test_sees_what_was_there_in_pages_and_then_what_is_new(self, acme: Tenant) -> None:
        for number in range(5):
            write_now(acme, f"n{number}.act")
        follower = Follower(as_platform(), f"{LOGS}&limit=2", rows="logs", word="operation")
        follower.look_until(5)
        write_now(acme, "new.act")

        assert follower.look_until(6) == [*(f"n{number}.act" for number in range(5)), "new.act"]
        assert not follower.look()
        assert len(follower.seen) == 6

    def test_does_not_pass_by_what_is_committed_later(self, acme: Tenant, follower: Follower) -> None:
        write_now(acme, "first.act")
        follower.look_until(1)
        with stranger(acme) as (slow, write):
            # It says an earlier time than all that was seen already, and has a lower number than what follows.
            write("slow.act", at=datetime.now(UTC) - timedelta(minutes=5))
            write_now(acme, "quick.act")

            follower.look()
            # As long as the slow one is open nobody knows what it will have written.
            assert follower.seen == ["first.act"]
            slow.commit()

        assert follower.look_until(3) == ["first.act", "slow.act", "quick.act"]
        follower.look()
        assert len(follower.seen) == 3

    def test_does_not_pass_by_what_a_transaction_writes_last(self, acme: Tenant, follower: Follower) -> None:
        with stranger(acme) as (slow, write):
            slow.execute("SELECT pg_current_xact_id()")
            write_now(acme, "quick.act")
            follower.look()
            write("slow.act", at=datetime.now(UTC) - timedelta(days=400))
            with slow.transaction():
                write("inner.act")
            follower.look()
            assert follower.seen == []
            slow.commit()

        assert sorted(follower.look_until(3)) == ["inner.act", "quick.act", "slow.act"]

    def test_does_not_pass_by_what_a_transaction_of_hours_writes(
        self, acme: Tenant, follower: Follower, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with stranger(acme) as (slow, write):
            write("slow.act", made=datetime.now(UTC) - timedelta(hours=3))
            with monkeypatch.context() as then:
                set_database_clock(then, -3)
                # Nobody else's transaction is the oldest.
                eventually(lambda: mark_now().xid, number_of(slow))
                follower.look()
            follower.look()
            slow.commit()

        assert follower.look_until(1) == ["slow.act"]
        assert not follower.look()
        assert follower.seen == ["slow.act"]

    def test_sees_nothing_twice_when_the_databases_clock_is_put_back(
        self, acme: Tenant, follower: Follower, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_now(acme, "first.act")
        follower.look_until(1)
        with monkeypatch.context() as then:
            set_database_clock(then, -3)
            write_now(acme, "second.act")
            follower.look_until(2)
        write_now(acme, "third.act")

        assert follower.look_until(3) == ["first.act", "second.act", "third.act"]

    def test_sees_nothing_of_what_was_rolled_back(self, acme: Tenant, follower: Follower) -> None:
        with stranger(acme) as (slow, write):
            write("never.act")
            slow.rollback()
        write_now(acme, "done.act")

        assert follower.look_until(1) == ["done.act"]

    def test_sees_more_pages_of_the_same_though_more_is_written_meanwhile(self, acme: Tenant) -> None:
        for number in range(3):
            write_now(acme, f"n{number}.act")
        follower = Follower(as_platform(), f"{LOGS}&limit=1", rows="logs", word="operation")
        # The first page is one of several, once all three are seen as ended.
        eventually(lambda: mark_of_all(acme), True)
        assert follower.look()
        with stranger(acme) as (slow, write):
            write("early.act", at=datetime.now(UTC) - timedelta(hours=1))
            slow.commit()

        assert follower.look_until(4) == ["n0.act", "n1.act", "n2.act", "early.act"]

    def test_sees_all_of_many_writers_once(self, acme: Tenant, follower: Follower) -> None:
        wanted = written_at_once(lambda: stranger(acme), meanwhile=follower.look, suffix=".act")

        assert sorted(follower.look_until(len(wanted))) == sorted(wanted)
        follower.look()
        assert len(follower.seen) == len(wanted)

    def test_begins_anew_after_the_database_was_put_back(self, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
        caller = as_platform()
        cursor = caller.get(LOGS).json()["next_cursor"]
        monkeypatch.setattr("telemetry.selectors.settled._NOW", "SELECT 5, 0")

        answer = caller.get(f"{LOGS}&cursor={cursor}")

        assert answer.status_code == 400
        assert "put back" in answer.json()["message"]

    def test_works_for_a_tenant_and_its_own_trail(self, acme: Tenant) -> None:
        follower = Follower(
            as_tenant(acme), "tenants/acme/audit?sort_dir=asc&action=.act&limit=1", rows="entries", word="action"
        )
        for number in range(3):
            write_now(acme, f"n{number}.act")

        assert follower.look_until(3) == ["n0.act", "n1.act", "n2.act"]
        write_now(acme, "new.act")
        assert follower.look_until(4)[3:] == ["new.act"]


def mark_of_all(tenant: Tenant) -> bool:
    """Whether every entry that is there counts as ended."""
    return not seen_after(tenant, mark_now())


def seen_after(tenant: Tenant, mark: Mark) -> list[Any]:
    with in_tenant(tenant.tag):
        rows = AuditEntry.objects.all()
        return list(rows.exclude(pk__in=between(rows, after=None, until=mark).values_list("pk", flat=True)))


class TestMarks:
    @pytest.fixture
    def known(self, acme: Tenant) -> Mark:
        """Behind one entry, and before another."""
        with in_tenant(acme.tag):
            AuditEntry.objects.count()
        write_now(acme, "before.act")
        eventually(lambda: mark_of_all(acme), True)
        mark = mark_now()
        write_now(acme, "after.act")
        eventually(lambda: mark_of_all(acme), True)
        return mark

    def test_part_the_entries(self, acme: Tenant, known: Mark) -> None:
        assert parted(acme, known) == (["before.act"], ["after.act"])

    @pytest.mark.parametrize("turns", [-1, 1, 3])
    def test_part_them_however_often_the_numbers_came_round(self, acme: Tenant, known: Mark, turns: int) -> None:
        again = Mark(xid=known.xid + turns * 2**32, ms=known.ms)

        assert parted(acme, again) == (["before.act"], ["after.act"])

    @pytest.mark.parametrize("how", ["FREEZE", "FULL, FREEZE"])
    def test_part_them_after_the_table_was_swept(self, acme: Tenant, known: Mark, how: str) -> None:
        with psycopg.connect(database_url("owner"), autocommit=True) as owner:
            table = sql.Identifier(acme.schema_name, "audit_entry")
            owner.execute(sql.SQL("VACUUM ({}) {}").format(sql.SQL(how), table))

        assert parted(acme, known) == (["before.act"], ["after.act"])

    def test_that_are_long_past_have_everything_behind_them_whatever_its_number(
        self, acme: Tenant, known: Mark
    ) -> None:
        past = Mark(xid=known.xid + 2**30, ms=known.ms - 7_200_000)

        assert parted(acme, past) == ([], ["before.act", "after.act"])

    def test_that_come_long_after_have_everything_before_them_whatever_its_number(
        self, acme: Tenant, known: Mark
    ) -> None:
        future = Mark(xid=known.xid - 2**30, ms=known.ms + 7_200_000)

        assert parted(acme, future) == (["before.act", "after.act"], [])

    def test_are_refused_where_fewer_have_ended_by_now(self, acme: Tenant) -> None:
        """As after a failover that lost the last transactions: their numbers are given once more."""
        with stranger(acme) as (slow, _):
            number = number_of(slow)
            write_now(acme, "quick.act")

            with pytest.raises(MarkFromElsewhere):
                mark_now(since=Mark(xid=number + 1, ms=0))

    def test_are_refused_where_the_database_never_came_so_far(self, database: None) -> None:
        now = mark_now()

        assert mark_now(since=now).xid >= now.xid
        with pytest.raises(MarkFromElsewhere):
            mark_now(since=Mark(xid=now.xid + 2**40, ms=now.ms))


def parted(tenant: Tenant, mark: Mark) -> tuple[list[str], list[str]]:
    """The entries before the mark, and those behind it."""
    with in_tenant(tenant.tag):
        rows = AuditEntry.objects.filter(action__endswith=".act").order_by("at")
        end = mark_now()
        before = between(rows, after=None, until=mark).values_list("action", flat=True)
        behind = between(rows, after=mark, until=Mark(xid=end.xid, ms=max(end.ms, mark.ms + 1))).values_list(
            "action", flat=True
        )
        return list(before), list(behind)
