"""Raising a limit in the console: once for a form, however often it is sent, and nothing for a strange amount."""

import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from accounts.models import User
from budgets.services.editing import close_budget, freeze_budget
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.console import DOLLAR, signed_in


@pytest.fixture
def address(books: Books) -> str:
    return f"/ops/tenants/acme/budgets/{books.add_budget(allocated=100 * DOLLAR)}/raise/"


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def form_of(browser: Client, address: str) -> dict[str, str]:
    return {"amount": "250.00", "reason": "Black Friday", "key": _key_on(browser.get(address))}


def _key_on(answer: Any) -> str:
    (key,) = re.findall(r'name="key" value="([^"]+)"', answer.content.decode())
    return str(key)


def allocated(books: Books) -> int:
    return books.budget().allocated // DOLLAR


class TestRaising:
    def test_twice_by_the_same_form_is_once(self, books: Books, browser: Client, address: str) -> None:
        form = form_of(browser, address)
        for _ in range(2):
            assert browser.post(address, form).status_code == 302

        assert allocated(books) == 350

    def test_twice_at_once_is_once(self, books: Books, olive: User, browser: Client, address: str) -> None:
        form = form_of(browser, address)
        browsers = [signed_in(olive) for _ in range(4)]

        with ThreadPoolExecutor(len(browsers)) as threads:
            answers = list(threads.map(lambda one: _sent(one, address, form), browsers))

        assert set(answers) == {302}
        assert allocated(books) == 350

    def test_by_more_by_the_same_form_is_said_and_can_be_sent_again(
        self, books: Books, browser: Client, address: str
    ) -> None:
        form = form_of(browser, address)
        browser.post(address, form)

        answer = browser.post(address, form | {"amount": "1.00"})

        assert answer.status_code == 422
        assert "This form was sent before, with other values" in text_of(answer)
        assert allocated(books) == 350
        assert browser.post(address, form | {"amount": "1.00", "key": _key_on(answer)}).status_code == 302
        assert allocated(books) == 351

    @pytest.mark.parametrize(
        "amount",
        ["", "0", "-1", "1e9", "\N{ARABIC-INDIC DIGIT THREE}", "0.000000001", "1,00", "NaN", "9" * 40, "92233720268.6"],
    )
    def test_of_a_strange_amount_is_none(self, books: Books, browser: Client, address: str, amount: str) -> None:
        assert browser.post(address, form_of(browser, address) | {"amount": amount}).status_code == 422
        assert allocated(books) == 100

    @pytest.mark.parametrize("end", [freeze_budget, close_budget])
    def test_of_a_budget_that_ended_meanwhile_says_so(
        self, books: Books, browser: Client, address: str, end: Any
    ) -> None:
        form = form_of(browser, address)
        with in_tenant(books.tenant.tag):
            end(budget_id=books.budget().id, actor=TEST_ACTOR)

        answer = browser.post(address, form)

        assert answer.status_code in {404, 422}
        assert allocated(books) == 100

    def test_of_another_tenants_budget_is_none(
        self, books: Books, browser: Client, address: str, initech: Tenant
    ) -> None:
        form = form_of(browser, address)

        assert browser.post(address.replace("/acme/", "/initech/"), form).status_code == 404
        assert allocated(books) == 100


def _sent(browser: Client, address: str, form: dict[str, str]) -> int:
    try:
        return browser.post(address, form).status_code
    finally:
        connections.close_all()
