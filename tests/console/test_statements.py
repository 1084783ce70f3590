"""Monthly statements: their total is the ledger's, to the last digit, in the tenant's own months."""

import csv
import io
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from budgets.console.statement_paper import paper_of
from budgets.console.statement_parts import LINES_SHOWN, csv_rows, parts_of
from budgets.models import Budget, LedgerEntry
from budgets.models.choices import EntryKind
from budgets.selectors.statements import (
    Month,
    NotAMonth,
    Statement,
    StatementLine,
    months_since,
    read_month,
    statement,
)
from budgets.services.corrections import CannotGiveBack, Correction, NothingToCorrect, correct_charge
from budgets.services.rollups import roll_up
from kernel.actor import Actor
from kernel.ids import uuid7
from kernel.money import Unit
from kernel.pages.amounts import Display
from kernel.pages.pdf import pdf_of
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tenants.selectors.directory import TenantLine, tenant_line
from tests.support.books import Books
from tests.support.console import DOLLAR, signed_in
from tests.support.owner import as_owner, let_time_pass

KOLKATA = ZoneInfo("Asia/Kolkata")
OLIVE = Actor(name="olive", actor_type="admin", reason="the price list was wrong")
HOSTILE = "=cmd|' /C calc'!A0<script>\N{RIGHT-TO-LEFT OVERRIDE}שלום😀"


def month_of(at: datetime) -> Month:
    return read_month(f"{at.astimezone(KOLKATA):%Y-%m}", time_zone="Asia/Kolkata")


def this_month() -> Month:
    return month_of(datetime.now(UTC))


def the_statement(books: Books, month: Month | None = None) -> Statement:
    with in_tenant(books.tenant.tag):
        return statement(month or this_month())


def charge(books: Books, amount: int, **fields: Any) -> None:
    answer = books.ask("event", **{"amount": amount, "idem": uuid7().hex} | fields)
    assert answer.status == "OK", answer


def last_charge(books: Books) -> LedgerEntry:
    with in_tenant(books.tenant.tag):
        found = LedgerEntry.objects.filter(kind__in=["COMMIT", "EVENT"]).order_by("-seq").first()
    assert found is not None
    return found


def correct(books: Books, seq: int, amount: int, unit: Unit = Unit.USD_MICROCENTS) -> None:
    correction = Correction(seq=seq, unit=unit, amount=amount, idempotency_key=uuid7().hex)
    with in_tenant(books.tenant.tag):
        correct_charge(correction=correction, actor=OLIVE)


def folded(books: Books) -> Counter[tuple[str, str]]:
    """What every month charged in every unit, entry by entry."""
    sums: Counter[tuple[str, str]] = Counter()
    with in_tenant(books.tenant.tag):
        entries = list(LedgerEntry.objects.filter(kind__in=["COMMIT", "EVENT", "CORRECTION"]))
    for entry in entries:
        assert entry.charged is not None
        before = (entry.metadata or {})["charged_before"] if entry.kind == EntryKind.CORRECTION else 0
        sums[month_of(entry.at).text, entry.unit or ""] += entry.charged - before
    return sums


def to_middle_of(books: Books, month: Month) -> timedelta:
    """How far back the books must be moved so that what was booked just now lies in the middle of that month."""
    return datetime.now(UTC) - (month.starts_at + timedelta(days=14))


class TestMonth:
    def test_begins_at_local_midnight(self) -> None:
        month = read_month("2026-11", time_zone="Asia/Kolkata")

        assert month.starts_at == datetime(2026, 10, 31, 18, 30, tzinfo=UTC)
        assert month.ends_at == datetime(2026, 11, 30, 18, 30, tzinfo=UTC)

    def test_ends_where_the_next_one_begins(self) -> None:
        december, january = (read_month(text, time_zone="America/New_York") for text in ("2026-12", "2027-01"))

        assert december.ends_at == january.starts_at

    @pytest.mark.parametrize(
        "text", ["", "2026", "2026-13", "2026-00", "26-11", "2026-1", "2026-11-01", "9999-12", "0000-01", "२०२६-११"]
    )
    def test_is_refused_where_it_is_none(self, text: str) -> None:
        with pytest.raises(NotAMonth):
            read_month(text, time_zone="UTC")

    def test_those_of_a_tenant_go_back_to_its_first(self) -> None:
        since, until = datetime(2026, 10, 31, 18, 29, tzinfo=UTC), datetime(2027, 1, 31, 18, 30, tzinfo=UTC)

        found = [month.text for month in months_since(since, until=until, time_zone="Asia/Kolkata", limit=24)]

        assert found == ["2027-02", "2027-01", "2026-12", "2026-11", "2026-10"]
        assert len(months_since(since, until=until, time_zone="Asia/Kolkata", limit=2)) == 2


class TestTotal:
    _examples = count()

    @settings(
        max_examples=8,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(steps=st.lists(st.tuples(st.sampled_from("eehhcxp"), st.integers(0, 60), st.integers(0, 3)), max_size=40))
    def test_equals_the_ledger_entry_by_entry(self, books: Books, steps: list[tuple[str, int, int]]) -> None:
        """Events, holds that cross months, commits above and below what was held, corrections up and down, and time."""
        root = f"/app:x{next(self._examples)}"
        for unit in (Unit.USD_MICROCENTS, Unit.TOKENS):
            books.add_budget(root, allocated=150, unit=unit)
        held: list[tuple[UUID, str]] = []
        for step, number, choice in steps:
            unit = Unit.TOKENS if choice == 3 else Unit.USD_MICROCENTS
            asked: dict[str, Any] = {"suffixes": [root], "unit": unit, "amount": number, "idem": uuid7().hex}
            asked["action"] = {"kind": ["llm.x", "tool.y", "llm.x"][choice % 3], "name": f"n{choice}"}
            if step == "e":
                books.ask(
                    "event", **asked, policy="ALLOW_IF_AVAILABLE", metadata={"corrects": "x", "charged_before": "y"}
                )
            elif step == "h":
                answer = books.ask("reserve", **asked, ttl_ms=86_400_000_000)
                held += [(UUID(str(answer.id)), unit)] if answer.verdict == "ALLOW" else []
            elif step == "c" and held:
                hold, unit_held = held.pop()
                books.ask("commit", target=hold, amount=number, unit=unit_held, idem=uuid7().hex)
            elif step == "x" and number:
                self._correct_last(books, number)
            elif step == "p":
                let_time_pass(books.tenant.tag, timedelta(days=number))
        expected = folded(books)

        found: Counter[tuple[str, str]] = Counter()
        for text in {text for text, _ in expected}:
            made = the_statement(books, read_month(text, time_zone="Asia/Kolkata"))
            for total in made.totals:
                found[text, total.unit] += total.charged
                assert total.charged == sum(line.charged for line in made.lines if line.unit == total.unit)

        assert found == expected

    def _correct_last(self, books: Books, number: int) -> None:
        with in_tenant(books.tenant.tag):
            entry = LedgerEntry.objects.filter(kind__in=["COMMIT", "EVENT"]).order_by("-seq").first()
        if entry is not None:
            try:
                correct(books, entry.seq, number, Unit(entry.unit or ""))
            except (NothingToCorrect, CannotGiveBack):
                return

    @pytest.fixture
    def books(self, acme: Tenant) -> Books:
        return Books(acme)

    def test_of_a_charge_of_the_last_millisecond_is_in_its_month_and_the_next_one_in_the_next(
        self, books: Books
    ) -> None:
        books.add_budget(allocated=100)
        charge(books, 1)
        charge(books, 2)
        month = read_month("2026-10", time_zone="Asia/Kolkata")
        first, second = last_charge(books).seq - 1, last_charge(books).seq
        as_owner(
            books.tenant.tag,
            f"UPDATE ledger_entry SET at = '{month.starts_at}' WHERE seq < {first}",
            f"UPDATE ledger_entry SET at = '{month.ends_at - timedelta(milliseconds=1)}' WHERE seq = {first}",
            f"UPDATE ledger_entry SET at = '{month.ends_at}' WHERE seq = {second}",
        )

        totals = [
            [total.charged for total in the_statement(books, each).totals]
            for each in (month, read_month("2026-11", time_zone="Asia/Kolkata"))
        ]

        assert totals == [[1], [2]]

    def test_fits_sums_that_64_bits_do_not(self, books: Books) -> None:
        books.add_budget(allocated=0, overdraft_limit=2**63 - 1)
        for _ in range(2):
            books.add_budget(f"/app:{uuid7().hex}", allocated=2**63 - 1)
        with in_tenant(books.tenant.tag):
            paths = list(Budget.objects.filter(depth=2).values_list("scope_path", flat=True))
        for path in paths:
            charge(books, 2**63 - 2, suffixes=[path.removeprefix("tenant:acme")])

        (total,) = the_statement(books).totals

        assert total.charged == 2 * (2**63 - 2)


class TestLines:
    @pytest.fixture
    def books(self, acme: Tenant) -> Books:
        books = Books(acme)
        books.add_budget(allocated=100 * DOLLAR)
        books.add_budget("/workspace:support", allocated=50 * DOLLAR)
        return books

    def test_are_by_workspace_and_by_model_or_tool(self, books: Books) -> None:
        support = {"suffixes": ["", "/workspace:support"], "subject": {"tenant": "acme", "workspace": "support"}}
        charge(books, 5, action={"kind": "llm.completion", "name": "anthropic:claude-x"}, **support)
        charge(books, 6, action={"kind": "llm.completion", "name": "claude-x"}, **support)
        charge(books, 7, action={"kind": "tool.call", "name": "web-search"}, **support)
        charge(books, 8, action={"kind": "llm.completion", "name": "claude-x"})

        found = {
            (line.workspace, line.model, line.tool): (line.calls, line.charged) for line in the_statement(books).lines
        }

        assert found == {
            ("support", "claude-x", ""): (2, 11),
            ("support", "", "web-search"): (1, 7),
            ("", "claude-x", ""): (1, 8),
        }

    def test_of_corrections_stand_apart_and_keep_the_name_of_what_they_correct(self, books: Books) -> None:
        charge(books, 100, action={"kind": "llm.completion", "name": "claude-x"})
        correct(books, last_charge(books).seq, 60)

        made = the_statement(books)

        assert [(line.is_correction, line.model, line.charged) for line in made.lines] == [
            (False, "claude-x", 100),
            (True, "claude-x", -40),
        ]
        (part,) = parts_of(made)
        assert (part.charged_before_corrections, part.total.corrected, part.total.charged) == (100, -40, 60)

    def test_say_what_was_spent_and_not_charged(self, books: Books) -> None:
        books.add_budget("/app:small", allocated=10)
        charge(books, 25, suffixes=["/app:small"])

        (total,) = the_statement(books).totals

        assert (total.charged, total.uncovered) == (10, 15)

    def test_more_than_a_page_shows_are_summed_up(self) -> None:
        lines = tuple(
            StatementLine(
                unit="USD_MICROCENTS", is_correction=False, workspace=f"w{number}", model="m", tool="", calls=1,
                charged=2, uncovered=3, carried=0,
            )
            for number in range(LINES_SHOWN + 5)
        )  # fmt: skip
        made = Statement(month=this_month(), after=0, until=999, lines=lines, carried=())

        (part,) = parts_of(made)

        assert part.rest is not None
        assert (len(part.charges), part.rest.lines, part.rest.calls) == (LINES_SHOWN, 5, 5)
        assert sum(line.charged for line in part.charges) + part.rest.charged == part.total.charged


class TestCarried:
    @pytest.fixture
    def books(self, acme: Tenant) -> Books:
        books = Books(acme)
        books.add_budget(allocated=100 * DOLLAR)
        return books

    def test_charges_and_corrections_show_both_times(self, books: Books) -> None:
        hold = books.ask("reserve", amount=50, ttl_ms=10_000_000_000)
        charge(books, 20)
        earlier = last_charge(books)
        let_time_pass(books.tenant.tag, timedelta(days=31))
        # The hold is still good: only its times were moved.
        answer = books.ask("commit", target=hold.id, amount=40)
        assert answer.status == "OK", answer
        correct(books, earlier.seq, 5)

        made = the_statement(books)

        month = made.month
        assert [(each.kind, each.charged) for each in made.carried] == [("COMMIT", 40), ("CORRECTION", -15)]
        assert all(each.asked_at < month.starts_at <= each.booked_at for each in made.carried)
        assert made.carried_count == 2
        assert made.totals[0].charged == 25

    def test_a_charge_within_the_month_is_not_listed(self, books: Books) -> None:
        hold = books.ask("reserve", amount=50)
        books.ask("commit", target=hold.id, amount=40)

        assert the_statement(books).carried == ()


class TestFiles:
    @pytest.fixture
    def books(self, acme: Tenant) -> Books:
        books = Books(acme)
        books.add_budget(allocated=100 * DOLLAR)
        charge(books, 123_456_789, action={"kind": "tool.call", "name": HOSTILE})
        charge(books, 11, action={"kind": "llm.completion", "name": "m"})
        correct(books, last_charge(books).seq, 10)
        return books

    def line_of(self, books: Books) -> TenantLine:
        return tenant_line(books.tenant)

    def test_the_csv_adds_up_and_holds_no_formula(self, books: Books, browser: Client) -> None:
        answer = browser.get(f"/ops/tenants/acme/statements/{this_month().text}/csv/")

        rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))
        total = next(row for row in rows if row["section"] == "total")
        sums = sum(int(row["charged"]) for row in rows if row["section"] in {"charges", "corrections"})
        assert int(total["charged"]) == sums == 123_456_799
        assert total["charged_usd"] == "1.23456799"
        assert [row["charged"] for row in rows if row["section"] == "corrections"] == ["-1"]
        assert {row["tool"] for row in rows} == {"", f"'{HOSTILE}"}

    def test_the_paper_says_what_the_page_says(self, books: Books) -> None:
        rate = Display(
            currency="INR", micros_per_usd=84_100_000, as_of=datetime(2026, 11, 20, tzinfo=UTC).date(), source="RBI"
        )

        paper = paper_of(self.line_of(books), the_statement(books), now=datetime.now(UTC), display=rate)

        facts = dict(paper.facts)
        assert paper.title == f"Statement acme-{this_month().text}"
        assert facts["Total in USD"] == "$1.23456799"
        assert facts["Shown in INR"] == "₹103.83 at ₹84.10 for 1 USD on 2026-11-20 by RBI"
        assert facts["State"] == "So far: the period is not over"
        assert [table.rows[-1][-1] for table in paper.tables] == ["$1.234568", "\N{MINUS SIGN}$0.00000001"]

    def test_the_pdf_is_one_and_the_same_for_the_same_paper(self, books: Books) -> None:
        paper = paper_of(self.line_of(books), the_statement(books), now=datetime.now(UTC), display=None)

        assert pdf_of(paper) == pdf_of(paper)
        assert pdf_of(paper).startswith(b"%PDF-")

    def test_the_pdf_is_sent_as_a_file(self, books: Books, browser: Client) -> None:
        answer = browser.get(f"/ops/tenants/acme/statements/{this_month().text}/pdf/")

        assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
        assert answer["Content-Disposition"] == f'attachment; filename="acme-{this_month().text}.pdf"'

    def test_the_file_has_every_line_even_those_that_the_page_sums_up(self, books: Books) -> None:
        made = the_statement(books)

        assert len(list(csv_rows(self.line_of(books), made))) == len(made.lines) + len(made.totals)


class TestPages:
    @pytest.fixture
    def books(self, acme: Tenant) -> Books:
        books = Books(acme)
        books.add_budget(allocated=100 * DOLLAR)
        charge(books, 2 * DOLLAR + 1, action={"kind": "tool.call", "name": HOSTILE})
        roll_up(tag=acme.tag, has_time=lambda: True)
        return books

    @pytest.mark.parametrize("prefix", ["/ops/tenants/acme", "/t/acme"])
    def test_show_the_month_with_its_total(self, books: Books, olive: User, ben: User, prefix: str) -> None:
        client = signed_in(olive if prefix.startswith("/ops") else ben)

        listed = client.get(f"{prefix}/statements/").content.decode()
        shown = client.get(f"{prefix}/statements/{this_month().text}/").content.decode()

        assert ">$2.00<" in listed
        assert f"{prefix}/statements/{this_month().text}/" in listed
        assert shown.count("$2.00000001") == 3
        assert "<script>\N{RIGHT-TO-LEFT OVERRIDE}" not in shown
        assert "So far" in shown

    @pytest.mark.parametrize("text", ["2026-13", "2001-01", "2999-01", "x", "2026-11-01"])
    @pytest.mark.parametrize("file", ["", "csv/", "pdf/"])
    def test_of_months_that_the_tenant_did_not_see_are_not_there(
        self, books: Books, browser: Client, text: str, file: str
    ) -> None:
        assert browser.get(f"/ops/tenants/acme/statements/{text}/{file}").status_code == 404

    def test_are_closed_to_strangers(self, books: Books, cy: User) -> None:
        client = signed_in(cy)
        month = this_month().text

        for file in ("", f"{month}/", f"{month}/csv/", f"{month}/pdf/"):
            assert client.get(f"/t/acme/statements/{file}").status_code == 404
            assert client.get(f"/ops/tenants/acme/statements/{file}").status_code == 404

    def test_ask_few_questions(
        self, books: Books, browser: Client, django_assert_max_num_queries: Callable[[int], Any]
    ) -> None:
        for address in ("", f"{this_month().text}/"):
            with django_assert_max_num_queries(16):
                browser.get(f"/ops/tenants/acme/statements/{address}")
