"""The known faults of the protocol's reference server, each a promise that this one keeps.

One of the list is not here yet: policies that are stored and never enforced, so that ALLOW_WITH_CAPS never occurs.
Policies are the decision engine's, which comes later, and its tests with it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from accounts.keys.models import Permission
from budgets.models.choices import Period
from budgets.services.editing import freeze_budget
from budgets.services.expiry import expire_due
from budgets.services.funding import Funded, Funding, FundingOperation, fund
from budgets.services.lifecycle import close_tenant, suspend_tenant
from kernel.money import AMOUNT_MAX, Unit
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.api_client import ApiClient, amount
from tests.support.books import TEST_ACTOR, Books
from tests.support.scenes import late_reservation, state_of

ALLOCATED = 1_000


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=ALLOCATED)
    return books


@pytest.fixture
def api(books: Books, api_url: str) -> Iterator[ApiClient]:
    with ApiClient(api_url, books.key.token) as client:
        yield client


def credited(books: Books, number: int, *, key: str) -> Funded:
    funding = Funding(operation=FundingOperation.CREDIT, unit=Unit.USD_MICROCENTS, amount=number, idempotency_key=key)
    with in_tenant(books.tenant.tag):
        return fund(budget_id=books.budget().pk, funding=funding, actor=TEST_ACTOR)


def test_a_funding_key_of_one_tenant_is_fresh_for_another(books: Books, initech: Tenant) -> None:
    others = Books(initech)
    others.add_budget(allocated=ALLOCATED)

    first, second = credited(books, 500, key="monthly"), credited(others, 500, key="monthly")

    assert (first.is_replay, second.is_replay) == (False, False)
    assert books.budget().allocated == others.budget().allocated == ALLOCATED + 500
    assert credited(books, 500, key="monthly").is_replay
    assert books.budget().allocated == ALLOCATED + 500


def test_a_frozen_budget_takes_commits_because_the_freeze_leaves_them_to_settle(api: ApiClient, books: Books) -> None:
    in_flight = api.reserved(100)
    with in_tenant(books.tenant.tag):
        freeze_budget(budget_id=books.budget().pk, actor=TEST_ACTOR)

    assert api.reserve().json()["error"] == "BUDGET_FROZEN"
    assert api.extend(in_flight).json()["error"] == "BUDGET_FROZEN"
    assert api.commit(in_flight, actual=amount(60)).status_code == 200
    assert books.budget().spent == 60


def test_a_freeze_that_cancels_holds_takes_no_commit(api: ApiClient, books: Books) -> None:
    in_flight = api.reserved(100)
    with in_tenant(books.tenant.tag):
        freeze_budget(budget_id=books.budget().pk, cancel_holds=True, actor=TEST_ACTOR)

    assert api.commit(in_flight).json()["error"] == "RESERVATION_FINALIZED"
    assert (books.budget().spent, books.budget().reserved) == (0, 0)


def test_closing_a_tenant_and_then_sweeping_leaves_nothing_reserved_and_never_less(
    api: ApiClient, books: Books
) -> None:
    due, active = late_reservation(books, amount=100), api.reserved(200)
    close_tenant(tag=books.tenant.tag, actor=TEST_ACTOR)

    for _ in range(2):
        expire_due(tag=books.tenant.tag, has_time=lambda: True)

    assert books.budget().reserved == 0
    assert books.budget().spent == 0
    assert (state_of(books, due), state_of(books, active)) == ("RELEASED", "RELEASED")


def test_sweeping_and_then_closing_a_tenant_leaves_nothing_reserved_and_never_less(
    api: ApiClient, books: Books
) -> None:
    due, active = late_reservation(books, amount=100), api.reserved(200)
    expire_due(tag=books.tenant.tag, has_time=lambda: True)

    close_tenant(tag=books.tenant.tag, actor=TEST_ACTOR)

    assert books.budget().reserved == 0
    assert (state_of(books, due), state_of(books, active)) == ("EXPIRED", "RELEASED")


@pytest.mark.parametrize("is_held_first", [True, False], ids=["commit", "event"])
def test_the_default_policy_remembers_the_part_of_a_cost_that_nothing_covers(
    api: ApiClient, books: Books, is_held_first: bool
) -> None:
    if is_held_first:
        answer = api.commit(api.reserved(ALLOCATED), actual=amount(ALLOCATED + 250))
    else:
        answer = api.event(actual=amount(ALLOCATED + 250))

    budget = books.budget()
    assert answer.json()["charged"] == amount(ALLOCATED)
    assert (budget.spent, budget.uncovered) == (ALLOCATED, 250)
    assert budget.is_over_limit


def test_a_read_only_key_may_not_reserve_or_settle_or_book(api: ApiClient, books: Books) -> None:
    reservation_id = api.reserved(100)
    reading = books.add_key(permissions=[Permission.BALANCES_READ, Permission.RESERVATIONS_LIST])
    with ApiClient(api.base_url, reading.token) as reader:
        refused = [
            reader.reserve(),
            reader.reserve(dry_run=True),
            reader.decide(),
            reader.event(),
            reader.commit(reservation_id),
            reader.release(reservation_id),
            reader.extend(reservation_id),
        ]
        assert reader.balances().status_code == reader.reservations().status_code == 200

    assert {answer.status_code for answer in refused} == {403}
    assert (books.budget().reserved, books.budget().spent) == (100, 0)


@pytest.mark.parametrize("ask", ["reserve", "event", "balances"])
def test_an_expired_period_is_followed_by_a_new_one_without_any_worker(api: ApiClient, books: Books, ask: str) -> None:
    now = datetime.now(UTC)
    books.add_budget(
        "/workspace:daily",
        allocated=100,
        spent=100,
        period=Period.DAY,
        period_allocation=100,
        period_starts_at=now - timedelta(days=1, hours=1),
        period_ends_at=now - timedelta(hours=1),
    )
    subject = {"tenant": "acme", "workspace": "daily"}

    if ask == "reserve":
        assert api.reserve(subject=subject, estimate=amount(100)).status_code == 200
    elif ask == "event":
        assert "charged" not in api.event(subject=subject, actual=amount(100)).json()
    else:
        assert api.balances(workspace="daily").json()["balances"][0]["remaining"] == amount(100)

    budget = books.budget("/workspace:daily")
    assert budget.period_ends_at is not None
    assert budget.period_ends_at > now


def test_a_suspended_tenant_settles_its_work_in_flight(api: ApiClient, books: Books) -> None:
    to_commit, to_release = api.reserved(100), api.reserved(200)
    suspend_tenant(tag=books.tenant.tag, actor=TEST_ACTOR)

    assert api.commit(to_commit, actual=amount(70)).status_code == 200
    assert api.release(to_release).status_code == 200
    assert api.event(actual=amount(5)).status_code == 201
    assert api.reserve().status_code == 403
    assert (books.budget().spent, books.budget().reserved) == (75, 0)


@pytest.mark.parametrize("number", [2**53 + 1, AMOUNT_MAX - ALLOCATED], ids=["2^53 + 1", "up to 2^63 - 1"])
def test_funding_counts_every_single_microcent(api: ApiClient, books: Books, number: int) -> None:
    funded = credited(books, number, key="large")

    assert funded.new["allocated"] == ALLOCATED + number
    assert books.budget().allocated == ALLOCATED + number
    assert api.balances().json()["balances"][0]["remaining"] == amount(ALLOCATED + number)
    assert api.reserve(estimate=amount(ALLOCATED + number)).status_code == 200


def test_what_a_client_asks_is_what_is_judged_to_the_last_microcent(api: ApiClient, books: Books) -> None:
    books.add_budget("/workspace:exact", allocated=2**53 + 1)
    subject = {"tenant": "acme", "workspace": "exact"}
    credited(books, 2**60, key="root")

    # As doubles these two are the same number.
    assert api.decide(subject=subject, estimate=amount(2**53 + 2)).json()["decision"] == "DENY"
    assert api.decide(subject=subject, estimate=amount(2**53 + 1)).json()["decision"] == "ALLOW"
