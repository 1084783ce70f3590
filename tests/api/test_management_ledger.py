"""Everything that the management API does to the books, and then the proof that they add up."""

from typing import Any

import pytest
from django.core.management import call_command

from tenants.models import Tenant
from tests.support.books import Books
from tests.support.management import Caller, as_platform, as_tenant


def usd(number: int) -> dict[str, Any]:
    return {"unit": "USD_MICROCENTS", "amount": number}


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


@pytest.fixture
def ada(acme: Tenant) -> Caller:
    return as_tenant(acme)


def create(caller: Caller, scope: str, allocated: int, **fields: Any) -> str:
    body = {"scope": scope, "unit": "USD_MICROCENTS", "allocated": usd(allocated)} | fields
    return str(caller.post("tenants/acme/budgets", body).json()["budget_id"])


def fund(caller: Caller, budget_id: str, operation: str, amount: int, **fields: Any) -> int:
    body = {"operation": operation, "amount": usd(amount), "idempotency_key": f"{operation}-{amount}"} | fields
    return int(caller.post(f"tenants/acme/budgets/{budget_id}/fund", body).status_code)


def prove() -> None:
    """Raises CommandError where a number of the books does not follow from its entries."""
    call_command("verify_ledger", tenant="acme", verbosity=0)


class TestBooks:
    def test_add_up_after_every_kind_of_funding_of_a_budget_in_debt(self, ada: Caller, books: Books) -> None:
        create(ada, "tenant:acme", 10_000, overdraft_limit=usd(1_000))
        path = ["", "/workspace:a"]
        workspace = create(ada, "tenant:acme/workspace:a", 100, overdraft_limit=usd(500))
        books.ask("event", amount=60, suffixes=path)
        books.ask("event", amount=80, suffixes=path, policy="ALLOW_WITH_OVERDRAFT")
        books.ask("reserve", amount=0, suffixes=path)

        statuses = [
            fund(ada, workspace, operation, amount, **fields)
            for operation, amount, fields in [
                ("CREDIT", 30, {}),
                ("REPAY_DEBT", 60, {}),
                ("CREDIT", 200, {}),
                ("DEBIT", 10, {}),
                ("RESET", 900, {}),
                ("RESET_SPENT", 50, {}),
                ("RESET_SPENT", 60, {"spent": usd(70)}),
                ("CREDIT", 11, {}),
            ]
        ]

        assert set(statuses) == {200}
        prove()

    def test_add_up_when_a_capped_budget_is_funded_and_its_money_moves(self, ada: Caller, books: Books) -> None:
        daily = create(ada, "tenant:acme/workspace:b", 100, period="DAY")
        other = create(ada, "tenant:acme/workspace:a", 5)
        books.ask("event", amount=180, suffixes=["/workspace:b"])
        prove()

        assert fund(ada, daily, "CREDIT", 90) == 200
        move = {"from_budget_id": daily, "to_budget_id": other, "amount": usd(20), "idempotency_key": "move"}
        moved = ada.post("tenants/acme/reallocations", move).json()["ledger_seq"]
        prove()
        assert ada.post(f"tenants/acme/reallocations/{moved}/undo").status_code == 200
        prove()

    def test_add_up_through_the_whole_life_of_a_tenant(self, ada: Caller, books: Books) -> None:
        root = create(ada, "tenant:acme", 1_000)
        leaf = create(ada, "tenant:acme/workspace:a", 100)
        ada.post("tenants/acme/run-templates", {"name": "chat", "amount": usd(50), "is_default": True})
        for _ in range(3):
            assert books.ask("reserve", amount=5, run="r1", suffixes=["", "/workspace:a"]).status == "OK"
        ada.patch(f"tenants/acme/budgets/{leaf}", {"overdraft_limit": usd(1)})
        ada.post(f"tenants/acme/budgets/{root}/freeze")
        ada.post(f"tenants/acme/budgets/{root}/unfreeze")
        prove()

        assert ada.post(f"tenants/acme/budgets/{leaf}/close", {"cancel_holds": True}).status_code == 200
        prove()
        books.ask("reserve", amount=7)
        olive = as_platform()
        assert olive.post("tenants/acme/suspend", {"reason": "x", "cancel_holds": True}).json()["holds_released"] == 1
        prove()
        olive.post("tenants/acme/resume")
        books.ask("reserve", amount=7)
        assert olive.post("tenants/acme/close", {"reason": "x"}).json()["holds_released"] == 1
        prove()
