"""Moving money in the console: what the form says beforehand, done once, stale forms, and back for ten minutes."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from accounts.models import User
from budgets.models.choices import BudgetStatus
from budgets.services.editing import close_budget, freeze_budget
from kernel.money import Unit
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.console import CENT, DOLLAR, signed_in
from tests.support.owner import let_time_pass

MARKETING, ENGINEERING = "/workspace:marketing", "/workspace:engineering"
MOVE = "/t/acme/budgets/move/"


@pytest.fixture
def siblings(books: Books) -> Books:
    """The design's own example: 500 of Engineering's money for Marketing."""
    books.add_budget(allocated=12_000 * DOLLAR)
    books.add_budget(MARKETING, allocated=2_000 * DOLLAR)
    books.add_budget(ENGINEERING, allocated=7_500 * DOLLAR)
    books.ask("event", amount=199_959 * CENT, suffixes=["", MARKETING])
    books.ask("event", amount=520_053 * CENT, suffixes=["", ENGINEERING])
    return books


@pytest.fixture
def member(ada: User) -> Client:
    return signed_in(ada)


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def choices(page: str) -> dict[str, str]:
    """The values of the options by their first words."""
    return {name: value for value, name in re.findall(r'<option value="([^"]+)"[^>]*>([^<—]+) —', page)}


def form_of(browser: Client, *, at: str = MOVE, **changes: str) -> dict[str, str]:
    page = text_of(browser.get(at))
    known = choices(page)
    values = {
        "giver": known["workspace engineering"],
        "receiver": known["workspace marketing"],
        "amount": "500.00",
        "reason": "Black Friday campaign",
        "key": re.findall(r'name="key" value="([^"]+)"', page)[0],
    }
    return values | changes


def allocated(books: Books) -> tuple[int, int]:
    return books.budget(ENGINEERING).allocated // DOLLAR, books.budget(MARKETING).allocated // DOLLAR


class TestForm:
    def test_says_what_is_free(self, siblings: Books, member: Client) -> None:
        page = text_of(member.get(MOVE))

        assert "workspace engineering — $2,299.47 free" in page
        assert "workspace marketing — $0.41 free" in page

    def test_of_a_row_begins_with_its_budget(self, siblings: Books, member: Client) -> None:
        page = text_of(member.get(f"{MOVE}?from={siblings.budget(ENGINEERING).id}"))

        chosen = re.findall(r'<option value="[^"]+" selected>([^<—]+) —', page)
        assert chosen == ["workspace engineering", "workspace marketing"]

    def test_into_a_budget_takes_from_the_richest(self, siblings: Books, member: Client) -> None:
        siblings.add_budget("/workspace:support", allocated=9_000 * DOLLAR)

        page = text_of(member.get(f"{MOVE}?into={siblings.budget(MARKETING).id}&amount=1.28&reason=stopped"))

        chosen = re.findall(r'<option value="[^"]+" selected>([^<—]+) —', page)
        assert chosen == ["workspace support", "workspace marketing"]
        assert 'value="1.28"' in page

    def test_names_no_budget_without_a_sibling(self, books: Books, member: Client) -> None:
        books.add_budget(allocated=DOLLAR)
        books.add_budget(MARKETING, allocated=DOLLAR)
        books.add_budget(ENGINEERING, allocated=5, unit=Unit.TOKENS)

        assert "There are no two such budgets yet." in text_of(member.get(MOVE))

    @pytest.mark.parametrize("query", ["from=x", "from=%00", "into=~", "from=0190&into=0190", "giver=~~&amount=1"])
    def test_takes_strange_addresses(self, siblings: Books, member: Client, query: str) -> None:
        assert member.get(f"{MOVE}?{query}").status_code == 200
        assert member.get(f"{MOVE}line/?{query}").status_code == 200


class TestLine:
    def test_says_what_both_have_afterwards(self, siblings: Books, member: Client) -> None:
        line = text_of(member.get(f"{MOVE}line/", form_of(member)))

        assert (
            "After: workspace engineering limit $7,000.00 ($1,799.47 free), workspace marketing limit $2,500.00 "
            "($500.41 free). Total unchanged at $12,000.00." in line
        )
        assert "Move $500.00" in line
        assert "hx-swap-oob" in line
        assert "hx-swap-oob" not in text_of(member.get(MOVE))
        assert "<html" not in line

    @pytest.mark.parametrize(("amount", "is_possible"), [("2,299.47", True), ("2299.47000001", False)])
    def test_says_whether_so_much_is_free(
        self, siblings: Books, member: Client, amount: str, is_possible: bool
    ) -> None:
        line = text_of(member.get(f"{MOVE}line/", form_of(member, amount=amount)))

        assert ("Not possible" in line) is not is_possible

    @pytest.mark.parametrize("amount", ["", "0", "-1", "1e3", "1.000000001", "12,34", "٣", "<script>", "9" * 40])
    def test_of_no_amount_is_no_failure(self, siblings: Books, member: Client, amount: str) -> None:
        answer = member.get(f"{MOVE}line/", form_of(member, amount=amount))

        assert answer.status_code == 200
        assert "After" not in text_of(answer)
        assert "<script>" not in answer.content.decode()

    def test_is_there_without_a_script_too(self, siblings: Books, member: Client) -> None:
        page = text_of(member.post(MOVE, form_of(member) | {"preview": "1"}))

        assert "Total unchanged at $12,000.00." in page
        assert "Move $500.00" in page
        assert 'value="Black Friday campaign"' in page
        assert allocated(siblings) == (7_500, 2_000)


class TestMove:
    def test_moves_and_says_so(self, siblings: Books, member: Client) -> None:
        answer = member.post(MOVE, form_of(member), follow=True)

        assert "Moved $500.00" in re.sub(r"<[^>]+>", "", text_of(answer))
        assert allocated(siblings) == (7_000, 2_500)

    @pytest.mark.parametrize(("amount", "moved"), [("2299.47", True), ("2299.48", False)])
    def test_moves_what_is_free_and_no_more(self, siblings: Books, member: Client, amount: str, moved: bool) -> None:
        answer = member.post(MOVE, form_of(member, amount=amount))

        assert answer.status_code == (302 if moved else 422)
        assert moved or "Only $2,299.47 of it is free now. Nothing was moved." in text_of(answer)

    def test_sent_twice_moves_once(self, siblings: Books, member: Client) -> None:
        form = form_of(member)

        answers = [member.post(MOVE, form) for _ in range(2)]

        assert answers[0]["Location"] == answers[1]["Location"]
        assert allocated(siblings) == (7_000, 2_500)

    def test_sent_again_with_another_amount_is_asked_about(self, siblings: Books, member: Client) -> None:
        form = form_of(member)
        member.post(MOVE, form)

        answer = member.post(MOVE, form_of(member, key=form["key"], amount="1.00"))

        assert answer.status_code == 422
        assert "This form was sent before" in text_of(answer)
        assert form["key"] not in text_of(answer)
        assert allocated(siblings) == (7_000, 2_500)

    def test_of_a_limit_that_changed_meanwhile_does_nothing(self, siblings: Books, member: Client) -> None:
        stale = form_of(member)
        member.post(MOVE, form_of(member, amount="100"))

        answer = member.post(MOVE, stale)

        page = text_of(answer)
        assert answer.status_code == 422
        assert "the limit of workspace engineering went from $7,500.00 to $7,400.00. Nothing was moved." in page
        assert "limit $6,900.00" in page
        assert allocated(siblings) == (7_400, 2_100)
        again = choices(page)
        assert (
            member.post(
                MOVE, stale | {"giver": again["workspace engineering"], "receiver": again["workspace marketing"]}
            ).status_code
            == 302
        )

    def test_of_spending_meanwhile_is_no_hindrance(self, siblings: Books, member: Client) -> None:
        form = form_of(member)
        siblings.ask("event", amount=CENT, suffixes=["", ENGINEERING])

        assert member.post(MOVE, form).status_code == 302

    @pytest.mark.parametrize("status", [BudgetStatus.FROZEN, BudgetStatus.CLOSED])
    def test_of_a_budget_that_stopped_meanwhile_does_nothing(
        self, siblings: Books, member: Client, status: BudgetStatus
    ) -> None:
        siblings.add_budget("/workspace:a", allocated=DOLLAR)
        siblings.add_budget("/workspace:b", allocated=DOLLAR)
        form = form_of(member)
        budget = siblings.budget(MARKETING)
        _set_status(siblings, budget.id, status)

        answer = member.post(MOVE, form)

        assert answer.status_code == 422
        assert "this one was frozen or closed meanwhile" in text_of(answer)
        assert allocated(siblings) == (7_500, 2_000)

    @pytest.mark.parametrize(
        "changes",
        [{"reason": ""}, {"reason": "x" * 257}, {"amount": "0"}, {"giver": ""}, {"receiver": "x"}, {"key": ""}],
    )
    def test_of_a_bad_form_does_nothing(self, siblings: Books, member: Client, changes: dict[str, str]) -> None:
        assert member.post(MOVE, form_of(member, **changes)).status_code == 422
        assert allocated(siblings) == (7_500, 2_000)

    def test_to_itself_is_refused(self, siblings: Books, member: Client) -> None:
        form = form_of(member)

        answer = member.post(MOVE, form | {"receiver": form["giver"]})

        assert "Choose another budget" in text_of(answer)

    def test_between_strangers_is_refused(self, siblings: Books, member: Client) -> None:
        for name in ("a", "b"):
            siblings.add_budget(f"{MARKETING}/agent:{name}", allocated=DOLLAR)
        known = choices(text_of(member.get(MOVE)))

        answer = member.post(MOVE, form_of(member, receiver=known["agent a"]))

        assert answer.status_code == 422
        assert "right beside the one that gives" in text_of(answer)

    def test_keeps_strange_reasons_as_text(self, siblings: Books, member: Client) -> None:
        reason = "<script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}\N{ROCKET}" + "x" * 200

        assert member.post(MOVE, form_of(member, reason=reason, amount="x")).status_code == 422
        assert b"<script>alert" not in member.post(MOVE, form_of(member, reason=reason, amount="x")).content
        assert member.post(MOVE, form_of(member, reason=reason)).status_code == 302

    def test_is_not_for_those_who_only_look(self, siblings: Books, ben: User) -> None:
        browser = signed_in(ben)

        assert browser.get(MOVE).status_code == 403
        assert browser.post(MOVE, {}).status_code == 403
        assert browser.post(f"{MOVE}1/undo/").status_code == 403

    def test_is_there_for_operators_too(self, siblings: Books, browser: Client) -> None:
        address = "/ops/tenants/acme/budgets/move/"

        answer = browser.post(address, form_of(browser, at=address))

        assert answer["Location"].startswith("/ops/tenants/acme/budgets/?moved=")


def _set_status(books: Books, budget_id: Any, status: BudgetStatus) -> None:
    service = freeze_budget if status == BudgetStatus.FROZEN else close_budget
    with in_tenant(books.tenant.tag):
        service(budget_id=budget_id, actor=TEST_ACTOR)


class TestUndo:
    @pytest.fixture
    def moved(self, siblings: Books, member: Client) -> str:
        """Where the page with the notice is."""
        return str(member.post(MOVE, form_of(member))["Location"])

    def test_is_offered_after_the_move_and_gives_the_money_back(
        self, siblings: Books, member: Client, moved: str
    ) -> None:
        (address,) = re.findall(r'action="(/t/acme/budgets/move/\d+/undo/)"', text_of(member.get(moved)))

        answer = member.post(address, follow=True)

        assert "Undone: $500.00 went back." in text_of(answer)
        assert allocated(siblings) == (7_500, 2_000)
        assert "It was undone." in text_of(member.get(moved))
        assert "undo/" not in text_of(member.get(moved))

    def test_twice_is_once(self, siblings: Books, member: Client, moved: str) -> None:
        seq = moved.rpartition("=")[2]
        for _ in range(2):
            member.post(f"{MOVE}{seq}/undo/")

        assert allocated(siblings) == (7_500, 2_000)

    @pytest.mark.parametrize(("minutes", "is_undone"), [(9.9, True), (10.1, False)])
    def test_works_for_ten_minutes(
        self, siblings: Books, member: Client, moved: str, minutes: float, is_undone: bool
    ) -> None:
        let_time_pass(siblings.tenant.tag, timedelta(minutes=minutes))

        assert ("/undo/" in text_of(member.get(moved))) is is_undone
        page = text_of(member.post(f"{MOVE}{moved.rpartition('=')[2]}/undo/", follow=True))

        assert allocated(siblings) == ((7_500, 2_000) if is_undone else (7_000, 2_500))
        assert is_undone or "It can be undone for ten minutes, and these are over." in page

    def test_of_money_that_is_spent_says_so(self, siblings: Books, member: Client, moved: str) -> None:
        siblings.ask("event", amount=100 * DOLLAR, suffixes=["", MARKETING])

        page = text_of(member.post(f"{MOVE}{moved.rpartition('=')[2]}/undo/", follow=True))

        assert "Nothing was moved back. Only $400.41 of it is free now." in page

    @pytest.mark.parametrize("number", ["1", "999", "0", "9" * 30])
    def test_of_something_else_is_no_failure(self, siblings: Books, member: Client, number: str) -> None:
        assert member.get(f"/t/acme/budgets/?moved={number}").status_code == 200
        assert "There is no such move" in text_of(member.post(f"{MOVE}{number}/undo/", follow=True))


class TestOtherUnits:
    def test_are_typed_as_whole_numbers(self, books: Books, member: Client, acme: Tenant) -> None:
        for suffix in (MARKETING, ENGINEERING):
            books.add_budget(suffix, allocated=10_000, unit=Unit.TOKENS)

        assert member.post(MOVE, form_of(member, amount="1.5")).status_code == 422
        assert member.post(MOVE, form_of(member, amount="1,500")).status_code == 302
        assert books.budget(MARKETING, unit=Unit.TOKENS).allocated == 11_500


class TestAtOnce:
    def test_sent_by_four_windows_it_moves_once_and_comes_back_once(
        self, siblings: Books, ada: User, member: Client
    ) -> None:
        form = form_of(member)
        moved = at_once([signed_in(ada) for _ in range(4)], MOVE, form)

        assert len({answer["Location"] for answer in moved}) == 1
        assert allocated(siblings) == (7_000, 2_500)

        seq = moved[0]["Location"].partition("moved=")[2]
        at_once([signed_in(ada) for _ in range(4)], f"{MOVE}{seq}/undo/", {})

        assert allocated(siblings) == (7_500, 2_000)

    @pytest.mark.parametrize("seq", ["0", "9" * 18, "9" * 38, "9" * 60, "9" * 400])
    def test_what_never_was_is_not_undone(self, siblings: Books, member: Client, seq: str) -> None:
        answer = member.post(f"{MOVE}{seq}/undo/", follow=True)

        assert answer.status_code in {200, 404}
        assert allocated(siblings) == (7_500, 2_000)


def at_once(browsers: list[Client], address: str, form: dict[str, str]) -> list[Any]:
    def send(browser: Client) -> Any:
        try:
            return browser.post(address, form)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(browsers)) as threads:
        return list(threads.map(send, browsers))
