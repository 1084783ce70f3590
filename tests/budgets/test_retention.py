"""Old decisions without effect go, after they were written to a file; everything else stays and stays provable."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection

from budgets.models import Decision, DecisionRollup, RollupMark
from budgets.selectors.audit import audit
from budgets.services import retention
from budgets.services.retention import NotFollowedYet, TooYoung, drop_decisions
from budgets.services.rollups import rebuild, roll_up
from budgets.services.rollups_proof import rollup_differences
from kernel.archives import ArchiveDamaged, ExportDiffers, read_lines
from kernel.tenancy import in_tenant
from telemetry.services import archiving
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.owner import let_time_pass

DAYS = timedelta(days=1)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.ARCHIVE_DIR = tmp_path
    return tmp_path


@pytest.fixture
def books(acme: Tenant) -> Books:
    """Decisions of every sort a hundred days ago, and some of today; all rolled up."""
    books = Books(acme)
    books.add_budget(allocated=1_000)
    decide(books)
    let_time_pass(acme.tag, 100 * DAYS)
    decide(books)
    roll_up(tag=acme.tag, has_time=lambda: True)
    return books


def decide(books: Books) -> None:
    """Four without effect, and two holds."""
    for _ in range(2):
        assert books.ask("reserve", amount=10**9).status == "BUDGET_EXCEEDED"
        books.ask("reserve", amount=1)
    books.ask("decide", amount=1)
    books.ask("reserve", amount=2, is_dry=True)


def drop(books: Books, days: int = 50) -> int:
    now = datetime.now(UTC)
    tag = books.tenant.tag
    with in_tenant(tag), archiving.alone(tag) as is_alone:
        assert is_alone
        rows, is_done = drop_decisions(tag=tag, before=now - days * DAYS, now=now, has_time=lambda: True)
    assert is_done
    return rows


def files(books: Books, folder: Path) -> list[Path]:
    return sorted((folder / books.tenant.tag).glob("*"))


def decisions(books: Books) -> int:
    with in_tenant(books.tenant.tag):
        return Decision.objects.count()


def counted(books: Books) -> int:
    with in_tenant(books.tenant.tag):
        return sum(DecisionRollup.objects.values_list("count", flat=True))


class TestDropping:
    def test_takes_old_decisions_without_effect_and_no_others(self, books: Books) -> None:
        assert decisions(books) == 12

        assert drop(books) == 4

        assert decisions(books) == 8
        assert drop(books) == 0
        assert audit(books.tenant.tag) == []

    def test_writes_every_one_to_a_file_before(self, books: Books, folder: Path) -> None:
        drop(books)

        (path,) = files(books, folder)
        assert path.name == "decisions-000001.jsonl.gz"
        rows = [json.loads(line) for line in read_lines(path)]
        assert sorted(row["verdict"] for row in rows) == ["ALLOW", "ALLOW", "DENY", "DENY"]
        assert all(row["ledger_seq"] is None for row in rows)

    def test_leaves_the_sums_as_they_are(self, books: Books) -> None:
        before = counted(books)

        drop(books)

        assert counted(books) == before
        assert list(rollup_differences(books.tenant.tag)) == []

    def test_leaves_sums_that_can_be_made_again(self, books: Books) -> None:
        before = counted(books)
        drop(books)

        rebuild(tag=books.tenant.tag)

        assert counted(books) == before
        assert list(rollup_differences(books.tenant.tag)) == []

    def test_goes_on_in_further_files_where_there_are_many(
        self, books: Books, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "FILE_ROWS", 3)
        monkeypatch.setattr(retention, "PAGE", 2)

        assert drop(books) == 4

        first, second = files(books, folder)
        assert [len(list(read_lines(path))) for path in (first, second)] == [3, 1]
        assert decisions(books) == 8


class TestKilled:
    """Whoever comes next loses nothing and has nothing twice."""

    def check(self, books: Books, folder: Path) -> None:
        assert decisions(books) == 8
        kept = [json.loads(line)["id"] for path in files(books, folder) for line in read_lines(path)]
        assert len(kept) == len(set(kept)) == 4
        assert list(rollup_differences(books.tenant.tag)) == []

    def test_before_the_file_was_known(self, books: Books, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(retention, "_keep_sums_before", _killed)
            with pytest.raises(Killed):
                drop(books)
        assert decisions(books) == 12
        assert len(files(books, folder)) == 1

        assert drop(books) == 4
        self.check(books, folder)

    def test_between_the_file_and_the_first_drop(
        self, books: Books, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(retention, "_drop", _killed)
            with pytest.raises(Killed):
                drop(books)
        assert decisions(books) == 12

        assert drop(books) == 4
        self.check(books, folder)

    def test_among_the_drops(self, books: Books, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archiving, "BATCH", 1)
        calls = iter([False, False, True])
        real = retention._drop
        with monkeypatch.context() as patch:
            patch.setattr(retention, "_drop", lambda file, keys: _killed() if next(calls) else real(file, keys))
            with pytest.raises(Killed):
                drop(books)
        assert decisions(books) == 10

        assert drop(books) == 2
        self.check(books, folder)


class Killed(Exception):
    pass


def _killed(*_: object) -> int:
    raise Killed


class TestRefusals:
    def test_what_is_young_is_kept(self, books: Books) -> None:
        with pytest.raises(TooYoung):
            drop(books, days=29)
        assert drop(books, days=30) == 4

    @pytest.mark.parametrize("behind", [{"ledger_seq": 1}, {"decisions_at": None}])
    def test_what_the_rollups_have_not_counted_is_kept(self, books: Books, behind: dict[str, int | None]) -> None:
        with in_tenant(books.tenant.tag):
            RollupMark.objects.update(**behind)

        with pytest.raises(NotFollowedYet):
            drop(books)
        assert decisions(books) == 12

    @pytest.mark.parametrize("damage", ["gone", "cut", "another"])
    def test_what_is_not_in_its_file_any_more_is_kept(
        self, books: Books, folder: Path, damage: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(retention, "_drop", _killed)
            with pytest.raises(Killed):
                drop(books)
        (path,) = files(books, folder)
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-9] if damage == "cut" else b"")

        with pytest.raises(ArchiveDamaged):
            drop(books)
        assert decisions(books) == 12

    def test_a_file_that_reads_differently_drops_nothing(
        self, books: Books, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kernel.archives._require_same", _differs)

        with pytest.raises(ExportDiffers):
            drop(books)
        assert decisions(books) == 12
        assert files(books, folder) == []


def _differs(*_: object) -> None:
    raise ExportDiffers


class TestTheDoorOfTheDatabase:
    """What the processes may drop by its function, whatever a bug may ask for."""

    @pytest.fixture
    def known(self, books: Books, monkeypatch: pytest.MonkeyPatch) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(retention, "_drop", _killed)
            with pytest.raises(Killed):
                drop(books)
        return "decisions-000001.jsonl.gz"

    @pytest.mark.parametrize("which", ["ledger_seq IS NOT NULL", "at > now() - interval '1 day'"])
    def test_is_shut_for_what_is_young_or_had_an_effect(self, books: Books, known: str, which: str) -> None:
        with in_tenant(books.tenant.tag), connection.cursor() as cursor:
            cursor.execute(f"SELECT array_agg(id) FROM decision WHERE {which}")
            (ids,) = cursor.fetchone()
            with pytest.raises(DatabaseError, match="may not be dropped"):
                cursor.execute("SELECT drop_decisions_v1(%s, %s)", [known, ids])
        assert decisions(books) == 12

    def test_is_shut_without_a_file(self, books: Books) -> None:
        with in_tenant(books.tenant.tag), connection.cursor() as cursor:
            cursor.execute("SELECT array_agg(id) FROM decision WHERE ledger_seq IS NULL")
            (ids,) = cursor.fetchone()
            with pytest.raises(DatabaseError, match="may not be dropped"):
                cursor.execute("SELECT drop_decisions_v1('none', %s)", [ids])
        assert decisions(books) == 12

    def test_finds_its_own_schema_only(self, books: Books, initech: Tenant, known: str) -> None:
        with in_tenant(books.tenant.tag), connection.cursor() as cursor:
            cursor.execute("SELECT array_agg(id) FROM decision WHERE ledger_seq IS NULL")
            (ids,) = cursor.fetchone()
        with in_tenant(initech.tag), connection.cursor() as cursor:
            # Called where another schema is searched first: it drops there nothing, and its own is empty.
            cursor.execute("SELECT drop_decisions_v1(%s, %s)", [known, ids])
            assert cursor.fetchone() == (0,)
        assert decisions(books) == 12


class TestCommand:
    def test_says_how_many_went_and_where_they_are(
        self, books: Books, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        call_command("drop_decisions", older_than_days=90, tenant="acme")

        assert f"acme: 4 decisions dropped, kept in {folder / books.tenant.tag}." in capsys.readouterr().out
