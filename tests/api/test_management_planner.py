"""The planner over the management API says what the command says."""

import json
from io import StringIO
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from django.core.management import call_command

from routing.services.plan_file import read_plan_file
from routing.services.plan_report import plan_document
from routing.services.planner import make_plan
from tenants.models import Tenant
from tests.support.management import Caller, as_platform, as_tenant

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "support-agent.toml"


def ask(caller: Caller, table: Any) -> Any:
    return caller.post("planner", {"table": table})


def test_says_what_the_command_says(database: None) -> None:
    printed = StringIO()
    call_command("planner", str(EXAMPLE), "--json", stdout=printed)

    answered = ask(as_platform(), EXAMPLE.read_text())

    assert answered.status_code == 200
    assert answered.json()["figures"] == json.loads(printed.getvalue())


def test_is_for_a_tenants_admin_too(acme: Tenant) -> None:
    assert ask(as_tenant(acme), EXAMPLE.read_text()).status_code == 200
    assert ask(as_tenant(acme, permissions=["budgets:read"]), EXAMPLE.read_text()).status_code == 403


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("turns_a_day", "turns_a_decade"), "turns_a_decade"),
        (("agent =", "agent"), "not TOML"),
    ],
)
def test_refuses_a_table_that_cannot_be_planned(database: None, change: tuple[str, str], words: str) -> None:
    refused = ask(as_platform(), EXAMPLE.read_text().replace(*change, 1))

    assert (refused.status_code, refused.json()["details"]) == (400, {"field": "table"})
    assert words in refused.json()["message"]


def test_takes_less_than_five_milliseconds() -> None:
    raw = EXAMPLE.read_bytes()
    seconds = []
    for _ in range(20):
        begun = perf_counter()
        plan_document(make_plan(read_plan_file(raw)))
        seconds.append(perf_counter() - begun)

    assert min(seconds) < 0.005
