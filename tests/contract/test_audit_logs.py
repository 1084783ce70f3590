"""The audit trail as the protocol's management contract has it, read from beside the project."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from kernel.actor import Actor
from kernel.tenancy import in_tenant
from telemetry.services.audit import record
from tenants.models import Tenant
from tests.contract.test_webhooks import FILE, contract
from tests.support.management import Caller, as_platform, as_tenant

PATH = "/v1/admin/audit/logs"

pytestmark = pytest.mark.skipif(
    not FILE.is_file(),
    reason="The management contract is not at hand; WATERMASTER_SHARED names the folder that has it.",
)


def ask(caller: Caller, *, expected: int = 200, **query: Any) -> Any:
    """The answer's body, which the contract allows and which says null nowhere."""
    answer = caller.get(f"{PATH}?{urlencode(query)}")
    assert answer.status_code == expected, answer.content
    body = answer.json()
    contract().check_body("GET", PATH, expected, body)
    assert "null" not in answer.content.decode()
    return body


def named() -> dict[str, dict[str, Any]]:
    """The contract's parameters by their names."""
    operation = contract().operation("GET", PATH)
    assert operation is not None
    return {each["name"]: each for each in operation["parameters"]}


class TestContract:
    def test_allows_what_an_operator_is_answered(self, acme: Tenant) -> None:
        operator = as_platform()
        operator.post("tenants/acme/suspend", {"reason": "Overdue"})
        with in_tenant(acme.tag):
            facts = {"was": None, "list": [None, {"x": None}]}
            record(
                actor=Actor(name="w", actor_type="scheduler", trace_id="short"),
                action="odd",
                target="",
                at=datetime.now(UTC),
                before=facts,
                after=None,
            )

        found = ask(operator, tenant_id="acme")["logs"]

        assert {"odd", "tenant.suspended", "tenant.created"} <= {each["operation"] for each in found}
        assert ask(operator, limit=1)["logs"][0]["tenant_id"] == "__admin__"
        assert ask(operator, tenant_id="__unauth__")["logs"] == []
        assert ask(operator, tenant_id="acme", sort_dir="asc")["next_cursor"]

    def test_knows_every_parameter_that_is_taken(self, acme: Tenant) -> None:
        document = as_platform().get("schema/?format=json").json()
        taken = {each["name"] for each in document["paths"][PATH]["get"]["parameters"]}

        assert taken == named().keys()

    def test_has_the_same_words_to_sort_by(self, acme: Tenant) -> None:
        operator = as_platform()

        for word in named()["sort_by"]["schema"]["enum"]:
            for direction in ("asc", "desc"):
                ask(operator, tenant_id="acme", sort_by=word, sort_dir=direction)

    def test_allows_every_refusal(self, acme: Tenant) -> None:
        operator = as_platform()

        ask(operator, expected=400, status_min=300, status_max=200)
        ask(operator, expected=400, search="x" * 129)
        ask(as_tenant(acme), expected=403)
        ask(Caller(), expected=401)

    def test_ignores_what_it_does_not_know(self, acme: Tenant) -> None:
        assert ask(as_platform(), tenant_id="acme", flavour="mint")["logs"]
