"""Whoever archives old rows is killed at random; then each row is in one file or in the books, and they add up."""

import json
import random
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from budgets.models import Decision, LedgerEntry, LedgerHead
from budgets.selectors.audit import audit
from budgets.selectors.ledger_beginning import ledger_beginning
from budgets.services.rollups import roll_up
from budgets.services.rollups_proof import rollup_differences
from budgets.services.sealing import seal_closed
from budgets.services.seals_proof import broken_seals
from kernel.archives import read_lines
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.plugins.servers import ROOT
from tests.support.books import Books
from tests.support.owner import let_time_pass
from tests.support.processes import environment

pytestmark = pytest.mark.slow

KILLS = 4


@pytest.fixture
def books(acme: Tenant) -> Books:
    """Some five hundred entries and as many refusals of 120 days ago, sealed in segments of thirty."""
    books = Books(acme)
    books.add_budget(allocated=10**9)
    for _ in range(10):
        calls = [books.operation("event", amount=1) for _ in range(50)]
        refused = [books.operation("decide", amount=10**12) for _ in range(50)]
        books.ask_all(*calls, *refused)
    let_time_pass(acme.tag, timedelta(days=120))
    books.ask("event", amount=1)
    roll_up(tag=acme.tag, has_time=lambda: True)
    seal_closed(tag=acme.tag, has_time=lambda: True, segment=30, closes_after=timedelta(0))
    return books


def test_killed_at_any_moment_nothing_is_lost_and_nothing_is_there_twice(books: Books, tmp_path: Path) -> None:
    tag = books.tenant.tag
    with in_tenant(tag):
        decided = {str(pk) for pk in Decision.objects.filter(ledger_seq=None).values_list("pk", flat=True)}
        last_seq = LedgerHead.objects.get(pk=1).last_seq
    dice = random.Random(7)
    for _ in range(KILLS):
        with _archiving(tag, tmp_path) as process:
            time.sleep(dice.uniform(0.02, 0.3))
            process.kill()
            process.wait()
        assert audit(tag) == []
        assert [str(fault) for fault in broken_seals(tag)] == []
    with _archiving(tag, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"

    assert audit(tag) == []
    assert list(rollup_differences(tag)) == []
    with in_tenant(tag):
        after = ledger_beginning().after
        assert LedgerEntry.objects.order_by("seq").values_list("seq", flat=True)[0] == after + 1
        left = {str(pk) for pk in Decision.objects.filter(ledger_seq=None).values_list("pk", flat=True)}
    assert 0 < after < last_seq
    kept = _rows(tmp_path / tag, "ledger", "seq")
    assert kept == list(range(1, after + 1))
    dropped = _rows(tmp_path / tag, "decisions", "id")
    assert len(dropped) == len(set(dropped))
    assert set(dropped) | left == decided
    assert not set(dropped) & left


def _rows(folder: Path, kind: str, key: str) -> list[object]:
    return [json.loads(line)[key] for path in sorted(folder.glob(f"{kind}-*.gz")) for line in read_lines(path)]


class _Process(subprocess.Popen[str]):
    def __exit__(self, *_: object) -> None:
        self.kill()
        super().__exit__(None, None, None)


def _archiving(tag: Tag, folder: Path) -> _Process:
    process = _Process(
        [sys.executable, "-m", "tests.support.kept_archives", tag],
        cwd=ROOT,
        env=environment(ARCHIVE_DIR=str(folder)),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process
