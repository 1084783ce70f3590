"""Budgets, money and run templates over the management API."""

from datetime import timedelta
from typing import Any

import pytest

from kernel.ids import uuid7
from kernel.money import AMOUNT_MAX
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.management import Caller, as_platform, as_tenant
from tests.support.owner import head_held, let_time_pass


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


@pytest.fixture
def ada(acme: Tenant) -> Caller:
    return as_tenant(acme)


def tokens(number: int) -> dict[str, Any]:
    return {"unit": "TOKENS", "amount": number}


def usd(number: int) -> dict[str, Any]:
    return {"unit": "USD_MICROCENTS", "amount": number}


def create(caller: Caller, scope: str = "tenant:acme", **fields: Any) -> dict[str, Any]:
    body = {"scope": scope, "unit": "USD_MICROCENTS", "allocated": usd(100)} | fields
    response = caller.post("tenants/acme/budgets", body)
    assert response.status_code == 201, response.content
    shown: dict[str, Any] = response.json()
    return shown


class TestCreate:
    def test_shows_every_number_with_its_unit(self, ada: Caller) -> None:
        shown = create(ada, "Tenant:Acme/Workspace:Prod", overdraft_limit=usd(7), period="DAY")

        assert shown["scope"] == "tenant:acme/workspace:prod"
        amounts = {name: value for name, value in shown.items() if isinstance(value, dict)}
        assert amounts == {
            "allocated": usd(100),
            "remaining": usd(100),
            "reserved": usd(0),
            "spent": usd(0),
            "debt": usd(0),
            "uncovered": usd(0),
            "overdraft_limit": usd(7),
            "period_allocation": usd(100),
        }
        assert (shown["status"], shown["period"], shown["rollover"], shown["is_over_limit"]) == (
            "ACTIVE",
            "DAY",
            "NONE",
            False,
        )
        assert shown["period_starts_at"] < shown["created_at"] < shown["period_ends_at"]
        assert ada.get(f"tenants/acme/budgets/{shown['budget_id']}").json() == shown

    def test_twice_is_a_conflict(self, ada: Caller) -> None:
        create(ada)

        body = {"scope": "tenant:acme", "unit": "USD_MICROCENTS", "allocated": usd(1)}
        assert ada.post("tenants/acme/budgets", body).status_code == 409

    @pytest.mark.parametrize(
        ("change", "field", "error"),
        [
            ({"scope": "tenant:initech"}, "scope", "INVALID_REQUEST"),
            ({"scope": "tenant:acme/run:r"}, "scope", "INVALID_REQUEST"),
            ({"scope": "tenant:acme\0"}, "scope", "INVALID_REQUEST"),
            ({"scope": None}, "scope", "INVALID_REQUEST"),
            ({"unit": "EUR"}, "unit", "UNIT_MISMATCH"),
            ({"allocated": 5}, "allocated", "INVALID_REQUEST"),
            ({"allocated": tokens(5)}, "allocated.unit", "UNIT_MISMATCH"),
            ({"allocated": {"unit": "EUR", "amount": 5}}, "allocated.unit", "UNIT_MISMATCH"),
            ({"allocated": usd(-1)}, "allocated.amount", "INVALID_REQUEST"),
            ({"allocated": usd(2**63)}, "allocated.amount", "INVALID_REQUEST"),
            ({"allocated": {"unit": "USD_MICROCENTS", "amount": 1.0}}, "allocated.amount", "INVALID_REQUEST"),
            ({"allocated": {"unit": "USD_MICROCENTS", "amount": "1"}}, "allocated.amount", "INVALID_REQUEST"),
            ({"allocated": {"unit": "USD_MICROCENTS", "amount": True}}, "allocated.amount", "INVALID_REQUEST"),
            ({"allocated": {"unit": "USD_MICROCENTS", "amount": None}}, "allocated.amount", "INVALID_REQUEST"),
            ({"allocated": {"unit": "USD_MICROCENTS"}}, "allocated.amount", "INVALID_REQUEST"),
            ({"allocated": usd(1) | {"x": 1}}, "allocated.x", "INVALID_REQUEST"),
            ({"overdraft_limit": tokens(1)}, "overdraft_limit.unit", "UNIT_MISMATCH"),
            ({"period": "YEAR"}, "period", "INVALID_REQUEST"),
            ({"rollover": "CARRY_FORWARD"}, "period", "INVALID_REQUEST"),
            ({"period_allocation": usd(1)}, "period", "INVALID_REQUEST"),
            ({"anchor": "2026-02-30"}, "anchor", "INVALID_REQUEST"),
            ({"anchor": "1969-12-31"}, "anchor", "INVALID_REQUEST"),
            ({"anchor": 5}, "anchor", "INVALID_REQUEST"),
            ({"spent": usd(0)}, "spent", "INVALID_REQUEST"),
            ({"id": str(uuid7())}, "id", "INVALID_REQUEST"),
            ({"tenant": "initech"}, "tenant", "INVALID_REQUEST"),
            ({"reason": "x" * 513}, "reason", "INVALID_REQUEST"),
        ],
    )
    def test_says_what_to_mend(self, ada: Caller, change: dict[str, Any], field: str, error: str) -> None:
        body = {"scope": "tenant:acme", "unit": "USD_MICROCENTS", "allocated": usd(1)} | change

        response = ada.post("tenants/acme/budgets", body)

        assert response.status_code == 400
        assert (response.json()["error"], response.json()["details"]["field"]) == (error, field)
        assert ada.get("tenants/acme/budgets").json()["budgets"] == []

    @pytest.mark.parametrize("number", [0, 1, AMOUNT_MAX])
    def test_takes_every_amount_that_there_is(self, ada: Caller, number: int) -> None:
        assert create(ada, allocated=usd(number))["allocated"]["amount"] == number


class TestList:
    def test_is_ordered_by_scope_and_paged(self, ada: Caller) -> None:
        for scope in ("tenant:acme/workspace:b", "tenant:acme", "tenant:acme/workspace:a"):
            create(ada, scope)
        create(ada, unit="TOKENS", allocated=tokens(1))

        scopes: list[tuple[str, str]] = []
        cursor: Any = ""
        for _ in range(4):
            page = ada.get(f"tenants/acme/budgets?limit=1&cursor={cursor}").json()
            scopes += [(budget["scope"], budget["unit"]) for budget in page["budgets"]]
            cursor = page["next_cursor"]

        assert cursor is None
        assert scopes == [
            ("tenant:acme", "TOKENS"),
            ("tenant:acme", "USD_MICROCENTS"),
            ("tenant:acme/workspace:a", "USD_MICROCENTS"),
            ("tenant:acme/workspace:b", "USD_MICROCENTS"),
        ]

    def test_shows_the_period_that_holds_now(self, ada: Caller, acme: Tenant, books: Books) -> None:
        body: dict[str, Any] = {"period": "DAY", "allocated": usd(100), "period_allocation": usd(40)}
        daily = create(ada, **body)
        other = create(ada, "tenant:acme/workspace:a", **body)
        create(ada, "tenant:acme/workspace:b")
        books.ask("event", amount=70)
        let_time_pass(acme.tag, timedelta(days=1))

        olive = as_platform()
        shown = olive.get(f"tenants/acme/budgets/{daily['budget_id']}").json()
        listed = olive.get("tenants/acme/budgets").json()["budgets"]

        assert (shown["allocated"], shown["spent"], shown["remaining"]) == (usd(40), usd(0), usd(40))
        assert shown["period_starts_at"] == daily["period_starts_at"]
        assert [row["allocated"] for row in listed] == [usd(40), usd(40), usd(100)]
        assert listed[1] == olive.get(f"tenants/acme/budgets/{other['budget_id']}").json()

    def test_says_that_the_books_are_busy_rather_than_show_what_was(self, ada: Caller, acme: Tenant) -> None:
        daily = create(ada, period="DAY")
        create(ada, "tenant:acme/workspace:b")
        let_time_pass(acme.tag, timedelta(days=1))

        olive = as_platform()
        with head_held(acme):
            answers = [olive.get(f"tenants/acme/budgets{path}") for path in ("", f"/{daily['budget_id']}")]
            others = olive.get("tenants/acme/budgets?scope=tenant:acme/workspace:b")

        assert [answer.status_code for answer in answers] == [503, 503]
        assert all("Retry-After" in answer.headers for answer in answers)
        assert others.status_code == 200

    def test_is_filtered(self, ada: Caller, books: Books) -> None:
        create(ada, "tenant:acme/workspace:a")
        create(ada, "tenant:acme/workspace:a/agent:x", unit="TOKENS", allocated=tokens(1))
        create(ada, "tenant:acme/workspace:ab")
        books.add_budget("/run:r1", allocated=5, run_id="r1")

        def count(query: str) -> int:
            return len(ada.get(f"tenants/acme/budgets?{query}").json()["budgets"])

        queries = ("", "runs=true", "scope=tenant:acme/workspace:a", "unit=TOKENS", "status=CLOSED")
        assert [count(query) for query in queries] == [3, 4, 2, 1, 0]

    def test_a_cursor_is_one_tenants(self, ada: Caller, acme: Tenant, initech: Tenant) -> None:
        for scope in ("tenant:acme", "tenant:acme/app:a"):
            create(ada, scope)
        theirs = as_tenant(initech)
        cursor = ada.get("tenants/acme/budgets?limit=1").json()["next_cursor"]

        assert ada.get(f"tenants/acme/budgets?limit=1&cursor={cursor}").status_code == 200
        assert theirs.get(f"tenants/initech/budgets?limit=1&cursor={cursor}").status_code == 400
        assert ada.get(f"tenants/acme/budgets?limit=1&unit=TOKENS&cursor={cursor}").status_code == 400
        assert ada.get(f"tenants/acme/budgets?limit=1&cursor={cursor[:-1]}").status_code == 400
        confined = as_tenant(acme, scopes=["tenant:acme/app:a"])
        assert confined.get(f"tenants/acme/budgets?limit=1&cursor={cursor}").status_code == 400


class TestEdit:
    def test_changes_what_is_named(self, ada: Caller) -> None:
        budget = create(ada, period="MONTH")
        path = f"tenants/acme/budgets/{budget['budget_id']}"

        body = {"overdraft_limit": usd(5), "rollover": "CAP_AT_ALLOCATED", "period_allocation": usd(70)}
        response = ada.patch(path, body)

        assert response.status_code == 200
        assert {name: response.json()[name] for name in body} == body
        assert response.json()["allocated"] == usd(100)

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"reason": "x"},
            {"allocated": usd(1)},
            {"status": "CLOSED"},
            {"overdraft_limit": tokens(1)},
            {"overdraft_limit": None},
        ],
    )
    def test_refuses_what_is_not_for_editing(self, ada: Caller, body: dict[str, Any]) -> None:
        budget = create(ada)

        assert ada.patch(f"tenants/acme/budgets/{budget['budget_id']}", body).status_code == 400

    def test_freezes_thaws_and_closes(self, ada: Caller, books: Books) -> None:
        path = f"tenants/acme/budgets/{create(ada)['budget_id']}"
        books.ask("reserve", amount=30)

        assert ada.post(f"{path}/freeze").json()["status"] == "FROZEN"
        assert books.ask("reserve", amount=1).status == "BUDGET_FROZEN"
        assert ada.post(f"{path}/unfreeze").json()["status"] == "ACTIVE"
        refused = ada.post(f"{path}/close")
        assert (refused.status_code, refused.json()["details"]) == (409, {"reservations": 1, "reserved": 30})
        closed = ada.post(f"{path}/close", {"cancel_holds": True}).json()
        assert (closed["status"], closed["reserved"]) == ("CLOSED", usd(0))
        assert ada.post(f"{path}/freeze").json()["error"] == "BUDGET_CLOSED"

    def test_does_not_know_other_budgets(self, ada: Caller, initech: Tenant) -> None:
        theirs = Books(initech).add_budget(allocated=1)

        for budget_id in (theirs, uuid7()):
            path = f"tenants/acme/budgets/{budget_id}"
            assert ada.get(path).status_code == 404
            assert ada.patch(path, {"overdraft_limit": usd(1)}).status_code == 404
            for action in ("freeze", "unfreeze", "close"):
                assert ada.post(f"{path}/{action}").status_code == 404


class TestFund:
    def fund(self, caller: Caller, budget_id: str, **fields: Any) -> Any:
        body = {"operation": "CREDIT", "amount": usd(50), "idempotency_key": "one", "reason": "top-up"} | fields
        return caller.post(f"tenants/acme/budgets/{budget_id}/fund", body)

    def test_answers_in_the_protocols_words(self, ada: Caller) -> None:
        budget = create(ada)

        response = self.fund(ada, budget["budget_id"])

        shown = response.json()
        assert {name: value for name, value in shown.items() if name not in {"timestamp", "ledger_seq"}} == {
            "operation": "CREDIT",
            "budget_id": budget["budget_id"],
            "previous_allocated": usd(100),
            "new_allocated": usd(150),
            "previous_remaining": usd(100),
            "new_remaining": usd(150),
            "previous_debt": usd(0),
            "new_debt": usd(0),
            "previous_spent": usd(0),
            "new_spent": usd(0),
        }

    def test_a_repeated_key_gets_the_same_answer(self, ada: Caller) -> None:
        budget = create(ada)
        first = self.fund(ada, budget["budget_id"])

        again = self.fund(ada, budget["budget_id"])

        assert again.json() == first.json()
        assert "X-Watermaster-Replayed" not in first.headers
        assert again.headers["X-Watermaster-Replayed"] == "true"
        changed = self.fund(ada, budget["budget_id"], amount=usd(51))
        assert (changed.status_code, changed.json()["error"]) == (409, "IDEMPOTENCY_MISMATCH")

    @pytest.mark.parametrize(
        ("fields", "status", "error"),
        [
            ({"operation": "DEBIT", "amount": usd(101)}, 409, "BUDGET_EXCEEDED"),
            ({"amount": tokens(1)}, 400, "UNIT_MISMATCH"),
            ({"amount": usd(AMOUNT_MAX)}, 400, "INVALID_REQUEST"),
            ({"operation": "GIFT"}, 400, "INVALID_REQUEST"),
            ({"operation": "RESET_SPENT", "spent": tokens(1)}, 400, "UNIT_MISMATCH"),
            ({"spent": usd(0)}, 400, "INVALID_REQUEST"),
            ({"operation": "DEBIT", "spent": usd(1)}, 400, "INVALID_REQUEST"),
            ({"operation": "RESET", "spent": usd(1)}, 400, "INVALID_REQUEST"),
            ({"operation": "REPAY_DEBT", "spent": usd(1)}, 400, "INVALID_REQUEST"),
            ({"idempotency_key": ""}, 400, "INVALID_REQUEST"),
            ({"idempotency_key": "a b"}, 400, "INVALID_REQUEST"),
            ({"idempotency_key": "x" * 257}, 400, "INVALID_REQUEST"),
            ({"idempotency_key": "ü"}, 400, "INVALID_REQUEST"),
            ({"metadata": []}, 400, "INVALID_REQUEST"),
            ({"metadata": {"x": "y" * 70_000}}, 400, "INVALID_REQUEST"),
            ({"metadata": {"x": "\0"}}, 400, "INVALID_REQUEST"),
        ],
    )
    def test_refuses(self, ada: Caller, fields: dict[str, Any], status: int, error: str) -> None:
        budget = create(ada)

        response = self.fund(ada, budget["budget_id"], **fields)

        assert (response.status_code, response.json()["error"]) == (status, error)
        assert ada.get(f"tenants/acme/budgets/{budget['budget_id']}").json()["allocated"] == usd(100)

    @pytest.mark.parametrize("number", [2**64, 10**30])
    def test_keeps_metadata_as_it_came(self, ada: Caller, number: int) -> None:
        budget = create(ada)
        metadata = {"number": number, "nested": {"ü": [1.5, None]}}

        assert self.fund(ada, budget["budget_id"], metadata=metadata).status_code == 200
        assert self.fund(ada, budget["budget_id"], metadata=metadata).headers["X-Watermaster-Replayed"] == "true"

    def test_a_key_in_the_header_must_be_the_bodys(self, ada: Caller) -> None:
        budget = create(ada)
        path = f"tenants/acme/budgets/{budget['budget_id']}/fund"
        body = {"operation": "CREDIT", "amount": usd(1), "idempotency_key": "one"}

        assert ada.post(path, body, **{"X-Idempotency-Key": "two"}).status_code == 400
        assert ada.post(path, body, **{"X-Idempotency-Key": "one"}).status_code == 200

    def test_a_suspended_tenant_gets_no_money(self, ada: Caller, acme: Tenant) -> None:
        budget = create(ada)
        as_platform().post("tenants/acme/suspend", {"reason": "x"})

        response = self.fund(ada, budget["budget_id"])

        assert (response.status_code, response.json()["details"]) == (403, {"reason": "TENANT_SUSPENDED"})

    def test_an_operator_acts_on_behalf(self, ada: Caller, acme: Tenant) -> None:
        budget = create(ada)

        assert self.fund(as_platform(), budget["budget_id"]).status_code == 200

        with in_tenant(acme.tag):
            entry = AuditEntry.objects.get(action="budget.funded")
        assert (entry.actor_type, entry.reason, entry.source_ip) == ("admin_on_behalf_of", "top-up", "127.0.0.1")


class TestReallocate:
    def move(self, caller: Caller, giver: str, receiver: str, **fields: Any) -> Any:
        body = {"from_budget_id": giver, "to_budget_id": receiver, "amount": usd(40), "idempotency_key": "one"} | fields
        return caller.post("tenants/acme/reallocations", body)

    @pytest.fixture
    def siblings(self, ada: Caller) -> tuple[str, str]:
        return (
            create(ada, "tenant:acme/workspace:a")["budget_id"],
            create(ada, "tenant:acme/workspace:b")["budget_id"],
        )

    def test_moves_and_undoes(self, ada: Caller, siblings: tuple[str, str]) -> None:
        giver, receiver = siblings
        moved = self.move(ada, giver, receiver).json()

        assert (moved["from_remaining"], moved["to_remaining"], moved["undoes"]) == (usd(60), usd(140), None)
        undone = ada.post(f"tenants/acme/reallocations/{moved['ledger_seq']}/undo")
        assert undone.status_code == 200
        assert undone.json()["undoes"] == moved["ledger_seq"]
        again = ada.post(f"tenants/acme/reallocations/{moved['ledger_seq']}/undo")
        assert again.json() == undone.json()
        assert again.headers["X-Watermaster-Replayed"] == "true"
        assert ada.get(f"tenants/acme/budgets/{giver}").json()["allocated"] == usd(100)

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({"amount": usd(101)}, 409),
            ({"amount": tokens(1)}, 400),
            ({"from_budget_id": "x"}, 400),
            ({"to_budget_id": str(uuid7())}, 404),
        ],
    )
    def test_refuses(self, ada: Caller, siblings: tuple[str, str], fields: dict[str, Any], status: int) -> None:
        assert self.move(ada, *siblings, **fields).status_code == status

    def test_moves_nothing_to_itself(self, ada: Caller, siblings: tuple[str, str]) -> None:
        assert self.move(ada, siblings[0], siblings[0]).status_code == 400

    def test_undoes_nothing_once_a_budget_got_its_money_anew(self, ada: Caller, siblings: tuple[str, str]) -> None:
        moved = self.move(ada, *siblings).json()["ledger_seq"]
        reset = {"operation": "RESET", "amount": usd(100), "idempotency_key": "reset"}
        assert ada.post(f"tenants/acme/budgets/{siblings[1]}/fund", reset).status_code == 200

        refused = ada.post(f"tenants/acme/reallocations/{moved}/undo")

        assert (refused.status_code, refused.json()["error"]) == (409, "INVALID_REQUEST")
        assert ada.get(f"tenants/acme/budgets/{siblings[0]}").json()["allocated"] == usd(60)

    def test_undoes_no_other_entry(self, ada: Caller, siblings: tuple[str, str]) -> None:
        for seq in (1, 999_999):
            assert ada.post(f"tenants/acme/reallocations/{seq}/undo").status_code == 404


class TestScopeFilter:
    """A key that is confined to one workspace."""

    @pytest.fixture
    def confined(self, acme: Tenant) -> Caller:
        return as_tenant(acme, scopes=["tenant:acme/workspace:a"])

    def test_sees_and_changes_its_own_part_alone(self, ada: Caller, confined: Caller) -> None:
        inside = create(ada, "tenant:acme/workspace:a/agent:x")["budget_id"]
        outside = [create(ada, scope)["budget_id"] for scope in ("tenant:acme", "tenant:acme/workspace:ab")]

        assert [row["budget_id"] for row in confined.get("tenants/acme/budgets").json()["budgets"]] == [inside]
        assert confined.get(f"tenants/acme/budgets/{inside}").status_code == 200
        funding = {"operation": "CREDIT", "amount": usd(1), "idempotency_key": "one"}
        assert confined.post(f"tenants/acme/budgets/{inside}/fund", funding).status_code == 200
        for budget_id in outside:
            path = f"tenants/acme/budgets/{budget_id}"
            assert confined.get(path).status_code == 404
            assert confined.patch(path, {"overdraft_limit": usd(1)}).status_code == 404
            assert confined.post(f"{path}/fund", funding).status_code == 404
            for action in ("freeze", "unfreeze", "close"):
                assert confined.post(f"{path}/{action}").status_code == 404

    def test_opens_budgets_in_its_own_part_alone(self, confined: Caller) -> None:
        create(confined, "tenant:acme/workspace:a")

        for scope in ("tenant:acme", "tenant:acme/workspace:b", "tenant:acme/agent:x"):
            body = {"scope": scope, "unit": "USD_MICROCENTS", "allocated": usd(1)}
            response = confined.post("tenants/acme/budgets", body)
            assert (response.status_code, response.json()["details"]) == (403, {"reason": "SCOPE_FILTERED"})

    def test_moves_money_within_its_own_part_alone(self, ada: Caller, confined: Caller) -> None:
        inside = [create(ada, f"tenant:acme/workspace:a/agent:{name}")["budget_id"] for name in "xy"]
        workspaces = [create(ada, f"tenant:acme/workspace:{name}")["budget_id"] for name in "ab"]
        reallocate = TestReallocate()

        assert reallocate.move(confined, *inside).status_code == 200
        assert reallocate.move(confined, *workspaces, idempotency_key="two").status_code == 404
        moved = reallocate.move(ada, *workspaces, idempotency_key="three").json()["ledger_seq"]
        assert confined.post(f"tenants/acme/reallocations/{moved}/undo").status_code == 404

    def test_reads_run_templates_and_changes_none(self, ada: Caller, confined: Caller) -> None:
        ada.post("tenants/acme/run-templates", {"name": "chat", "amount": usd(5)})

        assert confined.get("tenants/acme/run-templates").status_code == 200
        assert confined.post("tenants/acme/run-templates", {"name": "x", "amount": usd(5)}).status_code == 403
        assert confined.patch("tenants/acme/run-templates/chat", {"amount": usd(6)}).status_code == 403
        assert confined.delete("tenants/acme/run-templates/chat").status_code == 403


class TestRunTemplates:
    def test_are_made_changed_and_removed(self, ada: Caller) -> None:
        path = "tenants/acme/run-templates"
        assert ada.post(path, {"name": "chat", "amount": usd(5), "is_default": True}).status_code == 201
        assert ada.post(path, {"name": "review", "amount": usd(9)}).status_code == 201
        assert ada.post(path, {"name": "chat", "amount": usd(5)}).status_code == 409

        assert ada.patch(f"{path}/review", {"is_default": True, "amount": tokens(3)}).json() == {
            "name": "review",
            "amount": tokens(3),
            "is_default": True,
        }

        listed = ada.get(path).json()["run_templates"]
        assert [(row["name"], row["is_default"]) for row in listed] == [("chat", False), ("review", True)]
        assert ada.delete(f"{path}/chat").status_code == 204
        assert ada.get(f"{path}/chat").status_code == 404
        assert ada.delete(f"{path}/chat").status_code == 404

    def test_open_the_budgets_of_runs(self, ada: Caller, books: Books) -> None:
        create(ada)
        ada.post("tenants/acme/run-templates", {"name": "chat", "amount": usd(5), "is_default": True})

        assert books.ask("reserve", amount=6, run="r1").status == "BUDGET_EXCEEDED"
        assert books.ask("reserve", amount=5, run="r1").status == "OK"

    @pytest.mark.parametrize("name", ["", "Chat", "a b", "x" * 129, "ü"])
    def test_have_names_as_subjects_have(self, ada: Caller, name: str) -> None:
        response = ada.post("tenants/acme/run-templates", {"name": name, "amount": usd(5)})

        assert (response.status_code, response.json()["details"]["field"]) == (400, "name")


class TestBody:
    @pytest.mark.parametrize(
        ("raw", "status"),
        [
            (b"", 400),
            (b"{", 400),
            (b"[]", 400),
            (b"null", 400),
            (b'"x"', 400),
            (b"{}{}", 400),
            (b'{"scope": NaN}', 400),
            (b'{"scope": "a", "scope": "b"}', 400),
            (b'{"scope": "\xff"}', 400),
            (b'{"scope": "\\ud800"}', 400),
            (b'\xef\xbb\xbf{"scope": "a"}', 400),
            (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, 400),
            (b'{"allocated": {"unit": "TOKENS", "amount": ' + b"9" * 5_000 + b"}}", 400),
            (b'{"x": "' + b"y" * 300_000 + b'"}', 413),
        ],
        ids=lambda raw: repr(raw)[:24],
    )
    def test_that_is_no_strict_json_is_refused(self, ada: Caller, raw: bytes, status: int) -> None:
        response = ada.send("post", "tenants/acme/budgets", raw)

        assert response.status_code == status
        assert response.json()["error"] == "INVALID_REQUEST"

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
    )
    def test_of_another_type_is_415(self, ada: Caller, content_type: str) -> None:
        response = ada.client.post(
            "/api/v1/tenants/acme/budgets",
            data=b"{}",
            content_type=content_type,
            headers={"X-Cycles-API-Key": ada.token or ""},
        )

        assert response.status_code == 415
