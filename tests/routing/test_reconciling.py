"""A tenant's ledger against a log, an invoice and spans: what is missing, extra and different."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command

from budgets.models import LedgerEntry, Reconciliation
from budgets.reconciling.calls import Finding, Source
from kernel.tenancy import in_tenant
from routing.observed.reading import SourceRefused
from routing.services.price_import import import_prices
from routing.services.price_setting import NewPrice, set_price
from routing.services.reconciling import Reconciled, Wanted, reconcile
from telemetry.models import AuditEntry, OutboxEvent
from tenants.models import Tenant
from tests.plugins.servers import ROOT
from tests.routing.test_observed import line
from tests.support.books import TEST_ACTOR, Books
from tests.support.owner import as_owner
from tests.support.prices import OLIVE, listed, put_in_force, source

MODEL = "claude-sonnet-4-5"


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10**12)
    return books


def charge(
    books: Books,
    response_id: str,
    *,
    output: int = 20,
    cost: int = 1_000,
    agent: str = "coder",
    provider: str = "anthropic",
) -> None:
    """A settled call, as `settle` books it."""
    price = {"provider": provider, "model": MODEL, "provider_cost": cost, "response_id": response_id, "lines": []}
    answer = books.ask(
        "event",
        amount=cost,
        suffixes=["", f"/agent:{agent}"],
        subject={"tenant": "acme", "agent": agent},
        metrics={"tokens_input": 1_104, "tokens_output": output},
        price=price,
    )
    assert answer.status == "OK", answer


def log_of(path: Path, *message_ids: str) -> Path:
    now = datetime.now(UTC).isoformat()
    path.write_text("\n".join(line(each, timestamp=now) for each in message_ids))
    return path


def compare(books: Books, source: Source, path: Path | None = None, **more: Any) -> Reconciled:
    wanted = Wanted(source=source, path=path, zone=ZoneInfo("UTC"), **more)
    return reconcile(tag=books.tenant.tag, wanted=wanted, actor=TEST_ACTOR, now=datetime.now(UTC))


class TestSessionLog:
    def test_finds_what_is_missing_extra_and_different(self, books: Books, tmp_path: Path) -> None:
        charge(books, "msg_1")
        charge(books, "msg_2", output=21)
        charge(books, "msg_9")

        done = compare(books, Source.SESSION_LOG, log_of(tmp_path / "s.jsonl", "msg_1", "msg_2", "msg_3"))

        assert {(each.finding, each.reference) for each in done.found.differences} == {
            (Finding.DRIFT, "msg_2"),
            (Finding.MISSING, "msg_3"),
            (Finding.EXTRA, "msg_9"),
        }
        assert done.found.matched == 2

    def test_knows_a_plain_charge_by_the_id_in_its_metadata(self, books: Books, tmp_path: Path) -> None:
        numbers: dict[str, Any] = {"metrics": {"tokens_input": 1_104, "tokens_output": 20}}
        action = {"kind": "llm.completion", "name": f"anthropic:{MODEL}"}
        books.ask("event", amount=1_000, action=action, metadata={"response_id": "msg_1"}, **numbers)
        held = books.ask("reserve", amount=1_000, action=action)
        books.ask("commit", amount=1_000, target=held.id, metadata={"response_id": "msg_2"}, **numbers)

        done = compare(books, Source.SESSION_LOG, log_of(tmp_path / "s.jsonl", "msg_1", "msg_2"))

        assert done.found.matched == 2
        assert not done.found.counts.get(Finding.EXTRA)

    def test_knows_a_call_by_its_id_though_the_ledger_has_it_under_another_provider(
        self, books: Books, tmp_path: Path
    ) -> None:
        for number, provider in enumerate(("anthropic", "bedrock", "bedrock"), start=1):
            charge(books, f"msg_{number}", provider=provider)

        done = compare(books, Source.SESSION_LOG, log_of(tmp_path / "s.jsonl", "msg_1", "msg_2"))

        assert done.found.is_clean
        assert done.found.matched == 2

    def test_is_clean_where_all_is_booked(self, books: Books, tmp_path: Path) -> None:
        charge(books, "msg_1")

        assert compare(books, Source.SESSION_LOG, log_of(tmp_path / "s.jsonl", "msg_1")).found.is_clean

    def test_looks_at_one_agent_where_that_is_asked(self, books: Books, tmp_path: Path) -> None:
        charge(books, "msg_1")
        charge(books, "msg_2", agent="other")
        charge(books, "msg_3", agent="coder-2")

        done = compare(
            books, Source.SESSION_LOG, log_of(tmp_path / "s.jsonl", "msg_1"), scope_path="tenant:acme/agent:coder"
        )

        assert done.found.is_clean

    def test_keeps_what_it_found_with_a_trace_of_who_asked(self, books: Books, tmp_path: Path) -> None:
        done = compare(books, Source.SESSION_LOG, log_of(tmp_path / "s.jsonl", "msg_1"))

        with in_tenant(books.tenant.tag):
            kept = Reconciliation.objects.get(pk=done.kept.pk)
            assert AuditEntry.objects.filter(action="ledger.reconciled", target=str(kept.pk)).exists()
            assert OutboxEvent.objects.filter(event_type="custom.system.ledger_reconciled").exists()
        assert (kept.missing, kept.extra, kept.drift, kept.matched) == (1, 0, 0, 0)
        assert kept.differences[0]["reference"] == "msg_1"
        assert kept.name == "s.jsonl"
        assert len(kept.digest) == 64

    def test_changes_nothing_in_the_ledger(self, books: Books, tmp_path: Path) -> None:
        charge(books, "msg_1")
        with in_tenant(books.tenant.tag):
            before = LedgerEntry.objects.count()

        compare(books, Source.SESSION_LOG, log_of(tmp_path / "s.jsonl", "msg_2"))

        with in_tenant(books.tenant.tag):
            assert LedgerEntry.objects.count() == before

    @pytest.mark.parametrize(
        "more",
        [
            {"timestamp": "0001-01-01T00:00:00Z"},
            {"timestamp": "9999-12-31T23:59:59Z"},
            {"model": "claude-\0"},
            {"model": "claude-\ud800"},
            {"requestId": "req_\0"},
        ],
        ids=["year 1", "year 9999", "NUL", "half a sign", "NUL in an id"],
    )
    def test_names_a_line_that_no_table_can_hold(self, books: Books, tmp_path: Path, more: dict[str, Any]) -> None:
        charge(books, "msg_1")
        path = log_of(tmp_path / "s.jsonl", "msg_1")
        more = {"timestamp": datetime.now(UTC).isoformat()} | more
        path.write_text(f"{path.read_text()}\n{line('msg_2', **more)}")

        done = compare(books, Source.SESSION_LOG, path)

        assert done.found.is_clean
        assert done.read.unread == ["s.jsonl:2"]

    def test_refuses_a_log_with_nothing_of_that_time(self, books: Books, tmp_path: Path) -> None:
        with pytest.raises(SourceRefused, match="nothing of that time"):
            compare(
                books,
                Source.SESSION_LOG,
                log_of(tmp_path / "s.jsonl", "msg_1"),
                since=datetime.now(UTC) + timedelta(days=1),
            )


class TestInvoice:
    def test_compares_days_of_a_model(self, books: Books, tmp_path: Path) -> None:
        charge(books, "msg_1", cost=40_000_000)
        charge(books, "msg_2", cost=60_000_000)
        today = datetime.now(UTC).date()
        path = tmp_path / "invoice.csv"
        path.write_text(f"date,provider,model,cost_usd\n{today},anthropic,{MODEL}-20250929,1.00\n")

        done = compare(books, Source.INVOICE, path)
        assert done.kept.by_days
        assert done.found.is_clean

        path.write_text(f"date,provider,model,cost_usd\n{today},anthropic,{MODEL},1.25\n")
        (difference,) = compare(books, Source.INVOICE, path).found.differences
        assert (difference.finding, difference.cost) == (Finding.DRIFT, (125_000_000, 100_000_000))

    def test_compares_calls_where_it_names_them(self, books: Books, tmp_path: Path) -> None:
        charge(books, "msg_1")
        path = tmp_path / "invoice.csv"
        path.write_text(
            f"timestamp,response_id,provider,model,cost_usd\n{datetime.now(UTC).isoformat()},msg_1,anthropic,{MODEL},0.00001\n"
        )

        done = compare(books, Source.INVOICE, path)

        assert not done.kept.by_days
        assert done.found.matched == 1
        assert done.found.is_clean


@pytest.mark.usefixtures("empty_book")
class TestProvider:
    """Of a call that names none, on an invoice that is one provider's."""

    @pytest.fixture(autouse=True)
    def prices(self, empty_book: None) -> None:
        own = listed("gpt-x", aliases=("gpt-x-turbo",))
        put_in_force(own, listed("claude-x", provider="anthropic"), now=datetime.now(UTC))

    def compared(self, books: Books, tmp_path: Path, provider: str = "openai", **more: Any) -> Reconciled:
        path = tmp_path / "invoice.csv"
        path.write_text(f"date,model,calls,cost_usd\n{datetime.now(UTC).date()},gpt-x,1,0.00001\n")
        return compare(books, Source.INVOICE, path, provider=provider, **more)

    def plain(self, books: Books, name: str, *, price: dict[str, Any] | None = None) -> None:
        answer = books.ask("event", amount=1_000, action={"kind": "llm.completion", "name": name}, price=price)
        assert answer.status == "OK", answer

    def test_is_the_one_that_has_a_price_for_its_model(self, books: Books, tmp_path: Path) -> None:
        self.plain(books, "gpt-x")
        self.plain(books, "claude-x-20260101")

        done = self.compared(books, tmp_path)

        assert done.found.is_clean
        assert (done.found.booked.calls, done.found.unnamed, done.found.unplaced) == (1, 1, 0)
        kept = done.kept.booked
        assert (kept["unnamed"], kept["unplaced"]) == (1, 0)

    def test_is_not_asked_of_prices_where_the_call_names_it(self, books: Books, tmp_path: Path) -> None:
        self.plain(books, "openai:claude-x")
        self.plain(books, "anthropic:gpt-x")
        self.plain(books, "gpt-x", price={"provider": "anthropic", "model": "gpt-x", "provider_cost": 9, "lines": []})

        done = self.compared(books, tmp_path)

        assert {(each.finding, each.model) for each in done.found.differences} == {
            (Finding.EXTRA, "claude-x"),
            (Finding.MISSING, "gpt-x"),
        }
        assert done.found.unnamed == 0

    def test_is_no_word_before_the_model_that_is_none(self, books: Books, tmp_path: Path) -> None:
        self.plain(books, "support-team:gpt-x")

        done = self.compared(books, tmp_path)

        assert (done.found.matched, done.found.unnamed) == (1, 1)

    def test_of_a_model_that_nobody_sells_may_be_any(self, books: Books, tmp_path: Path) -> None:
        self.plain(books, "gpt-x")
        self.plain(books, "house-model")

        done = self.compared(books, tmp_path)

        assert [(each.finding, each.model) for each in done.found.differences] == [(Finding.EXTRA, "house-model")]
        assert (done.found.unnamed, done.found.unplaced) == (2, 1)

    def test_that_no_price_knows_may_have_sold_all_that_name_none(self, books: Books, tmp_path: Path) -> None:
        self.plain(books, "gpt-x")
        self.plain(books, "openai:gpt-x")

        done = self.compared(books, tmp_path, provider="reseller")

        assert (done.found.booked.calls, done.found.matched) == (1, 1)

    def test_of_a_list_that_nobody_approved_is_good_enough(self, books: Books, tmp_path: Path) -> None:
        import_prices(source(listed("new-x", provider="anthropic")), actor=OLIVE, now=datetime.now(UTC))
        self.plain(books, "gpt-x")
        self.plain(books, "new-x")

        assert self.compared(books, tmp_path).found.is_clean

    def test_that_is_listed_for_many_is_the_one_whose_price_was_approved(self, books: Books, tmp_path: Path) -> None:
        import_prices(source(listed("claude-x", provider="openai")), actor=OLIVE, now=datetime.now(UTC))
        self.plain(books, "gpt-x")
        self.plain(books, "claude-x")

        assert self.compared(books, tmp_path).found.is_clean

    def test_of_another_tenants_contract_says_nothing(self, books: Books, initech: Tenant, tmp_path: Path) -> None:
        contract = NewPrice(
            provider="anthropic",
            model="house-model",
            rates={"standard": {"input": 1, "output": 1}},
            effective_from=datetime.now(UTC),
            tag=initech.tag,
        )
        set_price(contract, actor=OLIVE, now=datetime.now(UTC))
        self.plain(books, "house-model")

        assert self.compared(books, tmp_path).found.unplaced == 1

    def test_of_every_call_is_as_good_as_another_where_the_invoice_names_several(
        self, books: Books, tmp_path: Path
    ) -> None:
        self.plain(books, "gpt-x")
        self.plain(books, "claude-x")

        assert self.compared(books, tmp_path, provider="").found.booked.calls == 2


class TestSpans:
    def test_need_a_time(self, books: Books) -> None:
        with pytest.raises(SourceRefused, match="from when to when"):
            compare(books, Source.SPANS)

    def test_without_any_there_is_nothing_to_compare(self, books: Books) -> None:
        now = datetime.now(UTC)
        with pytest.raises(SourceRefused, match="nothing of that time"):
            compare(books, Source.SPANS, since=now - timedelta(hours=1), until=now)


class TestCommand:
    def test_says_what_it_found_writes_it_and_fails(self, books: Books, tmp_path: Path) -> None:
        charge(books, "msg_9")
        out, csv = StringIO(), tmp_path / "out.csv"

        with pytest.raises(CommandError, match="2 differences") as failure:
            call_command(
                "reconcile",
                tenant="acme",
                log=log_of(tmp_path / "s.jsonl", "msg_1"),
                csv=csv,
                stdout=out,
            )

        assert failure.value.returncode == 1
        assert "1 observed, and not booked" in " ".join(out.getvalue().split())
        assert csv.read_text().count("\n") == 3
        assert "msg_9" in csv.read_text()

    def test_is_content_where_nothing_differs(self, books: Books, tmp_path: Path) -> None:
        charge(books, "msg_1")
        out = StringIO()

        call_command("reconcile", tenant="acme", log=log_of(tmp_path / "s.jsonl", "msg_1"), stdout=out)

        assert "matched 1 calls" in " ".join(out.getvalue().split())

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"tenant": "nobody"}, "no tenant nobody"),
            ({"tenant": "acme", "zone": "Mars/Olympus"}, "no time zone"),
            ({"tenant": "acme", "tolerance": 101.0}, "from 0 to 100"),
        ],
    )
    def test_refuses_in_a_sentence(self, books: Books, tmp_path: Path, options: dict[str, Any], why: str) -> None:
        with pytest.raises(CommandError, match=why) as failure:
            call_command("reconcile", log=log_of(tmp_path / "s.jsonl", "msg_1"), **options)

        assert failure.value.returncode == 2

    def test_tells_nothing_to_compare_from_a_difference(self, books: Books) -> None:
        charge(books, "msg_1")

        with pytest.raises(CommandError, match="nothing of that time") as failure:
            call_command("reconcile", "--tenant=acme", "--spans", "--since=2026-01-01", "--until=2026-01-02")

        assert failure.value.returncode == 3
        with in_tenant(books.tenant.tag):
            assert not Reconciliation.objects.exists()

    def test_tells_a_source_that_cannot_be_read_from_a_difference(self, books: Books, tmp_path: Path) -> None:
        path = tmp_path / "invoice.csv"
        path.write_text("hello\n")

        with pytest.raises(CommandError, match="no column date") as failure:
            call_command("reconcile", tenant="acme", invoice=path)

        assert failure.value.returncode == 2

    @pytest.mark.parametrize("options", [["--since=0001-01-01"], ["--until=9999-12-31"]], ids=["first", "last"])
    def test_tells_a_day_that_is_none_of_a_calendar_from_a_difference(
        self, books: Books, tmp_path: Path, options: list[str]
    ) -> None:
        log = log_of(tmp_path / "s.jsonl", "msg_1")

        with pytest.raises(CommandError, match="from the year 2000 on") as failure:
            call_command("reconcile", "--tenant=acme", f"--log={log}", "--zone=Asia/Kolkata", *options)

        assert failure.value.returncode == 2

    def test_tells_a_source_that_may_not_be_read_from_a_difference(self, books: Books, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="cannot be read as CSV") as failure:
            call_command("reconcile", tenant="acme", invoice=tmp_path)
        assert failure.value.returncode == 2
        (tmp_path / "s.jsonl").symlink_to("/proc/self/mem")

        with pytest.raises(CommandError, match="cannot be read: Input/output error") as failure:
            call_command("reconcile", tenant="acme", log=tmp_path / "s.jsonl")
        assert failure.value.returncode == 2

    def test_tells_a_database_that_is_away_from_a_difference(self, tmp_path: Path) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), "reconcile", "--tenant=acme", "--spans"]
        nowhere = {"DATABASE_URL": "postgresql://nobody:none@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
        places = {"WATERMASTER_VAR": str(tmp_path), "WATERMASTER_SECRET": "s" * 64}

        done = subprocess.run(command, env=os.environ | nowhere | places, capture_output=True, text=True, check=False)

        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("CommandError: The database does not answer: ")

    def test_tells_books_that_are_not_there_yet_from_a_difference(self, books: Books, tmp_path: Path) -> None:
        as_owner(books.tenant.tag, "ALTER TABLE reconciliation RENAME TO of_another_version")

        with pytest.raises(CommandError, match="The database refused it: relation") as failure:
            call_command("reconcile", tenant="acme", log=log_of(tmp_path / "s.jsonl", "msg_1"))

        assert failure.value.returncode == 2

    def test_takes_a_name_that_is_no_text(self, books: Books, tmp_path: Path) -> None:
        charge(books, "msg_1")
        path = tmp_path / os.fsdecode(b"s\xff.jsonl")

        done = compare(books, Source.SESSION_LOG, log_of(path, "msg_1", "msg_2"))

        assert [each.place for each in done.found.differences] == ["s\ufffd.jsonl:2"]

    def test_says_which_calls_name_no_provider(self, books: Books, tmp_path: Path) -> None:
        books.ask("event", amount=1_000, action={"kind": "llm.completion", "name": "house-model"})
        out, path = StringIO(), tmp_path / "invoice.csv"
        path.write_text(f"date,model,cost_usd\n{datetime.now(UTC).date()},house-model,0.00001\n")

        call_command("reconcile", tenant="acme", invoice=path, stdout=out)

        assert "Without a provider's name: 1 booked call, 1 of a model that no price list knows." in out.getvalue()

    def test_says_so_where_its_file_cannot_be_written(self, books: Books, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="cannot be written") as failure:
            call_command(
                "reconcile",
                tenant="acme",
                log=log_of(tmp_path / "s.jsonl", "msg_1"),
                csv=tmp_path / "none" / "out.csv",
                stdout=StringIO(),
            )

        assert failure.value.returncode == 2
