"""Seals over closed ledger segments: made once, in one chain, and broken by whatever is changed under them."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction

from budgets.models import Alert, LedgerSeal
from budgets.models.choices import AlertState
from budgets.services.alert_acts import resolve_alert
from budgets.services.checking import check_books
from budgets.services.rollups import roll_up
from budgets.services.seal_hashes import hash_entries
from budgets.services.sealing import LedgerHasGap, Sealed, seal_closed
from budgets.services.seals_proof import SealHead, broken_seals, seal_head
from budgets.services.visits import visit_books
from budgets.tasks import check_tenant, dispatch_checks
from kernel.tenancy import in_public, in_tenant
from tenants.models import LedgerCheck, Tenant, TenantStanding, Verification
from tenants.services import checks, standing
from tenants.services.checks import ask_for_checks, last_check
from tests.plugins.live_api import database_url
from tests.support.books import TEST_ACTOR, Books
from tests.support.owner import as_owner, let_time_pass
from tests.support.scenes import last_seq

NO_WAIT = timedelta(0)


@pytest.fixture
def books(acme: Tenant) -> Books:
    """Ten entries: the budget and nine charges."""
    books = Books(acme)
    books.add_budget(allocated=10**9)
    charge(books, 9)
    return books


def charge(books: Books, times: int) -> None:
    for _ in range(times):
        assert books.ask("event", amount=3, metadata={"note": 'ünïcode \\ " 1e3'}).status == "OK"


def seal(books: Books, *, segment: int = 4, closes_after: timedelta = timedelta(hours=1)) -> Sealed:
    return seal_closed(tag=books.tenant.tag, has_time=lambda: True, segment=segment, closes_after=closes_after)


def seals(books: Books) -> list[tuple[int, int, int]]:
    with in_tenant(books.tenant.tag):
        return list(LedgerSeal.objects.order_by("number").values_list("number", "first_seq", "last_seq"))


def verified(books: Books) -> dict[str, int]:
    with in_public():
        parts = Verification.objects.filter(tag=books.tenant.tag).order_by("part")
        return {each.part: each.differences for each in parts}


def faults(books: Books, known: SealHead | None = None) -> list[str]:
    return [str(each) for each in broken_seals(books.tenant.tag, known=known)]


class TestClosing:
    def test_a_full_segment_is_sealed_and_a_fuller_one_waits_for_its_last_entry(self, books: Books) -> None:
        done = seal(books, segment=4)

        assert (done.seals, done.entries) == (2, 8)
        assert seals(books) == [(1, 1, 4), (2, 5, 8)]
        charge(books, 1)
        assert seal(books, segment=4).seals == 0
        charge(books, 1)
        assert seal(books, segment=4).seals == 1

    def test_an_old_segment_is_sealed_although_it_is_not_full(self, books: Books) -> None:
        let_time_pass(books.tenant.tag, timedelta(minutes=59))
        young = seal(books, segment=100)
        let_time_pass(books.tenant.tag, timedelta(minutes=1, seconds=1))
        old = seal(books, segment=100)

        assert (young.seals, old.seals) == (0, 1)
        assert young.next_at is not None
        assert old.next_at is None
        assert seals(books) == [(1, 1, 10)]

    def test_stops_when_its_time_is_over_and_goes_on_the_next_time(self, books: Books) -> None:
        first = seal_closed(tag=books.tenant.tag, has_time=lambda: False, segment=2)
        assert first.seals == 1
        assert first.next_at is not None

        seal(books, segment=2)

        assert len(seals(books)) == 5
        assert faults(books) == []

    def test_what_has_a_gap_is_not_sealed(self, books: Books) -> None:
        as_owner(books.tenant.tag, "DELETE FROM ledger_entry WHERE seq = 3")

        with pytest.raises(LedgerHasGap):
            seal(books, segment=4)

        assert seals(books) == []

    def test_what_has_a_gap_is_late_from_when_it_should_have_been_sealed(self, books: Books) -> None:
        standing.enrol_tenants()
        as_owner(books.tenant.tag, "DELETE FROM ledger_entry WHERE seq = 3")
        let_time_pass(books.tenant.tag, timedelta(hours=5))

        visit_books(tag=books.tenant.tag, has_time=lambda: True)

        with in_public():
            due_at = TenantStanding.objects.get(tag=books.tenant.tag).seal_due_at
        assert due_at is not None
        assert due_at < datetime.now(UTC) - timedelta(hours=3)

    def test_two_workers_at_once_make_one_chain(self, books: Books) -> None:
        charge(books, 30)
        _at_once(lambda: seal(books, segment=2), lambda: seal(books, segment=3))

        with in_tenant(books.tenant.tag):
            assert LedgerSeal.objects.latest("number").last_seq >= last_seq(books) - 2
        assert faults(books) == []

    def test_a_visit_of_the_worker_seals(self, books: Books) -> None:
        let_time_pass(books.tenant.tag, timedelta(hours=2))

        visit_books(tag=books.tenant.tag, has_time=lambda: True)

        assert seals(books) == [(1, 1, 10)]


class TestProof:
    @pytest.fixture
    def sealed(self, books: Books) -> Books:
        seal(books, segment=4, closes_after=NO_WAIT)
        assert seals(books) == [(1, 1, 4), (2, 5, 8), (3, 9, 10)]
        assert faults(books) == []
        return books

    @pytest.mark.parametrize(
        ("statement", "fault"),
        [
            ("UPDATE ledger_entry SET amount = amount + 1 WHERE seq = 6", "seal 2: an entry of 5 to 8"),
            ("UPDATE ledger_entry SET at = at + interval '1 microsecond' WHERE seq = 6", "seal 2: an entry of 5 to 8"),
            ("UPDATE ledger_entry SET actor = 'mallory' WHERE seq = 1", "seal 1: an entry of 1 to 4"),
            ("UPDATE ledger_entry SET deltas[3] = 4 WHERE seq = 10", "seal 3: an entry of 9 to 10"),
            ("UPDATE ledger_entry SET metadata = '{}' WHERE seq = 2", "seal 1: an entry of 1 to 4"),
            ("DELETE FROM ledger_entry WHERE seq = 7", "seal 2: covers 4 entries, there are 3"),
            ("DELETE FROM ledger_seal WHERE number = 2", "seal 3: follows number 1: a seal is missing"),
            ("UPDATE ledger_seal SET last_at = last_at + interval '1 second' WHERE number = 1", "seal 1: its hash"),
            ("UPDATE ledger_seal SET signature = hash WHERE number = 3", "seal 3: is not signed by this installation"),
            ("UPDATE ledger_seal SET layout = 2 WHERE number = 3", "seal 3: its hash"),
            ("UPDATE ledger_seal SET previous_hash = hash WHERE number = 2", "seal 2: does not continue"),
        ],
    )
    def test_finds_what_was_changed(self, sealed: Books, statement: str, fault: str) -> None:
        as_owner(sealed.tenant.tag, statement)

        assert faults(sealed)[0].startswith(fault)

    def test_leaves_entries_alone_that_are_not_sealed_yet(self, sealed: Books) -> None:
        charge(sealed, 2)

        assert faults(sealed) == []

    def test_a_chain_made_anew_is_found_by_the_head_that_was_kept(self, sealed: Books) -> None:
        kept = seal_head(sealed.tenant.tag)
        as_owner(sealed.tenant.tag, "UPDATE ledger_entry SET amount = 2 WHERE seq = 6", "DELETE FROM ledger_seal")
        seal(sealed, segment=4, closes_after=NO_WAIT)

        assert faults(sealed) == []
        assert faults(sealed, known=kept) == [
            "seal 3: the seal up to entry 10 is not the one that was kept elsewhere",
        ]

    def test_a_head_that_was_kept_stays_good_while_the_chain_grows(self, sealed: Books) -> None:
        kept = seal_head(sealed.tenant.tag)
        charge(sealed, 9)
        seal(sealed, segment=4, closes_after=NO_WAIT)

        assert faults(sealed, known=kept) == []

    def test_does_not_depend_on_how_a_session_writes_times_and_bytes(self, sealed: Books) -> None:
        hashes = set()
        for setting in ("TimeZone = 'Asia/Kolkata'", "bytea_output = 'escape'", "extra_float_digits = 0"):
            with in_tenant(sealed.tenant.tag), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL {setting}")
                hashes.add(hash_entries(after=0, until=10).entries_hash)

        assert len(hashes) == 1


class TestCommand:
    def test_tells_how_far_each_tenant_is_sealed(self, books: Books, capsys: pytest.CaptureFixture[str]) -> None:
        seal(books, segment=4)

        call_command("verify_seals", tenant="acme")

        assert "acme: sealed to entry 8: no difference." in capsys.readouterr().out

    def test_fails_at_a_broken_seal(self, books: Books, capsys: pytest.CaptureFixture[str]) -> None:
        seal(books, segment=4)
        as_owner(books.tenant.tag, "DELETE FROM ledger_entry WHERE seq = 7")

        with pytest.raises(CommandError, match="The seals of 1 of 1 tenants are broken: acme"):
            call_command("verify_seals", tenant="acme")

        assert "seal 2: covers 4 entries, there are 3" in capsys.readouterr().out

    def test_holds_the_heads_that_were_kept_against_the_chains(self, books: Books, tmp_path: Path) -> None:
        heads = tmp_path / "heads.jsonl"
        seal(books, segment=4)
        call_command("verify_seals", tenant="acme", heads_to=heads)
        call_command("verify_seals", tenant="acme", heads_from=heads)
        as_owner(books.tenant.tag, "DELETE FROM ledger_seal")

        with pytest.raises(CommandError):
            call_command("verify_seals", tenant="acme", heads_from=heads)

    def test_refuses_heads_that_are_none(self, books: Books, tmp_path: Path) -> None:
        (tmp_path / "heads").write_text("{}\n")

        with pytest.raises(CommandError, match="has no heads that can be read"):
            call_command("verify_seals", tenant="acme", heads_from=tmp_path / "heads")


class TestNightlyCheck:
    def test_notes_that_the_books_add_up_and_how_far_they_are_sealed(self, books: Books) -> None:
        seal(books, segment=4)

        assert check_books(tag=books.tenant.tag) == []

        check = last_check(tag=books.tenant.tag)
        assert check is not None
        assert check.sealed_seq == 8
        assert verified(books) == {"ledger": 0, "rollups": 0, "seals": 0}

    @pytest.mark.parametrize(
        ("statement", "part"),
        [
            ("UPDATE ledger_entry SET request_id = 'x' WHERE seq = 6", "seals"),
            ("UPDATE budget SET spent = spent + 1", "ledger"),
            ("UPDATE usage_rollup SET calls = calls + 1", "rollups"),
        ],
    )
    def test_raises_the_alarm_and_goes_on_raising_it(
        self, books: Books, statement: str, part: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        seal(books, segment=4)
        roll_up(tag=books.tenant.tag, has_time=lambda: True)
        assert check_books(tag=books.tenant.tag) == []
        sound = last_check(tag=books.tenant.tag)
        as_owner(books.tenant.tag, statement)

        first, second = check_books(tag=books.tenant.tag), check_books(tag=books.tenant.tag)

        assert first == second != []
        assert [name for name, differences in verified(books).items() if differences] == [part]
        broken = last_check(tag=books.tenant.tag)
        assert sound is not None
        assert broken is not None
        assert (broken.sealed_seq, broken.seal_hash) == (sound.sealed_seq, sound.seal_hash)
        assert [record.levelname for record in caplog.records].count("ERROR") == 2
        with in_tenant(books.tenant.tag):
            alert = Alert.objects.get(kind="ledger_difference")
        assert alert.summary.startswith("The nightly check found 1 difference in the books.")

    def test_ends_the_alarm_when_the_books_are_sound_again(self, books: Books) -> None:
        as_owner(books.tenant.tag, "UPDATE budget SET spent = spent + 1")
        check_books(tag=books.tenant.tag)
        as_owner(books.tenant.tag, "UPDATE budget SET spent = spent - 1")

        assert check_books(tag=books.tenant.tag) == []

        with in_tenant(books.tenant.tag):
            assert Alert.objects.get(kind="ledger_difference").state == AlertState.RECOVERED

    def test_is_asked_for_once_and_again_after_a_day(self, books: Books) -> None:
        tag = books.tenant.tag
        visit_books(tag=tag, has_time=lambda: True)
        asked = [tag in ask_for_checks(limit=1000) for _ in range(2)]
        check_books(tag=tag)
        checked = tag in ask_for_checks(limit=1000)
        with in_public():
            long_ago = LedgerCheck.objects.get(tag=tag).checked_at - timedelta(hours=21)  # type: ignore[operator]
            LedgerCheck.objects.filter(tag=tag).update(checked_at=long_ago, asked_at=long_ago)

        assert (asked, checked) == ([True, False], False)
        assert tag in ask_for_checks(limit=1000)

    def test_waits_while_another_tenants_is_under_way(self, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
        """Else two big ones would hold both of the worker's processes, and expiry would wait for most of an hour."""
        monkeypatch.setattr(check_tenant, "apply_async", lambda **_: None)
        tag = books.tenant.tag
        visit_books(tag=tag, has_time=lambda: True)
        assert tag in ask_for_checks(limit=1000)
        with psycopg.connect(database_url("owner"), autocommit=True) as other:
            other.execute("SELECT pg_advisory_lock(%s)", [checks._LOCK])

            check_tenant(tag=tag)

            assert last_check(tag=tag) is None
            assert tag in ask_for_checks(limit=1000)
        check_tenant(tag=tag)

        assert last_check(tag=tag) is not None

    def test_is_followed_by_the_next(self, books: Books, initech: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
        for tenant in (books.tenant, initech):
            visit_books(tag=tenant.tag, has_time=lambda: True)
        standing.forget_strangers()
        with in_public():
            LedgerCheck.objects.all().delete()
        sent: list[str] = []
        monkeypatch.setattr(check_tenant, "apply_async", lambda kwargs, expires: sent.append(kwargs["tag"]))
        monkeypatch.setattr(checks, "CHECK_HOURS", range(24))

        dispatch_checks()
        for tag in sent:
            check_tenant(tag=tag)

        assert {books.tenant.tag, initech.tag} <= set(sent)
        assert len(sent) == len(set(sent))

    def test_is_followed_by_none_in_the_morning(self, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
        visit_books(tag=books.tenant.tag, has_time=lambda: True)
        sent: list[str] = []
        monkeypatch.setattr(check_tenant, "apply_async", lambda kwargs, expires: sent.append(kwargs["tag"]))
        monkeypatch.setattr(checks, "CHECK_HOURS", range(0))

        check_tenant(tag=books.tenant.tag)

        assert sent == []
        nights = [datetime(2026, 1, 1, hour, 59, tzinfo=UTC) for hour in (0, 1, 4, 5)]
        monkeypatch.undo()
        assert [checks.may_begin(now=each) for each in nights] == [False, True, True, False]

    def test_that_finds_what_somebody_said_was_mended_tells_it_again(self, books: Books) -> None:
        as_owner(books.tenant.tag, "UPDATE budget SET spent = spent + 1")
        check_books(tag=books.tenant.tag)
        with in_tenant(books.tenant.tag):
            alert = Alert.objects.get(kind="ledger_difference")
        resolve_alert(tag=books.tenant.tag, alert_id=alert.pk, actor=TEST_ACTOR)

        check_books(tag=books.tenant.tag)

        with in_tenant(books.tenant.tag):
            found = Alert.objects.get(kind="ledger_difference")
        assert (found.state, found.ended_by, found.end_reason) == (AlertState.OPEN, "", "")
        assert found.tell_at > alert.tell_at


def _at_once(*works: Callable[[], object]) -> None:
    def run(work: Callable[[], object]) -> None:
        try:
            work()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
