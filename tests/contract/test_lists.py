"""The two lists: pages, orders, filters, windows, projection, and cursors that open nothing else."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.api_client import ApiClient, amount
from tests.support.books import Books
from tests.support.scenes import expired_reservation

type Row = dict[str, Any]

AGENTS = ["triage", "coder", "writer"]
SORT_KEYS = ["reservation_id", "tenant", "scope_path", "status", "reserved", "created_at_ms", "expires_at_ms"]


@pytest.fixture(scope="module")
def rows(standing_api: ApiClient, standing_books: Books) -> list[Row]:
    """Reservations of every status and of several agents, some equal in what they are sorted by; oldest first."""
    for number in range(14):
        reservation_id = standing_api.reserved(
            number % 5 + 1,
            subject={"tenant": "globex", "workspace": "prod", "agent": AGENTS[number % 3].title()},
            idempotency_key=f"row-{number}",
            ttl_ms=60_000 + number % 4 * 1_000,
            **({"metadata": {"ticket": number}} if number % 2 else {}),
        )
        if number % 7 == 1:
            metadata: dict[str, Any] = {"metadata": {"invoice": number}} if number < 7 else {}
            assert standing_api.commit(reservation_id, **metadata).status_code == 200
        if number % 7 == 2:
            assert standing_api.release(reservation_id).status_code == 200
    for _ in range(2):
        expired_reservation(standing_books)
    found: list[Row] = standing_api.reservations(sort_dir="asc", limit=200).json()["reservations"]
    assert len(found) == 16
    return found


@pytest.fixture
def api(standing_api: ApiClient, rows: list[Row]) -> ApiClient:
    return standing_api


def pages(api: ApiClient, path: str, field: str, **parameters: Any) -> Iterator[list[Row]]:
    """The pages of a list, followed by their cursors."""
    while True:
        body = api.get(path, parameters).json()
        yield body[field]
        if not body.get("has_more", False):
            assert "next_cursor" not in body
            return
        parameters["cursor"] = body["next_cursor"]


def ids(found: list[Row]) -> list[str]:
    return [row["reservation_id"] for row in found]


def sort_value(row: Row, key: str) -> Any:
    if key == "reserved":
        return row["reserved"]["amount"]
    if key == "tenant":
        return row["subject"].get("tenant", "")
    return row[key]


class TestPages:
    @pytest.mark.parametrize("direction", ["asc", "desc"])
    @pytest.mark.parametrize("key", SORT_KEYS)
    def test_an_order_goes_on_over_all_pages(self, api: ApiClient, rows: list[Row], key: str, direction: str) -> None:
        found = list(pages(api, "/v1/reservations", "reservations", sort_by=key, sort_dir=direction, limit=3))

        assert [len(page) for page in found] == [3, 3, 3, 3, 3, 1]
        values = [sort_value(row, key) for page in found for row in page]
        assert values == sorted(values, reverse=direction == "desc")
        assert sorted(ids([row for page in found for row in page])) == sorted(ids(rows))

    def test_the_newest_come_first_where_nothing_is_said(self, api: ApiClient, rows: list[Row]) -> None:
        assert ids(api.reservations().json()["reservations"]) == ids(rows)[::-1]

    def test_a_page_that_is_just_full_is_the_last(self, api: ApiClient, rows: list[Row]) -> None:
        body = api.reservations(limit=len(rows)).json()

        assert len(body["reservations"]) == len(rows)
        assert "next_cursor" not in body

    def test_rows_made_meanwhile_move_no_page(self, foreign_api: ApiClient) -> None:
        made = [foreign_api.reserved(number, subject={"tenant": "initech"}) for number in (1, 2, 3, 4, 5)]
        order = {"sort_by": "reserved", "sort_dir": "asc", "limit": 2}
        first = foreign_api.reservations(**order).json()
        foreign_api.reserved(1, subject={"tenant": "initech"})
        rest = pages(foreign_api, "/v1/reservations", "reservations", cursor=first["next_cursor"], **order)

        assert ids(first["reservations"]) + [row for page in rest for row in ids(page)] == made

    @pytest.mark.parametrize("limit", ["0", "201", "-1", "1.5", "abc", "1e2", "99999999999999999999", "٣"])
    def test_a_limit_is_an_integer_from_1_to_200(self, api: ApiClient, limit: str) -> None:
        for answer in (api.reservations(limit=limit), api.balances(tenant="globex", limit=limit)):
            assert (answer.status_code, answer.json()["details"]) == (400, {"field": "limit"})

    @pytest.mark.parametrize("limit", ["1", "200", "", " "])
    def test_both_ends_are_taken_and_blank_means_unset(self, api: ApiClient, limit: str) -> None:
        assert api.reservations(limit=limit).status_code == 200


class TestCursors:
    @pytest.fixture
    def cursor(self, api: ApiClient) -> str:
        cursor: str = api.reservations(limit=3, status="ACTIVE", sort_by="reserved").json()["next_cursor"]
        return cursor

    def test_it_goes_on_under_the_same_filters(self, api: ApiClient, cursor: str) -> None:
        assert api.reservations(limit=3, status="ACTIVE", sort_by="reserved", cursor=cursor).status_code == 200

    @pytest.mark.parametrize(
        "changed",
        [
            {"status": "COMMITTED"},
            {"status": ""},
            {"sort_by": "created_at_ms"},
            {"sort_by": ""},
            {"sort_dir": "asc"},
            {"agent": "triage"},
            {"tenant": "globex"},
            {"idempotency_key": "row-1"},
            {"from": "2020-01-01T00:00:00Z"},
            {"to": "2100-01-01T00:00:00Z"},
            {"expires_from": "2020-01-01T00:00:00Z"},
            {"finalized_to": "2100-01-01T00:00:00Z"},
        ],
        ids=str,
    )
    def test_it_says_nothing_under_others(self, api: ApiClient, cursor: str, changed: dict[str, str]) -> None:
        parameters = {"limit": 3, "status": "ACTIVE", "sort_by": "reserved", "cursor": cursor} | changed

        answer = api.reservations(**parameters)

        assert (answer.status_code, answer.json()["details"]) == (400, {"field": "cursor"})

    @pytest.mark.parametrize(
        "unchanged",
        [{"limit": 5}, {"include": "metadata"}, {"include": "evidence,nonsense"}, {"unknown": "x"}, {"from": ""}],
        ids=str,
    )
    def test_what_filters_nothing_may_change(self, api: ApiClient, cursor: str, unchanged: dict[str, Any]) -> None:
        parameters = {"limit": 3, "status": "ACTIVE", "sort_by": "reserved", "cursor": cursor} | unchanged

        assert api.reservations(**parameters).status_code == 200

    def test_what_we_did_not_write_is_refused(self, api: ApiClient, cursor: str) -> None:
        forgeries = [
            cursor[:-1],
            cursor[1:],
            cursor + "A",
            cursor.swapcase(),
            cursor[::-1],
            "A",
            "A" * 5000,
            "%00",
            "'",
        ]
        flipped = [cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(len(cursor))]

        for forgery in forgeries + flipped:
            answer = api.reservations(limit=3, status="ACTIVE", sort_by="reserved", cursor=forgery)
            assert (answer.status_code, answer.json()["details"]) == (400, {"field": "cursor"}), forgery

    def test_another_tenants_is_refused(self, api: ApiClient, cursor: str, foreign_api: ApiClient) -> None:
        answer = foreign_api.reservations(limit=3, status="ACTIVE", sort_by="reserved", cursor=cursor)

        assert (answer.status_code, answer.json()["details"]) == (400, {"field": "cursor"})

    def test_one_of_the_other_list_is_refused(self, api: ApiClient, cursor: str) -> None:
        assert api.balances(tenant="globex", cursor=cursor).status_code == 400

    def test_it_shows_no_more_than_the_key_may_see(self, api: ApiClient, standing_books: Books, cursor: str) -> None:
        confined = standing_books.add_key(scope_filter=["tenant:globex/workspace:other"])
        with ApiClient(api.base_url, confined.token, slug="globex") as client:
            body = client.reservations(limit=3, status="ACTIVE", sort_by="reserved", cursor=cursor).json()

        assert body["reservations"] == []


class TestFilters:
    @pytest.mark.parametrize("status", ["ACTIVE", "COMMITTED", "RELEASED", "EXPIRED"])
    def test_by_status(self, api: ApiClient, rows: list[Row], status: str) -> None:
        found = api.reservations(status=status).json()["reservations"]

        assert {row["status"] for row in found} == {status}
        assert len(found) == sum(row["status"] == status for row in rows)

    def test_by_the_key_of_the_request_that_made_it(self, api: ApiClient) -> None:
        found = api.reservations(idempotency_key="row-5").json()["reservations"]

        assert [row["idempotency_key"] for row in found] == ["row-5"]

    def test_by_a_key_that_nobody_used(self, api: ApiClient) -> None:
        assert api.reservations(idempotency_key="row-99").json()["reservations"] == []

    @pytest.mark.parametrize("name", ["triage", "TRIAGE", "Triage"])
    def test_by_subject_whatever_its_case(self, api: ApiClient, name: str) -> None:
        found = api.reservations(agent=name).json()["reservations"]

        assert len(found) == 5
        assert {row["subject"]["agent"] for row in found} == {"Triage"}

    def test_all_filters_must_hold(self, api: ApiClient) -> None:
        assert len(api.reservations(agent="triage", workspace="prod").json()["reservations"]) == 5
        assert api.reservations(agent="triage", workspace="dev").json()["reservations"] == []
        assert api.reservations(app="prod").json()["reservations"] == []

    def test_ones_own_tenant_may_be_named(self, api: ApiClient, rows: list[Row]) -> None:
        assert len(api.reservations(tenant="GLOBEX", limit=200).json()["reservations"]) >= len(rows)

    def test_another_tenant_is_refused(self, api: ApiClient) -> None:
        for answer in (api.reservations(tenant="initech"), api.balances(tenant="initech")):
            assert (answer.status_code, answer.json()["error"]) == (403, "FORBIDDEN")

    @pytest.mark.parametrize(
        "parameters",
        [
            {"status": ""},
            {"tenant": " ", "agent": ""},
            {"from": "", "to": "", "expires_from": "", "expires_to": "", "finalized_from": "", "finalized_to": ""},
            {"sort_by": "", "sort_dir": "", "include": "", "cursor": "", "idempotency_key": ""},
            {"unknown": "x", "order": "status", "status__gte": "A", "_connector": "OR 1=1"},
        ],
        ids=str,
    )
    def test_blank_and_unknown_ones_filter_nothing(
        self, api: ApiClient, rows: list[Row], parameters: dict[str, str]
    ) -> None:
        assert len(api.reservations(limit=200, **parameters).json()["reservations"]) >= len(rows)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("status", "active"),
            ("status", "GONE"),
            ("sort_by", "amount"),
            ("sort_by", "reserved; DROP TABLE budget"),
            ("sort_dir", "DESC"),
            ("tenant", "a/b"),
            ("agent", "a" * 129),
            ("agent", "'"),
            ("idempotency_key", "a" * 257),
            ("idempotency_key", "a b"),
            ("from", "yesterday"),
            ("from", "2026-01-31"),
            ("from", "2026-01-31T09:30:00"),
            ("from", "2026-02-30T09:30:00Z"),
            ("from", "0000-01-01T00:00:00Z"),
            ("from", "0001-01-01T00:00:00+14:00"),
            ("to", "9999-12-31T23:59:59-14:00"),
            ("to", "1798761600000"),
        ],
    )
    def test_a_malformed_one_is_named(self, api: ApiClient, name: str, value: str) -> None:
        answer = api.reservations(**{name: value})

        assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_REQUEST")
        assert answer.json()["details"] == {"field": name}

    def test_one_given_twice_is_refused(self, api: ApiClient) -> None:
        answer = api.get("/v1/reservations?status=ACTIVE&status=COMMITTED")

        assert (answer.status_code, answer.json()["details"]) == (400, {"field": "status"})


def at(milliseconds: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)).isoformat()


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        ("from", "to", "created_at_ms"),
        ("expires_from", "expires_to", "expires_at_ms"),
        ("finalized_from", "finalized_to", "finalized_at_ms"),
    ],
)
class TestWindows:
    def test_both_ends_belong_to_it(self, api: ApiClient, rows: list[Row], start: str, end: str, field: str) -> None:
        times = sorted(row[field] for row in rows if field in row)
        first, last = times[1], times[-2]

        found = api.reservations(**{start: at(first), end: at(last)}, limit=200).json()["reservations"]

        assert sorted(row[field] for row in found) == [time for time in times if first <= time <= last]

    def test_one_millisecond_outside_is_outside(
        self, api: ApiClient, rows: list[Row], start: str, end: str, field: str
    ) -> None:
        times = [row[field] for row in rows if field in row]

        assert not api.reservations(**{start: at(max(times) + 1)}).json()["reservations"]
        assert not api.reservations(**{end: at(min(times) - 1)}).json()["reservations"]
        assert api.reservations(**{start: at(max(times))}).json()["reservations"]
        assert api.reservations(**{end: at(min(times))}).json()["reservations"]

    def test_rows_without_the_time_are_outside(
        self, api: ApiClient, rows: list[Row], start: str, end: str, field: str
    ) -> None:
        found = api.reservations(**{start: "2000-01-01T00:00:00Z"}, limit=200).json()["reservations"]

        assert len(found) == sum(field in row for row in rows)

    def test_it_must_not_end_before_it_begins(
        self, api: ApiClient, rows: list[Row], start: str, end: str, field: str
    ) -> None:
        answer = api.reservations(**{start: "2026-01-02T00:00:00Z", end: "2026-01-01T23:59:59.999Z"})

        assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_REQUEST")

    def test_times_of_other_zones_are_the_same_times(
        self, api: ApiClient, rows: list[Row], start: str, end: str, field: str
    ) -> None:
        same = {start: "2026-01-01T00:00:00Z", end: "2026-01-01T05:30:00+05:30"}

        assert api.reservations(**same).status_code == 200


class TestProjection:
    def test_metadata_is_left_out(self, api: ApiClient) -> None:
        found = api.reservations(limit=200).json()["reservations"]

        assert not any({"metadata", "committed_metadata"} & row.keys() for row in found)

    @pytest.mark.parametrize(
        ("include", "expected"),
        [
            ("metadata", {"metadata"}),
            ("committed_metadata", {"committed_metadata"}),
            (" metadata , committed_metadata ,, nonsense,", {"metadata", "committed_metadata"}),
            ("evidence", set()),
            ("METADATA", set()),
        ],
    )
    def test_what_is_asked_for_is_shown(self, api: ApiClient, include: str, expected: set[str]) -> None:
        found = api.reservations(limit=200, include=include).json()["reservations"]

        shown = {name for row in found for name in ("metadata", "committed_metadata", "evidence") if name in row}
        assert shown == expected

    def test_one_reservation_shows_all_of_it(self, api: ApiClient, rows: list[Row]) -> None:
        committed = next(row for row in rows if row["idempotency_key"] == "row-1")

        detail = api.reservation(committed["reservation_id"]).json()

        assert detail == committed | {"metadata": {"ticket": 1}, "committed_metadata": {"invoice": 1}}


@pytest.fixture(scope="module")
def budgets(standing_books: Books) -> None:
    for name in ("prod", "dev", "test"):
        standing_books.add_budget(f"/workspace:{name}", allocated=1_000)
        standing_books.add_budget(f"/workspace:{name}/agent:triage", allocated=100, overdraft_limit=7)
    standing_books.add_budget("/agent:triage", allocated=10)


@pytest.mark.usefixtures("budgets")
class TestBalances:
    def paths(self, api: ApiClient, **parameters: Any) -> list[str]:
        parameters = {"limit": 2} | parameters
        return [row["scope_path"] for page in pages(api, "/v1/balances", "balances", **parameters) for row in page]

    def test_a_level_alone_shows_its_own_budgets(self, api: ApiClient) -> None:
        assert self.paths(api, tenant="globex") == ["tenant:globex"]
        assert self.paths(api, workspace="dev") == ["tenant:globex/workspace:dev"]
        assert self.paths(api, workspace="DEV", agent="Triage") == ["tenant:globex/workspace:dev/agent:triage"]

    def test_an_agent_is_found_wherever_it_works(self, api: ApiClient) -> None:
        assert self.paths(api, agent="triage") == [
            "tenant:globex/agent:triage",
            "tenant:globex/workspace:dev/agent:triage",
            "tenant:globex/workspace:prod/agent:triage",
            "tenant:globex/workspace:test/agent:triage",
        ]

    def test_children_come_over_many_pages(self, api: ApiClient) -> None:
        found = self.paths(api, tenant="globex", include_children="true")

        assert len(found) == 8
        assert found == sorted(found)

    def test_children_of_a_level(self, api: ApiClient) -> None:
        found = self.paths(api, workspace="test", include_children="true")

        assert found == ["tenant:globex/workspace:test", "tenant:globex/workspace:test/agent:triage"]

    def test_its_cursor_is_bound_to_the_filters(self, api: ApiClient) -> None:
        cursor = api.balances(agent="triage", limit=1).json()["next_cursor"]

        assert api.balances(agent="triage", limit=3, cursor=cursor).status_code == 200
        assert api.balances(agent="triage", include_children="true", cursor=cursor).status_code == 400
        assert api.balances(workspace="dev", cursor=cursor).status_code == 400
        assert api.balances(agent="triage", tenant="globex", cursor=cursor).status_code == 400

    @pytest.mark.parametrize("include_children", ["TRUE", "1", "yes"])
    def test_a_flag_is_true_or_false(self, api: ApiClient, include_children: str) -> None:
        answer = api.balances(tenant="globex", include_children=include_children)

        assert (answer.status_code, answer.json()["details"]) == (400, {"field": "include_children"})

    @pytest.mark.parametrize("parameters", [{"limit": 5}, {"tenant": ""}, {"tenant": " ", "agent": ""}, {"run": "1"}])
    def test_some_level_must_be_named(self, api: ApiClient, parameters: dict[str, Any]) -> None:
        answer = api.balances(**parameters)

        assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_REQUEST")

    def test_a_confined_key_sees_its_scopes_alone(self, api: ApiClient, standing_books: Books) -> None:
        confined = standing_books.add_key(scope_filter=["tenant:globex/workspace:dev"])
        with ApiClient(api.base_url, confined.token, slug="globex") as client:
            found = self.paths(client, tenant="globex", include_children="true")

        assert found == ["tenant:globex/workspace:dev", "tenant:globex/workspace:dev/agent:triage"]

    def test_money_and_units_stand_in_every_row(self, api: ApiClient, standing_books: Books) -> None:
        for number in (100, 5):
            answer = api.event(
                subject={"workspace": "test", "agent": "triage"},
                actual=amount(number),
                overage_policy="ALLOW_WITH_OVERDRAFT",
            )
            assert answer.status_code == 201

        row = api.balances(workspace="test", agent="triage").json()["balances"][0]

        assert (row["debt"], row["overdraft_limit"], row["remaining"]) == (amount(5), amount(7), amount(-5))
        assert "is_over_limit" not in row
