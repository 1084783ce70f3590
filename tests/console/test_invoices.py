"""An invoice that is handed in on a page: compared, kept in its tenant's schema, and seen by nobody else."""

from datetime import UTC, datetime

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import MULTIPART_CONTENT, encode_multipart
from pytest_django import Settings

from accounts.models import MemberRole
from budgets.models import InvoiceFile, Reconciliation
from budgets.services import invoice_files
from budgets.services.invoice_files import shown_name
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.support.console import member_of, signed_in

LIST = "/ops/tenants/acme/reconciliations/"
UPLOAD = f"{LIST}upload/"
CSV = b"date,model,requests,cost_usd\n2026-11-02,gpt-4o,3,1.50\n"


def sent(
    browser: Client, content: bytes = CSV, *, name: str = "november.csv", address: str = UPLOAD, **more: str
) -> str:
    """Where the answer leads; the page's text where it leads nowhere."""
    fields = {"file": SimpleUploadedFile(name, content, "text/csv"), "zone": "UTC", "reason": "Close of November"}
    answer = browser.post(address, fields | more)
    if answer.status_code == 303:
        return str(answer["Location"])
    assert answer.status_code == 422
    return answer.content.decode()


def kept(tenant: Tenant) -> list[Reconciliation]:
    with in_tenant(tenant.tag):
        return list(Reconciliation.objects.order_by("at"))


class TestUpload:
    def test_is_compared_and_kept(self, acme: Tenant, browser: Client) -> None:
        where = sent(browser)

        (found,) = kept(acme)
        assert where == f"{LIST}{found.pk}/"
        assert (found.name, found.missing, found.observed["cost"]) == ("november.csv", 1, 150_000_000)
        assert found.reason == "Close of November"
        with in_tenant(acme.tag):
            assert bytes(InvoiceFile.objects.get(digest=found.digest).content) == CSV
            assert AuditEntry.objects.filter(action="ledger.reconciled", reason="Close of November").count() == 1
        text = browser.get(where).content.decode()
        assert "november.csv" in text
        file = browser.get(f"{where}file/")
        assert file.content == CSV
        assert file["Content-Disposition"] == 'attachment; filename="november.csv"'
        assert file["X-Content-Type-Options"] == "nosniff"

    def test_sent_twice_is_kept_once(self, acme: Tenant, browser: Client) -> None:
        sent(browser)
        sent(browser)

        with in_tenant(acme.tag):
            assert InvoiceFile.objects.count() == 1
        assert len(kept(acme)) == 2

    def test_sent_again_later_is_not_the_oldest_any_more(
        self, acme: Tenant, browser: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(invoice_files, "FILES_MAX", 2)
        for day in (3, 4, 3, 5):
            sent(browser, CSV + b"2026-11-0%d,gpt-4o,1,9.00\n" % day)

        *_, third, fifth = kept(acme)
        with in_tenant(acme.tag):
            assert set(InvoiceFile.objects.values_list("digest", flat=True)) == {third.digest, fifth.digest}

    def test_is_narrowed_to_the_days_that_are_asked_for(self, acme: Tenant, browser: Client) -> None:
        lines = CSV + b"2026-11-05,gpt-4o,1,9.00\n"

        sent(browser, lines, since="2026-11-05", until="2026-11-05")

        (found,) = kept(acme)
        assert found.observed["cost"] == 900_000_000
        assert (found.since, found.until) == (datetime(2026, 11, 5, tzinfo=UTC), datetime(2026, 11, 6, tzinfo=UTC))

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "The submitted file is empty."),
            (b"\xff\xfe\x00", "The file cannot be read as CSV in UTF-8."),
            (b"hello\n1\n", "The file has no column date."),
            (b"date,model\n2026-11-02,gpt-4o\n", "neither a column cost_usd nor one of tokens"),
            (b"date,model,cost\n", "nothing to compare"),
            (b"date,model,cost,currency\n2026-11-02,gpt-4o,1,EUR\n", "only amounts in USD"),
            (b"date,model,cost\n0001-01-01,gpt-4o,1\n9999-12-31,gpt-4o,1\n", "nothing to compare"),
            (b"date,model,cost\n" + b"9" * 400 + b",gpt-4o,1\n", "nothing to compare"),
            (b'date,model,cost\n"' + b"x" * 200_000 + b'",gpt-4o,1\n', "cannot be read as CSV"),
        ],
        ids=["empty", "binary", "no columns", "no cost", "no lines", "euros", "odd years", "long time", "long field"],
    )
    def test_that_is_no_invoice_says_so_and_keeps_nothing(
        self, acme: Tenant, browser: Client, content: bytes, words: str
    ) -> None:
        assert words in sent(browser, content).replace("&#x27;", "'")

        assert kept(acme) == []
        with in_tenant(acme.tag):
            assert not InvoiceFile.objects.exists()

    @pytest.mark.parametrize(
        "line",
        [
            b"2026-11-02,gpt-4o,openai,a,1,9E999999",
            b"2026-11-02,gpt-4o,openai,a,1,1E-999999",
            b"2026-11-02,gpt-4o,openai,a,9E999999,1",
            b"2026-11-02,gpt\0-4o,openai,a,1,1",
            b"2026-11-02,gpt-4o,open\0ai,a,1,1",
            b"2026-11-02,gpt-4o,openai,a\0,1,1",
            b"2026-11-02,gpt-4o,openai,,1,92233720368",
            b"\xc2\xb2,gpt-4o,openai,a,1,1",
        ],
        ids=["vast cost", "tiny cost", "vast tokens", "nul model", "nul provider", "nul id", "dear", "odd digit"],
    )
    def test_with_odd_lines_is_compared_all_the_same(self, acme: Tenant, browser: Client, line: bytes) -> None:
        content = b"date,model,provider,id,prompt_tokens,cost_usd\n2026-11-02,gpt-4o,openai,b,1,1\n" + line + b"\n"

        where = sent(browser, content)

        assert len(kept(acme)) == 1
        assert browser.get(where).status_code == 200

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            ({"since": "2026-11-05", "until": "2026-11-04"}, "This is before the first day."),
            ({"since": "9999-12-31"}, "There are no books of that day."),
            ({"zone": "Mars/Olympus"}, "Select a valid choice."),
            ({"reason": ""}, "This field is required."),
        ],
        ids=["backwards", "too late", "no zone", "no reason"],
    )
    def test_with_a_form_that_is_wrong_says_so(
        self, acme: Tenant, browser: Client, more: dict[str, str], words: str
    ) -> None:
        assert words in sent(browser, CSV, **more)
        assert kept(acme) == []

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("../../etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("a\r\nb.csv", "a  b.csv"),
            ("..", ".."),
            ("/", "invoice.csv"),
            ("x" * 300, "x" * 200),
        ],
        ids=["up", "up on windows", "two lines", "dots", "nothing", "long"],
    )
    def test_has_a_name_that_opens_nothing(self, name: str, shown: str) -> None:
        assert shown_name(name) == shown

    def test_that_is_too_long_is_refused(self, acme: Tenant, browser: Client, settings: Settings) -> None:
        line = b"2026-11-02,gpt-4o,3,1.50\n"
        long = CSV + line * (invoice_files.BYTES_MAX // len(line))

        assert "It is longer than 4 MiB" in sent(browser, long)

    def test_that_is_far_too_long_is_not_even_read(self, acme: Tenant, browser: Client, settings: Settings) -> None:
        settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 1024
        fields = {"file": SimpleUploadedFile("a.csv", b"x" * 80_000), "zone": "UTC", "reason": "x"}

        answer = browser.generic("POST", UPLOAD, encode_multipart("BoUnDaRy", fields), MULTIPART_CONTENT)

        assert answer.status_code in {400, 413}

    def test_pushes_the_oldest_out(self, acme: Tenant, browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(invoice_files, "FILES_MAX", 2)
        for number in range(3):
            sent(browser, CSV + f"2026-11-0{number + 3},gpt-4o,1,1\n".encode(), name=f"{number}.csv")

        with in_tenant(acme.tag):
            assert set(InvoiceFile.objects.values_list("name", flat=True)) == {"1.csv", "2.csv"}
        first = kept(acme)[0]
        assert browser.get(f"{LIST}{first.pk}/").status_code == 200
        assert browser.get(f"{LIST}{first.pk}/file/").status_code == 404


class TestWho:
    def test_an_admin_of_the_tenant_may_and_a_viewer_may_not(self, acme: Tenant) -> None:
        address = "/t/acme/reconciliations/upload/"
        with (
            member_of(acme, "ada", MemberRole.ADMIN) as admin,
            member_of(acme, "vic", MemberRole.VIEWER) as viewer,
        ):
            assert sent(signed_in(admin), address=address).startswith("/t/acme/reconciliations/")
            assert signed_in(viewer).get(address).status_code == 403
            assert signed_in(viewer).post(address).status_code == 403

    def test_another_tenants_file_is_not_there(self, acme: Tenant, initech: Tenant, browser: Client) -> None:
        sent(browser, address="/ops/tenants/initech/reconciliations/upload/")
        (found,) = kept(initech)

        assert browser.get(f"{LIST}{found.pk}/file/").status_code == 404
        with in_tenant(acme.tag):
            assert not InvoiceFile.objects.exists()
