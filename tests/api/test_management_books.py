"""Reservations, ledger entries and decisions over the management API."""

from itertools import product
from typing import Any

import pytest

from budgets.models import Decision, LedgerEntry, Reservation
from kernel.ids import mint_wire_id
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.management import Caller, as_tenant


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=100)
    books.add_budget("/workspace:prod", allocated=50)
    return books


@pytest.fixture
def ada(acme: Tenant) -> Caller:
    return as_tenant(acme)


def everything(caller: Caller, path: str, name: str, *, limit: int = 2) -> list[dict[str, Any]]:
    """All pages of a list, one after the other."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    separator = "&" if "?" in path else "?"
    while True:
        page = caller.get(f"tenants/acme/{path}{separator}limit={limit}&cursor={cursor}").json()
        assert len(page[name]) <= limit
        rows += page[name]
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
        if cursor is None:
            return rows


class TestReservations:
    def test_are_listed_newest_first_without_gap_or_repeat(self, books: Books, ada: Caller) -> None:
        holds = [books.ask("reserve", amount=1) for _ in range(5)]
        wanted = [mint_wire_id("rsv", books.tenant.tag, hold.id) for hold in holds]

        rows = everything(ada, "reservations", "reservations")

        assert sorted(row["reservation_id"] for row in rows) == sorted(wanted)
        times = [row["created_at"] for row in rows]
        assert times == sorted(times, reverse=True)

    def test_show_what_became_of_them(self, books: Books, ada: Caller) -> None:
        hold = books.ask("reserve", amount=10, suffixes=["", "/workspace:prod"])
        books.ask("commit", target=hold.id, amount=7)

        (row,) = everything(ada, "reservations?status=COMMITTED", "reservations")

        assert (row["scope"], row["reserved"]["amount"], row["actual"]["amount"], row["charged"]["amount"]) == (
            "tenant:acme/workspace:prod",
            10,
            7,
            7,
        )
        assert row["key_id"] == books.key.key_id
        assert everything(ada, "reservations?status=ACTIVE", "reservations") == []

    def test_of_other_scopes_are_hidden_from_a_confined_key(self, books: Books, acme: Tenant) -> None:
        books.ask("reserve", amount=1)
        books.ask("reserve", amount=2, suffixes=["", "/workspace:prod"])

        rows = everything(as_tenant(acme, scopes=["tenant:acme/workspace:prod"]), "reservations", "reservations")

        assert [row["reserved"]["amount"] for row in rows] == [2]


class TestLedger:
    def test_is_listed_newest_first_and_shows_what_each_entry_did(self, books: Books, ada: Caller) -> None:
        hold = books.ask("reserve", amount=10, suffixes=["", "/workspace:prod"])
        books.ask("commit", target=hold.id, amount=7)

        rows = everything(ada, "ledger", "entries")

        assert [row["seq"] for row in rows] == [4, 3, 2, 1]
        assert [row["kind"] for row in rows] == ["COMMIT", "RESERVE", "CREATE", "CREATE"]
        assert [(posting["scope"], posting["deltas"]) for posting in rows[0]["postings"]] == [
            ("tenant:acme", {"allocated": 0, "reserved": -10, "spent": 7, "debt": 0, "uncovered": 0}),
            ("tenant:acme/workspace:prod", {"allocated": 0, "reserved": -10, "spent": 7, "debt": 0, "uncovered": 0}),
        ]
        assert rows[0]["postings"][1]["balances"] == {
            "allocated": 50,
            "reserved": 0,
            "spent": 7,
            "debt": 0,
            "uncovered": 0,
            "overdraft_limit": 0,
            "is_over_limit": 0,
        }
        assert rows[0]["reservation_id"] == mint_wire_id("rsv", books.tenant.tag, hold.id)

    def test_is_filtered_by_kind_and_budget(self, books: Books, ada: Caller) -> None:
        books.ask("reserve", amount=1)
        workspace = books.budget("/workspace:prod").id

        assert [row["kind"] for row in everything(ada, "ledger?kind=RESERVE", "entries")] == ["RESERVE"]
        assert [row["seq"] for row in everything(ada, f"ledger?budget_id={workspace}", "entries")] == [2]

    @pytest.mark.parametrize("bounds", list(product([-1, 60], [1, 2, 5, 100], [1, 2, 50])))
    def test_a_search_finds_everything_however_early_its_pages_end(
        self, books: Books, ada: Caller, monkeypatch: pytest.MonkeyPatch, bounds: tuple[int, int, int]
    ) -> None:
        seconds, step, limit = bounds
        for _ in range(3):
            books.ask("reserve", amount=1, suffixes=["", "/workspace:prod"])
            books.ask("reserve", amount=1)
        workspace = books.budget("/workspace:prod").id
        monkeypatch.setattr("budgets.selectors.ledger_entries.STEP", step)
        monkeypatch.setattr("budgets.selectors.ledger_entries.SECONDS_MAX", seconds)

        assert [row["seq"] for row in everything(ada, f"ledger?budget_id={workspace}", "entries", limit=limit)] == [
            7,
            5,
            3,
            2,
        ]
        assert [row["seq"] for row in everything(ada, "ledger?kind=CREATE", "entries", limit=limit)] == [2, 1]

    def test_a_search_that_took_too_long_says_that_there_is_more(
        self, books: Books, ada: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for _ in range(3):
            books.ask("reserve", amount=1)
        monkeypatch.setattr("budgets.selectors.ledger_entries.STEP", 2)
        monkeypatch.setattr("budgets.selectors.ledger_entries.SECONDS_MAX", -1)

        page = ada.get("tenants/acme/ledger?kind=CREATE").json()

        assert (page["entries"], page["has_more"]) == ([], True)
        assert isinstance(page["next_cursor"], str)

    def test_shows_a_confined_key_the_runs_in_its_scopes(self, books: Books, acme: Tenant) -> None:
        books.add_budget("/workspace:dev/run:r1", allocated=9, run_id="r1")
        books.add_budget("/workspace:dev2", allocated=9)
        confined = as_tenant(acme, scopes=["tenant:acme/workspace:dev"])

        (row,) = everything(confined, "ledger", "entries")

        assert [posting["scope"] for posting in row["postings"]] == ["tenant:acme/workspace:dev/run:r1"]

    def test_shows_a_confined_key_its_own_scopes_alone(self, books: Books, acme: Tenant) -> None:
        books.ask("reserve", amount=3, suffixes=["", "/workspace:prod"])
        confined = as_tenant(acme, scopes=["tenant:acme/workspace:prod"])

        rows = everything(confined, "ledger", "entries")

        assert [row["seq"] for row in rows] == [3, 2]
        assert {posting["scope"] for row in rows for posting in row["postings"]} == {"tenant:acme/workspace:prod"}
        assert confined.get(f"tenants/acme/ledger?budget_id={books.budget().id}").status_code == 404


class TestDecisions:
    def test_are_listed_newest_first_with_their_reasons(self, books: Books, ada: Caller) -> None:
        books.ask("reserve", amount=1)
        books.ask("reserve", amount=51, suffixes=["", "/workspace:prod"])

        rows = everything(ada, "decisions", "decisions", limit=1)

        assert [(row["verdict"], row["reason_code"]) for row in rows] == [("DENY", "BUDGET_EXCEEDED"), ("ALLOW", None)]
        assert rows[0]["failed_scope"] == "tenant:acme/workspace:prod"
        assert rows[0]["numbers"]["remaining"] == 50
        assert rows[0]["decision_id"].startswith("dec_")

    def test_are_filtered(self, books: Books, ada: Caller) -> None:
        books.ask("reserve", amount=1)
        books.ask("reserve", amount=101)

        assert len(everything(ada, "decisions?verdict=DENY&reason_code=BUDGET_EXCEEDED", "decisions")) == 1
        assert everything(ada, "decisions?reason_code=OTHER", "decisions") == []


class TestOnlyReading:
    @pytest.mark.parametrize("path", ["reservations", "ledger", "decisions"])
    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=201", "cursor=abc", "status=x", "kind=x", "verdict=x", "budget_id=x"]
    )
    def test_a_query_that_makes_no_sense_is_400_or_ignored(self, ada: Caller, path: str, query: str) -> None:
        response = ada.get(f"tenants/acme/{path}?{query}")

        assert response.status_code in {200, 400}
        assert response.status_code == 400 or query.split("=", maxsplit=1)[0] in {
            "status",
            "kind",
            "verdict",
            "budget_id",
        }

    def test_changes_nothing(self, books: Books, ada: Caller) -> None:
        books.ask("reserve", amount=1)
        with in_tenant(books.tenant.tag):
            before = [model.objects.count() for model in (LedgerEntry, Decision, Reservation)]

        for path in ("reservations", "ledger", "decisions", "budgets", "keys", "run-templates"):
            assert ada.get(f"tenants/acme/{path}").status_code == 200

        with in_tenant(books.tenant.tag):
            assert [model.objects.count() for model in (LedgerEntry, Decision, Reservation)] == before
