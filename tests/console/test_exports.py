"""Files of a tenant's books: everything of a time, no formula, and nothing of what members may not see."""

import csv
import io
import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from accounts.models import User
from budgets.models import Decision, LedgerEntry
from budgets.selectors import export_pages
from budgets.selectors.month_costs import MonthCost, month_costs
from budgets.services.rollups import roll_up
from kernel.pages import parquet
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tenants.selectors.directory import tenant_line
from tests.support.books import Books
from tests.support.console import CENT, DOLLAR, signed_in
from tests.support.owner import let_time_pass

HOSTILE = "\t=cmd|' /C calc'!A0\N{RIGHT-TO-LEFT OVERRIDE}"
PRICE = {"provider": "p", "model": "claude-x", "provider_cost": DOLLAR, "lines": []}


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=100 * DOLLAR)
    for number in range(5):
        books.ask("event", amount=number * CENT, action={"kind": "tool.call", "name": HOSTILE})
    hold = books.ask("reserve", amount=5 * DOLLAR, suffixes=[""])
    books.ask("commit", target=hold.id, amount=3 * DOLLAR)
    books.ask("event", amount=4 * DOLLAR, price=PRICE)
    books.ask("reserve", amount=500 * DOLLAR)
    books.ask("decide", amount=CENT)
    roll_up(tag=acme.tag, has_time=lambda: True)
    return books


def rows_of(client: Client, address: str) -> list[dict[str, str]]:
    answer = client.get(address)
    assert answer.status_code == 200, answer
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))


def table_of(client: Client, address: str) -> Any:
    files: Any = pytest.importorskip("pyarrow.parquet")
    answer = client.get(address)
    assert answer.status_code == 200, answer
    return files.read_table(io.BytesIO(answer.getvalue()))


class TestLedger:
    def test_has_every_entry_in_order_over_any_number_of_pages(
        self, books: Books, ben: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(export_pages, "PAGE", 3)
        with in_tenant(books.tenant.tag):
            entries = list(LedgerEntry.objects.order_by("seq").values_list("seq", "kind", "charged"))

        rows = rows_of(signed_in(ben), "/t/acme/usage/export/?what=ledger")

        expected = [(str(seq), kind, "" if charged is None else str(charged)) for seq, kind, charged in entries]
        assert [(row["seq"], row["kind"], row["charged"]) for row in rows] == expected
        assert {row["scopes"] for row in rows} == {"tenant:acme"}

    def test_holds_no_formula(self, books: Books, ben: User) -> None:
        rows = rows_of(signed_in(ben), "/t/acme/usage/export/?what=ledger")

        assert {row["action_name"] for row in rows} == {"", "test", f"'{HOSTILE}"}

    def test_is_of_the_time_that_was_asked(self, books: Books, ben: User) -> None:
        let_time_pass(books.tenant.tag, timedelta(days=3))
        client = signed_in(ben)

        found = [len(rows_of(client, f"/t/acme/usage/export/?what=ledger&span={span}")) for span in ("24h", "7d")]

        assert found[0] == 0
        assert found[1] > 5

    def test_keeps_text_as_it_is_in_parquet(self, books: Books, ben: User) -> None:
        table = table_of(signed_in(ben), "/t/acme/usage/export/?what=ledger&format=parquet")

        assert HOSTILE in table.column("action_name").to_pylist()
        assert str(table.schema.field("charged").type) == "int64"


class TestDecisions:
    def test_have_every_decision_over_any_number_of_pages(
        self, books: Books, ben: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(export_pages, "PAGE", 2)
        with in_tenant(books.tenant.tag):
            verdicts = list(Decision.objects.order_by("pk").values_list("verdict", flat=True))

        rows = rows_of(signed_in(ben), "/t/acme/usage/export/?what=decisions")

        assert [row["verdict"] for row in rows] == verdicts
        assert {"ALLOW", "DENY"} <= set(verdicts)
        assert all(row["decision_id"].startswith("dec_") for row in rows)


class TestUsage:
    def test_adds_up_to_what_was_charged_over_any_number_of_pages(
        self, books: Books, ben: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(export_pages, "PAGE", 1)

        rows = rows_of(signed_in(ben), "/t/acme/usage/export/?what=usage")

        assert sum(int(row["charged"]) for row in rows) == 7 * DOLLAR + 10 * CENT
        assert len({(row["model"], row["tool"]) for row in rows}) == len(rows) == 3

    def test_is_the_same_in_parquet(self, books: Books, ben: User) -> None:
        table = table_of(signed_in(ben), "/t/acme/usage/export/?format=parquet")

        assert sum(table.column("charged").to_pylist()) == 7 * DOLLAR + 10 * CENT

    def test_says_what_providers_cost_to_operators_alone(self, books: Books, ben: User, browser: Client) -> None:
        operators = rows_of(browser, "/ops/tenants/acme/usage/export/")
        members = rows_of(signed_in(ben), "/t/acme/usage/export/")

        assert sum(int(row["provider_cost"]) for row in operators) == DOLLAR
        assert not {name for name in members[0] if "provider" in name or "priced" in name}

    def test_says_in_a_sentence_that_parquet_is_not_there(
        self, books: Books, ben: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parquet, "is_installed", lambda: False)
        client = signed_in(ben)

        answer = client.get("/t/acme/usage/export/?format=parquet")

        assert answer.status_code == 501
        assert answer.content.decode() == f"{parquet.MISSING}\n"
        assert 'value="parquet"' not in client.get("/t/acme/usage/").content.decode()

    def test_is_named_for_the_tenant_and_the_time(self, books: Books, ben: User) -> None:
        answer = signed_in(ben).get("/t/acme/usage/export/?span=7d")

        # Midnight in Kolkata is half past six of the evening before.
        assert re.fullmatch(
            r'attachment; filename="acme-usage-\d{8}T1830Z-\d{8}T\d{4}Z\.csv"', answer["Content-Disposition"]
        )


class TestReports:
    def test_show_every_tenant_with_its_month_and_statement(
        self, books: Books, initech: Tenant, browser: Client
    ) -> None:
        text = " ".join(browser.get("/ops/reports/").content.decode().split())

        assert ">$7.10<" in text
        assert ">$3.00<" in text
        assert "/ops/tenants/acme/statements/" in text
        assert "Initech" in text

    def test_as_a_file_have_the_same_numbers(self, books: Books, initech: Tenant, browser: Client) -> None:
        rows = {row["tenant"]: row for row in rows_of(browser, "/ops/reports/csv/")}

        assert int(rows["acme"]["charged_usd_microcents"]) == 7 * DOLLAR + 10 * CENT
        assert int(rows["acme"]["margin_usd_microcents"]) == 3 * DOLLAR
        assert rows["initech"]["calls"] == "0"

    def test_count_each_tenant_in_its_own_month(self, books: Books) -> None:
        line = tenant_line(books.tenant)
        first = datetime.now(ZoneInfo(line.time_zone)).date().replace(day=1)

        assert month_costs([line], first=first)[line.tag].charged >= 0
        assert month_costs([line], first=first.replace(year=2001)) == {}
        assert MonthCost(priced_charged=5, provider_cost=7).margin == -2

    @pytest.mark.parametrize("month", ["", "x", "2026-13", "9999-12", "2026-11"])
    def test_take_any_month_for_what_it_says(self, books: Books, browser: Client, month: str) -> None:
        assert browser.get(f"/ops/reports/?month={month}").status_code == 200

    def test_are_closed_to_members(self, books: Books, ada: User) -> None:
        assert signed_in(ada).get("/ops/reports/").status_code == 404
        assert signed_in(ada).get("/ops/reports/csv/").status_code == 404
