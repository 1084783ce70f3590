from datetime import UTC, datetime

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from budgets.api.queries import (
    BalanceQuery,
    ReservationListQuery,
    SortKey,
    SubjectFilter,
    Window,
    balance_query,
    list_query,
)
from kernel.http.errors import ProtocolError

EVERY_FILTER = (
    "idempotency_key=k1&status=ACTIVE&tenant=Acme&workspace=Prod&app=a&workflow=w&agent=g&toolset=t"
    "&from=2026-01-01T00:00:00Z&to=2026-01-31T00:00:00Z"
    "&expires_from=2026-02-01T00:00:00Z&expires_to=2026-02-28T00:00:00Z"
    "&finalized_from=2026-03-01T00:00:00Z&finalized_to=2026-03-31T00:00:00Z"
    "&sort_by=reserved&sort_dir=asc&include=metadata&limit=7&cursor=abc"
)
NAMES = [pair.partition("=")[0] for pair in EVERY_FILTER.split("&")]


def listed(query: str) -> ReservationListQuery:
    return list_query(QueryDict(query))


def balanced(query: str) -> BalanceQuery:
    return balance_query(QueryDict(query))


def refusal_of(query: str) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        listed(query)
    assert (caught.value.status, caught.value.code) == (400, "INVALID_REQUEST")
    return caught.value


class TestListQuery:
    def test_without_filters_has_the_contracts_defaults(self) -> None:
        query = listed("")

        assert query.subject.is_empty
        assert (query.sort_by, query.sort_dir, query.limit) == ("created_at_ms", "desc", 50)
        assert (query.created, query.expires, query.finalized) == (Window(), Window(), Window())
        assert (query.status, query.idempotency_key, query.cursor, query.include) == (None, None, None, frozenset())

    def test_reads_every_filter(self) -> None:
        query = listed(EVERY_FILTER)

        assert query.subject == SubjectFilter("acme", "prod", "a", "w", "g", "t")
        assert (query.idempotency_key, query.status) == ("k1", "ACTIVE")
        assert query.created == Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC))
        assert query.expires == Window(datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 28, tzinfo=UTC))
        assert query.finalized == Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC))
        assert (query.sort_by, query.sort_dir) == ("reserved", "asc")
        assert (query.include, query.limit, query.cursor) == (frozenset({"metadata"}), 7, "abc")

    def test_treats_blank_as_unset(self) -> None:
        assert listed("&".join(f"{name}=" for name in NAMES)) == listed("")
        assert listed("&".join(f"{name}=%20" for name in NAMES)) == listed("")

    def test_ignores_what_it_does_not_know(self) -> None:
        assert listed("page=2&_connector=OR&tenant__schema_name=public&Status=ACTIVE") == listed("")

    @pytest.mark.parametrize("name", [name for name in NAMES if name != "include"])
    def test_refuses_a_filter_given_twice(self, name: str) -> None:
        assert refusal_of(f"{EVERY_FILTER}&{EVERY_FILTER}").status == 400
        refusal = refusal_of(f"{name}=1&{name}=1")

        assert refusal.message == f"The query parameter {name} is given twice. Keep one."
        assert refusal.details == {"field": name}

    @pytest.mark.parametrize(("text", "limit"), [("1", 1), ("200", 200), ("007", 7)])
    def test_takes_a_limit_from_1_to_200(self, text: str, limit: int) -> None:
        assert listed(f"limit={text}").limit == limit
        assert balanced(f"agent=a&limit={text}").limit == limit

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *(("limit", text) for text in ("0", "201", "-1", "%2B5", "1.0", "1e2", "9" * 5000, "٣", "x", "5%00")),
            ("status", "active"),
            ("status", "DONE"),
            ("sort_by", "updated_at"),
            ("sort_by", "api_key__digest"),
            ("sort_by", "-created_at_ms"),
            ("sort_dir", "DESC"),
            ("idempotency_key", "k" * 257),
            ("idempotency_key", "two words"),
            ("idempotency_key", "k%00"),
            ("tenant", "n" * 129),
            ("workspace", "a/b"),
            ("app", "a:b"),
            ("workflow", "%00"),
            ("agent", "%ff"),
            ("agent", "é"),
            ("toolset", "' OR 1=1"),
            ("cursor", "a b"),
            ("cursor", "%00"),
            ("cursor", "a" * 4097),
            ("from", "2026-01-01"),
            ("from", "2026-01-01T00:00:00"),
            ("from", "2026-13-01T00:00:00Z"),
            ("to", "2026-02-30T00:00:00Z"),
            ("to", "2026-01-01T00:00:00+01:00"),  # the plus arrives as a space
            ("to", "2026-01-01T25:00:00Z"),
            ("expires_from", "1767225600000"),
            ("expires_from", "20260101T000000Z"),
            ("expires_to", "2026-W01-1T00:00:00Z"),
            ("finalized_from", "0001-01-01T00:00:00%2B23:59"),
            ("finalized_to", "9999-12-31T23:59:59-23:59"),
            ("finalized_to", "0000-01-01T00:00:00Z"),
            ("finalized_to", "２０２６-01-01T00:00:00Z"),
        ],
    )
    def test_refuses_a_bad_value_by_its_name_alone(self, name: str, value: str) -> None:
        refusal = refusal_of(f"{name}={value}")

        assert refusal.message.startswith(f"The query parameter {name} must be ")
        assert refusal.details == {"field": name}
        assert len(value) < 7 or value not in refusal.message

    @pytest.mark.parametrize("sort_by", SortKey)
    def test_sorts_by_every_key_of_the_contract(self, sort_by: SortKey) -> None:
        assert listed(f"sort_by={sort_by}").sort_by is sort_by

    @pytest.mark.parametrize(
        "text",
        [
            "2026-01-31T10:30:00Z",
            "2026-01-31t10:30:00z",
            "2026-01-31T10:30Z",
            "2026-01-31T12:00:00%2B01:30",
            "2026-01-31T05:30:00.000-05:00",
            "2026-01-31T10:30:00.000000000Z",
        ],
    )
    def test_reads_a_time_with_its_offset_as_utc(self, text: str) -> None:
        assert listed(f"from={text}").created.start == datetime(2026, 1, 31, 10, 30, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("start", "end"), [("from", "to"), ("expires_from", "expires_to"), ("finalized_from", "finalized_to")]
    )
    def test_refuses_a_window_that_ends_before_it_begins(self, start: str, end: str) -> None:
        listed(f"{start}=2026-01-01T00:00:00Z&{end}=2026-01-01T01:00:00%2B01:00")
        refusal = refusal_of(f"{start}=2026-01-01T00:00:00.001Z&{end}=2026-01-01T00:00:00Z")

        assert refusal.message == f"{start} is later than {end}. Swap them."

    @pytest.mark.parametrize(
        ("include", "fields"),
        [
            ("metadata,committed_metadata", {"metadata", "committed_metadata"}),
            (" metadata , ,evidence,", {"metadata", "evidence"}),
            ("everything", set()),
            ("metadata&include=evidence", {"metadata", "evidence"}),
            (",", set()),
        ],
    )
    def test_projects_known_fields_and_ignores_the_rest(self, include: str, fields: set[str]) -> None:
        assert listed(f"include={include}").include == fields

    def test_needs_a_tenant_for_an_operators_key(self) -> None:
        with pytest.raises(ProtocolError, match="tenant query parameter is required when using admin key"):
            list_query(QueryDict("tenant="), needs_tenant=True)

        assert list_query(QueryDict("tenant=acme"), needs_tenant=True).subject.tenant == "acme"

    @given(st.dictionaries(st.sampled_from(NAMES), st.text()))
    def test_is_read_or_refused_with_400_whatever_was_sent(self, values: dict[str, str]) -> None:
        parameters = QueryDict(mutable=True)
        for name, value in values.items():
            parameters[name] = value
        try:
            list_query(parameters)
        except ProtocolError as refusal:
            statuses = {refusal.status}
        else:
            statuses = {400}

        assert statuses == {400}


class TestCursorBinding:
    @pytest.mark.parametrize("name", [name for name in NAMES if name not in {"include", "limit", "cursor"}])
    def test_changes_with_every_filter_and_the_sort(self, name: str) -> None:
        without = "&".join(pair for pair in EVERY_FILTER.split("&") if not pair.startswith(f"{name}="))

        assert listed(without).cursor_binding() != listed(EVERY_FILTER).cursor_binding()

    @pytest.mark.parametrize("change", ["include=evidence", "limit=9", "cursor=x", "unknown=1"])
    def test_does_not_change_with_the_projection_or_the_page(self, change: str) -> None:
        assert listed(change).cursor_binding() == listed("").cursor_binding()

    def test_of_the_two_lists_differ(self) -> None:
        assert listed("agent=a").cursor_binding() != balanced("agent=a").cursor_binding()
        assert balanced("agent=a").cursor_binding() != balanced("agent=b").cursor_binding()
        assert balanced("agent=a").cursor_binding() != balanced("agent=a&include_children=true").cursor_binding()


class TestBalanceQuery:
    @pytest.mark.parametrize("level", ["tenant", "workspace", "app", "workflow", "agent", "toolset"])
    def test_needs_one_level(self, level: str) -> None:
        assert not balanced(f"{level}=X").subject.is_empty

        for query in ("", f"{level}=", "include_children=true", "unknown=1"):
            with pytest.raises(ProtocolError, match="Name at least one of tenant, workspace"):
                balanced(query)

    @pytest.mark.parametrize(("text", "wanted"), [("true", True), ("false", False), ("", False)])
    def test_may_ask_for_children(self, text: str, wanted: bool) -> None:
        assert balanced(f"agent=a&include_children={text}").include_children is wanted

    @pytest.mark.parametrize("text", ["1", "yes", "True", "null"])
    def test_refuses_what_is_no_boolean(self, text: str) -> None:
        with pytest.raises(ProtocolError, match="include_children must be true or false"):
            balanced(f"agent=a&include_children={text}")
