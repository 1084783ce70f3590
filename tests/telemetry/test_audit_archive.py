"""The audit trail is kept for as long as the installation says; what goes is in a file first, and the trail says so."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection
from pytest_django import Settings

from budgets.selectors.keeping import KeepingDays
from budgets.services.keeping import visit_old_rows
from kernel.archives import ArchiveDamaged, read_lines
from kernel.ids import PLATFORM_TAG, Tag
from kernel.tenancy import in_public, in_tenant
from telemetry.models import ArchiveFile, AuditEntry
from telemetry.services import audit, audit_archive
from telemetry.services.audit_archive import KEPT_MIN, drop_trail
from tenants.models import KeepingVisit, Tenant
from tests.support.books import TEST_ACTOR
from tests.support.owner import delete_shared


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Settings) -> Path:
    settings.ARCHIVE_DIR = str(tmp_path)
    return tmp_path


@pytest.fixture
def trail(acme: Tenant) -> Iterator[Tenant]:
    """Seven acts of ages ago, one that is nearly old enough, and what made the tenant."""
    with in_tenant(acme.tag):
        for number in range(7):
            write(f"old.act{number}", age=timedelta(days=400, seconds=-number))
        write("young.act", age=KEPT_MIN - timedelta(minutes=1))
    yield acme
    delete_shared(KeepingVisit.objects.filter(tag=acme.tag))


def write(action: str, *, age: timedelta) -> None:
    audit.record(actor=TEST_ACTOR, action=action, target="x", at=datetime.now(UTC) - age, after={"secretless": 1})


def drop(tenant: Tenant, *, days: int = 0, has_time: Any = lambda: True) -> tuple[int, bool]:
    now = datetime.now(UTC)
    with in_tenant(tenant.tag):
        return drop_trail(owner=tenant.tag, before=now - timedelta(days=days), now=now, has_time=has_time)


def actions(tenant: Tenant) -> list[str]:
    with in_tenant(tenant.tag):
        found = AuditEntry.objects.filter(action__contains=".act")
        return list(found.order_by("at").values_list("action", flat=True))


def archived(folder: Path) -> list[str]:
    return [json.loads(line)["action"] for path in sorted(folder.glob("audit-*.gz")) for line in read_lines(path)]


def test_goes_into_files_and_says_so(trail: Tenant, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_archive, "PAGE", 2)
    monkeypatch.setattr(audit_archive, "FILE_ROWS", 5)

    assert drop(trail) == (7, True)

    assert actions(trail) == ["young.act"]
    assert archived(folder / trail.tag) == [f"old.act{number}" for number in range(7)]
    with in_tenant(trail.tag):
        told = list(AuditEntry.objects.filter(action="audit.archived").order_by("at", "id"))
        files = dict(ArchiveFile.objects.values_list("name", "digest"))
    assert [(row.target, row.after["rows"]) for row in told if row.after] == [
        ("audit-000001.jsonl.gz", 5),
        ("audit-000002.jsonl.gz", 2),
    ]
    assert {row.target: row.after["sha256"] for row in told if row.after} == {
        name: bytes(digest).hex() for name, digest in files.items()
    }
    assert drop(trail) == (0, True)


def test_that_is_to_be_kept_longer_by_now_stays(trail: Tenant, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemetry.services.archiving.BATCH", 2)
    assert drop(trail, days=365, has_time=lambda: False) == (2, False)

    assert drop(trail, days=500) == (0, True)
    assert len(actions(trail)) == 6

    assert drop(trail, days=365) == (5, True)
    assert actions(trail) == ["young.act"]
    assert len(archived(folder / trail.tag)) == 7


@pytest.mark.parametrize("place", ["before the file is known", "before anything is dropped", "half-way"])
def test_that_is_killed_anywhere_is_in_files_once(
    trail: Tenant, folder: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    class Killed(Exception): ...

    real, calls = audit_archive._drop, []

    def killed(*values: Any, **_: Any) -> Any:
        calls.append(values)
        if place != "half-way" or len(calls) == 2:
            raise Killed
        return real(*values)

    with monkeypatch.context() as patch:
        patch.setattr("telemetry.services.archiving.BATCH", 2)
        if place == "before the file is known":
            patch.setattr(audit, "record", killed)
        else:
            patch.setattr(audit_archive, "_drop", killed)
        with pytest.raises(Killed):
            drop(trail)
    left = actions(trail)
    assert len(left) == (6 if place == "half-way" else 8)

    drop(trail)

    assert actions(trail) == ["young.act"]
    assert archived(folder / trail.tag) == [f"old.act{number}" for number in range(7)]
    with in_tenant(trail.tag):
        assert AuditEntry.objects.filter(action="audit.archived").count() == 1


def test_stays_where_its_file_was_changed(trail: Tenant, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = iter([False])
    monkeypatch.setattr("telemetry.services.archiving.BATCH", 2)
    assert drop(trail, has_time=lambda: next(turns)) == (2, False)
    (path,) = (folder / trail.tag).glob("audit-*.gz")
    path.write_bytes(path.read_bytes() + b" ")

    with pytest.raises(ArchiveDamaged):
        drop(trail)

    assert len(actions(trail)) == 6


class TestFunction:
    def call(self, tenant: Tenant, file: str, actions: list[str]) -> None:
        with in_tenant(tenant.tag), connection.cursor() as cursor:
            keys = list(AuditEntry.objects.filter(action__in=actions).values_list("pk", flat=True))
            assert keys
            cursor.execute("SELECT drop_audit_v1(%s, %s)", [file, keys])

    @pytest.mark.parametrize(
        ("file", "action"),
        [("audit-000009.jsonl.gz", "old.act6"), ("audit-000001.jsonl.gz", "young.act")],
        ids=["in no file", "too young"],
    )
    def test_drops_nothing_else_whoever_asks(
        self, trail: Tenant, monkeypatch: pytest.MonkeyPatch, file: str, action: str
    ) -> None:
        turns = iter([False])
        monkeypatch.setattr("telemetry.services.archiving.BATCH", 2)
        drop(trail, has_time=lambda: next(turns))
        before = actions(trail)

        with pytest.raises(DatabaseError) as refusal:
            self.call(trail, file, [action])

        assert isinstance(refusal.value.__cause__, psycopg.errors.ObjectNotInPrerequisiteState)
        assert actions(trail) == before


class TestVisit:
    @pytest.mark.parametrize(("days", "left"), [(None, 8), (365, 1), (500, 8), (1, 1)])
    def test_of_a_tenant_does_as_the_installation_says(self, trail: Tenant, days: int | None, left: int) -> None:
        self.visit(trail.tag, days)

        assert len(actions(trail)) == left

    def test_of_the_platform_too(self, database: None, folder: Path) -> None:
        with in_public():
            write("old.platform.act", age=timedelta(days=400))
        try:
            self.visit(PLATFORM_TAG, 365)

            with in_public():
                assert not AuditEntry.objects.filter(action="old.platform.act").exists()
                assert AuditEntry.objects.filter(action="audit.archived").count() == 1
            assert "old.platform.act" in archived(folder / PLATFORM_TAG)
        finally:
            delete_shared(AuditEntry.objects.filter(action="audit.archived"))
            delete_shared(ArchiveFile.objects.all())
            delete_shared(KeepingVisit.objects.filter(tag=PLATFORM_TAG))

    def visit(self, tag: Tag, days: int | None) -> None:
        installation = KeepingDays(decisions=None, events=None, ledger=None, audit=days)
        found = visit_old_rows(tag=tag, installation=installation, now=datetime.now(UTC), has_time=lambda: True)
        assert (found.trouble, found.is_done) == ("", True)
