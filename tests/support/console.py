"""People who sign in to the console, and scenes for them to look at."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from time import time as time_now
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.contrib.auth import SESSION_KEY
from django.test import Client

from accounts.console.gate import SEEN_AT, SIGNED_IN_AT
from accounts.console.second_factor import SECOND_FACTOR_KNOWN
from accounts.models import MemberRole, Membership, OperatorRole, User
from accounts.services.operators import create_operator
from budgets.models.choices import Period
from budgets.services.visits import visit_books
from kernel.ids import mint_wire_id, uuid7
from kernel.money import Unit
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.owner import delete_shared

PASSWORD: Final = "the-sluice-opens-at-dawn"
CENT: Final = 10**6
DOLLAR: Final = 10**8


@contextmanager
def person(name: str, role: OperatorRole | None) -> Iterator[User]:
    """Somebody with the password above, gone afterwards."""
    email = f"{name}@example.test"
    delete_shared(User.objects.filter(email=email))
    create_operator(email=email, role=role or OperatorRole.VIEWER, password=PASSWORD, now=datetime.now(UTC))
    if role is None:
        User.objects.filter(email=email).update(operator_role=None)
    user = User.objects.get(email=email)
    yield user
    delete_shared(User.objects.filter(email=email))


@contextmanager
def member_of(tenant: Tenant, name: str, role: MemberRole) -> Iterator[User]:
    """Somebody who belongs to this tenant and runs nothing else."""
    with person(name, None) as user:
        Membership.objects.create(user=user, tenant_tag=tenant.tag, role=role, created_at=datetime.now(UTC))
        yield user


def signed_in(user: User, *, has_second_factor: bool = True) -> Client:
    """A browser in which this person has signed in a moment ago, with a second factor unless said otherwise."""
    client = Client()
    client.force_login(user)
    now = int(datetime.now(UTC).timestamp())
    session: Any = client.session
    session[SIGNED_IN_AT] = session[SEEN_AT] = now
    session[SECOND_FACTOR_KNOWN] = has_second_factor
    session.save()
    return client


def proved_lately(client: Client) -> Client:
    """The same browser, in which somebody has just proved again who they are."""
    session: Any = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time_now(), "reauthenticated": True}]
    session["account_authentication_methods_user"] = session[SESSION_KEY]
    session.save()
    return client


def explain_address(books: Books, answer_id: Any) -> str:
    """The page that explains the decision with this id."""
    return f"/ops/tenants/{books.tenant.slug}/decisions/{mint_wire_id('dec', books.tenant.tag, answer_id)}/"


def day_bounds(tenant: Tenant) -> dict[str, Any]:
    """Columns of a budget of today, in the tenant's time zone."""
    zone = ZoneInfo(tenant.time_zone)
    start = datetime.combine(datetime.now(zone).date(), time(), zone)
    return {
        "period": Period.DAY,
        "period_starts_at": start,
        "period_ends_at": datetime.combine(start.date() + timedelta(days=1), time(), zone),
    }


def play_busy_day(books: Books) -> Any:
    """Budgets in every state and some calls on them; the id of a call that the budget of a workspace refused."""
    day = day_bounds(books.tenant)
    books.add_budget(allocated=200 * DOLLAR, period_allocation=200 * DOLLAR, **day)
    for suffix, dollars in {
        "/workspace:engineering": 120,
        "/workspace:engineering/agent:code-review": 60,
        "/workspace:engineering/agent:deep-analysis": 45,
        "/workspace:marketing": 40,
        "/workspace:marketing/agent:campaigns": 25,
        "/workspace:support": 30,
    }.items():
        books.add_budget(suffix, allocated=dollars * DOLLAR, period_allocation=dollars * DOLLAR, **day)
    books.add_budget(allocated=50_000_000, period_allocation=50_000_000, unit=Unit.TOKENS, **day)
    _spend(books, "/workspace:engineering", "/agent:code-review", [3120, 1275, 908], held=140)
    _spend(books, "/workspace:engineering", "/agent:deep-analysis", [1844, 502], held=600)
    _spend(books, "/workspace:marketing", "/agent:campaigns", [2431], held=0)
    _spend(books, "/workspace:marketing", "", [1528], held=0)
    _spend(books, "/workspace:support", "", [317, 42], held=85)
    refused = books.ask(
        "reserve",
        amount=128 * CENT,
        suffixes=["", "/workspace:marketing"],
        action={"kind": "llm.completion", "name": "claude-sonnet-5"},
        request_id=str(uuid7()),
    )
    books.ask(
        "reserve", amount=90 * CENT, suffixes=["", "/workspace:marketing", "/workspace:marketing/agent:campaigns"]
    )
    books.ask("decide", amount=25 * CENT, suffixes=["", "/workspace:support"])
    books.ask("reserve", amount=10, unit="CREDITS")
    return refused.id


def _spend(books: Books, workspace: str, agent: str, cents: list[int], *, held: int) -> None:
    suffixes = ["", workspace, *([workspace + agent] if agent else [])]
    for cost in cents:
        hold = books.ask("reserve", amount=cost * 102 // 100 * CENT, suffixes=suffixes)
        books.ask("commit", target=hold.id, amount=cost * CENT)
    if held:
        books.ask("reserve", amount=held * CENT, suffixes=suffixes)


def noted(*all_books: Books) -> None:
    """Let the worker visit these books, so that pages about many tenants know of them."""
    for books in all_books:
        assert visit_books(tag=books.tenant.tag, has_time=lambda: True).is_done
