"""Pages about the ledger against what others say was used."""

from dataclasses import replace
from datetime import UTC, datetime

from django.test import Client

from budgets.models import Reconciliation
from budgets.reconciling.calls import Observed, Source
from budgets.reconciling.matching import compare_calls
from budgets.services.reconciliations import Question, keep_reconciliation
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR

LIST = "/ops/tenants/acme/reconciliations/"


def kept(tenant: Tenant, *calls: Observed, **counts: int) -> Reconciliation:
    now = datetime.now(UTC)
    question = Question(source=Source.SESSION_LOG, name="session.jsonl", since=now, until=now)
    found = replace(compare_calls(calls, [], tolerance_ppm=0), **counts)  # type: ignore[arg-type]
    return keep_reconciliation(tag=tenant.tag, question=question, found=found, actor=TEST_ACTOR, now=now)


def missing(reference: str, **fields: object) -> Observed:
    at = datetime.now(UTC)
    return Observed(model="gpt-4o", place="line 2", references=(reference,), at=at, **fields)  # type: ignore[arg-type]


class TestReconciliations:
    def test_say_how_to_make_one_where_there_is_none(self, acme: Tenant, browser: Client) -> None:
        assert "manage.py reconcile --tenant acme" in browser.get(LIST).content.decode()

    def test_are_listed_with_what_they_found(self, acme: Tenant, browser: Client) -> None:
        done = kept(acme, missing("a", cost=150_000_000))

        text = browser.get(LIST).content.decode()

        assert f"{LIST}{done.pk}/" in text
        assert "session.jsonl" in text
        assert "$1.50" in text

    def test_show_each_difference_with_both_sides(self, acme: Tenant, browser: Client) -> None:
        done = kept(acme, missing("<b>a</b>", tokens_input=1_000, tokens_output=200, cost=150_000_000))

        text = browser.get(f"{LIST}{done.pk}/").content.decode()

        assert "Missing" in text
        assert "1,000 + 200" in text
        assert "&lt;b&gt;a&lt;/b&gt;" in text

    def test_say_so_where_nothing_differs(self, acme: Tenant, browser: Client) -> None:
        done = kept(acme)

        assert "Every call is on both sides" in browser.get(f"{LIST}{done.pk}/").content.decode()

    def test_say_how_many_calls_name_no_provider(self, acme: Tenant, browser: Client) -> None:
        assert "Of no provider" not in browser.get(f"{LIST}{kept(acme).pk}/").content.decode()

        done = kept(acme, unnamed=1_200, unplaced=3)

        text = " ".join(browser.get(f"{LIST}{done.pk}/").content.decode().split())
        assert "1,200 booked calls name no provider" in text
        assert "3 of a model without a price" in text

    def test_are_a_file_without_formulas(self, acme: Tenant, browser: Client) -> None:
        done = kept(acme, missing("=cmd()", cost=5))

        file = b"".join(browser.get(f"{LIST}{done.pk}/csv/")).decode()

        assert file.count("\n") == 2
        assert ",'=cmd()," in file
        assert file.rstrip().endswith(",5,,5")

    def test_of_another_tenant_are_not_there(self, acme: Tenant, initech: Tenant, browser: Client) -> None:
        done = kept(initech)

        assert browser.get(f"{LIST}{done.pk}/").status_code == 404
