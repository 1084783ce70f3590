import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgets.api.parts import OveragePolicy, Subject, run_id, scope_suffixes
from budgets.api.requests import (
    CommitRequest,
    DecideRequest,
    EventRequest,
    ExtendRequest,
    ReleaseRequest,
    ReserveRequest,
    payload_hash,
    require_same_key,
)
from kernel.http.errors import ProtocolError
from kernel.http.json_body import BODY_BYTES_MAX, decode

AMOUNT = {"unit": "USD_MICROCENTS", "amount": 500_000}
SUBJECT = {"tenant": "acme", "workspace": "prod", "agent": "triage"}
ACTION = {"kind": "llm.completion", "name": "openai:gpt-4o-mini"}
LONGEST = "n" * 128


def reserve(**changes: Any) -> bytes:
    body = {"idempotency_key": "k1", "subject": SUBJECT, "action": ACTION, "estimate": AMOUNT}
    return json.dumps(body | changes).encode()


def reserved(**changes: Any) -> ReserveRequest:
    return decode(reserve(**changes), ReserveRequest)


def refusal_of(raw: bytes, struct: type[msgspec.Struct] = ReserveRequest) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        decode(raw, struct)
    assert caught.value.status == 400
    return caught.value


class TestReserveRequest:
    def test_fills_in_the_contracts_defaults(self) -> None:
        request = reserved()

        assert (request.ttl_ms, request.grace_period_ms) == (60_000, 5_000)
        assert request.overage_policy is OveragePolicy.ALLOW_IF_AVAILABLE
        assert request.dry_run is False

    @pytest.mark.parametrize(
        "changes",
        [
            {"ttl_ms": 1_000},
            {"ttl_ms": 86_400_000},
            {"grace_period_ms": 0},
            {"grace_period_ms": 60_000},
            {"dry_run": True},
            {"overage_policy": "REJECT"},
            {"observe_mode": "OBSERVE"},
            {"idempotency_key": "!" * 256},
            {"idempotency_key": "~"},
            {"estimate": {"unit": "TOKENS", "amount": 0}},
            {"estimate": {"unit": "RISK_POINTS", "amount": 2**63 - 1}},
            {"subject": {"toolset": LONGEST}},
            {"subject": {"tenant": "A.b_C-9"}},
            {"subject": {"agent": "a", "dimensions": {}}},
            {"subject": {"agent": "a", "dimensions": {f"d{n}": "" for n in range(16)}}},
            {"subject": {"agent": "a", "dimensions": {"n" * 128: "😀" * 256}}},
            {"subject": {"agent": "a", "dimensions": {"run": LONGEST}}},
            {"action": {"kind": "k" * 64, "name": "n" * 256, "tags": ["t" * 64] * 10}},
            {"action": {"kind": "", "name": "", "tags": []}},
            {"action": ACTION | {"policy_keys": {"host": "api.example.com"}}},
            {"metadata": {}},
            {"metadata": {"a": None, "b": [1.5, {"c": True}]}},
            {"metadata": {"a": "x" * (64 * 1024 - len('{"a":""}'))}},
        ],
    )
    def test_takes_the_last_value_inside_every_limit(self, changes: dict[str, Any]) -> None:
        reserved(**changes)

    @pytest.mark.parametrize(
        ("changes", "path"),
        [
            ({"ttl_ms": 999}, "ttl_ms"),
            ({"ttl_ms": 86_400_001}, "ttl_ms"),
            ({"grace_period_ms": -1}, "grace_period_ms"),
            ({"grace_period_ms": 60_001}, "grace_period_ms"),
            ({"ttl_ms": "60000"}, "ttl_ms"),
            ({"ttl_ms": 60000.0}, "ttl_ms"),
            ({"dry_run": "true"}, "dry_run"),
            ({"overage_policy": "reject"}, "overage_policy"),
            ({"observe_mode": "WATCH"}, "observe_mode"),
            ({"idempotency_key": ""}, "idempotency_key"),
            ({"idempotency_key": "k" * 257}, "idempotency_key"),
            ({"idempotency_key": "two words"}, "idempotency_key"),
            ({"idempotency_key": "k\n"}, "idempotency_key"),
            ({"idempotency_key": "😀"}, "idempotency_key"),
            ({"idempotency_key": "é"}, "idempotency_key"),
            ({"estimate": {"unit": "TOKENS", "amount": -1}}, "estimate.amount"),
            ({"estimate": {"unit": "TOKENS", "amount": 2**63}}, "estimate.amount"),
            ({"estimate": {"unit": "TOKENS", "amount": 1.5}}, "estimate.amount"),
            ({"estimate": {"unit": "TOKENS", "amount": True}}, "estimate.amount"),
            ({"estimate": {"amount": 1}}, "estimate.unit"),
            ({"estimate": {"unit": "TOKENS"}}, "estimate.amount"),
            ({"estimate": AMOUNT | {"currency": "USD"}}, "estimate.currency"),
            ({"subject": {}}, "subject"),
            ({"subject": {"dimensions": {"run": "r1"}}}, "subject"),
            ({"subject": SUBJECT | {"dimensions": {f"d{n}": "" for n in range(17)}}}, "subject.dimensions"),
            ({"subject": SUBJECT | {"dimensions": {"n" * 129: ""}}}, "subject.dimensions"),
            ({"subject": SUBJECT | {"dimensions": {"": ""}}}, "subject.dimensions"),
            ({"subject": SUBJECT | {"dimensions": {"a": "v" * 257}}}, "subject.dimensions[...]"),
            ({"subject": SUBJECT | {"dimensions": {"a": 1}}}, "subject.dimensions[...]"),
            ({"subject": SUBJECT | {"dimensions": {"run": "two words"}}}, "subject.dimensions.run"),
            ({"subject": SUBJECT | {"dimensions": {"run": ""}}}, "subject.dimensions.run"),
            ({"subject": SUBJECT | {"dimensions": {"run": "r" * 129}}}, "subject.dimensions.run"),
            ({"subject": SUBJECT | {"department": "x"}}, "subject.department"),
            ({"action": {"kind": "k" * 65, "name": "n"}}, "action.kind"),
            ({"action": {"kind": "k", "name": "n" * 257}}, "action.name"),
            ({"action": ACTION | {"tags": ["t"] * 11}}, "action.tags"),
            ({"action": ACTION | {"tags": ["t", "t" * 65]}}, "action.tags[1]"),
            ({"action": ACTION | {"policy_keys": "x"}}, "action.policy_keys"),
            ({"action": ACTION | {"policy_keys": {"a": "x" * 64 * 1024}}}, "action.policy_keys"),
            ({"metadata": []}, "metadata"),
            ({"metadata": {"a": "x" * (64 * 1024 - len('{"a":""}') + 1)}}, "metadata"),
            ({"reserved": 5}, "reserved"),
            ({"state": "ACTIVE"}, "state"),
            ({"is_over_limit": False}, "is_over_limit"),
        ],
    )
    def test_refuses_the_first_value_outside_by_its_path(self, changes: dict[str, Any], path: str) -> None:
        refusal = refusal_of(reserve(**changes))

        assert refusal.message.startswith(f"{path} ")
        assert refusal.details == {"field": path}

    @pytest.mark.parametrize("field", json.loads(reserve()))
    def test_refuses_a_missing_field(self, field: str) -> None:
        body = json.loads(reserve())
        del body[field]

        assert refusal_of(json.dumps(body).encode()).message == f"{field} is missing."

    @pytest.mark.parametrize(
        "field", [field for field in ReserveRequest.__struct_fields__ if field != "idempotency_key"]
    )
    def test_refuses_null_for_every_field(self, field: str) -> None:
        refusal = refusal_of(reserve(**{field: None}))

        assert refusal.message.startswith(f"{field} must be ")
        assert refusal.message.endswith(", not null.")

    @pytest.mark.parametrize("level", ["tenant", "workspace", "app", "workflow", "agent", "toolset"])
    @pytest.mark.parametrize(
        "name",
        [
            "",
            "n" * 129,
            "a b",
            "a/b",
            "a:b",
            "a\n",
            "a\u0000",
            "é",
            "е",  # Cyrillic
            "\uff41",
            "İ",
            "ſ",
            "٣",
            "a\u200d",
            "*",
            "a'--",
        ],
    )
    def test_refuses_a_scope_name_that_is_not_plain(self, level: str, name: str) -> None:
        refusal = refusal_of(reserve(subject={level: name}))

        assert refusal.details == {"field": f"subject.{level}"}
        if "\u0000" not in name:
            assert refusal.message == (f"subject.{level} must be 1 to 128 characters out of A-Z a-z 0-9 _ . -.")

    def test_says_which_subject_fields_would_do(self) -> None:
        assert refusal_of(reserve(subject={"dimensions": {"a": "b"}})).message == (
            "subject must name at least one of tenant, workspace, app, workflow, agent, toolset."
        )

    def test_lists_the_units_for_an_unknown_one(self) -> None:
        """H9"""
        refusal = refusal_of(reserve(estimate={"unit": "EUR_CENTS", "amount": 1}))

        assert refusal.code == "UNIT_MISMATCH"
        assert refusal.details == {
            "field": "estimate.unit",
            "expected_units": ["USD_MICROCENTS", "TOKENS", "CREDITS", "RISK_POINTS"],
        }
        assert "EUR" not in refusal.message

    def test_of_the_largest_size_is_read(self) -> None:
        raw = reserve()

        assert decode(raw + b" " * (BODY_BYTES_MAX - len(raw)), ReserveRequest) == reserved()


class TestOtherRequests:
    @pytest.mark.parametrize(
        ("struct", "body"),
        [
            (DecideRequest, {"subject": SUBJECT, "action": ACTION, "estimate": AMOUNT, "metadata": {}}),
            (CommitRequest, {"actual": AMOUNT}),
            (CommitRequest, {"actual": AMOUNT, "metrics": {}, "metadata": {"a": 1}}),
            (
                CommitRequest,
                {
                    "actual": AMOUNT,
                    "metrics": {
                        "tokens_input": 0,
                        "tokens_output": 2**63 - 1,
                        "latency_ms": 1,
                        "model_version": "v" * 128,
                        "custom": {"a": 1.5},
                    },
                },
            ),
            (ReleaseRequest, {}),
            (ReleaseRequest, {"reason": "r" * 256}),
            (ExtendRequest, {"extend_by_ms": 1}),
            (ExtendRequest, {"extend_by_ms": 86_400_000, "metadata": {}}),
            (EventRequest, {"subject": SUBJECT, "action": ACTION, "actual": AMOUNT}),
            (
                EventRequest,
                {
                    "subject": SUBJECT,
                    "action": ACTION,
                    "actual": AMOUNT,
                    "overage_policy": "ALLOW_WITH_OVERDRAFT",
                    "metrics": {},
                    "client_time_ms": 0,
                },
            ),
        ],
    )
    def test_take_what_the_contract_allows(self, struct: type[msgspec.Struct], body: dict[str, Any]) -> None:
        decode(json.dumps({"idempotency_key": "k"} | body).encode(), struct)

    @pytest.mark.parametrize(
        ("struct", "body", "path"),
        [
            (DecideRequest, {"subject": SUBJECT, "action": ACTION, "estimate": AMOUNT, "ttl_ms": 5000}, "ttl_ms"),
            (CommitRequest, {}, "actual"),
            (CommitRequest, {"actual": None}, "actual"),
            (CommitRequest, {"actual": AMOUNT, "metrics": {"tokens_input": -1}}, "metrics.tokens_input"),
            (CommitRequest, {"actual": AMOUNT, "metrics": {"model_version": "v" * 129}}, "metrics.model_version"),
            (CommitRequest, {"actual": AMOUNT, "metrics": {"custom": {"a": "x" * 65_536}}}, "metrics.custom"),
            (CommitRequest, {"actual": AMOUNT, "metrics": {"cost": 1}}, "metrics.cost"),
            (ReleaseRequest, {"reason": "r" * 257}, "reason"),
            (ReleaseRequest, {"metadata": {}}, "metadata"),
            (ExtendRequest, {"extend_by_ms": 0}, "extend_by_ms"),
            (ExtendRequest, {"extend_by_ms": 86_400_001}, "extend_by_ms"),
            (
                EventRequest,
                {"subject": SUBJECT, "action": ACTION, "actual": AMOUNT, "client_time_ms": -1},
                "client_time_ms",
            ),
            (EventRequest, {"subject": SUBJECT, "action": ACTION, "actual": AMOUNT, "dry_run": True}, "dry_run"),
        ],
    )
    def test_refuse_all_else(self, struct: type[msgspec.Struct], body: dict[str, Any], path: str) -> None:
        refusal = refusal_of(json.dumps({"idempotency_key": "k"} | body).encode(), struct)

        assert refusal.message.startswith(f"{path} ")

    @pytest.mark.parametrize(
        "struct", [DecideRequest, ReserveRequest, CommitRequest, ReleaseRequest, ExtendRequest, EventRequest]
    )
    def test_need_an_idempotency_key(self, struct: type[msgspec.Struct]) -> None:
        full = {
            "subject": SUBJECT,
            "action": ACTION,
            "estimate": AMOUNT,
            "actual": AMOUNT,
            "extend_by_ms": 1,
        }
        body = {name: value for name, value in full.items() if name in struct.__struct_fields__}

        assert refusal_of(json.dumps(body).encode(), struct).message == "idempotency_key is missing."


class TestPayloadHash:
    def test_has_16_bytes_and_ignores_order_spacing_and_spelt_out_defaults(self) -> None:
        body = json.loads(reserve(metadata={"a": 1, "b": {"c": 2, "d": 3}}, ttl_ms=60_000, dry_run=False))
        body["metadata"] = {"b": {"d": 3, "c": 2}, "a": 1}
        other = json.dumps(dict(reversed(body.items())), indent=2).encode()

        same = payload_hash(decode(other, ReserveRequest))

        assert len(same) == 16
        assert same == payload_hash(reserved(metadata={"a": 1, "b": {"c": 2, "d": 3}}))

    @pytest.mark.parametrize(
        "changes",
        [
            {"estimate": {"unit": "USD_MICROCENTS", "amount": 500_001}},
            {"estimate": {"unit": "TOKENS", "amount": 500_000}},
            {"subject": SUBJECT | {"agent": "Triage"}},
            {"subject": {"tenant": "acme", "workspace": "prod", "app": "triage"}},
            {"subject": SUBJECT | {"dimensions": {}}},
            {"action": ACTION | {"tags": []}},
            {"ttl_ms": 60_001},
            {"dry_run": True},
            {"overage_policy": "REJECT"},
            {"metadata": {}},
            {"observe_mode": "ENFORCE"},
            {"idempotency_key": "k2"},
        ],
    )
    def test_changes_with_everything_that_was_said(self, changes: dict[str, Any]) -> None:
        assert payload_hash(reserved(**changes)) != payload_hash(reserved())

    def test_tells_a_dry_run_from_a_live_one_of_the_same_key(self) -> None:
        assert payload_hash(reserved(dry_run=True)) != payload_hash(reserved(dry_run=False))

    @given(st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8)), st.randoms())
    def test_does_not_depend_on_the_order_of_metadata(self, metadata: dict[str, Any], random: Any) -> None:
        clean = {key.replace("\0", ""): value for key, value in metadata.items() if value != "\0"}
        clean = {key: value for key, value in clean.items() if "\0" not in str(value)}
        shuffled = list(clean.items())
        random.shuffle(shuffled)

        assert payload_hash(reserved(metadata=clean)) == payload_hash(reserved(metadata=dict(shuffled)))


class TestScopeSuffixes:
    @pytest.mark.parametrize(
        ("subject", "suffixes"),
        [
            (Subject(tenant="acme"), [""]),
            (Subject(workspace="prod"), ["", "/workspace:prod"]),
            (
                Subject(tenant="acme", workspace="Prod", agent="TRIAGE"),
                ["", "/workspace:prod", "/workspace:prod/agent:triage"],
            ),
            (Subject(toolset="t"), ["", "/toolset:t"]),
            (
                Subject(workspace="w", app="a", workflow="f", agent="g", toolset="t"),
                [
                    "",
                    "/workspace:w",
                    "/workspace:w/app:a",
                    "/workspace:w/app:a/workflow:f",
                    "/workspace:w/app:a/workflow:f/agent:g",
                    "/workspace:w/app:a/workflow:f/agent:g/toolset:t",
                ],
            ),
        ],
    )
    def test_are_lower_cased_root_first_with_gaps_skipped(self, subject: Subject, suffixes: list[str]) -> None:
        assert scope_suffixes(subject) == suffixes

    def test_of_the_longest_path_stay_bounded(self) -> None:
        subject = Subject(workspace=LONGEST, app=LONGEST, workflow=LONGEST, agent=LONGEST, toolset=LONGEST)

        assert len(scope_suffixes(subject)[-1]) < 700

    @given(
        st.dictionaries(
            st.sampled_from(["workspace", "app", "workflow", "agent", "toolset"]),
            st.from_regex(r"[A-Za-z0-9_.-]{1,9}", fullmatch=True),
        )
    )
    def test_each_extends_the_one_before(self, names: dict[str, str]) -> None:
        suffixes = scope_suffixes(msgspec.convert({"tenant": "acme", **names}, Subject))

        assert len(suffixes) == 1 + len(names)
        assert all(after.startswith(f"{before}/") for before, after in pairwise(suffixes))
        assert all(suffix == suffix.lower() for suffix in suffixes)


class TestRunId:
    def test_is_the_dimension_run_lower_cased(self) -> None:
        assert run_id(Subject(tenant="acme", dimensions={"run": "Run-42", "team": "x"})) == "run-42"

    def test_is_none_without_that_dimension(self) -> None:
        assert run_id(Subject(tenant="acme")) is None
        assert run_id(Subject(tenant="acme", dimensions={"runs": "x"})) is None


class TestRequireSameKey:
    """H8"""

    def test_takes_no_header_or_the_same_key(self) -> None:
        require_same_key(None, "k1")
        require_same_key("k1", "k1")

    @pytest.mark.parametrize("header", ["", "k2", "K1", " k1", "k1 ", "k1,k1"])
    def test_refuses_another(self, header: str) -> None:
        with pytest.raises(ProtocolError) as caught:
            require_same_key(header, "k1")

        assert caught.value.status == 400
        assert "k1" not in caught.value.message
