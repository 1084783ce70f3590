"""Recorded production traffic of two tenants at once, through the api process, with budgets that run out half-way."""

import os
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F

from budgets.models import Budget, Decision, LedgerEntry, Reservation
from budgets.models.choices import EntryKind, Verdict
from budgets.models.ledger import BALANCE_FIELDS
from budgets.replay.prices import TIERS, actual_of, estimate_of
from budgets.replay.trace import TraceCall, read_trace
from budgets.selectors.audit import audit
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.shared_folder import TRACES

CODE, CONV = TRACES / "code.csv", TRACES / "conv.csv"
PRICE = TIERS["small"]
needs_traces = pytest.mark.skipif(
    not CODE.exists(), reason=f"The recorded traces are not at {TRACES}; set WATERMASTER_SHARED to their folder."
)


def replay(*arguments: object) -> str:
    """What the command prints. Raises `CommandError`, as it does for the shell by its exit code."""
    said = StringIO()
    call_command("replay", *[str(argument) for argument in arguments], stdout=said)
    return said.getvalue()


def usd(microcents: int) -> str:
    return str(Decimal(microcents) / 10**8)


@dataclass(frozen=True, slots=True)
class Moment:
    """What was left at the workspace after one ledger entry."""

    at: datetime
    left: int


class Played:
    """One tenant's replay, as its books tell it."""

    def __init__(self, tenant: Tenant, trace: Sequence[TraceCall], *, estimate_tokens: int) -> None:
        self.trace = trace
        self.estimate_tokens = estimate_tokens
        self.path = f"tenant:{tenant.slug}/workspace:replay"
        with in_tenant(tenant.tag):
            self.workspace = Budget.objects.get(scope_path=self.path)
            self.entries = list(LedgerEntry.objects.order_by("seq"))
            self.holds = {_call_number(hold.idempotency_key): hold for hold in Reservation.objects.all()}
            refused = Decision.objects.filter(verdict=Verdict.DENY).order_by("at", "id")
            self.denials = {_call_number(decision.idempotency_key): decision for decision in refused}
            self.decisions = Decision.objects.count()
        touching = [entry for entry in self.entries if self.workspace.pk in entry.budget_ids]
        self.moments = [Moment(entry.at, _left(entry, self.workspace)) for entry in touching]
        self._times = [moment.at for moment in self.moments]

    @property
    def first_denial(self) -> Decision:
        return min(self.denials.values(), key=lambda decision: (decision.at, decision.id))

    def left_at(self, at: datetime) -> set[int]:
        """What may have been left when a decision of that millisecond was made: before it, or after an entry of it."""
        first = bisect_left(self._times, at)
        possible = {self.moments[first - 1].left} if first else set()
        for moment in self.moments[first:]:
            if moment.at != at:
                break
            possible.add(moment.left)
        return possible

    def check_call_by_call(self) -> None:
        """Every call was decided once; none was refused that had room, none was admitted that had none."""
        assert set(self.holds) | set(self.denials) == {call.number for call in self.trace}
        assert not set(self.holds) & set(self.denials)
        assert self.decisions == len(self.trace)
        for call in self.trace:
            estimate = estimate_of(call, PRICE, generated_tokens=self.estimate_tokens)
            if (denial := self.denials.get(call.number)) is None:
                hold = self.holds[call.number]
                cost = actual_of(call, PRICE)
                assert (hold.status, hold.amount, hold.actual, hold.charged) == ("COMMITTED", estimate, cost, cost)
                continue
            numbers: dict[str, Any] = denial.numbers or {}
            assert (denial.reason_code, denial.failed_scope) == ("BUDGET_EXCEEDED", self.path)
            assert numbers["requested"] == estimate
            assert numbers["remaining"] < estimate
            assert numbers["remaining"] in self.left_at(denial.at)
        for entry in self.entries:
            if entry.kind == EntryKind.RESERVE:
                assert _left(entry, self.workspace) >= 0

    def check_sums(self) -> None:
        """What the books say was spent is what the trace says that the admitted calls cost."""
        costs = sum(actual_of(call, PRICE) for call in self.trace if call.number in self.holds)
        assert (self.workspace.spent, self.workspace.reserved, self.workspace.debt) == (costs, 0, 0)
        assert self.workspace.uncovered == 0
        assert costs <= self.workspace.allocated

    def check_ran_out_half_way(self) -> None:
        """Denials begin in the middle of the trace, and until then nothing is refused."""
        begun = min(self.denials)
        assert 0.25 < begun / len(self.trace) < 0.75
        assert all(number in self.holds for number in range(1, begun))


def _call_number(idempotency_key: str | None) -> int:
    match = re.fullmatch(r"replay-[0-9a-f]{12}-\d+-(\d+)(?:-end)?", idempotency_key or "")
    assert match, idempotency_key
    return int(match[1])


def _left(entry: LedgerEntry, budget: Budget) -> int:
    start = entry.budget_ids.index(budget.pk) * len(BALANCE_FIELDS)
    allocated, reserved, spent, debt = entry.balances[start : start + 4]
    return allocated - reserved - spent - debt


def play_both(acme: Tenant, initech: Tenant, api_url: str, *, limit: int | None, concurrency: int) -> str:
    """Both traces at once. acme can pay half of its calls, initech two fifths: initech comes to its end first."""
    options: list[object] = ["--speed", 0, "--concurrency", concurrency, "--api-url", api_url]
    if limit is not None:
        options += ["--limit", limit]
    traces = {acme: read_trace(CONV, limit=limit), initech: read_trace(CODE, limit=limit)}
    # No call costs more than its estimate, so that only the order of events decides who is refused.
    tokens = max(call.generated_tokens for trace in traces.values() for call in trace)
    for tenant, share in [(acme, Fraction(1, 2)), (initech, Fraction(2, 5))]:
        budget = int(sum(actual_of(call, PRICE) for call in traces[tenant]) * share)
        options += ["--tenant", tenant.slug, "--api-key", Books(tenant).key.token, "--budget", usd(budget)]
    said = replay(CONV, CODE, *options, "--estimate-tokens", tokens)

    played = {tenant: Played(tenant, trace, estimate_tokens=tokens) for tenant, trace in traces.items()}
    for tenant, books in played.items():
        books.check_call_by_call()
        books.check_sums()
        books.check_ran_out_half_way()
        assert audit(tenant.tag) == []
        assert f"{tenant.slug}: ledger verified, {len(books.entries):,} entries: no difference." in said
        assert f"{tenant.slug}: denials begin at call" in said
    # acme does not feel the end of initech: until its own, which comes later, it is refused nothing.
    ends = played[initech].first_denial.at, played[acme].first_denial.at
    assert ends[0] < ends[1]
    assert any(ends[0] < hold.created_at < ends[1] for hold in played[acme].holds.values())
    return said


@needs_traces
class TestRecordedTraces:
    def test_budgets_stop_both_tenants_exactly_where_they_must(
        self, acme: Tenant, initech: Tenant, api_url: str
    ) -> None:
        play_both(acme, initech, api_url, limit=500, concurrency=8)

    @pytest.mark.slow
    @pytest.mark.skipif(
        not os.environ.get("WATERMASTER_FULL_REPLAY"), reason="Takes minutes: `make replay` plays the whole traces."
    )
    def test_the_whole_traces(
        self, acme: Tenant, initech: Tenant, api_url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said = play_both(acme, initech, api_url, limit=None, concurrency=32)
        with capsys.disabled():
            print("\n" + said)


def write_trace(folder: Path, *calls: tuple[str, int, int]) -> Path:
    path = folder / "Some Trace.csv"
    lines = [
        "TIMESTAMP,ContextTokens,GeneratedTokens",
        *(f"2023-11-16 {at},{context},{made}" for at, context, made in calls),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


class TestCommand:
    @pytest.fixture
    def key(self, acme: Tenant) -> str:
        return Books(acme).key.token

    def test_keeps_to_the_times_of_the_trace(self, acme: Tenant, key: str, api_url: str, tmp_path: Path) -> None:
        path = write_trace(tmp_path, ("18:00:00.0000000", 10, 1), ("18:00:01.0", 10, 1), ("18:00:02", 10, 1))

        replay(path, "--tenant", "acme", "--api-key", key, "--api-url", api_url, "--budget", 1, "--speed", 4)

        with in_tenant(acme.tag):
            first, second, third = Reservation.objects.order_by("created_at").values_list("created_at", flat=True)
        assert (second - first).total_seconds() == pytest.approx(0.25, abs=0.15)
        assert (third - first).total_seconds() == pytest.approx(0.5, abs=0.15)

    def test_a_second_replay_has_the_room_that_was_asked_for(
        self, acme: Tenant, key: str, api_url: str, tmp_path: Path
    ) -> None:
        path = write_trace(tmp_path, ("18:00:00", 100, 10))
        options = ["--tenant", "acme", "--api-key", key, "--api-url", api_url, "--speed", 0, "--estimate-tokens", 10]
        cost = 100 * 15 + 10 * 60

        for _ in range(2):
            assert "denials begin" not in replay(path, *options, "--budget", usd(cost))
        assert "denials begin at call 1 of 1" in replay(path, *options, "--budget", usd(cost - 1))

        with in_tenant(acme.tag):
            workspace = Budget.objects.get(scope_path="tenant:acme/workspace:replay")
            assert (workspace.spent, workspace.remaining) == (2 * cost, cost - 1)

    def test_a_cost_above_its_estimate_is_told(self, acme: Tenant, key: str, api_url: str, tmp_path: Path) -> None:
        path = write_trace(tmp_path, ("18:00:00", 100, 10))
        options = ["--tenant", "acme", "--api-key", key, "--api-url", api_url, "--speed", 0, "--budget", 1]

        said = replay(path, *options, "--estimate-tokens", 9, "--policy", "REJECT")

        assert re.search(r"commit refused BUDGET_EXCEEDED .* 1 ", said)

    def test_fails_when_the_books_differ(self, acme: Tenant, key: str, api_url: str, tmp_path: Path) -> None:
        path = write_trace(tmp_path, ("18:00:00", 10, 1))
        options = ["--tenant", "acme", "--api-key", key, "--api-url", api_url, "--speed", 0]
        replay(path, *options, "--budget", 1)
        with in_tenant(acme.tag):
            Budget.objects.update(spent=F("spent") + 1)

        with pytest.raises(CommandError, match=r"The books do not add up\. acme: I2"):
            replay(path, *options)

    def test_says_what_the_server_says_to_a_wrong_key(
        self, acme: Tenant, initech: Tenant, api_url: str, tmp_path: Path
    ) -> None:
        path = write_trace(tmp_path, ("18:00:00", 10, 1))
        key = Books(initech).key.token

        with pytest.raises(CommandError, match=r"some-trace: 403 .*tenant"):
            replay(path, "--tenant", "acme", "--api-key", key, "--api-url", api_url, "--budget", 1)

    def test_fails_when_nobody_answers(
        self, acme: Tenant, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("budgets.replay.player.TRIES", 2)
        path = write_trace(tmp_path, ("18:00:00", 10, 1))

        with pytest.raises(CommandError, match="1 requests had no answer"):
            replay(path, "--tenant", "acme", "--api-key", key, "--api-url", "http://127.0.0.1:9", "--budget", 1)

    def test_gives_up_when_the_server_is_gone(
        self, acme: Tenant, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("budgets.replay.player.TRIES", 1)
        path = write_trace(tmp_path, *[("18:00:00", 10, 1)] * 200)

        with pytest.raises(CommandError, match="20 calls in a row had no answer from"):
            replay(path, "--tenant", "acme", "--api-key", key, "--api-url", "http://127.0.0.1:9", "--budget", 1)

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["--tenant", "nobody"], "There is no tenant nobody"),
            (["--tenant", "acme", "--tenant", "initech"], "1 files need 1 times --tenant"),
            (["--tenant", "acme", "--budget", "1", "--budget", "2"], "Give --budget once"),
            (["--tenant", "acme", "--budget", "1.123456789"], "at most 8 decimals"),
            (["--tenant", "acme", "--budget", "-1"], "not below 0"),
            (["--tenant", "acme", "--budget", "NaN"], "no amount of USD"),
            (["--tenant", "acme", "--budget", "1e400"], "no amount of USD"),
            (["--tenant", "acme", "--concurrency", "0"], "--concurrency is 1 to 100"),
            (["--tenant", "acme", "--speed", "-1"], "not below 0"),
            (["--tenant", "acme", "--limit", "0"], "at least 1"),
            (["--tenant", "acme", "--price", "0.5,1"], "two integers"),
            (["--tenant", "acme", "--workspace", "a b", "--budget", "1"], "--workspace must give each level a name"),
        ],
    )
    def test_says_what_to_mend(self, acme: Tenant, arguments: list[str], sentence: str, tmp_path: Path) -> None:
        path = write_trace(tmp_path, ("18:00:00", 10, 1))

        with pytest.raises(CommandError, match=re.escape(sentence)):
            replay(path, *arguments, *["--api-key", "k"] * arguments.count("--tenant"))

    def test_needs_a_key(self, acme: Tenant, settings: Any, tmp_path: Path) -> None:
        settings.VAR_DIR = tmp_path
        path = write_trace(tmp_path, ("18:00:00", 10, 1))

        with pytest.raises(CommandError, match="No key for acme"):
            replay(path, "--tenant", "acme")
