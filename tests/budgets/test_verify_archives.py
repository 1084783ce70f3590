"""`manage.py verify_archives` reads every archive file again and says in a sentence what is wrong with which."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from kernel.archives import write_lines
from kernel.ids import PLATFORM_TAG
from kernel.tenancy import in_public, in_tenant
from telemetry.models import ArchiveFile, AuditEntry
from telemetry.selectors.archive_files import Archive, all_archives
from telemetry.services import audit
from telemetry.services.audit_archive import drop_trail
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR
from tests.support.owner import as_owner, delete_shared

FIRST, SECOND, THIRD = (f"audit-00000{number}.jsonl.gz" for number in (1, 2, 3))


@pytest.fixture(autouse=True)
def folder(database: None, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the archives lie, with files of two rows; the platform has none from other tests."""
    settings.ARCHIVE_DIR = str(tmp_path)
    monkeypatch.setattr("telemetry.services.audit_archive.FILE_ROWS", 2)
    delete_shared(ArchiveFile.objects.all())
    yield tmp_path
    delete_shared(ArchiveFile.objects.all())


@pytest.fixture
def own(acme: Tenant, folder: Path) -> Path:
    """The folder of a tenant of whose trail five old rows went into three files."""
    archive(acme)
    return folder / acme.tag


def archive(tenant: Tenant | None) -> None:
    now, tag = datetime.now(UTC), tenant.tag if tenant else PLATFORM_TAG
    with in_tenant(tenant.tag) if tenant else in_public():
        for number in range(5):
            at = now - timedelta(days=400, seconds=number)
            audit.record(actor=TEST_ACTOR, action=f"verified.act{number}", target="x", at=at)
        drop_trail(owner=tag, before=now - timedelta(days=365), now=now, has_time=lambda: True)


def verify(capsys: pytest.CaptureFixture[str], tenant: str | None = "acme") -> str:
    """What it says when all is sound."""
    call_command("verify_archives", tenant=tenant)
    return capsys.readouterr().out


def faults(capsys: pytest.CaptureFixture[str], tenant: str | None = "acme") -> list[str]:
    """The sentences about single files."""
    with pytest.raises(CommandError):
        call_command("verify_archives", tenant=tenant)
    return [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]


class TestSound:
    def test_files_of_all_tenants_and_of_the_platform_are(
        self, own: Path, initech: Tenant, capsys: pytest.CaptureFixture[str]
    ) -> None:
        archive(None)

        said = verify(capsys, tenant=None)

        assert said.splitlines() == [
            "acme: 3 files, 5 rows: sound.",
            "initech: 0 files, 0 rows: sound.",
            "the platform: 3 files, 5 rows: sound.",
            "3 of 3: sound.",
        ]
        delete_shared(AuditEntry.objects.filter(action="audit.archived"))

    def test_is_who_has_no_files_and_no_folder(
        self, acme: Tenant, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings.ARCHIVE_DIR = ""

        assert "1 of 1: sound." in verify(capsys)

    def test_is_a_file_that_a_killed_worker_left(self, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_lines(own / "audit-000004.jsonl.gz", [["{}"]])
        (own / "ledger-000001.jsonl.gz.part").write_bytes(b"begun")
        (own / "SHA256SUMS").write_text("of whoever copies the files away")

        assert "sound" in verify(capsys)

    def test_are_files_that_a_worker_writes_meanwhile(
        self, own: Path, acme: Tenant, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def behind_the_worker() -> list[Archive]:
            archive(acme)
            return all_archives()

        monkeypatch.setattr("telemetry.services.archives_proof.all_archives", behind_the_worker)

        assert "acme: 6 files, 10 rows: sound." in verify(capsys)

    def test_is_one_tenant_while_anothers_are_not(
        self, own: Path, initech: Tenant, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (own / SECOND).unlink()

        assert "1 of 1: sound." in verify(capsys, tenant="initech")


class TestFault:
    @pytest.mark.parametrize(
        ("damage", "said"),
        [
            pytest.param(Path.unlink, [f"{SECOND}: the file is not there."], id="gone"),
            pytest.param(
                lambda path: path.write_bytes(path.read_bytes()[:-9]),
                [
                    f"{SECOND}: it is not the file that was written; its hash is another.",
                    f"{SECOND}: it cannot be read: EOFError.",
                ],
                id="cut",
            ),
            pytest.param(
                lambda path: write_lines(path, [["{}"]]),
                [
                    f"{SECOND}: it is not the file that was written; its hash is another.",
                    f"{SECOND}: it has 1 row, and 2 are noted.",
                ],
                id="another",
            ),
            pytest.param(
                lambda path: (path.unlink(), path.mkdir()),
                [f"{SECOND}: it cannot be read: IsADirectoryError."],
                id="no file",
            ),
        ],
    )
    def test_of_a_file_is_named(
        self, own: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], object], said: list[str]
    ) -> None:
        damage(own / SECOND)

        assert faults(capsys) == said

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            pytest.param("rows = 3", [f"{SECOND}: it has 2 rows, and 3 are noted."], id="rows"),
            pytest.param("digest = '\\x00'", [f"{SECOND}: it is not the file that was written; its hash is another."]),
            pytest.param("until_at = until_at + interval '1 day'", []),
            pytest.param("facts = '{\"more\": 1}'", []),
            pytest.param("signature = '\\x00'", []),
        ],
        ids=["rows", "digest", "until", "facts", "signature"],
    )
    def test_of_what_is_noted_is_named(
        self, own: Path, acme: Tenant, capsys: pytest.CaptureFixture[str], change: str, said: list[str]
    ) -> None:
        as_owner(acme.tag, f"UPDATE archive_file SET {change} WHERE number = 2")

        signature = f"{SECOND}: what is noted of it was changed; the signature does not fit."
        assert faults(capsys) == [signature, *said]

    def test_of_a_name_that_leads_elsewhere_is_named_and_not_followed(
        self, own: Path, acme: Tenant, capsys: pytest.CaptureFixture[str]
    ) -> None:
        as_owner(acme.tag, "UPDATE archive_file SET name = '../other' WHERE number = 2")

        assert "../other: it is noted as number 2 of audit, which has another name." in faults(capsys)

    def test_of_a_row_that_is_gone_is_named_by_its_number(
        self, own: Path, acme: Tenant, capsys: pytest.CaptureFixture[str]
    ) -> None:
        as_owner(acme.tag, "DELETE FROM archive_file WHERE number < 3")

        assert faults(capsys) == ["audit: nothing is noted of number 1 to 2.", f"{SECOND}: nothing is noted of it."]

    def test_of_rows_that_are_gone_at_the_end_is_named_by_what_lies_there(
        self, own: Path, acme: Tenant, capsys: pytest.CaptureFixture[str]
    ) -> None:
        as_owner(acme.tag, "DELETE FROM archive_file WHERE number > 1")

        assert faults(capsys) == [f"{THIRD}: nothing is noted of it."]

    def test_is_a_file_of_another_tenant(
        self, own: Path, acme: Tenant, initech: Tenant, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        archive(initech)
        (folder / initech.tag / FIRST).replace(own / FIRST)

        assert f"{FIRST}: it is not the file that was written; its hash is another." in faults(capsys)
        assert faults(capsys, tenant="initech") == [f"{FIRST}: the file is not there."]

    def test_is_a_folder_that_is_not_there(
        self, own: Path, folder: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings.ARCHIVE_DIR = str(folder / "disk")

        (said,) = faults(capsys)

        assert said.startswith("The folder of ARCHIVE_DIR is not there")
        assert said.endswith("3 files cannot be read.")

    def test_is_a_folder_that_cannot_be_looked_for(
        self, own: Path, initech: Tenant, folder: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings.ARCHIVE_DIR = str(folder / ("x" * 300))

        with pytest.raises(CommandError, match=r"3 of 3 are not sound: acme, initech, the platform\."):
            call_command("verify_archives")

        assert capsys.readouterr().out.splitlines()[:2] == [
            "acme: 3 files, 5 rows: 1 fault.",
            "  The folder of archives cannot be read: OSError.",
        ]

    def test_of_one_does_not_hide_the_others(
        self, own: Path, initech: Tenant, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        archive(initech)
        for tag in (own.name, initech.tag):
            (folder / tag / FIRST).unlink()

        with pytest.raises(CommandError, match=r"2 of 3 are not sound: acme, initech\."):
            call_command("verify_archives")
