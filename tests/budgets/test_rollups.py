"""Sums per quarter of an hour: always those of the ledger, whatever comes between."""

import random
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from budgets.models import DecisionRollup, LedgerEntry, RollupMark, UsageRollup
from budgets.models.choices import Verdict
from budgets.selectors.decision_counts import DecisionsBy, decision_counts
from budgets.selectors.steps import Step
from budgets.selectors.usage import UsageBy, usage_series, usage_totals
from budgets.services.corrections import Correction, correct_charge
from budgets.services.operations import Answer
from budgets.services.rollups import rebuild, roll_up
from budgets.services.rollups_proof import rollup_differences
from kernel.money import Unit
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.owner import as_owner
from tests.support.scenes import last_seq

ROOM = 10**12
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=ROOM)
    return books


def follow(books: Books, **options: Any) -> None:
    done = roll_up(tag=books.tenant.tag, has_time=lambda: True, **options)
    assert done.is_done


def differences(books: Books) -> list[str]:
    return [str(each) for each in rollup_differences(books.tenant.tag)]


def spend(books: Books, amount: int = 70, *, held: int = 100, agent: str = "triage", **commit: Any) -> Answer:
    suffixes = ["", "/workspace:prod", f"/workspace:prod/agent:{agent}"]
    hold = books.ask(
        "reserve",
        amount=held,
        suffixes=suffixes,
        subject={"tenant": "acme", "workspace": "prod", "agent": agent},
        action={"kind": "llm.completion", "name": "openai:GPT-4o"},
        run="r1",
    )
    assert hold.status == "OK", hold
    answer = books.ask("commit", target=hold.id, amount=amount, **commit)
    assert answer.status == "OK", answer
    return answer


def some_of_everything(books: Books, dice: random.Random) -> None:
    """Calls of every sort, in an order that the dice choose."""
    for _ in range(40):
        match dice.randrange(8):
            case 0:
                books.ask("event", amount=dice.randrange(1, 50), subject={"tenant": "acme", "workspace": "Prod"})
            case 1:
                hold = books.ask("reserve", amount=5)
                books.ask("release", target=hold.id)
            case 2:
                assert books.ask("reserve", amount=ROOM * 2).status == "BUDGET_EXCEEDED"
            case 3:
                books.ask("decide", amount=1)
            case 4:
                books.ask("decide", amount=ROOM * 2)
            case 5:
                books.ask("reserve", amount=3, is_dry=True)
            case _:
                spend(
                    books, dice.randrange(1, 100), agent=dice.choice("ab"), metrics={"latency_ms": dice.randrange(99)}
                )


def entry_before(books: Books, kind: str) -> int:
    with in_tenant(books.tenant.tag):
        return LedgerEntry.objects.filter(kind=kind).latest("seq").seq


class TestRollUp:
    def test_adds_what_a_call_held_cost_and_measured(self, books: Books) -> None:
        price = {
            "provider": "openai",
            "model": "gpt-4o",
            "provider_cost": 60,
            "lines": [{"kind": "cached_input", "quantity": 40}, {"kind": "reasoning", "quantity": 5}],
        }
        spend(
            books,
            70,
            price=price,
            metrics={"tokens_input": 90, "tokens_output": 10, "latency_ms": 1_000},
        )

        follow(books)

        with in_tenant(books.tenant.tag):
            row = UsageRollup.objects.get()
        assert (row.scope_path, row.agent, row.model, row.tool) == (
            "tenant:acme/workspace:prod/agent:triage",
            "triage",
            "gpt-4o",
            "",
        )
        assert (row.calls, row.charged, row.uncovered, row.provider_cost, row.priced_calls) == (1, 70, 0, 60, 1)
        assert (row.tokens_input, row.tokens_output, row.tokens_cached, row.tokens_reasoning) == (90, 10, 40, 5)
        assert (row.holds, row.held, row.commits, row.planned, row.observed) == (1, 100, 1, 100, 70)
        assert row.latency_counts == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        assert row.latency_ms == 1_000

    def test_puts_a_latency_one_above_a_bound_into_the_next_place(self, books: Books) -> None:
        spend(books, metrics={"latency_ms": 1_001})
        spend(books, metrics={"latency_ms": 60_001})
        spend(books, metrics={"latency_ms": 0})

        follow(books)

        with in_tenant(books.tenant.tag):
            assert UsageRollup.objects.get().latency_counts == [1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]

    def test_counts_the_time_to_the_first_token_as_it_counts_latency(self, books: Books) -> None:
        for ms in (100, 101, 60_001):
            spend(books, metrics={"custom": {"time_to_first_token_ms": ms}})
        # The caller's own object may say anything there.
        for nonsense in ("100", -1, 1.5, None, [1], 10**30):
            spend(books, metrics={"custom": {"time_to_first_token_ms": nonsense}})

        follow(books)

        with in_tenant(books.tenant.tag):
            row = UsageRollup.objects.get()
            (whole,) = usage_totals(since=LONG_AGO, until=FAR_AHEAD)
        assert row.first_token_counts == [0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1]
        assert row.first_token_ms == 60_202
        assert whole.sums.first_token_within_ms(500_000) == 250
        assert differences(books) == []

    def test_keeps_what_was_not_covered_apart(self, initech: Tenant) -> None:
        books = Books(initech)
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=100)
        books.ask("commit", target=hold.id, amount=130)

        follow(books)

        with in_tenant(initech.tag):
            row = UsageRollup.objects.get()
        assert (row.charged, row.uncovered, row.planned, row.observed) == (100, 30, 100, 130)

    def test_adds_nothing_twice(self, books: Books) -> None:
        spend(books)
        follow(books)
        follow(books)
        spend(books)
        follow(books)

        with in_tenant(books.tenant.tag):
            assert UsageRollup.objects.get().charged == 140
        assert differences(books) == []

    def test_counts_every_decision_once(self, books: Books) -> None:
        spend(books)
        books.ask("decide", amount=1)
        books.ask("reserve", amount=2, is_dry=True)
        books.ask("reserve", amount=ROOM * 2)
        follow(books)
        books.ask("decide", amount=ROOM * 2)
        follow(books)
        follow(books)

        with in_tenant(books.tenant.tag):
            (count,) = decision_counts(since=LONG_AGO, until=FAR_AHEAD)
            reasons = decision_counts(since=LONG_AGO, until=FAR_AHEAD, by=DecisionsBy.REASON, verdict=Verdict.DENY)
        assert (count.count, count.allowed, count.denied) == (5, 3, 2)
        assert [(each.name, each.count) for each in reasons] == [("BUDGET_EXCEEDED", 2)]
        assert differences(books) == []

    def test_counts_decisions_of_one_millisecond_once_each(self, books: Books) -> None:
        at = "'2026-03-01 10:00:00.001+00'"
        books.ask("decide", amount=1)
        as_owner(books.tenant.tag, f"UPDATE decision SET at = {at}")
        follow(books)
        books.ask("decide", amount=1)
        books.ask("decide", amount=ROOM * 2)
        as_owner(books.tenant.tag, f"UPDATE decision SET at = {at}")
        follow(books)
        follow(books)

        with in_tenant(books.tenant.tag):
            assert [each.count for each in decision_counts(since=LONG_AGO, until=FAR_AHEAD)] == [3]
            assert len(RollupMark.objects.get().decision_ids) == 3

    def test_reads_a_backlog_in_steps(self, books: Books) -> None:
        some_of_everything(books, random.Random(1))
        follow(books, step=3)

        assert differences(books) == []

    def test_stops_when_its_time_is_over_and_goes_on_the_next_time(self, books: Books) -> None:
        some_of_everything(books, random.Random(2))

        first = roll_up(tag=books.tenant.tag, has_time=lambda: False, step=5)

        assert not first.is_done
        assert first.entries == 5
        assert differences(books) == []
        follow(books)
        with in_tenant(books.tenant.tag):
            assert RollupMark.objects.get().ledger_seq == last_seq(books)

    def test_books_late_entries_in_the_bucket_of_their_own_time(self, books: Books) -> None:
        spend(books, 70)
        follow(books)
        spend(books, 30)
        late = entry_before(books, "COMMIT")
        as_owner(books.tenant.tag, f"UPDATE ledger_entry SET at = at - interval '3 hours' WHERE seq = {late}")
        follow(books)

        with in_tenant(books.tenant.tag):
            charged = dict(UsageRollup.objects.filter(calls__gt=0).values_list("bucket_at", "charged"))
        early, now = sorted(charged)
        assert now - early == timedelta(hours=3)
        assert [charged[early], charged[now]] == [30, 70]
        assert differences(books) == []

    def test_counts_a_correction_as_the_charge_that_it_corrects(self, books: Books) -> None:
        spend(books, 70, price={"model": "gpt-4o", "provider_cost": 60})
        seq = entry_before(books, "COMMIT")
        follow(books)
        correction = Correction(seq=seq, unit=Unit.USD_MICROCENTS, amount=50, idempotency_key="c1")
        with in_tenant(books.tenant.tag):
            correct_charge(correction=correction, actor=TEST_ACTOR)
        follow(books)

        with in_tenant(books.tenant.tag):
            row = UsageRollup.objects.get()
        assert (row.calls, row.corrections, row.charged, row.corrected, row.observed) == (1, 1, 50, -20, 70)
        assert (row.priced_charged, row.provider_cost) == (50, 60)
        assert differences(books) == []

    def test_counts_the_correction_of_an_event_where_the_event_was(self, books: Books) -> None:
        books.ask("event", amount=9, subject={"tenant": "acme", "workspace": "Prod", "agent": "a"})
        correction = Correction(seq=last_seq(books), unit=Unit.USD_MICROCENTS, amount=10, idempotency_key="c1")
        with in_tenant(books.tenant.tag):
            correct_charge(correction=correction, actor=TEST_ACTOR)
        follow(books)

        with in_tenant(books.tenant.tag):
            row = UsageRollup.objects.get()
        assert (row.scope_path, row.charged, row.events) == ("tenant:acme/workspace:prod/agent:a", 10, 1)

    def test_adds_up_what_does_not_fit_into_64_bits(self, initech: Tenant) -> None:
        books = Books(initech)
        books.add_budget(allocated=2**62)
        for _ in range(4):
            hold = books.ask("reserve", amount=2**62)
            books.ask("commit", target=hold.id, amount=1, metrics={"tokens_input": 2**63 - 1})
            as_owner(initech.tag, "UPDATE budget SET spent = 0, reserved = 0")
        follow(books)

        with in_tenant(initech.tag):
            row = UsageRollup.objects.get()
        assert (row.held, row.tokens_input) == (2**64, 4 * (2**63 - 1))

    def test_takes_what_tenants_call_things(self, books: Books) -> None:
        for name in ("<script>alert(1)</script>", "\u202etxt.exe", "🚰" * 256, "=1+1", ""):
            books.ask("event", amount=1, action={"kind": "🚰" * 64, "name": name})
            books.ask("decide", amount=ROOM * 2, action={"kind": "🚰" * 64, "name": name})

        follow(books)

        with in_tenant(books.tenant.tag):
            assert UsageRollup.objects.count() == 5
            assert DecisionRollup.objects.count() == 5
        assert differences(books) == []


class TestUnderTraffic:
    def test_equals_the_ledger_whenever_it_is_looked_at(self, books: Books) -> None:
        stop = threading.Event()
        failures: list[BaseException] = []

        def play(seed: int) -> None:
            # Books of its own, so that no two threads have the same idempotency keys.
            dice, own = random.Random(seed), Books(books.tenant, _keys=seed * 1_000_000)
            try:
                while not stop.is_set():
                    some_of_everything(own, dice)
            except BaseException as error:  # noqa: BLE001  for the test to see
                failures.append(error)
            finally:
                connections.close_all()

        def keep_rolling() -> None:
            try:
                while not stop.is_set():
                    roll_up(tag=books.tenant.tag, has_time=lambda: True, step=50)
            except BaseException as error:  # noqa: BLE001  for the test to see
                failures.append(error)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=play, args=(seed,)) for seed in (1, 2, 3)]
        threads += [threading.Thread(target=keep_rolling) for _ in range(2)]
        for thread in threads:
            thread.start()
        seen = [differences(books) for _ in range(6)]
        stop.set()
        for thread in threads:
            thread.join()
        follow(books)

        assert failures == []
        assert seen == [[]] * 6
        assert differences(books) == []
        with in_tenant(books.tenant.tag):
            assert RollupMark.objects.get().ledger_seq == last_seq(books)

    def test_gives_the_same_when_two_begin_at_once(self, books: Books) -> None:
        some_of_everything(books, random.Random(3))
        gate = threading.Barrier(2)

        def begin() -> None:
            gate.wait()
            try:
                follow(books, step=7)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=begin) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert differences(books) == []


class TestKilledHalfWay:
    @pytest.mark.parametrize("statement", ["usage", "decisions", "unheld", "mark"])
    def test_has_done_nothing(self, books: Books, statement: str) -> None:
        some_of_everything(books, random.Random(4))
        follow(books)
        some_of_everything(books, random.Random(5))
        words = {
            "usage": "INSERT INTO usage_rollup",
            "decisions": "FROM ledger_entry AS e\nCROSS JOIN LATERAL (\n    SELECT at",
            "unheld": "WITH bound AS",
            "mark": 'UPDATE "rollup_mark"',
        }[statement]

        def die_after(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            result = execute(sql, params, many, context)
            if words in str(sql):
                raise _Killed
            return result

        with connection.execute_wrapper(die_after), pytest.raises(_Killed):
            follow(books)

        assert differences(books) == []
        follow(books)
        assert differences(books) == []


class TestRebuild:
    def test_comes_to_the_same_sums(self, books: Books) -> None:
        some_of_everything(books, random.Random(6))
        follow(books, step=4)
        before = _all_rows(books)

        rebuild(tag=books.tenant.tag)

        assert _all_rows(books) == before
        assert differences(books) == []


class TestVerifyRollups:
    def test_is_content_with_right_sums(self, books: Books) -> None:
        spend(books)
        follow(books)

        call_command("verify_rollups", tenant="acme")

    def test_is_content_with_what_was_not_followed_yet(self, books: Books) -> None:
        spend(books)

        call_command("verify_rollups", tenant="acme")

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE usage_rollup SET charged = charged + 1",
            "UPDATE usage_rollup SET latency_counts[1] = 7",
            "UPDATE usage_day SET charged = charged + 1",
            "DELETE FROM usage_rollup",
            "UPDATE decision_rollup SET count = count + 1",
            "UPDATE decision_rollup SET reason_code = 'OTHER'",
            "UPDATE rollup_mark SET ledger_seq = ledger_seq - 1",
        ],
    )
    def test_ends_at_the_first_difference(self, books: Books, damage: str) -> None:
        spend(books)
        follow(books)
        as_owner(books.tenant.tag, damage)

        with pytest.raises(CommandError, match="acme"):
            call_command("verify_rollups", tenant="acme")


class TestUsageOverTime:
    """Charges of 1 at given times, one each, so that a sum says how many there were."""

    def at(self, books: Books, *moments: str) -> None:
        for _ in moments:
            books.ask("event", amount=1, action={"kind": "llm.completion", "name": "m"})
        with in_tenant(books.tenant.tag):
            seqs = list(LedgerEntry.objects.filter(kind="EVENT").order_by("seq").values_list("seq", flat=True))
        as_owner(
            books.tenant.tag,
            *(
                f"UPDATE ledger_entry SET at = '{moment}' WHERE seq = {seq}"
                for moment, seq in zip(moments, seqs, strict=True)
            ),
        )
        follow(books)

    def series(self, books: Books, step: Step, time_zone: str) -> dict[str, int]:
        with in_tenant(books.tenant.tag):
            points = usage_series(since=LONG_AGO, until=FAR_AHEAD, step=step, time_zone=time_zone)
        return {point.starts_at.isoformat(): point.sums.charged for point in points}

    def test_begins_days_at_midnight_in_india(self, books: Books) -> None:
        self.at(books, "2026-03-01 18:29:59.999+00", "2026-03-01 18:30+00", "2026-03-02 18:29+00")

        assert self.series(books, Step.DAY, "Asia/Kolkata") == {
            "2026-03-01T00:00:00+05:30": 1,
            "2026-03-02T00:00:00+05:30": 2,
        }

    def test_begins_hours_at_half_past_in_utc_in_india(self, books: Books) -> None:
        self.at(books, "2026-03-01 18:29+00", "2026-03-01 18:30+00")

        assert self.series(books, Step.HOUR, "Asia/Kolkata") == {
            "2026-03-01T23:00:00+05:30": 1,
            "2026-03-02T00:00:00+05:30": 1,
        }

    def test_has_a_day_of_23_hours_when_the_clock_goes_forward(self, books: Books) -> None:
        # Berlin, 29 March 2026: 01:00 UTC is when 2 o'clock becomes 3.
        self.at(books, "2026-03-28 22:59+00", "2026-03-28 23:00+00", "2026-03-29 21:59+00", "2026-03-29 22:00+00")

        assert self.series(books, Step.DAY, "Europe/Berlin") == {
            "2026-03-28T00:00:00+01:00": 1,
            "2026-03-29T00:00:00+01:00": 2,
            "2026-03-30T00:00:00+02:00": 1,
        }

    def test_has_a_day_of_25_hours_when_the_clock_goes_back(self, books: Books) -> None:
        self.at(books, "2026-10-24 21:59+00", "2026-10-24 22:00+00", "2026-10-25 22:59+00", "2026-10-25 23:00+00")

        assert self.series(books, Step.DAY, "Europe/Berlin") == {
            "2026-10-24T00:00:00+02:00": 1,
            "2026-10-25T00:00:00+02:00": 2,
            "2026-10-26T00:00:00+01:00": 1,
        }

    def test_keeps_the_two_hours_apart_that_the_clock_shows_twice(self, books: Books) -> None:
        self.at(books, "2026-10-25 00:10+00", "2026-10-25 01:10+00")

        assert self.series(books, Step.HOUR, "Europe/Berlin") == {
            "2026-10-25T02:00:00+02:00": 1,
            "2026-10-25T02:00:00+01:00": 1,
        }

    def test_knows_a_day_whose_midnight_comes_twice(self, books: Books) -> None:
        # Havana, 1 November 2026: at 01:00 the clock goes back to 00:00.
        self.at(books, "2026-11-01 03:59+00", "2026-11-01 04:10+00", "2026-11-01 05:10+00", "2026-11-02 04:59+00")

        assert list(self.series(books, Step.DAY, "America/Havana").values()) == [1, 3]

    def test_begins_weeks_on_monday_and_months_on_the_first(self, books: Books) -> None:
        self.at(books, "2026-03-01 18:29+00", "2026-03-01 18:31+00", "2026-03-31 18:31+00")

        assert self.series(books, Step.WEEK, "Asia/Kolkata") == {
            "2026-02-23T00:00:00+05:30": 1,
            "2026-03-02T00:00:00+05:30": 1,
            "2026-03-30T00:00:00+05:30": 1,
        }
        assert self.series(books, Step.MONTH, "Asia/Kolkata") == {
            "2026-03-01T00:00:00+05:30": 2,
            "2026-04-01T00:00:00+05:30": 1,
        }

    def test_comes_to_the_same_from_whole_days_as_from_quarters(self, books: Books) -> None:
        dice = random.Random(7)
        moments = [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=15 * dice.randrange(500)) for _ in range(60)]
        self.at(books, *(moment.isoformat() for moment in moments))

        for _ in range(40):
            first, last = sorted(dice.choices([*moments, datetime(2026, 3, 1, 18, 30, tzinfo=UTC)], k=2))
            expected = sum(first <= moment < last for moment in moments)
            with in_tenant(books.tenant.tag):
                whole = usage_totals(since=first, until=last)
                days = usage_series(since=first, until=last, step=Step.DAY, time_zone="Asia/Kolkata")
                others = usage_series(since=first, until=last, step=Step.DAY, time_zone="Europe/Berlin")
            assert [share.sums.charged for share in whole] == ([expected] if expected else [])
            assert sum(point.sums.charged for point in days) == expected
            assert sum(point.sums.charged for point in others) == expected

    @pytest.mark.parametrize(
        ("by", "names"),
        [
            (None, [""]),
            (UsageBy.MODEL, ["gpt-4o", ""]),
            (UsageBy.TOOL, ["", "search"]),
            (UsageBy.AGENT, ["triage", ""]),
            (UsageBy.WORKSPACE, ["prod", ""]),
            (UsageBy.CLASS, [""]),
        ],
    )
    def test_is_parted_by_what_was_asked(self, books: Books, by: UsageBy | None, names: list[str]) -> None:
        spend(books, 70)
        books.ask("event", amount=9, action={"kind": "tool.web", "name": "search"})
        follow(books)

        with in_tenant(books.tenant.tag):
            shares = usage_totals(since=LONG_AGO, until=FAR_AHEAD, by=by)
            inside = usage_totals(since=LONG_AGO, until=FAR_AHEAD, within="tenant:acme/workspace:prod")
        assert [share.name for share in shares] == names
        assert sum(share.sums.charged for share in shares) == 79
        assert [share.sums.charged for share in inside] == [70]


class _Killed(Exception):
    pass


def _all_rows(books: Books) -> tuple[list[Any], list[Any]]:
    with in_tenant(books.tenant.tag):
        usage = UsageRollup.objects.order_by("bucket_at", "scope_path", "model", "tool", "unit").values()
        decisions = DecisionRollup.objects.order_by("bucket_at", "endpoint", "scope_path", "verdict").values()
        return list(usage), list(decisions)


class TestHostileCaller:
    def test_says_anything_in_metadata(self, books: Books) -> None:
        spend(books, metadata={"corrects": "drop table", "amount_before": [], "charged_before": "x"})
        books.ask("event", amount=3, metadata={"corrects": "1e400"})

        follow(books)

        assert differences(books) == []

    def test_measures_more_than_there_is(self, books: Books) -> None:
        most = 2**63 - 1
        for _ in range(3):
            spend(books, metrics={"tokens_input": most, "tokens_output": most, "latency_ms": most})

        follow(books)

        assert differences(books) == []
