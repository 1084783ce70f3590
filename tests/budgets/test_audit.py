"""The audit finds nothing in sound books, and every kind of damage that the owner of the tables may do to them."""

import threading
from datetime import datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command

from budgets.models import RunTemplate
from budgets.models.choices import EntryKind, Period
from budgets.selectors.audit import audit, examine
from budgets.services.journal import Change, open_journal
from kernel.ids import uuid7
from kernel.money import Unit
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.damages import DAMAGES
from tests.support.owner import as_owner, let_time_pass

_PROD = ["", "/workspace:prod"]


@pytest.fixture
def books(acme: Tenant) -> Books:
    """Books in which everything has happened at least once."""
    books = Books(acme)
    # The tenant's own day: one of another zone would end in the middle of it, and two new ones would begin.
    today = datetime.now(ZoneInfo(acme.time_zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    books.add_budget(
        allocated=1000,
        overdraft_limit=500,
        period=Period.DAY,
        period_allocation=1000,
        period_starts_at=today,
        period_ends_at=today + timedelta(days=1),
    )
    books.add_budget("/workspace:prod", allocated=400, overdraft_limit=500)
    books.add_budget("/workspace:test", allocated=300)
    with in_tenant(acme.tag):
        RunTemplate.objects.create(name="chat", unit="USD_MICROCENTS", amount=100, is_default=True)
    make = books.operation
    held = [
        make("reserve", id=uuid7(), amount=50, suffixes=_PROD, policy="REJECT"),
        make("reserve", id=uuid7(), amount=20, suffixes=_PROD, run="r1"),
        make("reserve", id=uuid7(), amount=30, suffixes=["", "/workspace:test"], policy="ALLOW_IF_AVAILABLE"),
        make("reserve", id=uuid7(), amount=40, suffixes=_PROD, policy="ALLOW_WITH_OVERDRAFT"),
        make("reserve", id=uuid7(), amount=5, suffixes=_PROD),
        make("reserve", id=uuid7(), amount=6, ttl_ms=-1, grace_ms=0),
        make("reserve", id=uuid7(), amount=7, suffixes=_PROD),
        make("reserve", id=uuid7(), amount=60, suffixes=_PROD),
    ]
    answers = books.ask_all(
        *held,
        make("commit", target=held[0].id, amount=45),
        make("release", target=held[6].id),
        make("commit", target=held[2].id, amount=500),
        make("extend", target=held[4].id, extend_ms=1000),
        make("expire", target=held[5].id, is_trusted=True),
        make("event", amount=11, suffixes=_PROD),
        make("commit", target=held[3].id, amount=440),
    )
    assert [answer.status for answer in answers] == ["OK"] * 15
    assert books.ask("reserve", amount=10**6).status == "BUDGET_EXCEEDED"
    with in_tenant(acme.tag), open_journal(actor=TEST_ACTOR) as journal:
        prod = journal.budget(scope_path="tenant:acme/workspace:prod", unit=Unit.USD_MICROCENTS)
        test = journal.budget(scope_path="tenant:acme/workspace:test", unit=Unit.USD_MICROCENTS)
        journal.post(EntryKind.REALLOCATE, [Change(budget=prod, allocated=9), Change(budget=test, allocated=-9)])
    let_time_pass(acme.tag, timedelta(days=1))
    assert books.ask("event", amount=1).status == "OK"
    return books


class TestSoundBooks:
    def test_have_no_difference(self, books: Books) -> None:
        found = examine(books.tenant.tag)

        assert found.differences == []
        assert (found.budgets, found.reservations) == (4, 8)
        assert found.entries == 22

    def test_have_none_when_read_in_many_ranges(self, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("budgets.selectors.audit_rows.RANGE", 2)

        assert audit(books.tenant.tag) == []

    def test_have_none_before_the_first_budget(self, acme: Tenant) -> None:
        assert audit(acme.tag) == []

    def test_have_none_while_traffic_runs(self, books: Books) -> None:
        ended = threading.Event()

        def spend() -> None:
            while not ended.is_set():
                hold = books.ask("reserve", amount=1, suffixes=["", "/workspace:test"], idem=uuid7().hex)
                books.ask("commit", target=hold.id, amount=1)

        books.add_budget("/agent:busy", allocated=1)
        spenders = [threading.Thread(target=spend) for _ in range(2)]
        for spender in spenders:
            spender.start()
        try:
            found = [difference for _ in range(10) for difference in audit(books.tenant.tag)]
        finally:
            ended.set()
            for spender in spenders:
                spender.join()

        assert found == []


class TestDamage:
    @pytest.mark.parametrize("damage", DAMAGES)
    def test_is_found(self, books: Books, damage: str) -> None:
        invariant, *statements = DAMAGES[damage]

        as_owner(books.tenant.tag, *statements)

        found = audit(books.tenant.tag)
        assert invariant in {difference.invariant for difference in found}, found

    @pytest.mark.parametrize("damage", ["a deleted entry", "a hold settled twice", "a gap in the numbers"])
    def test_is_found_when_ranges_are_short(self, books: Books, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
        invariant, *statements = DAMAGES[damage]
        monkeypatch.setattr("budgets.selectors.audit_rows.RANGE", 3)

        as_owner(books.tenant.tag, *statements)

        assert invariant in {difference.invariant for difference in audit(books.tenant.tag)}

    def test_names_the_reservation(self, books: Books) -> None:
        as_owner(books.tenant.tag, "UPDATE reservation SET status = 'ACTIVE' WHERE status = 'RELEASED'")

        assert any("RESERVE, RELEASE" in str(difference) for difference in audit(books.tenant.tag))


class TestVerifyLedger:
    def test_says_what_it_has_read(self, books: Books) -> None:
        said = StringIO()

        call_command("verify_ledger", tenant="acme", stdout=said)

        assert said.getvalue() == (
            "acme: 22 entries, 4 budgets, 8 reservations: no difference.\n1 of 1 tenants: no difference.\n"
        )

    def test_fails_with_the_first_difference_and_still_reads_the_others(self, books: Books, initech: Tenant) -> None:
        as_owner(books.tenant.tag, "UPDATE budget SET reserved = reserved + 1 WHERE scope_path = 'tenant:acme'")
        said = StringIO()

        with pytest.raises(CommandError, match=r"The books of 1 of \d+ tenants do not add up: acme\."):
            call_command("verify_ledger", stdout=said)

        assert "  I2 tenant:acme USD_MICROCENTS: reserved is " in said.getvalue()
        assert "initech: 0 entries, 0 budgets, 0 reservations: no difference." in said.getvalue()

    def test_finds_a_tenant_by_its_tag(self, acme: Tenant) -> None:
        call_command("verify_ledger", tenant=acme.tag, stdout=StringIO())

    def test_says_so_when_books_cannot_be_read(self, acme: Tenant) -> None:
        as_owner(acme.tag, "DROP TABLE decision")

        with pytest.raises(CommandError, match="do not add up: acme"):
            call_command("verify_ledger", tenant="acme", stdout=StringIO())

    def test_does_not_know_a_stranger(self, acme: Tenant) -> None:
        with pytest.raises(CommandError, match="There is no tenant nobody with books"):
            call_command("verify_ledger", tenant="nobody")
