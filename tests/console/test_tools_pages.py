"""The page of tool policies: each plan's rules, and the test box."""

import pytest
from django.test import Client

from tenants.models import Plan, Tenant
from tests.support.books import Books
from tests.support.console import signed_in
from tests.support.plans import a_plan, tenant_on


@pytest.fixture
def plan(database: None) -> Plan:
    rules = [{"pattern": "slack.post", "verdict": "gated"}, {"pattern": "slack.*", "verdict": "allow"}]
    return a_plan(limits={"runs_per_day_max": 1}, tools={"default": "deny", "rules": rules})


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return str(answer.content.decode())


def test_shows_each_plan_s_rules_in_order(browser: Client, plan: Plan) -> None:
    page = text(browser, "/ops/tools/")

    assert f"{plan.code} v1" in page
    assert "2 rules, others denied" in page
    assert page.index("<code>slack.post</code>") < page.index("<code>slack.*</code>")


@pytest.mark.parametrize(
    ("tool", "verdict"),
    [("SLACK.POST", "Needs approval"), ("slack.read", "Allowed"), ("slackpost", "Denied"), ("crm.read", "Denied")],
)
def test_tries_tools_by_a_plan(browser: Client, plan: Plan, tool: str, verdict: str) -> None:
    page = text(browser, f"/ops/tools/?plan={plan.code}&tools={tool}")

    results = page[page.index("Decided by") : page.index("</table>", page.index("Decided by"))]
    assert f"{verdict}</span>" in results
    assert f"plan {plan.code} v1" in results


def test_tries_tools_of_a_tenant_by_what_is_in_force(browser: Client, plan: Plan) -> None:
    with tenant_on(plan) as tenant:
        Books(tenant)

        page = text(browser, f"/ops/tools/?tenant={tenant.slug}&tools=slack.post,crm.read")

    results = page[page.index("Decided by") : page.index("</table>", page.index("Decided by"))]
    assert results.index("Needs approval</span>") < results.index("crm.read") < results.index("Denied</span>")


def test_says_what_is_missing(browser: Client, plan: Plan) -> None:
    assert "Choose a plan, or name a tenant" in text(browser, "/ops/tools/?tools=a")
    assert "no tenant nobody" in text(browser, "/ops/tools/?tools=a&tenant=nobody")


def test_shows_names_as_text(browser: Client, plan: Plan) -> None:
    hostile = "<script>x</script>\u202e"

    page = text(browser, f"/ops/tools/?plan={plan.code}&tools={hostile}&tenant=")

    assert "<script>x" not in page
    assert "&lt;script&gt;x" in page


def test_is_a_file_too(browser: Client, plan: Plan) -> None:
    found = b"".join(browser.get("/ops/tools/?format=csv").streaming_content).decode()  # type: ignore[attr-defined]

    assert f"{plan.code},1,1,slack.post,Needs approval" in found
    assert f"{plan.code},1,3,every other tool,Denied" in found


def test_is_not_for_members(ada: object, acme: Tenant) -> None:
    assert signed_in(ada).get("/ops/tools/").status_code == 404  # type: ignore[arg-type]
