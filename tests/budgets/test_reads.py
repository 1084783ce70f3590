"""What a question may cost: no lock for a stranger, no walk over the whole table, no more than a tenant's share."""

import threading

import httpx
import msgspec
import pytest
from django.db import transaction

from budgets.models import LedgerEntry, LedgerHead, Reservation
from budgets.services import engine
from kernel.ids import mint_wire_id
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.owner import as_owner


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=1_000)
    return books


def make_period_stale(books: Books) -> None:
    as_owner(
        books.tenant.tag,
        "UPDATE budget SET period = 'DAY', period_starts_at = now() - interval '2 days',"
        " period_ends_at = now() - interval '1 day'",
    )


def entries(books: Books) -> int:
    with in_tenant(books.tenant.tag):
        return LedgerEntry.objects.count()


class TestStrangers:
    def test_a_wrong_secret_opens_no_period(self, books: Books) -> None:
        make_period_stale(books)
        before = entries(books)

        answer = books.ask("reserve", amount=1, digest="\\x00")

        assert answer.status == "UNAUTHORIZED"
        assert entries(books) == before

    def test_a_wrong_secret_waits_for_no_lock(self, books: Books) -> None:
        with in_tenant(books.tenant.tag), transaction.atomic():
            LedgerHead.objects.select_for_update().get()
            answer = books.ask("reserve", amount=1, digest="\\x00")

        assert answer.status == "UNAUTHORIZED"

    def test_a_closed_budget_s_periods_stay_closed(self, books: Books) -> None:
        make_period_stale(books)
        as_owner(books.tenant.tag, "UPDATE budget SET status = 'CLOSED'")
        before = entries(books)

        assert books.ask("reserve", amount=1).status == "BUDGET_CLOSED"
        assert entries(books) == before

    def test_hear_of_their_key_before_they_hear_of_the_id(self, books: Books, api_url: str) -> None:
        revoked = books.add_key()
        as_owner(books.tenant.tag, f"UPDATE api_key SET status = 'REVOKED' WHERE key_id = '{revoked.key_id}'")
        unknown = f"{api_url}/v1/reservations/rsv_nonsense/commit"

        answers = [
            httpx.post(unknown, headers={"X-Cycles-API-Key": token}, json={"idempotency_key": "k"}).status_code
            for token in (revoked.token, books.key.token)
        ]

        assert answers == [401, 400]


class TestRuns:
    def test_an_event_opens_the_run_s_budget_too(self, books: Books) -> None:
        as_owner(
            books.tenant.tag,
            "INSERT INTO run_template (id, name, unit, amount, is_default)"
            " VALUES (gen_random_uuid(), 'chat', 'USD_MICROCENTS', 10, true)",
        )

        answer = books.ask("event", amount=500, run="r9")

        assert answer.charged == 10
        assert books.ask("reserve", amount=1, run="r9").status == "OVERDRAFT_LIMIT_EXCEEDED"
        assert books.budget("/run:r9").uncovered == 490


class TestSchemas:
    def test_a_missing_function_is_no_fault_of_the_key(self, books: Books) -> None:
        as_owner(books.tenant.tag, "ALTER FUNCTION apply_operations_v1(jsonb) RENAME TO gone")

        with pytest.raises(engine.EngineUnavailable):
            books.ask("reserve", amount=1)

    def test_a_missing_schema_is_an_unknown_tenant(self, books: Books) -> None:
        as_owner(books.tenant.tag, f'ALTER SCHEMA "{books.tenant.schema_name}" RENAME TO gone_for_a_test')
        try:
            with pytest.raises(engine.UnknownTenant):
                books.ask("reserve", amount=1)
        finally:
            as_owner(books.tenant.tag, f'ALTER SCHEMA gone_for_a_test RENAME TO "{books.tenant.schema_name}"')


class TestLists:
    def test_a_page_ends_early_after_a_long_walk_and_says_where_to_go_on(self, books: Books, api_url: str) -> None:
        hold = books.ask("reserve", amount=1)
        books.ask("release", target=hold.id)
        as_owner(
            books.tenant.tag,
            "INSERT INTO reservation SELECT (r).* FROM (SELECT jsonb_populate_record(t, jsonb_build_object("
            "'id', gen_random_uuid(), 'status', 'COMMITTED', 'actual', 1, 'charged', 1,"
            " 'created_at', t.created_at + n * interval '1 millisecond')) AS r"
            " FROM reservation AS t, generate_series(1, 20100) AS n) AS rows",
        )
        headers = {"X-Cycles-API-Key": books.key.token}
        asked, found, pages = f"{api_url}/v1/reservations?status=RELEASED", [], 0
        cursor = ""

        while pages < 5:
            page = httpx.get(asked + cursor, headers=headers).json()
            found += page["reservations"]
            pages += 1
            if not page.get("has_more"):
                break
            cursor = f"&cursor={page['next_cursor']}"

        assert pages == 2
        assert [row["reservation_id"] for row in found] == [mint_wire_id("rsv", books.tenant.tag, hold.id)]

    def test_one_tenant_s_lists_leave_lanes_to_others(self, books: Books, initech: Tenant) -> None:
        other = Books(initech)
        other.add_budget(allocated=100)
        query = msgspec.json.encode({"is_trusted": True, "limit": 200, "sort_by": "reserved"})
        as_owner(
            books.tenant.tag,
            "CREATE FUNCTION slow(p_query jsonb) RETURNS json LANGUAGE sql AS 'SELECT pg_sleep(1)::text::json'",
        )
        as_owner(books.tenant.tag, "ALTER FUNCTION read_reservations_v1(jsonb) RENAME TO fast")
        as_owner(books.tenant.tag, "ALTER FUNCTION slow(jsonb) RENAME TO read_reservations_v1")

        def list_all() -> None:
            with pytest.raises(Exception):  # noqa: B017, PT011  too busy, or the answer of a function that only sleeps
                engine.read(books.tenant.tag, "reservations", query)

        threads = [threading.Thread(target=list_all) for _ in range(20)]
        for thread in threads:
            thread.start()
        answers = [other.ask("reserve", amount=1).status for _ in range(10)]
        for thread in threads:
            thread.join()

        assert answers == ["OK"] * 10

    def test_active_ones_are_found_whatever_lies_before_them(self, books: Books) -> None:
        hold = books.ask("reserve", amount=1)
        with in_tenant(books.tenant.tag):
            assert Reservation.objects.get().pk == hold.id
        answer = msgspec.json.decode(
            engine.read(
                books.tenant.tag,
                "reservations",
                msgspec.json.encode({"is_trusted": True, "limit": 5, "status": "ACTIVE"}),
            )
        )

        assert [row["id"] for row in answer["rows"]] == [str(hold.id)]
