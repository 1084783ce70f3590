"""Pages about routing: tiers and classes of plans, the dry run, the planner, router accuracy."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client

from routing.console.planner import EXAMPLE
from routing.services.plan_file import read_plan_file
from routing.services.planner import make_plan
from tenants.models import Plan
from tests.support.books import Books
from tests.support.console import DOLLAR
from tests.support.owner import delete_shared
from tests.support.plans import USD, a_plan, money
from tests.support.rules import rule

ROUTING = {
    "tiers": {"small": ["openai:gpt-4o-mini"], "large": ["openai:gpt-4o"]},
    "fallbacks": {"small": "large"},
    "classes": {
        "chat": {
            "tier": "small",
            "output_tokens_max": 500,
            "timeouts": {"sla_ms": 10_000, "model_ms": 2_500, "model_calls": 2},
        }
    },
    "default_class": "chat",
}


@pytest.fixture
def plan(database: None) -> Iterator[Plan]:
    plan = a_plan(budgets=[money(10 * USD)], routing=ROUTING)
    yield plan
    delete_shared(Plan.objects.filter(pk=plan.pk))


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return str(answer.content.decode())


class TestRoutes:
    def test_shows_tiers_and_classes_of_a_plan(self, browser: Client, plan: Plan) -> None:
        page = text(browser, f"/ops/routes/?plan={plan.code}")

        assert "openai:gpt-4o-mini" in page
        assert "output 500 tokens" in page
        assert "5 s of 10 s" in page
        assert "Default</span>" in page

    def test_is_a_file_too(self, browser: Client, plan: Plan) -> None:
        found = b"".join(browser.get("/ops/routes/?format=csv").streaming_content).decode()  # type: ignore[attr-defined]

        assert f"{plan.code},1,chat,small,hard,output 500 tokens" in found

    def test_runs_a_call_dry_for_a_tenant(self, browser: Client, books: Books) -> None:
        books.add_budget(allocated=DOLLAR)
        rule(books)
        query = "try=1&input_tokens=100&priority=normal"

        assert "This call would be allowed" in text(browser, f"/ops/routes/?{query}&tenant=acme")
        assert "no such tenant" in text(browser, f"/ops/routes/?{query}&tenant=nobody")
        assert "This call would" not in text(browser, f"/ops/routes/?{query}&tenant=")


class TestPlanner:
    def test_begins_with_a_table_that_works(self) -> None:
        plan = make_plan(read_plan_file(EXAMPLE.encode()))

        # 70 / 25 / 5 % at 0.05 / 0.10 / 1.50, in 50,000 turns a day.
        assert float(plan.expected.turn) == 0.135
        assert plan.expected.day == 6_750
        assert plan.is_inside

    def test_shows_expected_worst_and_all_large(self, browser: Client) -> None:
        page = browser.post("/ops/routes/planner/", {"table": EXAMPLE}).content.decode()

        assert "₹0.135" in page
        assert "₹6,750" in page
        assert "Ceiling ₹400,000 a month: inside" in page

    def test_of_the_examples_works(self, browser: Client) -> None:
        for path in sorted((Path(__file__).parents[2] / "examples").glob("*.toml")):
            assert browser.post("/ops/routes/planner/", {"table": path.read_text()}).status_code == 200, path

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (("percent = 70", "percent = 71"), "100"),
            (("margin = 1.5", "margin = 1.6"), "10.1 s"),
            (("[currency]", "[currency"), "TOML"),
        ],
    )
    def test_says_what_is_wrong_and_keeps_the_table(self, browser: Client, change: tuple[str, str], words: str) -> None:
        answer = browser.post("/ops/routes/planner/", {"table": EXAMPLE.replace(*change)})

        assert answer.status_code == 422
        page = answer.content.decode()
        assert words in page
        assert change[1] in page


class TestAccuracy:
    def test_shows_each_tenant_s_router(self, browser: Client, books: Books) -> None:
        page = text(browser, "/ops/routes/accuracy/?q=acme")

        assert "Acme Corporation" in page
        assert "Too few labels" in page
        assert "97.0%" in page
        assert "none was trained" in text(browser, "/ops/tenants/acme/routing/router/")
