"""Pricing a settled call anew: at the price of its own time, with a warning where another one is in force by now."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from budgets.models import LedgerHead
from budgets.selectors.audit import audit
from budgets.services.corrections import ChargeNotFound, Correction, correct_charge
from kernel.actor import Actor
from kernel.ids import uuid7
from kernel.money import Unit
from kernel.tenancy import in_tenant
from routing.pricing.book import TOOL_PROVIDER
from routing.pricing.charge import Rounding, price_usage
from routing.pricing.kinds import Kind, Mode
from routing.pricing.usage import Usage
from routing.selectors.prices import model_prices
from routing.services.price_setting import NewPrice, set_price
from routing.services.repricing import NotPriced, Repricing, quote, reprice_charge
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.management import as_platform, as_tenant
from tests.support.owner import let_time_pass
from tests.support.prices import USD

OLIVE = Actor(name="olive", actor_type="admin", reason="the list of October was wrong")
pytestmark = pytest.mark.usefixtures("empty_book")
BATCH = {"standard": {"input": 2 * USD, "output": 8 * USD}, "batch": {"input": USD, "output": 4 * USD}}
STANDARD = {"standard": {"input": 2 * USD, "output": 8 * USD}}


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10**12)
    return books


def now() -> datetime:
    return datetime.now(UTC)


def set_rates(rates: dict[str, Any], *, since: timedelta | None = None, **more: Any) -> None:
    """Put rates in force since so long ago, instead of what was there; for ever where it is left out."""
    effective_from = None if since is None else now() - since
    new = NewPrice(provider="openai", model="gpt-x", rates=rates, effective_from=effective_from, **more)
    set_price(new, actor=OLIVE, now=now(), replaces=True)


def usage(mode: Mode = Mode.STANDARD, **more: Any) -> Usage:
    return Usage(tokens={Kind.INPUT: 1_000, Kind.OUTPUT: 500}, mode=mode, **more)


def book_call(books: Books, used: Usage, **fields: Any) -> int:
    """The entry of a call that was made and settled now, at the price of now."""
    prices = model_prices(models=[("openai", "gpt-x")], at=now(), tag=books.tenant.tag)
    price = prices.price_or_fallback(provider="openai", model="gpt-x")
    charge = price_usage(used, price, rounding=Rounding.SETTLE, requested_at=now())
    hold = books.ask("reserve", amount=10**6, idem=uuid7().hex)
    document = charge.as_document() | {"provider_cost": 7}
    answer = books.ask("commit", target=hold.id, amount=charge.total, price=document, idem=uuid7().hex, **fields)
    assert answer.status == "OK", answer
    with in_tenant(books.tenant.tag):
        return LedgerHead.objects.get().last_seq


def reprice(books: Books, seq: int, **fields: Any) -> Any:
    known: dict[str, Any] = {"idempotency_key": uuid7().hex} | fields
    return reprice_charge(tag=books.tenant.tag, repricing=Repricing(seq=seq, **known), actor=OLIVE, now=now())


class TestReprice:
    def test_corrects_to_what_the_book_says_now_of_then(self, books: Books) -> None:
        set_rates(STANDARD)
        seq = book_call(books, usage())
        assert books.budget().spent == 1_000 * 200 + 500 * 800
        set_rates({"standard": {"input": USD, "output": 4 * USD}})

        repriced = reprice(books, seq)

        assert repriced.amount == books.budget().spent == 1_000 * 100 + 500 * 400
        assert repriced.warnings == ()
        assert repriced.corrected is not None
        # The entry keeps the new prices, and what is no price goes on with it.
        assert repriced.corrected.price is not None
        assert repriced.corrected.price["lines"][0]["unit_price"] == USD
        assert repriced.corrected.price["provider_cost"] == 7
        assert audit(books.tenant.tag) == []

    def test_writes_nothing_where_the_price_is_the_same(self, books: Books) -> None:
        set_rates(STANDARD)
        seq = book_call(books, usage())

        repriced = reprice(books, seq)

        assert repriced.corrected is None
        assert repriced.amount == 600_000
        with in_tenant(books.tenant.tag):
            assert LedgerHead.objects.get().last_seq == seq

    def test_repeated_answers_the_same_whatever_the_book_says_by_then(self, books: Books) -> None:
        set_rates(STANDARD)
        seq = book_call(books, usage())
        set_rates({"standard": {"input": USD, "output": 4 * USD}})
        first = reprice(books, seq, idempotency_key="k")
        set_rates({"standard": {"input": 9 * USD, "output": 9 * USD}})

        again = reprice(books, seq, idempotency_key="k")

        assert (again.amount, again.warnings) == (first.amount, first.warnings)
        assert again.corrected.is_replay
        assert books.budget().spent == first.amount

    def test_prices_hosted_and_own_tools_each_by_its_fee(self, books: Books) -> None:
        set_rates(STANDARD, tool_fees={"web_search": 1_000})
        own = NewPrice(provider=TOOL_PROVIDER, model="crm", rates={"standard": {}}, per_call=50, effective_from=None)
        seq = book_call(books, usage(hosted_tools={"web_search": 2, "crm": 3}))
        set_price(own, actor=OLIVE, now=now())
        set_rates(STANDARD, tool_fees={"web_search": 500})

        assert reprice(books, seq).amount == 600_000 + 2 * 500 + 3 * 50

    def test_of_a_model_without_a_price_costs_the_flagged_fallback(self, books: Books) -> None:
        seq = book_call(books, usage())

        found = quote(tag=books.tenant.tag, repricing=Repricing(seq=seq, idempotency_key="k"), now=now())

        assert found.price["is_fallback"]
        assert any("has no price" in warning for warning in found.warnings)
        assert found.amount > 0


class TestWarnings:
    def test_an_old_batch_call_is_priced_at_its_own_time_and_warned_of(self, books: Books) -> None:
        set_rates(BATCH)
        seq = book_call(books, usage(Mode.BATCH))
        let_time_pass(books.tenant.tag, timedelta(days=30))
        # Since a week ago the model is dearer.
        set_rates({"standard": {"input": 9 * USD, "output": 9 * USD}}, since=timedelta(days=7))

        repriced = reprice(books, seq)

        # What it cost then is what it costs: nothing is corrected, and whoever asked is told why.
        assert (repriced.corrected, repriced.amount) == (None, 1_000 * 100 + 500 * 400)
        [warning] = repriced.warnings
        assert "no longer the one in force" in warning

    def test_a_batch_call_without_a_batch_price_is_warned_of(self, books: Books) -> None:
        set_rates(BATCH)
        seq = book_call(books, usage(Mode.BATCH))
        set_rates(STANDARD)

        repriced = reprice(books, seq)

        assert repriced.amount == 600_000
        assert repriced.warnings == ("The price names no batch rates; the call is charged at the standard ones.",)

    def test_a_call_of_today_at_today_s_price_is_not(self, books: Books) -> None:
        set_rates(BATCH)

        assert reprice(books, book_call(books, usage(Mode.BATCH))).warnings == ()
        assert reprice(books, book_call(books, usage())).warnings == ()

    def test_are_kept_with_the_entry(self, books: Books) -> None:
        set_rates(BATCH)
        seq = book_call(books, usage(Mode.BATCH))
        set_rates(STANDARD)

        repriced = reprice(books, seq)

        assert repriced.corrected.price["warnings"] == list(repriced.warnings)

    def test_the_caller_may_know_better_when_and_how(self, books: Books) -> None:
        set_rates(STANDARD)
        set_rates(BATCH, since=timedelta(days=7))
        seq = book_call(books, usage())

        batch = reprice(books, seq, mode=Mode.BATCH)
        earlier = reprice(books, seq, mode=Mode.BATCH, requested_at=now() - timedelta(days=8))

        assert (batch.amount, batch.warnings) == (1_000 * 100 + 500 * 400, ())
        assert earlier.amount == 600_000
        assert len(earlier.warnings) == 2


class TestRefusals:
    def test_of_a_charge_without_a_price(self, books: Books) -> None:
        assert books.ask("event", amount=5).status == "OK"

        with pytest.raises(NotPriced):
            reprice(books, 2)

    def test_of_no_charge(self, books: Books) -> None:
        for seq in (1, 99):
            with pytest.raises(ChargeNotFound):
                reprice(books, seq)

    def test_a_manual_correction_in_between_keeps_the_usage(self, books: Books) -> None:
        set_rates(STANDARD)
        seq = book_call(books, usage())
        correction = Correction(seq=seq, unit=Unit.USD_MICROCENTS, amount=5, idempotency_key="by hand")
        with in_tenant(books.tenant.tag):
            correct_charge(correction=correction, actor=OLIVE)

        assert reprice(books, seq).amount == 600_000
        assert books.budget().spent == 600_000
        assert audit(books.tenant.tag) == []


class TestEndpoint:
    def test_previews_then_corrects_and_tells_the_warnings(self, books: Books) -> None:
        set_rates(BATCH)
        seq = book_call(books, usage(Mode.BATCH))
        set_rates(STANDARD)
        olive, path = as_platform(), f"tenants/acme/ledger/{seq}/reprice"
        body = {"idempotency_key": "k", "reason": "the list was wrong"}

        preview = olive.post(path, body | {"is_preview": True}).json()
        done = olive.post(path, body)
        again = olive.post(path, body)

        assert preview["ledger_seq"] is None
        assert (done.status_code, done.json()["ledger_seq"], done.json()["corrects"]) == (200, seq + 1, seq)
        assert done.json()["previous_amount"]["amount"] == preview["previous_amount"]["amount"] == 300_000
        assert done.json()["amount"]["amount"] == preview["amount"]["amount"] == 600_000
        assert done.json()["warnings"] == preview["warnings"] != []
        assert again.json() == done.json()
        assert again.headers["X-Watermaster-Replayed"] == "true"
        assert books.budget().spent == 600_000

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"reason": ""}, "reason"),
            ({"mode": "slow"}, "mode"),
            ({"requested_at": "2199-01-01T00:00:00Z"}, "requested_at"),
            ({"idempotency_key": "a b"}, "idempotency_key"),
        ],
    )
    def test_refuses_with_the_field_to_mend(self, books: Books, fields: dict[str, Any], field: str) -> None:
        body = {"idempotency_key": "k", "reason": "x"} | fields

        response = as_platform().post("tenants/acme/ledger/1/reprice", body)

        assert (response.status_code, response.json()["details"]["field"]) == (400, field)

    def test_refuses_what_was_not_priced(self, books: Books) -> None:
        books.ask("event", amount=5)
        body = {"idempotency_key": "k", "reason": "x"}

        assert as_platform().post("tenants/acme/ledger/2/reprice", body).status_code == 409
        assert as_platform().post("tenants/acme/ledger/1/reprice", body).status_code == 404
        assert as_tenant(books.tenant).post("tenants/acme/ledger/2/reprice", body).status_code == 403
