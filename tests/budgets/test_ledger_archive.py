"""Old entries of the ledger go, after they were written to a file; what is left begins with what they came to."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection

from budgets.models import Budget, Decision, LedgerEntry, LedgerHead, LedgerOpening, LedgerSeal, UsageDay, UsageRollup
from budgets.models.choices import EntryKind, Period
from budgets.selectors.audit import audit, examine
from budgets.selectors.decision_records import decision_record
from budgets.selectors.keeping import KeepingDays
from budgets.selectors.ledger_beginning import BeforeTheLedger, ledger_beginning
from budgets.selectors.ledger_entries import EntryFilter, matching_entries
from budgets.selectors.ledger_times import last_seq_before
from budgets.selectors.recommended_limits import recommended_limits
from budgets.selectors.statements import read_month, statement
from budgets.services import ledger_archive, rollups_proof
from budgets.services.corrections import ChargeArchived, Correction, correct_charge
from budgets.services.keeping import visit_old_rows
from budgets.services.ledger_archive import CorrectedMeanwhile, LedgerNotSound, drop_ledger
from budgets.services.rollups import rebuild, roll_up
from budgets.services.rollups_proof import rollup_differences
from budgets.services.sealing import seal_closed
from budgets.services.seals_proof import broken_seals, seal_head
from kernel.archives import read_lines
from kernel.money import Unit
from kernel.tenancy import in_tenant
from telemetry.services import archiving
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.owner import as_owner, let_time_pass

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.ARCHIVE_DIR = tmp_path
    return tmp_path


@pytest.fixture
def books(acme: Tenant) -> Books:
    """Twenty-one entries of 120 days ago, and as many of today; all in the sums and under seals of five entries."""
    books = Books(acme)
    books.add_budget(allocated=10**6)
    books.add_budget("/workspace:old", allocated=10**6)
    books.add_budget("/workspace:still", allocated=10**6)
    spend(books, "/workspace:old")
    let_time_pass(acme.tag, 120 * DAY)
    spend(books, "/workspace:still")
    settle(books)
    return books


def spend(books: Books, suffix: str) -> None:
    """Eighteen entries of every sort."""
    paths = ["", suffix]
    for _ in range(4):
        held = books.ask("reserve", amount=10, suffixes=paths)
        assert books.ask("commit", target=held.id, amount=7).status == "OK"
    for _ in range(2):
        held = books.ask("reserve", amount=10, suffixes=paths)
        assert books.ask("release", target=held.id).status == "OK"
    held = books.ask("reserve", amount=10, suffixes=paths)
    assert books.ask("extend", target=held.id, extend_ms=1_000).status == "OK"
    assert books.ask("commit", target=held.id, amount=9).status == "OK"
    for _ in range(3):
        assert books.ask("event", amount=3, suffixes=paths).status == "OK"


def settle(books: Books) -> None:
    """Bring everything behind the books up to date."""
    tag = books.tenant.tag
    roll_up(tag=tag, has_time=lambda: True)
    seal_closed(tag=tag, has_time=lambda: True, segment=5, closes_after=timedelta(0))


def drop(books: Books, *, days: int = 95, has_time: Callable[[], bool] = lambda: True) -> int:
    now, tag = datetime.now(UTC), books.tenant.tag
    with in_tenant(tag), archiving.alone(tag) as is_alone:
        assert is_alone
        rows, _ = drop_ledger(tag=tag, before=now - days * DAY, now=now, has_time=has_time)
    return rows


def is_sound(books: Books) -> bool:
    tag = books.tenant.tag
    found = [*map(str, audit(tag)), *map(str, broken_seals(tag)), *map(str, rollup_differences(tag))]
    assert found == []
    return True


def first_seq(books: Books) -> int:
    with in_tenant(books.tenant.tag):
        return LedgerEntry.objects.order_by("seq").values_list("seq", flat=True)[0]


def files(books: Books, folder: Path) -> list[Path]:
    return sorted((folder / books.tenant.tag).glob("*"))


class TestDropping:
    def test_takes_sealed_entries_that_are_old_and_no_others(self, books: Books) -> None:
        with in_tenant(books.tenant.tag):
            before = LedgerEntry.objects.count()
            old = LedgerEntry.objects.filter(at__lt=datetime.now(UTC) - 95 * DAY).count()
            (end,) = LedgerSeal.objects.filter(last_seq__lte=old).order_by("-number").values_list("last_seq")[0]

        assert drop(books) == end

        with in_tenant(books.tenant.tag):
            assert LedgerEntry.objects.count() == before - end
        assert first_seq(books) == end + 1
        assert drop(books) == 0

    def test_leaves_books_that_add_up(self, books: Books) -> None:
        assert is_sound(books)
        drop(books)

        assert is_sound(books)
        found = examine(books.tenant.tag)
        assert found.entries < 30
        spend(books, "/workspace:old")
        settle(books)
        assert is_sound(books)

    def test_may_go_on_for_years(self, books: Books) -> None:
        for _ in range(3):
            drop(books)
            spend(books, "/workspace:old")
            # A signature does not hold what moves all times; in life they stand still.
            settle(books)
        assert is_sound(books)
        with in_tenant(books.tenant.tag):
            assert LedgerOpening.objects.values("number").distinct().count() == 1

    def test_writes_every_entry_to_a_file_before(self, books: Books, folder: Path) -> None:
        with in_tenant(books.tenant.tag):
            entries = list(LedgerEntry.objects.order_by("seq").values_list("seq", "amount", "actor"))

        end = drop(books)

        (path,) = files(books, folder)
        rows = [json.loads(line) for line in read_lines(path)]
        assert [(row["seq"], row["amount"], row["actor"]) for row in rows] == entries[:end]

    def test_leaves_the_sums_as_they_are_and_to_be_made_again(self, books: Books) -> None:
        before = sums(books)
        drop(books)
        assert sums(books) == before

        rebuild(tag=books.tenant.tag)

        assert sums(books) == before
        assert is_sound(books)

    def test_leaves_the_chain_of_seals_whole_and_the_head_that_was_kept_in_it(self, books: Books) -> None:
        tag = books.tenant.tag
        kept = seal_head(tag)
        with in_tenant(tag):
            seals = LedgerSeal.objects.count()

        drop(books)

        with in_tenant(tag):
            assert LedgerSeal.objects.count() == seals
        assert list(broken_seals(tag, known=kept)) == []

    def test_finds_nothing_where_all_is_young_or_nothing_was_ever_booked(self, acme: Tenant, folder: Path) -> None:
        books = Books(acme)
        assert drop(books) == 0
        books.add_budget(allocated=1)
        settle(books)
        assert drop(books) == 0
        assert files(books, folder) == []

    def test_may_take_all_there_is(self, acme: Tenant) -> None:
        books = Books(acme)
        books.add_budget(allocated=10**6)
        let_time_pass(acme.tag, 120 * DAY)
        settle(books)

        assert drop(books) == 1

        assert is_sound(books)
        assert books.ask("event", amount=3).status == "OK"
        settle(books)
        assert is_sound(books)


def sums(books: Books) -> list[Any]:
    with in_tenant(books.tenant.tag):
        return [
            *UsageRollup.objects.order_by("pk").values(),
            *UsageDay.objects.order_by("pk").values(),
        ]


class TestWaiting:
    def test_for_holds_that_are_open(self, acme: Tenant) -> None:
        books = Books(acme)
        books.add_budget(allocated=10**6)
        held = books.ask("reserve", amount=5, ttl_ms=60_000)
        books.ask("event", amount=1)
        let_time_pass(acme.tag, 120 * DAY)
        settle(books)
        assert drop(books) == 0

        assert books.ask("expire", target=held.id, is_trusted=True).status == "OK"
        settle(books)
        assert drop(books) == 3
        assert is_sound(books)

    def test_for_charges_that_were_corrected_lately(self, books: Books) -> None:
        seq = correct(books)
        settle(books)

        drop(books)

        with in_tenant(books.tenant.tag):
            assert ledger_beginning().after < seq
        assert is_sound(books)

    def test_for_a_charge_that_is_corrected_at_that_moment(self, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
        real = ledger_archive._pages

        def pages(part: Any) -> Any:
            correct(books)
            return real(part)

        with monkeypatch.context() as patch:
            patch.setattr(ledger_archive, "_pages", pages)
            with pytest.raises(CorrectedMeanwhile):
                drop(books)
        settle(books)

        assert is_sound(books)
        drop(books)
        assert is_sound(books)

    def test_for_the_sums(self, acme: Tenant) -> None:
        books = Books(acme)
        books.add_budget(allocated=10**6)
        let_time_pass(acme.tag, 120 * DAY)
        seal_closed(tag=acme.tag, has_time=lambda: True, segment=5, closes_after=timedelta(0))

        assert drop(books) == 0

    def test_for_the_sums_of_a_whole_quarter_of_an_hour(self, acme: Tenant) -> None:
        books = Books(acme)
        books.add_budget(allocated=10**6)
        for _ in range(3):
            books.ask("commit", target=books.ask("reserve", amount=2).id, amount=1)
        let_time_pass(acme.tag, 120 * DAY)
        seal_closed(tag=acme.tag, has_time=lambda: True, segment=3, closes_after=timedelta(0))
        roll_up(tag=acme.tag, has_time=lambda: False, step=3)

        assert drop(books) == 0

        settle(books)
        rebuild(tag=acme.tag)
        assert is_sound(books)
        assert drop(books) == 7
        assert is_sound(books)

    def test_for_the_databases_clock_where_the_workers_is_ahead(self, books: Books) -> None:
        now, tag = datetime.now(UTC) + 400 * DAY, books.tenant.tag
        with in_tenant(tag):
            young = LedgerEntry.objects.filter(at__gt=datetime.now(UTC) - DAY).count()

        visit_old_rows(
            tag=tag,
            installation=KeepingDays(decisions=None, events=None, ledger=95),
            now=now,
            has_time=lambda: True,
        )

        with in_tenant(tag):
            assert ledger_beginning().after < LedgerHead.objects.get().last_seq - young + 1
            assert LedgerEntry.objects.filter(at__gt=datetime.now(UTC) - DAY).count() == young
        assert is_sound(books)


def correct(books: Books) -> int:
    """Correct one of the old charges; its number."""
    with in_tenant(books.tenant.tag):
        old = LedgerEntry.objects.filter(kind=EntryKind.EVENT, at__lt=datetime.now(UTC) - 95 * DAY)
        seq = old.order_by("seq").values_list("seq", flat=True)[0]
        correction = Correction(seq=seq, unit=Unit.USD_MICROCENTS, amount=1, idempotency_key="mended")
        correct_charge(correction=correction, actor=TEST_ACTOR)
    return seq


class TestReaders:
    @pytest.fixture(autouse=True)
    def _dropped(self, books: Books) -> None:
        self.end = drop(books)

    def test_find_the_ledger_where_it_begins(self, books: Books) -> None:
        with in_tenant(books.tenant.tag):
            assert ledger_beginning().after == self.end
            assert last_seq_before(datetime(2020, 1, 1, tzinfo=UTC)) == self.end
            assert last_seq_before(datetime.now(UTC)) == LedgerHead.objects.get().last_seq
            page = matching_entries(EntryFilter(kind=EntryKind.CREATE), before=None, limit=10)
            assert page.next_before is None
            assert all(entry.seq > self.end for entry in page.entries)

    def test_have_a_statement_of_months_that_are_whole_and_no_other(self, books: Books) -> None:
        now = datetime.now(UTC)
        with in_tenant(books.tenant.tag):
            assert statement(read_month(f"{now + 40 * DAY:%Y-%m}", time_zone="UTC")).lines == ()
            with pytest.raises(BeforeTheLedger):
                statement(read_month(f"{now - 130 * DAY:%Y-%m}", time_zone="UTC"))

    def test_recommend_by_periods_that_are_whole_and_no_other(self, books: Books) -> None:
        with in_tenant(books.tenant.tag):
            (found, *_) = recommended_limits(now=datetime.now(UTC), period=Period.MONTH)
            begins_at = ledger_beginning().at

        assert begins_at is not None
        assert [each for each in found.periods if each.starts_at < begins_at] == []
        assert 0 < len(found.periods) < 4

    def test_see_a_decision_whose_entry_was_archived(self, books: Books) -> None:
        with in_tenant(books.tenant.tag):
            old = Decision.objects.filter(ledger_seq__lte=self.end)[0]
            found = decision_record(old.pk)
        assert found is not None
        assert found.ledger_seq == old.ledger_seq

    def test_answer_who_asks_again_for_a_hold_whose_entry_was_archived(self, books: Books) -> None:
        with in_tenant(books.tenant.tag):
            old = Decision.objects.filter(ledger_seq__lte=self.end, endpoint="reserve").order_by("at")[0]

        again = books.ask("reserve", amount=10, suffixes=["", "/workspace:old"], idem=old.idempotency_key, hash="\\x00")

        assert again.id == old.pk
        assert again.replayed

    def test_are_told_that_a_charge_was_archived(self, books: Books) -> None:
        with in_tenant(books.tenant.tag), pytest.raises(ChargeArchived):
            correct_charge(
                correction=Correction(seq=4, unit=Unit.USD_MICROCENTS, amount=1, idempotency_key="late"),
                actor=TEST_ACTOR,
            )


class Killed(Exception):
    pass


def _killed(*_: object) -> int:
    raise Killed


class TestKilled:
    """Whoever comes next loses nothing and has nothing twice."""

    def check(self, books: Books, folder: Path) -> None:
        assert is_sound(books)
        kept = [json.loads(line)["seq"] for path in files(books, folder) for line in read_lines(path)]
        assert kept == list(range(1, first_seq(books)))

    def test_before_the_file_was_known(self, books: Books, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(ledger_archive, "_is_corrected_later", _killed_at(2, of=ledger_archive._is_corrected_later))
            with pytest.raises(Killed):
                drop(books)
        assert first_seq(books) == 1
        assert is_sound(books)

        assert drop(books) > 0
        self.check(books, folder)

    def test_between_the_file_and_the_first_drop(
        self, books: Books, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(ledger_archive, "_drop", _killed)
            with pytest.raises(Killed):
                drop(books)
        assert first_seq(books) == 1
        # Nobody looks at what is in the file any more.
        assert is_sound(books)

        assert drop(books) > 0
        self.check(books, folder)

    def test_among_the_drops(self, books: Books, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archiving, "BATCH", 3)
        with monkeypatch.context() as patch:
            patch.setattr(ledger_archive, "_drop", _killed_at(3, of=ledger_archive._drop))
            with pytest.raises(Killed):
                drop(books)
        assert first_seq(books) == 7
        assert is_sound(books)

        assert drop(books) > 0
        self.check(books, folder)

    def test_when_its_time_is_over(self, books: Books, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archiving, "BATCH", 3)

        assert drop(books, has_time=lambda: False) == 3
        assert is_sound(books)

        while drop(books, has_time=lambda: False):
            pass
        drop(books)
        self.check(books, folder)


def _killed_at(call: int, *, of: Callable[..., Any]) -> Callable[..., Any]:
    calls = iter(range(1, call + 1))

    def killed(*values: Any) -> Any:
        if next(calls) == call:
            raise Killed
        return of(*values)

    return killed


class TestProof:
    def test_what_is_not_sealed_right_stays(self, books: Books, folder: Path) -> None:
        as_owner(books.tenant.tag, "UPDATE ledger_entry SET amount = amount + 1 WHERE seq = 6")

        with pytest.raises(LedgerNotSound, match="seal 2"):
            drop(books)
        assert first_seq(books) == 1
        assert files(books, folder) == []

    @pytest.mark.parametrize(
        ("damage", "fault"),
        [
            ("DELETE FROM ledger_seal WHERE number = 1", "follows number 0"),
            ("UPDATE ledger_seal SET signature = '\\x00' WHERE number = 2", "not signed"),
            ("UPDATE ledger_seal SET hash = '\\x00' WHERE number = 2", "its hash is not"),
        ],
        ids=["missing", "not signed", "made anew"],
    )
    def test_what_is_under_no_good_seal_stays(self, books: Books, folder: Path, damage: str, fault: str) -> None:
        as_owner(books.tenant.tag, damage)

        with pytest.raises(LedgerNotSound, match=fault):
            drop(books)
        assert first_seq(books) == 1
        assert files(books, folder) == []

    @pytest.mark.parametrize(
        ("statement", "invariant"),
        [
            ("UPDATE ledger_opening SET balances[3] = balances[3] + 1", "I2"),
            ("DELETE FROM ledger_opening", "I2"),
            ("UPDATE budget SET spent = spent + 1 WHERE scope_path = 'tenant:acme/workspace:old'", "I2"),
            ('UPDATE archive_file SET facts = facts || \'{"openings": ""}\'', "L9"),
            ("UPDATE archive_file SET rows = rows + 1", "L9"),
            ("DELETE FROM ledger_entry WHERE seq = (SELECT min(seq) FROM ledger_entry)", "L8"),
        ],
    )
    def test_finds_what_was_changed_behind_the_archive(self, books: Books, statement: str, invariant: str) -> None:
        drop(books)
        as_owner(books.tenant.tag, statement)

        assert invariant in {difference.invariant for difference in audit(books.tenant.tag)}

    def test_finds_that_the_archive_does_not_end_with_its_seal(self, books: Books) -> None:
        drop(books)
        as_owner(books.tenant.tag, 'UPDATE archive_file SET facts = facts || \'{"seal": "00"}\'')

        assert any("is not the one that ledger-000001" in str(fault) for fault in broken_seals(books.tenant.tag))

    def test_of_sums_is_not_misled_by_an_archive_that_is_made_meanwhile(
        self, books: Books, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, dropped = rollups_proof._ranges, list[int]()

        def ranges(first: int, until: int) -> Any:
            if not dropped:
                dropped.append(drop(books))
            return real(first, until)

        monkeypatch.setattr(rollups_proof, "_ranges", ranges)

        assert list(rollup_differences(books.tenant.tag)) == []
        assert dropped != [0]

    def test_of_sums_finds_what_was_changed_since(self, books: Books) -> None:
        drop(books)
        as_owner(
            books.tenant.tag, "UPDATE usage_rollup SET calls = calls + 1 WHERE bucket_at > now() - interval '1 day'"
        )

        assert list(rollup_differences(books.tenant.tag)) != []


class TestTheDoorOfTheDatabase:
    """What the processes may drop by its function, whatever a bug may ask for."""

    @pytest.fixture
    def name(self, books: Books, monkeypatch: pytest.MonkeyPatch) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(ledger_archive, "_drop", _killed)
            with pytest.raises(Killed):
                drop(books)
        return "ledger-000001.jsonl.gz"

    @pytest.mark.parametrize(
        ("damage", "keys"),
        [
            ("SELECT", "SELECT array_agg(seq) FROM ledger_entry"),
            ("DELETE FROM ledger_seal WHERE number > 3", "SELECT ARRAY[1::bigint]"),
            ("UPDATE rollup_mark SET ledger_seq = 3", "SELECT ARRAY[1::bigint]"),
            ("UPDATE rollup_mark SET entries_kept_since = NULL", "SELECT ARRAY[1::bigint]"),
            ("UPDATE ledger_entry SET at = now() - interval '89 days' WHERE seq = 1", "SELECT ARRAY[1::bigint]"),
            ("UPDATE reservation SET status = 'ACTIVE'", "SELECT ARRAY[1::bigint]"),
        ],
        ids=["others", "not sealed", "not in the sums", "sums not kept", "young", "held"],
    )
    def test_is_shut(self, books: Books, name: str, damage: str, keys: str) -> None:
        as_owner(books.tenant.tag, damage)

        with in_tenant(books.tenant.tag), connection.cursor() as cursor:
            cursor.execute(keys)
            (asked,) = cursor.fetchone()
            with pytest.raises(DatabaseError, match="may not be dropped"):
                cursor.execute("SELECT drop_ledger_v1(%s, %s)", [name, asked])
        assert first_seq(books) == 1

    def test_is_open_for_what_is_in_the_file(self, books: Books, name: str) -> None:
        with in_tenant(books.tenant.tag), connection.cursor() as cursor:
            cursor.execute("SELECT drop_ledger_v1(%s, ARRAY[1, 2]::bigint[])", [name])
            assert cursor.fetchone() == (2,)
        assert first_seq(books) == 3


def test_budgets_of_archived_entries_still_say_what_they_had(books: Books) -> None:
    with in_tenant(books.tenant.tag):
        before = list(Budget.objects.order_by("scope_path").values())
    drop(books)
    with in_tenant(books.tenant.tag):
        assert list(Budget.objects.order_by("scope_path").values()) == before
