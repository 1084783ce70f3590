"""Following events while others write: every one once and none passed by, however late it was committed."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connections
from psycopg import sql

from kernel.sql_files import read_sql
from kernel.tenancy import in_tenant
from telemetry.models import OutboxEvent
from telemetry.selectors import settled_events
from telemetry.selectors.settled import MarkFromElsewhere
from telemetry.selectors.settled_events import Reach, reach_now
from tenants.models import Tenant
from tenants.services.webhook_visits import in_schema_of
from tests.architecture.test_imports import SOURCE_FOLDERS
from tests.plugins.live_api import database_url
from tests.support.following import Follower, Write, eventually, written_at_once
from tests.support.management import as_platform, as_tenant
from tests.support.webhooks import Hooks

ALL = "/v1/admin/events?tenant_id=acme&sort_dir=asc&search=feed"
TRACE = "0123456789abcdef0123456789abcdef"
_INSERT = sql.SQL(
    "INSERT INTO {}.outbox_event (id, at, event_type, scope_path, payload, request_id, trace_id)"
    " VALUES (%s, %s, 'budget.funded', 'tenant:acme/workspace:feed', jsonb_build_object('actor', '{{}}'::jsonb, 'data',"
    " jsonb_build_object('name', %s::text), 'correlation_id', 'feed'), 'req-feed', %s)"
)


class Names(Follower):
    """Who follows events, and the names that they were written with."""

    def __init__(self, caller: Any, path: str) -> None:
        super().__init__(caller, path, rows="events", word="data")

    @property
    def names(self) -> list[str]:
        return [data["name"] for data in self.seen]

    def names_until(self, count: int) -> list[str]:
        self.look_until(count)
        return self.names


@dataclass(frozen=True, slots=True)
class Outbox:
    """One schema's, written by strangers and by us."""

    schema: str
    hooks: Hooks

    @contextmanager
    def stranger(self) -> Iterator[tuple[psycopg.Connection, Write]]:
        """Another process, whose transactions end when it says so, and how it writes an event."""
        with psycopg.connect(database_url("owner")) as connection:

            def write(name: str, *, at: datetime | None = None) -> None:
                statement = _INSERT.format(sql.Identifier(self.schema))
                connection.execute(statement, [uuid4(), at or datetime.now(UTC), name, TRACE])

            yield connection, write

    def write(self, *names: str) -> None:
        with self.stranger() as (connection, write):
            for name in names:
                write(name)
            connection.commit()

    def lose(self, count: int = 1) -> None:
        """Take numbers that no event will have."""
        with self.stranger() as (connection, write):
            for _ in range(count):
                write("lost")
            connection.rollback()

    def hand_out(self) -> None:
        self.hooks.visit()


@pytest.fixture
def outbox(acme: Tenant) -> Outbox:
    """The tenant's, of which all was handed out that came with the tenant."""
    found = Outbox(acme.schema_name, Hooks(acme))
    found.hand_out()
    return found


@pytest.fixture
def follower(outbox: Outbox) -> Names:
    return Names(as_platform(), ALL)


def passes_nothing_by(outbox: Outbox, follower: Names) -> None:
    """A slow writer has taken a number, a quick one the next, and is seen or not; the slow one is never lost."""
    outbox.write("first")
    assert follower.names_until(1) == ["first"]
    with outbox.stranger() as (slow, write):
        write("slow")
        outbox.write("quick")
        follower.look()
        slow.commit()
    assert follower.names_until(3) == ["first", "slow", "quick"]
    follower.look()
    assert len(follower.seen) == 3


class TestFollowing:
    @pytest.mark.parametrize(
        "words",
        [
            "",
            "&event_type=budget.funded",
            "&category=budget",
            "&scope=tenant:acme/workspace:f",
            "&correlation_id=feed",
            f"&trace_id={TRACE}",
            "&request_id=req-feed",
            "&from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z",
            "&limit=1",
        ],
    )
    def test_does_not_pass_by_what_is_committed_later(self, outbox: Outbox, words: str) -> None:
        passes_nothing_by(outbox, Names(as_platform(), ALL + words))

    @pytest.mark.parametrize("words", ["", "&event_type=budget.funded", "&category=budget", "&limit=1"])
    def test_works_for_a_tenants_own_key(self, acme: Tenant, outbox: Outbox, words: str) -> None:
        path = f"/v1/events?sort_dir=asc&scope=tenant:acme/workspace:feed&correlation_id=feed{words}"

        passes_nothing_by(outbox, Names(as_tenant(acme), path))

    def test_works_for_the_platforms_own_events(self, database: None) -> None:
        outbox, scope = Outbox("public", Hooks(None)), f"&from={datetime.now(UTC).isoformat().replace('+00:00', 'Z')}"

        passes_nothing_by(outbox, Names(as_platform(), f"/v1/admin/events?sort_dir=asc&search=feed{scope}"))

    def test_sees_nothing_twice_that_was_handed_out_meanwhile(self, outbox: Outbox, follower: Names) -> None:
        outbox.write("first", "second")
        follower.look_until(2)
        outbox.hand_out()
        with outbox.stranger() as (slow, write):
            write("slow")
            outbox.write("quick")
            outbox.hand_out()
            follower.look()
            slow.commit()
        follower.look_until(4)
        outbox.hand_out()
        follower.look()

        assert follower.names == ["first", "second", "slow", "quick"]

    def test_sees_what_was_there_in_pages_and_then_what_is_new(self, outbox: Outbox) -> None:
        names = [f"n{number}" for number in range(5)]
        outbox.write(*names)
        follower = Names(as_platform(), f"{ALL}&limit=2")

        assert [follower.look(), follower.look(), follower.look()] == [True, True, False]
        assert follower.names == names
        outbox.write("new")
        assert not follower.look()
        assert follower.names[5:] == ["new"]

    def test_waits_for_no_one_where_no_number_is_missing(self, outbox: Outbox, follower: Names) -> None:
        with outbox.stranger() as (slow, _):
            slow.execute("SELECT pg_current_xact_id()")
            outbox.write("first", "second")
            follower.look()

        assert follower.names == ["first", "second"]

    def test_goes_on_behind_numbers_that_nobody_has(self, outbox: Outbox, follower: Names) -> None:
        outbox.write("before")
        outbox.lose(3)
        outbox.write("after")

        assert follower.names_until(2) == ["before", "after"]

    def test_goes_on_though_there_is_always_somebody_in_progress(self, outbox: Outbox, follower: Names) -> None:
        with outbox.stranger() as (one, _), outbox.stranger() as (other, _):
            one.execute("SELECT pg_current_xact_id()")
            outbox.lose()
            outbox.write("after")
            follower.look()
            assert follower.names == []
            for _ in range(3):
                for ends, begins in ((one, other), (other, one)):
                    begins.execute("SELECT pg_current_xact_id()")
                    ends.commit()
                    follower.look()

        assert follower.names_until(1) == ["after"]

    def test_is_not_misled_by_a_transaction_beyond_the_last_that_ended(self, outbox: Outbox, follower: Names) -> None:
        with outbox.stranger() as (quick, write_quick), outbox.stranger() as (slow, write_slow):
            quick.execute("SELECT pg_current_xact_id()")
            write_slow("slow")
            write_quick("quick")
            quick.commit()
            follower.look()
            follower.look()
            assert follower.names == []
            slow.commit()

        assert follower.names_until(2) == ["slow", "quick"]

    def test_does_not_pass_by_whoever_is_held_between_number_and_event(self, outbox: Outbox, follower: Names) -> None:
        with psycopg.connect(database_url("owner"), autocommit=True) as owner:
            owner.execute(
                sql.SQL(
                    "CREATE FUNCTION {schema}.hold() RETURNS trigger LANGUAGE plpgsql AS"
                    " 'BEGIN PERFORM pg_advisory_xact_lock_shared(77, 78); RETURN NEW; END';"
                    "GRANT EXECUTE ON FUNCTION {schema}.hold() TO PUBLIC;"
                    "CREATE TRIGGER hold BEFORE INSERT ON {schema}.outbox_event FOR EACH ROW"
                    " WHEN (NEW.scope_path = 'tenant:acme/feed/held') EXECUTE FUNCTION {schema}.hold()"
                ).format(schema=sql.Identifier(outbox.schema))
            )
            owner.execute("SELECT pg_advisory_lock(77, 78)")
            held = threading.Thread(target=happens_elsewhere, args=(outbox.hooks, "tenant:acme/feed/held"))
            held.start()
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 77 AND NOT granted"
            eventually(lambda: owner.execute(waiting).fetchall(), [(1,)])
            outbox.write("quick")
            follower.look()
            follower.look()
            assert follower.names == []
            owner.execute("SELECT pg_advisory_unlock(77, 78)")
            held.join()

        assert follower.names_until(2) == ["held", "quick"]

    def test_reads_at_once_what_is_kept_of_a_long_list(self, outbox: Outbox, follower: Names) -> None:
        outbox.write("dropped", "kept")
        outbox.lose()
        outbox.write("last")
        outbox.hand_out()
        with outbox.stranger() as (owner, _):
            owner.execute(
                sql.SQL(
                    "DELETE FROM {}.outbox_event WHERE coalesce(payload->'data'->>'name', '') NOT IN ('kept', 'last')"
                ).format(sql.Identifier(outbox.schema))
            )
            owner.commit()
        eventually(lambda: settled_by_hand_out(outbox), True)
        with outbox.stranger() as (slow, _):
            slow.execute("SELECT pg_current_xact_id()")
            follower.look()

        assert follower.names == ["kept", "last"]

    def test_looks_a_stretch_ahead_at_a_time(
        self, outbox: Outbox, follower: Names, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(settled_events, "STEP", 2)
        with outbox.stranger() as (slow, _):
            slow.execute("SELECT pg_current_xact_id()")
            eventually(lambda: settled_by_hand_out(outbox), True)
            outbox.write("a", "b", "c")

            assert [follower.look(), follower.look(), follower.look()] == [True, False, False]
            assert follower.names == ["a", "b", "c"]

    def test_sees_all_of_many_writers_once_while_they_are_handed_out(self, outbox: Outbox, follower: Names) -> None:
        def look_and_hand_out() -> None:
            follower.look()
            outbox.hand_out()

        wanted = written_at_once(outbox.stranger, meanwhile=look_and_hand_out)

        assert sorted(follower.names_until(len(wanted))) == sorted(wanted)
        follower.look()
        assert len(follower.seen) == len(wanted)

    def test_begins_anew_after_the_database_was_put_back(self, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
        caller = as_platform()
        cursor = caller.get(ALL).json()["next_cursor"]
        monkeypatch.setattr(settled_events, "_LOOK", "SELECT 5, 5, 5")

        answer = caller.get(f"{ALL}&cursor={cursor}")

        assert answer.status_code == 400
        assert "put back" in answer.json()["message"]

    def test_has_a_cursor_for_its_own_filters_and_direction_alone(self, outbox: Outbox) -> None:
        caller = as_platform()
        outbox.write("a", "b")
        up = caller.get(f"{ALL}&limit=1").json()["next_cursor"]
        down = caller.get(f"{ALL.replace('asc', 'desc')}&limit=1").json()["next_cursor"]

        for path in (f"{ALL}&cursor={down}", f"{ALL.replace('asc', 'desc')}&cursor={up}", f"{ALL}x&cursor={up}"):
            assert caller.get(path).status_code == 400


class TestReach:
    def test_ends_before_a_missing_number_until_its_transaction_has_ended(self, acme: Tenant, outbox: Outbox) -> None:
        with in_tenant(acme.tag):
            eventually(lambda: settled_by_hand_out(outbox), True)
            here = last_number()
            with outbox.stranger() as (slow, write):
                write("slow")
                outbox.write("quick")
                (found, is_more) = reach_now(before=None)
                assert (found.until, found.given, is_more) == (here, here + 2, False)
                assert found.ended < found.begun
                (again, _) = reach_now(before=found)
                assert (again.until, again.given, again.begun) == (here, found.given, found.begun)
                slow.rollback()
            eventually(lambda: reach_now(before=again)[0].until, here + 2)

    def test_is_refused_where_fewer_have_ended_by_now(self, acme: Tenant) -> None:
        with in_tenant(acme.tag):
            now, _ = reach_now(before=None)
            assert reach_now(before=now)[0].ended >= now.ended
            with pytest.raises(MarkFromElsewhere):
                reach_now(before=Reach(until=0, given=0, begun=0, ended=now.ended + 2**40))


class TestWriters:
    def test_are_those_that_have_begun_before_they_take_a_number(self) -> None:
        """Whoever is new here lets its transaction begin first, as `outbox.announce` does."""
        written = re.compile(r"INSERT INTO (public\.)?outbox_event|\bOutboxEvent(\.objects\.(bulk_)?create)?\(")
        sources = (path for place in SOURCE_FOLDERS for kind in ("py", "sql") for path in place.rglob(f"*.{kind}"))
        found = {path.name for path in sources if "models" not in path.parts and written.search(path.read_text())}

        # The second is made of the first.
        assert found == {"outbox.py", "apply_segment_v1.sql", "tenant_schema.sql"}

    def test_have_begun_when_they_hold_the_ledger_head(self, outbox: Outbox) -> None:
        call = read_sql("budgets", "apply_segment_v1")
        assert -1 < call.index("FOR UPDATE") < call.index("INSERT INTO outbox_event")
        with outbox.stranger() as (connection, _):
            head = sql.SQL("SELECT FROM {}.ledger_head FOR UPDATE").format(sql.Identifier(outbox.schema))
            assert len(connection.execute(head).fetchall()) == 1
            began = connection.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL").fetchone()

        assert began == (True,)


def last_number() -> int:
    return OutboxEvent.objects.order_by("-seq").values_list("seq", flat=True)[0]


def settled_by_hand_out(outbox: Outbox) -> bool:
    """Whether all that is there is known to be all without another look."""
    with in_schema_of(outbox.hooks.owner):
        return settled_events._handed_out(reach_now(before=None)[0].ended) == last_number()


def happens_elsewhere(hooks: Hooks, scope: str) -> None:
    """In a thread of its own, whose connection ends with it."""
    try:
        hooks.happen("budget.funded", scope=scope, name="held")
    finally:
        connections.close_all()
