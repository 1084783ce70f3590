"""The engine against a model of the ledger in plain Python: two tenants at once, any operations in any order.

After every step the answer, every budget and every reservation of both tenants equal the model's, and the audit finds
nothing. `make test` takes a few hundred steps and `make test-slow` a thousand; with `HYPOTHESIS_PROFILE=nightly` that
looks for hours, and elsewhere each time.
"""

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from accounts.keys.models import ApiKey, Permission
from accounts.keys.tokens import MintedKey
from budgets.models import Budget, LedgerHead, RunTemplate
from budgets.models.choices import EntryKind
from budgets.selectors.audit import audit
from budgets.services import engine
from budgets.services.journal import AmountOutOfRange, Change, open_journal
from budgets.services.lifecycle import create_tenant
from budgets.services.operations import Answer
from kernel.ids import uuid7
from kernel.money import Unit
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tenants.services.provisioning import NewTenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.ledger_model import LARGEST, Account, Hold, Key, LedgerModel, Reply, Request
from tests.support.owner import let_time_pass
from tests.support.tenants import drop_tenant

_IS_NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
_LONG = settings(
    max_examples=1500 if _IS_NIGHTLY else 10,
    stateful_step_count=100,
    derandomize=not _IS_NIGHTLY,
    print_blob=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink] if _IS_NIGHTLY else [Phase.generate],
    report_multiple_bugs=False,
)
_SHORT = settings(_LONG, max_examples=3, stateful_step_count=60, derandomize=True, phases=[Phase.generate])

_PATHS = ["", "/workspace:prod", "/workspace:prod/agent:a", "/workspace:prod/agent:b", "/workspace:test", "/app:none"]
_UNITS = ["USD_MICROCENTS", "USD_MICROCENTS", "USD_MICROCENTS", "TOKENS", "CREDITS"]
_POLICIES = [None, "REJECT", "ALLOW_IF_AVAILABLE", "ALLOW_WITH_OVERDRAFT"]
_ALL = frozenset({"create", "commit", "release", "extend"})
_PERMISSIONS = {
    "create": Permission.RESERVATIONS_CREATE,
    "commit": Permission.RESERVATIONS_COMMIT,
    "release": Permission.RESERVATIONS_RELEASE,
    "extend": Permission.RESERVATIONS_EXTEND,
}

_examples = count(1)
_NOBODYS = Hold(uuid7(), "", "USD_MICROCENTS", 1, "REJECT", [], datetime.now(UTC), timedelta(0))

tenants = st.integers(0, 1)
paths = st.sampled_from(_PATHS)
units = st.sampled_from(_UNITS)
policies = st.sampled_from(_POLICIES)
keys = st.sampled_from(["full", "full", "reader", "prod", "revoked"])
runs = st.sampled_from([None, None, None, "r1", "r2"])
templates = st.sampled_from([None, "chat", "tokens", "unknown"])
picks = st.integers(0, 30)
#: An amount, or how far from what is left on the path.
amounts = st.one_of(
    st.integers(0, 60), st.sampled_from([2**62, LARGEST - 1, LARGEST]), st.sampled_from(["left", "left+1", "left-1"])
)
#: How far from what was held, or an amount of its own.
actuals = st.one_of(st.sampled_from([-5, -1, 0, 1, 5, 40, 200]), st.sampled_from(["none", "largest", "half"]))
funds = st.sampled_from([0, 1, 40, 500, 2**62])
statuses = st.sampled_from(["ACTIVE", "ACTIVE", "ACTIVE", "FROZEN", "CLOSED"])
spans = st.sampled_from([timedelta(minutes=50), timedelta(hours=2), timedelta(hours=25), timedelta(days=3)])
ttls = st.sampled_from([timedelta(minutes=30), timedelta(hours=3), timedelta(days=2)])
graces = st.sampled_from([timedelta(0), timedelta(hours=1)])


@dataclass(slots=True)
class _Side:
    """One tenant: its books, the model of them, and what was asked so far."""

    tenant: Tenant
    books: Books
    model: LedgerModel
    minted: dict[str, tuple[MintedKey, Key]] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)


class _Engine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        number = next(_examples)
        self.sides = [_open(f"acme-{number}", "Asia/Kolkata"), _open(f"initech-{number}", "America/New_York")]
        for side, scale in zip(self.sides, (1, 2**54), strict=True):
            rollover = "NONE" if scale == 1 else "CARRY_FORWARD"
            _add(side, "", "USD_MICROCENTS", 300 * scale, is_daily=True, rollover=rollover, limit=40)
            _add(side, "", "TOKENS", 1000, is_daily=True, rollover="CAP_AT_ALLOCATED")
            _add(side, "/workspace:prod", "USD_MICROCENTS", 150 * scale, limit=50 * scale)
            _add(side, "/workspace:prod/agent:a", "USD_MICROCENTS", 60 * scale)
            _add(side, "/workspace:test", "TOKENS", 50, is_daily=True, rollover="NONE")

    def teardown(self) -> None:
        for side in self.sides:
            drop_tenant(side.tenant)

    # What agents do

    @rule(
        at=tenants,
        path=paths,
        unit=units,
        amount=amounts,
        policy=policies,
        ttl=ttls,
        grace=graces,
        run=runs,
        template=templates,
    )
    def reserve(self, *, at: int, **fields: Any) -> None:
        self._ask(self.sides[at], op="reserve", **fields)

    @rule(at=tenants, is_dry=st.booleans(), path=paths, unit=units, amount=amounts, run=runs, template=templates)
    def ask_only(self, *, at: int, is_dry: bool, **fields: Any) -> None:
        self._ask(self.sides[at], op="reserve" if is_dry else "decide", is_dry=is_dry, **fields)

    @rule(at=tenants, path=paths, unit=units, amount=amounts, policy=policies, run=runs)
    def event(self, *, at: int, **fields: Any) -> None:
        self._ask(self.sides[at], op="event", **fields)

    @rule(at=tenants, pick=picks, actual=actuals, is_other_unit=st.sampled_from([False] * 9 + [True]))
    def commit(self, *, at: int, pick: int, actual: Any, is_other_unit: bool) -> None:
        side = self.sides[at]
        hold = self._pick(side, pick)
        known = {"none": 0, "largest": LARGEST, "half": 2**62}
        amount = known[actual] if actual in known else min(max(hold.amount + actual, 0), LARGEST)
        self._ask(side, op="commit", target=hold.id, unit="CREDITS" if is_other_unit else hold.unit, amount=amount)

    @rule(at=tenants, pick=picks, op=st.sampled_from(["release", "extend", "expire"]), ttl=ttls)
    def settle(self, *, at: int, op: str, pick: int, ttl: timedelta) -> None:
        side = self.sides[at]
        self._ask(side, op=op, target=self._pick(side, pick).id, ttl=ttl)

    @rule(at=tenants, pick=st.integers(0, 3), is_changed=st.sampled_from([False, False, True]), key=keys)
    def ask_again(self, *, at: int, pick: int, is_changed: bool, key: str) -> None:
        """One of the last requests once more, with the same key: as it was, or with another payload."""
        side = self.sides[at]
        if side.asked:
            request = side.asked[-1 - pick % len(side.asked)]
            again = replace(request, id=uuid7(), key=side.minted[key][1], payload=request.payload + is_changed)
            self._submit(side, side.minted[key][0], again)

    @rule(
        at=tenants,
        key=keys,
        op=st.sampled_from(["reserve", "decide", "event", "commit", "release", "extend"]),
        path=paths,
        pick=picks,
    )
    def ask_with_another_key(self, *, at: int, key: str, op: str, path: str, pick: int) -> None:
        side = self.sides[at]
        fields: dict[str, Any] = {"unit": "USD_MICROCENTS", "amount": 1}
        if op in {"commit", "release", "extend"}:
            fields["target"] = self._pick(side, pick).id
        else:
            fields["path"] = path
        self._ask(side, key, op=op, **fields)

    @rule(at=tenants, op=st.sampled_from(["commit", "release", "extend"]), of=tenants, pick=picks)
    def settle_what_is_not_ours(self, *, at: int, op: str, of: int, pick: int) -> None:
        """An id of the other tenant, or of nobody."""
        target = self._pick(self.sides[1 - at], pick).id if at == of else uuid7()
        self._ask(self.sides[at], op=op, target=target, unit="USD_MICROCENTS", amount=1)

    # What people do

    @rule(
        at=tenants,
        pick=picks,
        how=st.sampled_from(["credit", "debit", "status", "limit"]),
        amount=funds,
        status=statuses,
    )
    def manage(self, *, at: int, pick: int, how: str, amount: int, status: str) -> None:
        side = self.sides[at]
        accounts = [account for account in side.model.accounts.values() if "/run:" not in account.path]
        account = accounts[pick % len(accounts)]
        before, entries = replace(account), side.model.entries
        try:
            with in_tenant(side.tenant.tag), open_journal(actor=TEST_ACTOR) as journal:
                side.model.now = journal.now
                side.model.open_period(account)
                budget = journal.budget(scope_path=account.path, unit=Unit(account.unit))
                journal.post(*_change(how, account, budget, amount, status))
                side.model.entries += 1
        except AmountOutOfRange:
            assert account.allocated > LARGEST
            side.model.accounts[account.path, account.unit] = before
            for hold in side.model.holds.values():
                hold.accounts = [before if held is account else held for held in hold.accounts]
            side.model.entries = entries
        self._compare(side)

    @rule(at=tenants, status=st.sampled_from(["ACTIVE"] * 6 + ["SUSPENDED", "CLOSED"]), span=spans)
    def live_on(self, *, at: int, status: str, span: timedelta) -> None:
        side = self.sides[at]
        with in_tenant(side.tenant.tag), open_journal(actor=TEST_ACTOR) as journal:
            journal.head.status = side.model.status = status
            journal.head.save(update_fields=["status"])
        side.model.let_time_pass(span)
        let_time_pass(side.tenant.tag, span)

    # How it is done

    def _pick(self, side: _Side, pick: int) -> Hold:
        """One of the holds, the newest ones first; if there is none, one is made."""
        if not side.model.holds:
            self._ask(side, op="reserve", path=_PATHS[pick % 3], unit="USD_MICROCENTS", amount=pick)
        holds = list(side.model.holds.values())
        if pick % 4:
            holds = [hold for hold in holds if hold.status == "ACTIVE"] or holds
        return holds[-1 - pick % len(holds)] if holds else _NOBODYS

    def _ask(self, side: _Side, key: str = "full", **fields: Any) -> None:
        minted, known = side.minted[key]
        if "amount" in fields:
            fields["amount"] = _amount(side, fields.get("path", ""), fields["unit"], fields["amount"])
        request = Request(id=uuid7(), key=known, idem=f"key-{len(side.asked)}", **fields)
        side.asked.append(request)
        self._submit(side, minted, request)

    def _submit(self, side: _Side, minted: MintedKey, request: Request) -> None:
        side.model.now = datetime.now(UTC)
        expected = side.model.submit(request)
        answer = engine.submit(side.tenant.tag, _operation(side.books, minted, request))
        assert _reply(answer, expected) == expected, (request, answer)
        if request.op in {"reserve", "extend"} and expected.status == "OK" and expected.verdict != "DENY":
            self._check_time_left(side, request, answer)
        self._compare(side)

    @staticmethod
    def _check_time_left(side: _Side, request: Request, answer: Answer) -> None:
        hold = side.model.holds.get(request.target or answer.id)
        if hold is None or answer.replayed:
            return
        assert answer.left_ms is not None
        left = hold.expires_at - side.model.now
        assert abs(timedelta(milliseconds=answer.left_ms) - left) < timedelta(seconds=30)

    def _compare(self, touched: _Side) -> None:
        for side in self.sides:
            with in_tenant(side.tenant.tag):
                _compare_books(side.model)
        assert audit(touched.tenant.tag) == []


def _change(how: str, account: Account, budget: Budget, amount: int, status: str) -> tuple[EntryKind, list[Change]]:
    """One change by hand, to the model and, with the same numbers, to the books."""
    if how == "credit":
        repaid = min(account.debt, amount)
        account.allocated += amount
        account.debt -= repaid
        account.spent += repaid
        account.is_capped = budget.is_capped = False
        return EntryKind.CREDIT, [Change(budget=budget, allocated=amount, debt=-repaid, spent=repaid)]
    if how == "debit":
        amount = min(max(account.remaining, 0), amount)
        account.allocated -= amount
        return EntryKind.DEBIT, [Change(budget=budget, allocated=-amount)]
    if how == "status":
        account.status = budget.status = status
    else:
        account.overdraft_limit = budget.overdraft_limit = min(amount, 500)
    return EntryKind.UPDATE, [Change(budget=budget)]


def _open(slug: str, zone: str) -> _Side:
    tenant = create_tenant(NewTenant(slug=slug, name=slug, time_zone=zone), now=datetime.now(UTC))
    books = Books(tenant)
    model = LedgerModel(slug, ZoneInfo(zone), extensions_max=2)
    model.templates = {"chat": ("USD_MICROCENTS", 20), "tokens": ("TOKENS", 30)}
    model.default_template = "chat"
    side = _Side(tenant, books, model)
    prod = f"tenant:{slug}/workspace:prod"
    side.minted = {
        "full": (books.key, Key(_ALL)),
        "reader": (books.add_key(permissions=[Permission.BALANCES_READ]), Key(frozenset())),
        "prod": (books.add_key(scope_filter=[prod]), Key(_ALL, (prod,))),
        "revoked": (books.add_key(), Key(_ALL, is_good=False)),
    }
    with in_tenant(tenant.tag):
        ApiKey.objects.filter(key_id=side.minted["revoked"][0].key_id).update(status="REVOKED")
        LedgerHead.objects.update(extensions_max=2)
        for name, (unit, amount) in model.templates.items():
            RunTemplate.objects.create(name=name, unit=unit, amount=amount, is_default=name == "chat")
    return side


def _add(
    side: _Side, path: str, unit: str, allocated: int, *, is_daily: bool = False, rollover: str = "NONE", limit: int = 0
) -> None:
    account = Account(f"tenant:{side.model.slug}{path}", unit, allocated, overdraft_limit=limit, rollover=rollover)
    columns: dict[str, Any] = {"overdraft_limit": limit, "rollover": rollover}
    if is_daily:
        today = datetime.now(side.model.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        account.grant = allocated
        account.ends_at = datetime.combine(today.date() + timedelta(days=1), datetime.min.time(), side.model.zone)
        columns |= {"period": "DAY", "period_allocation": allocated}
        columns |= {"period_starts_at": today, "period_ends_at": account.ends_at}
    side.books.add_budget(path, unit=Unit(unit), allocated=allocated, **columns)
    side.model.accounts[account.path, unit] = account
    side.model.entries += 1


def _amount(side: _Side, path: str, unit: str, amount: Any) -> int:
    if isinstance(amount, int):
        return amount
    where = f"tenant:{side.model.slug}{path}"
    left = [
        account.remaining
        for account in side.model.accounts.values()
        if account.unit == unit and f"{where}/".startswith(f"{account.path}/")
    ]
    return min(max(min(left, default=0) + {"left": 0, "left+1": 1, "left-1": -1}[amount], 0), LARGEST)


def _operation(books: Books, minted: MintedKey, request: Request) -> Any:
    fields: dict[str, Any] = {
        "id": request.id,
        "idem": request.idem,
        "hash": f"\\x{request.payload:02x}",
        "key_id": minted.key_id,
        "digest": "\\x" + minted.digest.hex(),
        "target": request.target,
    }
    if request.op in {"reserve", "decide", "event"}:
        segments = request.path.split("/")[1:]
        fields["suffixes"] = ["".join(f"/{name}" for name in segments[:length]) for length in range(len(segments) + 1)]
        fields |= {"run": request.run, "template": request.template, "is_dry": request.is_dry, "policy": request.policy}
    if request.op in {"reserve", "decide", "event", "commit"}:
        fields |= {"unit": request.unit, "amount": request.amount}
    if request.op == "reserve":
        fields |= {"ttl_ms": _ms(request.ttl), "grace_ms": _ms(request.grace)}
    if request.op == "extend":
        fields["extend_ms"] = _ms(request.ttl)
    if request.op == "expire":
        fields |= {"is_trusted": True, "idem": None, "key_id": None}
    return books.operation(request.op, **fields)  # type: ignore[arg-type]


def _ms(span: timedelta) -> int:
    return int(span / timedelta(milliseconds=1))


def _reply(answer: Answer, expected: Reply) -> Reply:
    """The answer in the model's words; where the model has no opinion, its own."""
    if answer.status != "OK":
        return Reply(status=answer.status, scope=answer.scope)
    balances = answer.balances or []
    accounts = tuple((path, tuple(balances[7 * n : 7 * n + 7])) for n, path in enumerate(answer.paths or []))
    return Reply(
        status="OK",
        id=answer.id if expected.id is not None else None,
        scope=answer.scope,
        verdict=answer.verdict,
        reason=answer.reason,
        charged=answer.charged if expected.charged is not None else None,
        accounts=accounts,
        is_replay=answer.replayed,
    )


def _compare_books(model: LedgerModel) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT scope_path, unit, allocated, reserved, spent, debt, uncovered, overdraft_limit, is_capped, status"
            " FROM budget"
        )
        budgets = {(row[0], row[1]): row[2:] for row in cursor.fetchall()}
        cursor.execute("SELECT id, status, amount FROM reservation")
        holds: dict[UUID, tuple[str, int]] = {row[0]: row[1:] for row in cursor.fetchall()}
        cursor.execute("SELECT last_seq FROM ledger_head")
        (last_seq,) = cursor.fetchone()
    assert budgets == {
        where: (*account.balances[:6], account.is_capped, account.status) for where, account in model.accounts.items()
    }
    assert holds == {hold.id: (hold.status, hold.amount) for hold in model.holds.values()}
    assert last_seq == model.entries


@pytest.mark.slow(20)
def test_the_engine_does_what_the_model_does(database: None) -> None:
    run_state_machine_as_test(_Engine, settings=_SHORT)


@pytest.mark.full
@pytest.mark.slow(90)
def test_the_engine_does_for_long_what_the_model_does(database: None) -> None:
    run_state_machine_as_test(_Engine, settings=_LONG)
