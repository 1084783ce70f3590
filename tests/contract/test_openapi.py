"""Our own description of the runtime plane says everything that is served, and nothing else."""

import json
from typing import Any

import pytest
from django.http import QueryDict
from openapi_spec_validator import validate

from budgets.api import own_requests, parts, queries, requests
from budgets.api.queries import balance_query, list_query
from budgets.api.runtime import bodies, own_bodies
from budgets.api.runtime.openapi import document
from budgets.api.runtime.openapi_operations import OPERATIONS
from budgets.api.runtime.urls import urlpatterns as of_budgets
from kernel.http.errors import ErrorCode
from routing.api.runtime.urls import urlpatterns as of_routing
from tests.support import contract as contract_file
from tests.support.api_client import ApiClient
from tests.support.contract import contract

SCHEMAS = document()["components"]["schemas"]


#: What others are made from; no body is one of them.
BASES = {parts.Wire, parts.Keyed, parts.KeyedBody}


def structs(*modules: Any) -> list[Any]:
    """The public structs that `modules` themselves define."""
    return [
        value
        for module in modules
        for name, value in vars(module).items()
        if not name.startswith("_")
        and hasattr(value, "__struct_fields__")
        and value.__module__ == module.__name__
        and value not in BASES
    ]


class ReadNames(QueryDict):
    """A query string that remembers what was asked of it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.names: set[str] = set()

    def getlist(self, key: str, default: Any = None) -> Any:
        self.names.add(key)
        return super().getlist(key, default)


class TestDescription:
    def test_is_served_as_it_is(self, standing_api: ApiClient) -> None:
        answer = standing_api.get("/v1/x-watermaster/openapi.json")

        assert answer.json() == json.loads(json.dumps(document()))

    def test_asks_for_no_key(self, api_url: str) -> None:
        with ApiClient(api_url) as nobody:
            assert nobody.get("/v1/x-watermaster/openapi.json").status_code == 200

    def test_is_valid(self) -> None:
        validate(document())

    def test_has_every_address(self) -> None:
        served = {
            "/" + str(route.pattern).replace("<str:", "{").replace(">", "}") for route in [*of_budgets, *of_routing]
        }

        assert set(document()["paths"]) == served

    @pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.operation_id)
    def test_has_every_method(self, standing_api: ApiClient, operation: Any) -> None:
        path = operation.path.replace("{reservation_id}", "rsv_1")

        allowed = standing_api.call("DELETE", path).headers["Allow"].split(", ")

        assert {method.lower() for method in allowed} - {"head"} == set(document()["paths"][operation.path])

    def test_has_every_field_of_a_request(self) -> None:
        for struct in structs(parts, requests, own_requests):
            assert set(SCHEMAS[struct.__name__]["properties"]) == set(struct.__struct_encode_fields__)
            assert SCHEMAS[struct.__name__]["additionalProperties"] is False

    def test_has_every_field_of_an_answer(self) -> None:
        for struct in structs(bodies, own_bodies):
            assert set(SCHEMAS[struct.__name__]["properties"]) == set(struct.__struct_encode_fields__)
            assert SCHEMAS[struct.__name__]["additionalProperties"] is False

    def test_has_every_parameter_of_a_list(self) -> None:
        for path, read, text in (
            ("/v1/reservations", list_query, ""),
            ("/v1/balances", balance_query, "tenant=acme"),
        ):
            parameters = ReadNames(text)
            read(parameters)

            described = document()["paths"][path]["get"]["parameters"]
            assert {parameter["name"] for parameter in described if parameter["in"] == "query"} == parameters.names

    def test_has_every_error_code(self) -> None:
        assert set(SCHEMAS["ErrorCode"]["enum"]) == set(ErrorCode)

    def test_knows_no_null(self) -> None:
        assert "null" not in json.dumps(document())

    def test_page_sizes_are_those_that_are_read(self) -> None:
        (limit,) = (
            parameter
            for parameter in document()["paths"]["/v1/balances"]["get"]["parameters"]
            if parameter["name"] == "limit"
        )

        assert (limit["schema"]["default"], limit["schema"]["maximum"]) == (queries.LIMIT_DEFAULT, queries.LIMIT_MAX)


@pytest.mark.skipif(not contract_file.IS_AT_HAND, reason=contract_file.WHY_NOT)
class TestAgainstTheContract:
    """What our description promises of the nine operations, the contract must allow."""

    def operations(self) -> list[tuple[str, str, dict[str, Any], dict[str, Any]]]:
        """Method, path, our operation, the contract's."""
        pairs = []
        for operation in OPERATIONS:
            theirs = contract().document["paths"].get(operation.path, {}).get(operation.method)
            if theirs is not None:
                pairs.append(
                    (operation.method, operation.path, document()["paths"][operation.path][operation.method], theirs)
                )
        assert len(pairs) == 9
        return pairs

    def test_the_successes_are_the_same(self) -> None:
        for _, path, ours, theirs in self.operations():
            for answers in (ours, theirs):
                successes = {status for status in answers["responses"] if status.startswith("2")}
                assert successes == {"201" if path == "/v1/events" else "200"}

    def test_the_parameters_are_the_same(self) -> None:
        for _, path, ours, theirs in self.operations():
            known = contract().document["components"]["parameters"]
            named = [
                known[parameter["$ref"].rpartition("/")[2]] if "$ref" in parameter else parameter
                for parameter in theirs["parameters"]
            ]
            extra = {"traceparent", "X-Cycles-Trace-Id"}
            assert {parameter["name"] for parameter in ours["parameters"]} - extra == {
                parameter["name"] for parameter in named
            }, path

    def test_every_request_field_of_the_contract_is_read(self) -> None:
        theirs = contract().document["components"]["schemas"]
        for ours, its in (
            ("DecideRequest", "DecisionRequest"),
            ("ReserveRequest", "ReservationCreateRequest"),
            ("CommitRequest", "CommitRequest"),
            ("ReleaseRequest", "ReleaseRequest"),
            ("ExtendRequest", "ReservationExtendRequest"),
            ("EventRequest", "EventCreateRequest"),
            ("Subject", "Subject"),
            ("Action", "Action"),
            ("Metrics", "StandardMetrics"),
        ):
            added = {"observe_mode", "policy_keys"}
            assert set(SCHEMAS[ours]["properties"]) - added == set(theirs[its]["properties"])
            assert set(SCHEMAS[ours].get("required", [])) == set(theirs[its].get("required", []))

    def test_every_answer_field_of_ours_is_the_contracts(self) -> None:
        theirs = contract().document["components"]["schemas"]
        for ours, its in (
            ("DecideBody", "DecisionResponse"),
            ("ReserveBody", "ReservationCreateResponse"),
            ("CommitBody", "CommitResponse"),
            ("ReleaseBody", "ReleaseResponse"),
            ("ExtendBody", "ReservationExtendResponse"),
            ("EventBody", "EventCreateResponse"),
            ("ReservationBody", "ReservationDetail"),
            ("ReservationBody", "ReservationSummary"),
            ("ReservationListBody", "ReservationListResponse"),
            ("BalanceListBody", "BalanceResponse"),
            ("Balance", "Balance"),
            ("ErrorBody", "ErrorResponse"),
        ):
            assert set(SCHEMAS[ours]["properties"]) <= set(theirs[its]["properties"])
            assert set(theirs[its].get("required", [])) <= set(SCHEMAS[ours]["required"])
