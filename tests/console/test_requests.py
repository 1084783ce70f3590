"""Asking for more money, and the operators' answers: once each, with the money, and gone from the list."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from accounts.models import MemberRole, OperatorRole, User
from budgets.models import BudgetRequest
from budgets.models.choices import RequestState
from budgets.services.editing import freeze_budget
from kernel.ids import uuid7
from kernel.money import Unit
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry
from tenants.models import OpenRequest, Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.console import DOLLAR, member_of, person, signed_in

ASK = "/t/acme/requests/new/"
HOSTILE = "<script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}\N{ROCKET}=1+1"


@pytest.fixture
def member(acme: Tenant, books: Books) -> Any:
    books.add_budget(allocated=100 * DOLLAR)
    with member_of(acme, "ada", MemberRole.ADMIN) as user:
        yield signed_in(user)


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", unescape(answer.content.decode())))


def form(books: Books, **changes: str) -> dict[str, str]:
    values = {"budget": str(books.budget().id), "amount": "250.00", "reason": "Black Friday", "key": str(uuid7())}
    return values | changes


def ask(books: Books, member: Client, **changes: str) -> str:
    """Ask; the address below which it is answered."""
    values = form(books, **changes)
    assert member.post(ASK, values).status_code == 302
    return f"/ops/tenants/acme/requests/{values['key']}/"


def kept(books: Books) -> list[BudgetRequest]:
    with in_tenant(books.tenant.tag):
        return list(BudgetRequest.objects.order_by("asked_at"))


def open_count() -> int:
    with in_public():
        return OpenRequest.objects.count()


class TestAsking:
    def test_is_seen_by_both_sides(self, books: Books, member: Client, browser: Client) -> None:
        ask(books, member)

        assert "Black Friday not yet Waiting" in text_of(member.get("/t/acme/budgets/"))
        assert "Acme Corporation tenant:acme $250.00 Black Friday" in text_of(browser.get("/ops/requests/"))

    def test_twice_by_the_same_form_is_once(self, books: Books, member: Client) -> None:
        values = form(books)
        for _ in range(2):
            assert member.post(ASK, values).status_code == 302

        assert len(kept(books)) == open_count() == 1

    def test_for_something_else_by_the_same_form_is_said_and_can_be_sent_again(
        self, books: Books, member: Client
    ) -> None:
        values = form(books)
        member.post(ASK, values)

        answer = member.post(ASK, values | {"amount": "900.00"})

        assert answer.status_code == 422
        assert "This form was sent before, with other values" in text_of(answer)
        assert [request.amount for request in kept(books)] == [250 * DOLLAR]
        (key,) = re.findall(r'name="key" value="([^"]+)"', answer.content.decode())
        assert member.post(ASK, values | {"amount": "900.00", "key": key}).status_code == 302
        assert [request.amount for request in kept(books)] == [250 * DOLLAR, 900 * DOLLAR]

    def test_by_the_id_of_another_tenants_request_does_not_touch_that(
        self, books: Books, member: Client, browser: Client, initech: Tenant
    ) -> None:
        key = ask(books, member).split("/")[-2]
        others = Books(initech)
        others.add_budget(allocated=DOLLAR)

        with member_of(initech, "eve", MemberRole.ADMIN) as eve:
            answer = signed_in(eve).post("/t/initech/requests/new/", form(others, key=key))
        browser.post(f"/ops/tenants/initech/requests/{key}/decline/", {"reason": "No"})

        assert answer.status_code == 422
        assert kept(others) == []
        assert "Acme Corporation tenant:acme $250.00 Black Friday" in text_of(browser.get("/ops/requests/"))

    @pytest.mark.parametrize(
        "changes",
        [{"amount": "0"}, {"amount": ""}, {"budget": "x"}, {"reason": ""}, {"reason": "x" * 257}, {"key": "x"}],
    )
    def test_nothing_is_refused(self, books: Books, member: Client, changes: dict[str, str]) -> None:
        assert member.post(ASK, form(books, **changes)).status_code == 422
        assert open_count() == 0

    def test_takes_a_reason_as_text(self, books: Books, member: Client, browser: Client) -> None:
        reason = HOSTILE + "x" * (256 - len(HOSTILE))
        ask(books, member, reason=reason)

        for page in (member.get("/t/acme/requests/"), browser.get("/ops/requests/"), member.get("/t/acme/budgets/")):
            assert b"<script>alert" not in page.content
            assert reason in unescape(page.content.decode())

    def test_is_for_admins_of_the_tenant(self, books: Books, member: Client, ben: User, browser: Client) -> None:
        assert signed_in(ben).post(ASK, form(books)).status_code == 403
        assert browser.post("/ops/tenants/acme/requests/new/", form(books)).status_code == 403

    def test_begins_with_what_the_link_says(self, books: Books, member: Client) -> None:
        page = member.get(f"{ASK}?for={books.budget().id}&amount=1.28").content.decode()

        assert 'value="1.28"' in page
        assert f'<option value="{books.budget().id}" selected>' in page


class TestGranting:
    def test_gives_the_money_and_says_so(self, books: Books, member: Client, browser: Client) -> None:
        address = ask(books, member)

        answer = browser.post(f"{address}grant/", {"amount": "250.00", "reason": "Agreed"})

        assert answer["Location"] == "/ops/requests/"
        assert books.budget().allocated == 350 * DOLLAR
        assert open_count() == 0
        assert "$250.00 : Agreed olive@example.test" in text_of(member.get("/t/acme/budgets/"))
        with in_tenant(books.tenant.tag):
            actions = set(AuditEntry.objects.values_list("action", flat=True))
        assert {"budget_request.made", "budget_request.granted", "budget.funded"} <= actions

    def test_may_give_less(self, books: Books, member: Client, browser: Client) -> None:
        browser.post(f"{ask(books, member)}grant/", {"amount": "1", "reason": "A little"})

        assert books.budget().allocated == 101 * DOLLAR
        assert kept(books)[0].granted == DOLLAR

    def test_twice_gives_once(self, books: Books, member: Client, browser: Client) -> None:
        address = ask(books, member)
        for _ in range(2):
            assert browser.post(f"{address}grant/", {"amount": "250", "reason": "Agreed"}).status_code == 302

        assert books.budget().allocated == 350 * DOLLAR

    def test_after_an_answer_does_nothing_and_says_so(self, books: Books, member: Client, browser: Client) -> None:
        address = ask(books, member)
        browser.post(f"{address}decline/", {"reason": "No"})

        answer = browser.post(f"{address}grant/", {"amount": "250", "reason": "Yes"}, follow=True)

        assert "Somebody has declined this request already. Nothing was done." in text_of(answer)
        assert books.budget().allocated == 100 * DOLLAR

    def test_is_all_or_nothing(self, books: Books, member: Client, browser: Client) -> None:
        address = ask(books, member)
        budget_id = books.budget().id
        with in_tenant(books.tenant.tag):
            freeze_budget(budget_id=budget_id, actor=TEST_ACTOR)

        answer = browser.post(f"{address}grant/", {"amount": "250", "reason": "Agreed"})

        assert answer.status_code == 422
        assert "is frozen: it neither gives nor takes money." in text_of(answer)
        assert kept(books)[0].state == RequestState.OPEN
        assert open_count() == 1

    @pytest.mark.parametrize(("amount", "status"), [("92233720368.54775807", 422), ("92233720268.54775807", 302)])
    def test_stops_where_a_budget_is_full(
        self, books: Books, member: Client, browser: Client, amount: str, status: int
    ) -> None:
        answer = browser.post(f"{ask(books, member)}grant/", {"amount": amount, "reason": "All of it"})

        assert answer.status_code == status

    def test_is_for_operators_alone(self, books: Books, member: Client) -> None:
        address = ask(books, member)

        assert member.post(f"{address}grant/", {"amount": "1", "reason": "me"}).status_code == 404
        own = address.replace("/ops/tenants/", "/t/")
        assert member.post(f"{own}grant/", {"amount": "1", "reason": "me"}).status_code == 403
        with person("vi", OperatorRole.VIEWER) as viewer:
            assert signed_in(viewer).post(f"{address}grant/", {}).status_code == 403

    def test_of_another_tenants_request_is_none(
        self, books: Books, member: Client, browser: Client, initech: Tenant
    ) -> None:
        address = ask(books, member).replace("acme", "initech")

        assert browser.get(f"{address}grant/").status_code == 404
        assert browser.get(f"/ops/tenants/acme/requests/{uuid7()}/decline/").status_code == 404


class TestDeclining:
    def test_gives_a_reason_and_no_money(self, books: Books, member: Client, browser: Client) -> None:
        address = ask(books, member)

        browser.post(f"{address}decline/", {"reason": "Not this month"})

        assert books.budget().allocated == 100 * DOLLAR
        assert "Not this month" in text_of(member.get("/t/acme/requests/"))
        assert open_count() == 0

    def test_needs_a_reason(self, books: Books, member: Client, browser: Client) -> None:
        assert browser.post(f"{ask(books, member)}decline/", {}).status_code == 422


class TestLists:
    def test_go_on_where_a_page_ends(self, books: Books, member: Client, browser: Client) -> None:
        books.add_budget(allocated=5, unit=Unit.TOKENS)
        for number in range(51):
            ask(books, member, reason=f"number-{number}.")

        for browser_, address in ((member, "/t/acme/requests/"), (browser, "/ops/requests/")):
            first = browser_.get(address).content.decode()
            (link,) = re.findall(r'<a href="(\?(?:before|after)=[^"]+)"', first)
            second = browser_.get(address + link).content.decode()

            assert len(re.findall(r"number-\d+\.", first)) == 50
            assert len(set(re.findall(r"number-\d+\.", first + second))) == 51

    @pytest.mark.parametrize("cursor", ["x", "%00", "01a204a7-fba0-7974-bffc-c76cd94da32f"])
    def test_take_strange_cursors(self, member: Client, browser: Client, cursor: str) -> None:
        assert member.get(f"/t/acme/requests/?before={cursor}").status_code == 200
        assert browser.get(f"/ops/requests/?after={cursor}").status_code == 200
