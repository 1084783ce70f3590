"""Estimates are multiplied with what settlements taught."""

import pytest

from budgets.services.policies import PolicyKind
from kernel.tenancy import in_tenant
from routing.pricing.book import PriceBook, layer_of
from routing.pricing.price import Price, PriceSource
from routing.rules.effective import PolicySource
from routing.services.calibrations import input_factors
from routing.services.compiling import Sources, compile_ruleset
from routing.services.token_estimates import SETTLEMENTS_MIN
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.rules import rule

MODEL = "openai:gpt-4o-mini"


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10**12)
    rule(books)
    return books


def settle(books: Books, times: int, *, estimated: int, actual: int) -> None:
    for _ in range(times):
        hold = books.ask("reserve", endpoint="admit", facts={"input_tokens": estimated})
        books.ask("commit", target=hold.id, amount=1, metrics={"tokens_input": actual, "tokens_output": 1})


def factors(books: Books) -> dict[str, int]:
    with in_tenant(books.tenant.tag):
        return input_factors()


def test_learns_nothing_from_too_few(books: Books) -> None:
    settle(books, SETTLEMENTS_MIN - 1, estimated=100, actual=130)
    assert factors(books) == {}

    settle(books, 1, estimated=100, actual=130)
    assert factors(books) == {MODEL: 1_300_000}


def test_one_strange_settlement_pulls_only_so_far(books: Books) -> None:
    settle(books, SETTLEMENTS_MIN - 1, estimated=100, actual=100)
    settle(books, 1, estimated=100, actual=10**9)

    assert factors(books)[MODEL] < 1_200_000


def test_what_was_learnt_is_held_for(books: Books) -> None:
    plain = books.ask("reserve", endpoint="admit", facts={"input_tokens": 1_000})
    models = {MODEL: {"provider": "openai", "model": "gpt-4o-mini", "input_factor_ppm": 1_300_000}}
    price = {"price": {"input": 15_000_000, "output": 60_000_000}}
    rule(books, models={name: model | price for name, model in models.items()})

    learnt = books.ask("reserve", endpoint="admit", facts={"input_tokens": 1_000})

    assert (plain.amount, learnt.amount) == (15_000 + 60_000, 19_500 + 60_000)


def test_rules_are_compiled_with_what_was_learnt(books: Books) -> None:
    routing = {"tiers": {"small": [MODEL]}, "classes": {"chat": {"tier": "small"}}, "default_class": "chat"}
    policies = {PolicyKind.ROUTING: PolicySource(version=1, document=routing)}
    price = Price(
        provider="openai", model="gpt-4o-mini", source=PriceSource.LIST, version="v1", rates={"standard": {"input": 1}}
    )
    book = PriceBook(layers={PriceSource.LIST: layer_of([price])}, multipliers={})

    document = compile_ruleset(
        Sources(slug="acme", plan=None, policies=policies, book=book, input_factors={MODEL: 1_300_000})
    )

    assert document["models"][MODEL]["input_factor_ppm"] == 1_300_000
