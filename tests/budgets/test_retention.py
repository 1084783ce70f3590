"""Old decisions without effect go, after they were written to a file; everything else stays and stays provable."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from budgets.models import Decision, DecisionRollup, RollupMark
from budgets.selectors.audit import audit
from budgets.services.retention import NotFollowedYet, TooYoung, drop_decisions
from budgets.services.rollups import rebuild, roll_up
from budgets.services.rollups_proof import rollup_differences
from kernel.owner import acting_as_owner
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.owner import let_time_pass

DAYS = timedelta(days=1)


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


def drop(books: Books, folder: Path, days: int = 50) -> int:
    now = datetime.now(UTC)
    with acting_as_owner():
        done = drop_decisions(tag=books.tenant.tag, slug="acme", before=now - days * DAYS, now=now, folder=folder)
    assert (done.path is None) == (done.decisions == 0)
    return done.decisions


def decisions(books: Books) -> int:
    with in_tenant(books.tenant.tag):
        return Decision.objects.count()


def counted(books: Books) -> int:
    with in_tenant(books.tenant.tag):
        return sum(DecisionRollup.objects.values_list("count", flat=True))


class TestDropping:
    def test_takes_old_decisions_without_effect_and_no_others(self, books: Books, tmp_path: Path) -> None:
        assert decisions(books) == 12

        assert drop(books, tmp_path) == 4

        assert decisions(books) == 8
        assert drop(books, tmp_path) == 0
        assert audit(books.tenant.tag) == []

    def test_writes_every_one_to_a_file_before(self, books: Books, tmp_path: Path) -> None:
        drop(books, tmp_path)

        (path,) = tmp_path.iterdir()
        with gzip.open(path, "rt") as file:
            rows = [json.loads(line) for line in file]
        assert sorted(row["verdict"] for row in rows) == ["ALLOW", "ALLOW", "DENY", "DENY"]
        assert all(row["ledger_seq"] is None for row in rows)

    def test_leaves_the_sums_as_they_are(self, books: Books, tmp_path: Path) -> None:
        before = counted(books)

        drop(books, tmp_path)

        assert counted(books) == before
        assert list(rollup_differences(books.tenant.tag)) == []

    def test_leaves_sums_that_can_be_made_again(self, books: Books, tmp_path: Path) -> None:
        before = counted(books)
        drop(books, tmp_path)

        rebuild(tag=books.tenant.tag)

        assert counted(books) == before
        assert list(rollup_differences(books.tenant.tag)) == []

    def test_goes_on_where_it_was_killed_after_the_file_was_written(self, books: Books, tmp_path: Path) -> None:
        before = counted(books)
        with in_tenant(books.tenant.tag):
            RollupMark.objects.update(decisions_kept_since=datetime.now(UTC) - 50 * DAYS)
        rebuild(tag=books.tenant.tag)
        assert counted(books) == before

        assert drop(books, tmp_path) == 4


class TestRefusals:
    def test_what_is_young_is_kept(self, books: Books, tmp_path: Path) -> None:
        with pytest.raises(TooYoung):
            drop(books, tmp_path, days=29)
        assert drop(books, tmp_path, days=30) == 4

    @pytest.mark.parametrize("behind", [{"ledger_seq": 1}, {"decisions_at": None}])
    def test_what_the_rollups_have_not_counted_is_kept(
        self, books: Books, tmp_path: Path, behind: dict[str, int | None]
    ) -> None:
        with in_tenant(books.tenant.tag):
            RollupMark.objects.update(**behind)

        with pytest.raises(NotFollowedYet):
            drop(books, tmp_path)
        assert decisions(books) == 12

    def test_a_folder_that_is_not_there_is_named(self, books: Books, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="There is no folder"):
            call_command("drop_decisions", older_than_days=90, to=tmp_path / "none", tenant="acme")


class TestCommand:
    def test_says_how_many_went_and_where_they_are(
        self, books: Books, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        call_command("drop_decisions", older_than_days=90, to=tmp_path, tenant="acme")

        assert "acme: 4 decisions dropped, kept in" in capsys.readouterr().out
