"""The bench counts right. How fast anything is, no test asks."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bench import load
from bench.answers import tool_verdicts
from bench.asks import OFFERED, TOOLS
from bench.customers import Customer, equip
from bench.direct import batches
from bench.drive import drive
from bench.figures import Figures, figures_of, median_of, quantile_ms
from bench.generator import Order
from bench.pgbench import pgbench, pgbench_script
from bench.report import BEGIN, END, replace_figures
from bench.rulebook import RULES, rule_all
from bench.targets import Target
from bench.traffic import Account, Kind, Traffic, script_maker
from bench.verify import audit_books, books_of
from budgets.models import Decision, LedgerEntry, QuotaCounter, Run
from budgets.models.choices import EntryKind
from kernel.tenancy import in_tenant
from tenants.models import Tenant

SECONDS = 0.3


@pytest.fixture
def customers(acme: Tenant, initech: Tenant) -> list[Customer]:
    return [equip(acme), equip(initech)]


def entries(customer: Customer, kind: EntryKind) -> int:
    with in_tenant(customer.tag):
        return LedgerEntry.objects.filter(kind=kind).count()


class TestHttpLoad:
    def order(self, api_url: str, kind: Traffic, customers: list[Customer], *, is_tour: bool = False) -> Order:
        return Order(
            port=urlsplit(api_url).port or 0,
            connections=3,
            kind=kind,
            accounts=[customer.account for customer in customers],
            seconds=30 if is_tour else SECONDS,
            warm_seconds=0 if is_tour else 0.1,
            is_tour=is_tour,
        )

    def test_finds_every_accepted_reserve_in_the_books(self, api_url: str, customers: list[Customer]) -> None:
        books = books_of(customers)
        windows: list[str] = []

        figures = drive(
            self.order(api_url, "reserve", customers), on_window=lambda word, _process: windows.append(word)
        )

        assert windows == ["begin", "end"]
        assert figures.statuses == {"200": figures.units}
        assert 0 < figures.units < figures.accepted
        assert figures.rate == pytest.approx(figures.units / SECONDS, rel=0.01)
        assert figures.accepted == sum(entries(customer, EntryKind.RESERVE) for customer in customers)
        assert books.mismatches(figures) == []
        assert audit_books(customers).mismatches == ()

    def test_counts_a_lifecycle_when_it_is_committed(self, api_url: str, customers: list[Customer]) -> None:
        figures = drive(self.order(api_url, "lifecycle", customers))

        reserves = sum(entries(customer, EntryKind.RESERVE) for customer in customers)
        commits = sum(entries(customer, EntryKind.COMMIT) for customer in customers)
        assert figures.accepted == reserves + commits
        assert 0 < figures.units <= commits <= reserves <= commits + 3

    def test_visits_each_tenant_once_on_a_tour(self, api_url: str, customers: list[Customer]) -> None:
        figures = drive(self.order(api_url, "reserve", customers, is_tour=True))

        assert figures.units == figures.accepted == 6
        assert [entries(customer, EntryKind.RESERVE) for customer in customers] == [3, 3]

    def test_counts_no_refused_request(self, api_url: str, customers: list[Customer]) -> None:
        books = books_of(customers)
        stranger = Account(slug=customers[0].account.slug, token="wm_live_nobody")

        figures = load.run(
            port=urlsplit(api_url).port or 0,
            connections=2,
            seconds=0.1,
            warm_seconds=0,
            script=script_maker("lifecycle", [stranger]),
        )

        assert set(figures.statuses) == {"401"}
        assert (figures.units, figures.rate, figures.accepted) == (0, 0, 0)
        assert figures.refused == figures.statuses["401"]
        # Who is turned away has waited too.
        assert figures.max_ms > 0
        assert figures.other_answers == figures.declined >= figures.statuses["401"] > 0
        assert books.mismatches(figures) == []

    def test_counts_an_admission_with_its_entry_and_its_run(self, api_url: str, customers: list[Customer]) -> None:
        ruled = customers[0]
        rule_all(ruled.tag, ruled.account.slug)
        books = books_of([ruled])

        figures = drive(self.order(api_url, "admit", [ruled]))

        assert figures.statuses == {"200": figures.units}
        assert books.mismatches(figures) == []
        with in_tenant(ruled.tag):
            decisions = list(Decision.objects.all())
            runs = Run.objects.count()
            counted = QuotaCounter.objects.filter(key__startswith="everywhere/").values_list("used", flat=True)
            assert sum(counted) == 2 * figures.accepted
        assert len(decisions) == figures.accepted
        assert 3 <= runs < 3 + figures.accepted / 10
        for decision in decisions:
            assert decision.admission is not None
            assert decision.admission["route"]["model"]
            assert decision.admission["caps"]["tool_denylist"] == ["database.delete"]
            assert set(decision.admission["caps"]["tool_allowlist"]) < set(OFFERED)

    def test_counts_no_admission_that_was_denied(self, api_url: str, customers: list[Customer]) -> None:
        # Without rules there is no model to choose, and the answer says so with a 200.
        figures = drive(self.order(api_url, "admit", customers))

        assert set(figures.statuses) == {"DENY"}
        assert (figures.units, figures.accepted) == (0, 0)
        assert figures.other_answers == figures.declined >= figures.refused > 0
        assert figures.max_ms > 0

    def test_asks_about_tools_without_a_trace_in_the_books(self, api_url: str, customers: list[Customer]) -> None:
        ruled = customers[0]
        rule_all(ruled.tag, ruled.account.slug)
        books = books_of(customers)

        figures = drive(self.order(api_url, "tools", [ruled]))

        assert figures.statuses == {"200": figures.units}
        assert figures.units > 0
        assert books.mismatches(figures_of([], seconds=1)) == []


class TestRawLoad:
    @pytest.mark.parametrize(("kind", "calls"), [("reserve", 1), ("lifecycle", 2)])
    def test_finds_every_transaction_of_pgbench_in_the_books(
        self, customers: list[Customer], kind: Kind, calls: int
    ) -> None:
        books = books_of(customers)

        figures = pgbench(kind, customers, clients=1, seconds=0.5, warm_seconds=0.4)

        assert 0 < figures.units < figures.accepted / calls
        assert all(entries(customer, EntryKind.RESERVE) for customer in customers)
        assert sum(entries(customer, EntryKind.COMMIT) for customer in customers) == figures.accepted // 2 * (calls - 1)
        assert books.mismatches(figures) == []

    def test_finds_every_operation_of_a_batch_in_the_books(self, customers: list[Customer]) -> None:
        books = books_of(customers)

        figures = batches(customers, size=5, seconds=0.05)

        assert figures.units % 5 == 0
        assert figures.accepted == figures.units + 5 * len(customers)
        assert books.mismatches(figures) == []

    def test_asks_the_function_about_every_tool(self, customers: list[Customer]) -> None:
        rule_all(customers[0].tag, customers[0].account.slug)

        assert (len(TOOLS), len(RULES)) == (200, 20)
        assert tool_verdicts(customers[0], seconds=0.01).units > 0

    def test_gives_each_client_tenants_of_its_own(self, customers: list[Customer]) -> None:
        assert "\\set tenant :client_id % 2" in pgbench_script("reserve", customers, clients=2)
        assert "\\set share (2 - :client_id + 1 - 1) / 1" in pgbench_script("reserve", customers, clients=1)


class TestBooks:
    def test_miss_an_accepted_request_that_wrote_nothing(self, customers: list[Customer]) -> None:
        books = books_of(customers)

        assert books.mismatches(figures_of([], seconds=1)) == []
        assert books.mismatches(figures_of([], seconds=1, accepted=1)) == [
            "0 ledger entries were written where 1 requests were accepted"
        ]

    def test_allow_for_a_request_whose_answer_was_lost(self, customers: list[Customer]) -> None:
        books = books_of(customers)
        batches(customers[:1], size=1, seconds=0)

        assert books.mismatches(figures_of([], seconds=1, unanswered=1)) == []
        assert books.mismatches(figures_of([], seconds=1, other_answers=1)) == []
        assert books.mismatches(figures_of([], seconds=1)) != []

    def test_allow_for_nothing_where_a_request_was_declined(self, customers: list[Customer]) -> None:
        books = books_of(customers)
        batches(customers[:1], size=1, seconds=0)

        assert books.mismatches(figures_of([], seconds=1, other_answers=1, declined=1)) != []
        assert books.mismatches(figures_of([], seconds=1, other_answers=2, declined=1)) == []


class TestFigures:
    def test_take_the_nearest_rank(self) -> None:
        hundred = [number / 1000 for number in range(1, 101)]

        assert [quantile_ms(hundred, share) for share in (0.5, 0.9, 0.99, 1.0)] == [50, 90, 99, 100]
        assert quantile_ms([0.007], 0.5) == 7
        assert quantile_ms([], 0.5) == 0

    def test_of_several_runs_are_medians_of_each_and_sums_of_requests(self) -> None:
        runs = [
            Figures(units=n, rate=n, p50_ms=9 - n, p90_ms=n, p99_ms=n, max_ms=n, statuses={"200": n}, accepted=n)
            for n in (1, 5, 3)
        ]

        median = median_of(runs)

        assert (median.rate, median.p50_ms, median.units) == (3, 6, 3)
        assert (median.accepted, median.statuses) == (9, {"200": 9})

    def test_of_several_runs_sum_what_was_declined(self) -> None:
        runs = [figures_of([], seconds=1, other_answers=3, declined=n) for n in (1, 2)]

        assert (median_of(runs).other_answers, median_of(runs).declined) == (6, 3)


class TestTarget:
    @pytest.mark.parametrize(
        ("is_minimum", "value", "verdict"),
        [
            (True, 100.0, "met, 0% below"),
            (True, 99.0, "**missed by 1%**"),
            (True, 130.0, "met, 30% above"),
            (False, 100.0, "met, 0% below"),
            (False, 101.0, "**missed by 1%**"),
            (False, None, "not measured"),
        ],
    )
    def test_says_by_how_much(self, is_minimum: bool, value: float | None, verdict: str) -> None:
        target = Target(name="x", limit=100, is_minimum=is_minimum, unit="/s", measured=lambda _results: value)

        assert target.verdict(value) == verdict


class TestPage:
    def test_keeps_the_text_around_the_figures(self, tmp_path: Path) -> None:
        page = tmp_path / "README.md"
        page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

        replace_figures(page, "new")

        assert page.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"

    def test_without_a_place_is_left_alone(self, tmp_path: Path) -> None:
        page = tmp_path / "README.md"
        page.write_text("mine\n")

        with pytest.raises(ValueError, match="no place"):
            replace_figures(page, "new")

        assert page.read_text() == "mine\n"
