"""A tenant's books in plain Python: what the protocol and the domain's rules say must happen, one operation at a time.

Written from the contract's words and on purpose unlike the engine: objects instead of arrays, exceptions for refusals,
no batches. Integers of Python never overflow, so the largest amount is a rule here and not an accident.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

LARGEST = 2**63 - 1


class Refused(Exception):
    """An operation is refused under this name, because of this scope."""

    def __init__(self, status: str, scope: str | None = None) -> None:
        super().__init__(status, scope)
        self.status = status
        self.scope = scope


@dataclass(slots=True)
class Account:
    """One budget. `ends_at` is None for one that has no periods."""

    path: str
    unit: str
    allocated: int
    reserved: int = 0
    spent: int = 0
    debt: int = 0
    uncovered: int = 0
    overdraft_limit: int = 0
    is_capped: bool = False
    status: str = "ACTIVE"
    ends_at: datetime | None = None
    rollover: str = "NONE"
    grant: int = 0

    @property
    def remaining(self) -> int:
        return self.allocated - self.reserved - self.spent - self.debt

    @property
    def is_over_limit(self) -> bool:
        return self.is_capped or self.debt > self.overdraft_limit

    @property
    def room_for_numbers(self) -> int:
        """How much more may be written down here before a sum is larger than an amount can be."""
        return LARGEST - self.reserved - self.spent - self.debt - self.uncovered

    @property
    def balances(self) -> list[int]:
        amounts = [self.allocated, self.reserved, self.spent, self.debt, self.uncovered]
        return [*amounts, self.overdraft_limit, int(self.is_over_limit)]

    def refuse_reservation(self, amount: int) -> None:
        """The checks of one scope, in the protocol's order. Raises `Refused`."""
        if self.status != "ACTIVE":
            raise Refused(f"BUDGET_{self.status}", self.path)
        if self.is_over_limit:
            raise Refused("OVERDRAFT_LIMIT_EXCEEDED", self.path)
        if self.debt > 0:
            raise Refused("DEBT_OUTSTANDING", self.path)
        if amount > self.remaining or amount > self.room_for_numbers:
            raise Refused("BUDGET_EXCEEDED", self.path)


@dataclass(slots=True)
class Hold:
    """A reservation. Times are of the model's clock."""

    id: UUID
    path: str
    unit: str
    amount: int
    policy: str
    accounts: list[Account]
    expires_at: datetime
    grace: timedelta
    status: str = "ACTIVE"
    extensions: int = 0

    @property
    def due_at(self) -> datetime:
        return self.expires_at + self.grace


@dataclass(frozen=True, slots=True)
class Key:
    """What an API key may do. `scopes` empty means every scope."""

    may: frozenset[str]
    scopes: tuple[str, ...] = ()
    is_good: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One operation as its caller means it. `payload` stands for all that the idempotency hash covers."""

    op: str
    id: UUID
    key: Key
    idem: str
    payload: int = 0
    path: str = ""
    unit: str = ""
    amount: int = 0
    policy: str | None = None
    ttl: timedelta = timedelta(hours=1)
    grace: timedelta = timedelta(0)
    run: str | None = None
    template: str | None = None
    is_dry: bool = False
    target: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the caller hears. `accounts` are the budgets touched, with their balances at that moment."""

    status: str
    id: UUID | None = None
    scope: str | None = None
    verdict: str | None = None
    reason: str | None = None
    charged: int | None = None
    accounts: tuple[tuple[str, tuple[int, ...]], ...] = ()
    is_replay: bool = False


@dataclass(slots=True)
class LedgerModel:
    """One tenant's books. `now` is set by whoever drives the model; `entries` counts the lines that must be there."""

    slug: str
    zone: ZoneInfo
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: str = "ACTIVE"
    policy: str = "ALLOW_IF_AVAILABLE"
    extensions_max: int = 10
    entries: int = 0
    accounts: dict[tuple[str, str], Account] = field(default_factory=dict)
    holds: dict[UUID, Hold] = field(default_factory=dict)
    templates: dict[str, tuple[str, int]] = field(default_factory=dict)
    default_template: str | None = None
    _replies: dict[tuple[str, UUID | None, str], tuple[int, Reply]] = field(default_factory=dict)

    def submit(self, request: Request) -> Reply:
        """Judge one operation. What it changes, it changes whole or not at all."""
        self._open_periods(self._in_reach(request))
        try:
            self._admit(request)
            return self._replayed(request) or self._judge(request)
        except Refused as refusal:
            return Reply(status=refusal.status, scope=refusal.scope)

    # Who asks

    def _admit(self, request: Request) -> None:
        if request.op == "expire":
            if request.target not in self.holds:
                raise Refused("NOT_FOUND")
            return
        needed = request.op if request.op in {"commit", "release", "extend"} else "create"
        if not request.key.is_good:
            raise Refused("UNAUTHORIZED")
        if needed not in request.key.may:
            raise Refused("FORBIDDEN")
        path = self._root + request.path
        if request.target is not None:
            if request.target not in self.holds:
                raise Refused("NOT_FOUND")
            path = self.holds[request.target].path
        if request.key.scopes and not any(f"{path}/".startswith(f"{scope}/") for scope in request.key.scopes):
            raise Refused("FORBIDDEN")

    def _replayed(self, request: Request) -> Reply | None:
        if request.op == "expire":
            return None
        known = self._replies.get(self._name(request))
        if known is None:
            return None
        if known[0] != request.payload:
            raise Refused("IDEMPOTENCY_MISMATCH")
        return replace(known[1], is_replay=True)

    @staticmethod
    def _name(request: Request) -> tuple[str, UUID | None, str]:
        return request.op, request.target, request.idem

    # What is decided

    def _judge(self, request: Request) -> Reply:
        is_only_asked = request.op == "decide" or request.is_dry
        try:
            if self.status == "CLOSED" and request.op != "expire":
                raise Refused("TENANT_CLOSED")
            if self.status == "SUSPENDED" and request.op in {"reserve", "decide", "extend"}:
                raise Refused("TENANT_SUSPENDED")
            match request.op:
                case "reserve" | "decide":
                    reply = self._reserve(request, is_only_asked=is_only_asked)
                case "event":
                    reply = self._event(request)
                case "commit":
                    reply = self._commit(request)
                case "release":
                    reply = self._release(request)
                case "extend":
                    reply = self._extend(request)
                case _:
                    reply = self._expire(request)
        except Refused as refusal:
            if not is_only_asked or refusal.status == "UNIT_MISMATCH":
                raise
            reply = Reply(status="OK", id=request.id, scope=refusal.scope, verdict="DENY", reason=refusal.status)
        if request.op != "expire":
            self._replies[self._name(request)] = request.payload, reply
        return reply

    def _reserve(self, request: Request, *, is_only_asked: bool) -> Reply:
        path = self._on_path(request)
        run = self._run(request, path)
        for account in [*path, *run]:
            account.refuse_reservation(request.amount)
        # A question shows no budget that is not there yet.
        touched = [account for account in [*path, *run] if not is_only_asked or self._has(account)]
        if not is_only_asked:
            for account in run:
                if not self._has(account):
                    self.accounts[account.path, account.unit] = account
                    self.entries += 1
            for account in touched:
                account.reserved += request.amount
            self.entries += 1
            self.holds[request.id] = Hold(
                id=request.id,
                path=self._root + request.path,
                unit=request.unit,
                amount=request.amount,
                policy=request.policy or self.policy,
                accounts=touched,
                expires_at=self.now + request.ttl,
                grace=request.grace,
            )
        return self._done(touched, id=request.id, verdict="ALLOW")

    def _event(self, request: Request) -> Reply:
        path = self._on_path(request)
        run = self._run(request, path)
        touched = [*path, *run]
        charged = self._charge(touched, request.amount, 0, request.policy or self.policy, is_event=True)
        for account in run:
            if not self._has(account):
                self.accounts[account.path, account.unit] = account
                self.entries += 1
        return self._done(touched, id=request.id, charged=charged)

    def _commit(self, request: Request) -> Reply:
        hold = self._unsettled(request)
        if request.unit != hold.unit:
            raise Refused("UNIT_MISMATCH", hold.path)
        if hold.status == "EXPIRED" or self.now > hold.due_at:
            raise Refused("RESERVATION_EXPIRED")
        charged = self._charge(hold.accounts, request.amount, hold.amount, hold.policy, is_event=False)
        hold.status = "COMMITTED"
        return self._done(hold.accounts, charged=charged)

    def _release(self, request: Request) -> Reply:
        hold = self._unsettled(request)
        if hold.status == "EXPIRED" or self.now > hold.due_at:
            raise Refused("RESERVATION_EXPIRED")
        return self._give_back(hold, "RELEASED")

    def _expire(self, request: Request) -> Reply:
        hold = self._unsettled(request)
        if hold.status == "EXPIRED":
            raise Refused("RESERVATION_EXPIRED")
        if self.now <= hold.due_at:
            raise Refused("NOT_DUE")
        return self._give_back(hold, "EXPIRED")

    def _give_back(self, hold: Hold, status: str) -> Reply:
        for account in hold.accounts:
            account.reserved -= hold.amount
        self.entries += 1
        hold.status = status
        return self._done(hold.accounts)

    def _extend(self, request: Request) -> Reply:
        hold = self._unsettled(request)
        if hold.status == "EXPIRED" or self.now > hold.expires_at:
            raise Refused("RESERVATION_EXPIRED")
        if hold.extensions >= self.extensions_max:
            raise Refused("MAX_EXTENSIONS_EXCEEDED")
        for account in hold.accounts:
            if account.status != "ACTIVE":
                raise Refused(f"BUDGET_{account.status}", account.path)
        hold.expires_at += request.ttl
        hold.extensions += 1
        self.entries += 1
        return self._done(hold.accounts)

    def _unsettled(self, request: Request) -> Hold:
        assert request.target is not None
        hold = self.holds[request.target]
        if hold.status in {"COMMITTED", "RELEASED"}:
            raise Refused("RESERVATION_FINALIZED")
        return hold

    def _charge(self, accounts: list[Account], actual: int, held: int, policy: str, *, is_event: bool) -> int:
        """Book a cost on every account alike, after giving back what was held for it. The amount charged."""
        above = max(actual - held, 0)
        covered = above
        is_debt = policy == "ALLOW_WITH_OVERDRAFT"
        for account in accounts:
            lends = is_debt and account.overdraft_limit > 0
            if (policy == "ALLOW_IF_AVAILABLE" or (is_debt and not lends)) and account.remaining < above:
                covered = min(covered, max(account.remaining, 0))
        owed = []
        for account in accounts:
            if is_event and account.status == "CLOSED":
                raise Refused("BUDGET_CLOSED", account.path)
            if above > account.room_for_numbers:
                raise Refused("OVERDRAFT_LIMIT_EXCEEDED" if is_debt else "BUDGET_EXCEEDED", account.path)
            if policy == "REJECT" and above > 0 and (not is_event or account.remaining < above):
                raise Refused("BUDGET_EXCEEDED", account.path)
            debt = covered if is_debt and account.overdraft_limit > 0 and account.remaining < covered else 0
            if debt and account.debt + debt > account.overdraft_limit:
                raise Refused("OVERDRAFT_LIMIT_EXCEEDED", account.path)
            owed.append(debt)
        charged = min(actual, held + covered)
        for account, debt in zip(accounts, owed, strict=True):
            if covered < above and account.remaining < above and not (is_debt and account.overdraft_limit > 0):
                account.is_capped = True
            account.reserved -= held
            account.spent += charged - debt
            account.debt += debt
            account.uncovered += actual - charged
        self.entries += 1
        return charged

    # Where

    @property
    def _root(self) -> str:
        return f"tenant:{self.slug}"

    def _has(self, account: Account) -> bool:
        return (account.path, account.unit) in self.accounts

    def _paths(self, path: str) -> list[str]:
        """The scopes of a path, root first."""
        segments = path.split("/")[1:]
        return ["/".join([self._root, *segments[:length]]) for length in range(len(segments) + 1)]

    def _on_path(self, request: Request) -> list[Account]:
        paths = self._paths(request.path)
        found = [self.accounts[path, request.unit] for path in paths if (path, request.unit) in self.accounts]
        if found or (request.run is not None and (self._run_path(request.run), request.unit) in self.accounts):
            return found
        others = [path for path in paths if any(known == path for known, _ in self.accounts)]
        if others:
            raise Refused("UNIT_MISMATCH", others[-1])
        raise Refused("BUDGET_NOT_FOUND", paths[-1])

    def _run_path(self, run: str) -> str:
        return f"{self._root}/run:{run}"

    def _run(self, request: Request, path: list[Account]) -> list[Account]:
        """The budget of the run: the one that is there, or the one that its template would open."""
        if request.run is None:
            return []
        where = self._run_path(request.run), request.unit
        if where in self.accounts:
            return [self.accounts[where]]
        name = request.template if request.template in self.templates else self.default_template
        if name is None or self.templates[name][0] != request.unit or not path:
            return []
        return [Account(*where, allocated=self.templates[name][1])]

    # When

    def _in_reach(self, request: Request) -> Iterable[Account]:
        """The budgets whose periods are opened first. A closed budget has none to come, and a stranger opens none."""
        if request.op != "expire" and not request.key.is_good:
            return []
        if request.target is not None:
            held = self.holds[request.target].accounts if request.target in self.holds else []
            return [account for account in held if account.status != "CLOSED"]
        paths = {*self._paths(request.path), self._run_path(request.run or "")}
        found = [account for account in self.accounts.values() if account.path in paths]
        return [account for account in found if account.status != "CLOSED"]

    def _open_periods(self, accounts: Iterable[Account]) -> None:
        for account in accounts:
            while account.ends_at is not None and account.ends_at <= self.now:
                left = max(account.allocated - account.spent, 0)
                carried = {"NONE": 0, "CARRY_FORWARD": left, "CAP_AT_ALLOCATED": min(left, account.grant)}
                account.allocated = min(account.grant + carried[account.rollover], LARGEST)
                account.spent = account.uncovered = 0
                account.is_capped = False
                tomorrow = (account.ends_at.astimezone(self.zone) + timedelta(days=1)).date()
                account.ends_at = datetime.combine(tomorrow, datetime.min.time(), self.zone).astimezone(UTC)
                self.entries += 1

    def open_period(self, account: Account) -> None:
        """What everyone who writes does first with a budget."""
        self._open_periods([account])

    def let_time_pass(self, span: timedelta) -> None:
        """The past moves away; the model's clock is the real one."""
        for account in self.accounts.values():
            if account.ends_at is not None:
                account.ends_at -= span
        for hold in self.holds.values():
            hold.expires_at -= span

    @staticmethod
    def _done(
        accounts: Sequence[Account],
        *,
        id: UUID | None = None,
        verdict: str | None = None,
        charged: int | None = None,
    ) -> Reply:
        touched = tuple((account.path, tuple(account.balances)) for account in accounts)
        return Reply(status="OK", id=id, verdict=verdict, charged=charged, accounts=touched)
